"""The old import path of `rasa_core.stories.generator`."""

from __future__ import annotations

from rasa_core.stories.generator import TrainingDataGenerator

__all__ = ["TrainingDataGenerator"]
