"""What a bot can do: here in Python, or elsewhere in the caller's code."""

from __future__ import annotations

from rasa_core.actions.action import Action as Action
from rasa_core.actions.action import RemoteAction as RemoteAction

__all__ = ["Action", "RemoteAction"]
