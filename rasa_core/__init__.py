"""rasa_core decides what a bot does next: trained from stories, one event at a time, in anybody's code.

The names below are loaded when they are asked for, so that a program which needs a domain does not load policies.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rasa_core.version import __version__

if TYPE_CHECKING:
    from rasa_core import events as events
    from rasa_core.actions.action import Action, RemoteAction
    from rasa_core.agent import Agent
    from rasa_core.domain import Domain
    from rasa_core.events import ActionExecuted, AllSlotsReset, BotUttered, Restarted, SlotSet, UserUttered
    from rasa_core.policies.policy import Prediction
    from rasa_core.trackers import DialogueStateTracker

__all__ = [
    "Action",
    "ActionExecuted",
    "Agent",
    "AllSlotsReset",
    "BotUttered",
    "DialogueStateTracker",
    "Domain",
    "Prediction",
    "RemoteAction",
    "Restarted",
    "SlotSet",
    "UserUttered",
    "__version__",
    "events",
]

_PLACES = {
    "Action": "rasa_core.actions.action",
    "Agent": "rasa_core.agent",
    "DialogueStateTracker": "rasa_core.trackers",
    "Domain": "rasa_core.domain",
    "Prediction": "rasa_core.policies.policy",
    "RemoteAction": "rasa_core.actions.action",
}


def __getattr__(name: str) -> Any:
    if name == "events":
        return import_module("rasa_core.events")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES.get(name, "rasa_core.events")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
