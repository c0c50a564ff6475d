"""Explanations of the bot's decisions: scores, the stories that taught them, and changes that would alter them."""

from __future__ import annotations

from rasa_core.explanation.decisions import Explanation, ExplanationError, PolicyOpinion, decision_position, explain
from rasa_core.explanation.nearest_miss import Change, NearestMiss

__all__ = ["Change", "Explanation", "ExplanationError", "NearestMiss", "PolicyOpinion", "decision_position", "explain"]
