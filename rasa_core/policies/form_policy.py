"""``FormPolicy`` of Rasa Core 0.12 and Rasa 1: a `RulePolicy` that continues the active form."""

from __future__ import annotations

from rasa_core.policies.rules import RulePolicy


def FormPolicy(featurizer: object = None, priority: int | None = None) -> RulePolicy:  # noqa: N802
    """Return a `RulePolicy` in the place of a ``FormPolicy``; the featurizer is ignored."""
    return RulePolicy(enable_fallback_prediction=False, priority=priority)
