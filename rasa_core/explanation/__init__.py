"""Why the bot decides as it does: scores, the stories that taught it, and what would have changed its mind."""

from __future__ import annotations

from rasa_core.explanation.answers import Change, Explanation, ExplanationError, NearestMiss, PolicyOpinion
from rasa_core.explanation.decisions import decision_position, explain

__all__ = [
    "Change",
    "Explanation",
    "ExplanationError",
    "NearestMiss",
    "PolicyOpinion",
    "decision_position",
    "explain",
]
