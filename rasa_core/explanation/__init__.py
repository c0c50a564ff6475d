"""Why the bot decides as it does: scores, the stories that taught it, and what would have changed its mind."""

from __future__ import annotations

from rasa_core.explanation.decisions import Explanation, ExplanationError, PolicyOpinion, decision_position, explain
from rasa_core.explanation.nearest_miss import Change, NearestMiss

__all__ = ["Change", "Explanation", "ExplanationError", "NearestMiss", "PolicyOpinion", "decision_position", "explain"]
