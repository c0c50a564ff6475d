"""The old import path of `DialogueTrainingData`, the arrays with which policies are trained."""

from __future__ import annotations

from rasa_core.policies.features.classic import DialogueTrainingData

__all__ = ["DialogueTrainingData"]
