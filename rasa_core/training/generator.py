"""The old import path of `rasa_core.stories.generator`."""

from __future__ import annotations

from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.training_tracker import TrainingTracker

__all__ = ["TrackerWithCachedStates", "TrainingDataGenerator"]

TrackerWithCachedStates = TrainingTracker
"""As 0.9 calls the class of the conversations that are made from stories."""
