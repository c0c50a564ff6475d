"""Constants that programs for Rasa Core 0.11 and later import from here."""

from __future__ import annotations

from typing import Final

DEFAULT_SERVER_PORT: Final = 5005
DEFAULT_SERVER_URL: Final = f"http://localhost:{DEFAULT_SERVER_PORT}"
DEFAULT_REQUEST_TIMEOUT: Final = 300
"""Seconds that an action server may take."""

REQUESTED_SLOT: Final = "requested_slot"
