"""The old import path of the arrays that policies learn from."""

from __future__ import annotations

from rasa_core.policies.features.classic import DialogueTrainingData

__all__ = ["DialogueTrainingData"]
