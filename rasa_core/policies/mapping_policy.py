"""``MappingPolicy`` of Rasa Core 0.14 and Rasa 1: ``triggers:`` of intents, which are rules in the folder of a bot."""

from __future__ import annotations

import logging

from rasa_core.policies.rules import RulePolicy

logger = logging.getLogger(__name__)


def MappingPolicy(priority: int | None = None) -> RulePolicy:  # noqa: N802
    """Return a `RulePolicy` in the place of a ``MappingPolicy``; trained by a program, it has no triggers."""
    logger.warning(
        "triggers: of the domain work where the folder of the bot is trained (rasa-core train PROJECT, with "
        "MappingPolicy in config.yml); with Agent.train, write a story for each of these intents."
    )
    return RulePolicy(enable_fallback_prediction=False, priority=priority)
