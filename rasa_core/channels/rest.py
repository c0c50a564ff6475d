"""The old import path of what serves channels over HTTP."""

from __future__ import annotations

from rasa_core.channels.channel import HttpInputChannel, HttpInputComponent

__all__ = ["HttpInputChannel", "HttpInputComponent"]
