"""Constants that programs for Rasa Core 0.11 and later import from here."""

from __future__ import annotations

from typing import Final

from rasa_core.actions.action import ACTION_DEFAULT_FALLBACK_NAME
from rasa_core.interpreter import INTENT_MESSAGE_PREFIX

__all__ = [
    "DEFAULT_CORE_FALLBACK_THRESHOLD",
    "DEFAULT_FALLBACK_ACTION",
    "DEFAULT_NLU_FALLBACK_THRESHOLD",
    "DEFAULT_REQUEST_TIMEOUT",
    "DEFAULT_SERVER_FORMAT",
    "DEFAULT_SERVER_PORT",
    "DEFAULT_SERVER_URL",
    "INTENT_MESSAGE_PREFIX",
    "REQUESTED_SLOT",
    "USER_INTENT_RESTART",
]

DEFAULT_SERVER_PORT: Final = 5005
DEFAULT_SERVER_FORMAT: Final = "http://localhost:{}"
DEFAULT_SERVER_URL: Final = DEFAULT_SERVER_FORMAT.format(DEFAULT_SERVER_PORT)
DEFAULT_REQUEST_TIMEOUT: Final = 300
"""Timeout for a request to an action server, in seconds."""

DEFAULT_NLU_FALLBACK_THRESHOLD: Final = 0.0
DEFAULT_CORE_FALLBACK_THRESHOLD: Final = 0.0
DEFAULT_FALLBACK_ACTION: Final = ACTION_DEFAULT_FALLBACK_NAME

REQUESTED_SLOT: Final = "requested_slot"
USER_INTENT_RESTART: Final = "restart"
