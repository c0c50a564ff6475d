"""The old import path of the classes that serve channels over HTTP."""

from __future__ import annotations

from rasa_core.channels.channel import HttpInputChannel, HttpInputComponent
from rasa_core.compat import later

__all__ = ["HttpInputChannel", "HttpInputComponent"]


__getattr__ = later.of_module(__name__)
