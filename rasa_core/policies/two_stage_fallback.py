"""``TwoStageFallbackPolicy`` of Rasa Core 0.12 and Rasa 1: a `FallbackPolicy`, as programs make it."""

from __future__ import annotations

import logging

from rasa_core.policies.fallback import OF_RASA, FallbackPolicy
from rasa_core.policies.policy import DEFAULT_THRESHOLD

logger = logging.getLogger(__name__)


def TwoStageFallbackPolicy(  # noqa: N802
    nlu_threshold: float = DEFAULT_THRESHOLD,
    core_threshold: float = DEFAULT_THRESHOLD,
    fallback_core_action_name: str = OF_RASA,
    fallback_nlu_action_name: str = OF_RASA,
    deny_suggestion_intent_name: str = "out_of_scope",
    priority: int | None = None,
) -> FallbackPolicy:
    """Return a `FallbackPolicy`, which asks no question back, in the place of a ``TwoStageFallbackPolicy``."""
    logger.warning(
        "TwoStageFallbackPolicy asks back where the folder of the bot is trained (rasa-core train PROJECT, with the "
        "policy in config.yml); with Agent.train, what is not understood leads to %r at once.",
        fallback_nlu_action_name,
    )
    return FallbackPolicy(nlu_threshold, core_threshold, fallback_nlu_action_name, priority=priority)
