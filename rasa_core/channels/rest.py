"""The old import path of what serves channels over HTTP."""

from __future__ import annotations

from rasa_core import _later
from rasa_core.channels.channel import HttpInputChannel, HttpInputComponent

__all__ = ["HttpInputChannel", "HttpInputComponent"]


__getattr__ = _later.of_module(__name__)
