"""Names of `rasa_core.policies.training_turns` under which they were known before."""

from __future__ import annotations

from rasa_core.policies.training_turns import TrainingTurn as Lesson
from rasa_core.policies.training_turns import TrainingTurns as Lessons

__all__ = ["Lesson", "Lessons"]
