"""The old import path of the arrays that policies learn from."""

from __future__ import annotations

from rasa_core.featurizers import DialogueTrainingData

__all__ = ["DialogueTrainingData"]
