"""Earlier names of the classes in `rasa_core.policies.training_turns`."""

from __future__ import annotations

from rasa_core.policies.training_turns import TrainingTurn as Lesson
from rasa_core.policies.training_turns import TrainingTurns as Lessons

__all__ = ["Lesson", "Lessons"]
