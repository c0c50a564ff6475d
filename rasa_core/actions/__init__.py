"""The actions of a bot, and the runners that run them here, in the caller's code, or in an action server."""

from __future__ import annotations

from rasa_core.actions.action import Action as Action
from rasa_core.actions.action import RemoteAction as RemoteAction

__all__ = ["Action", "RemoteAction"]
