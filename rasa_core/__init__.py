"""rasa_core decides what a bot does next: trained from stories, one event at a time, in anybody's code."""

from __future__ import annotations

from rasa_core import events as events
from rasa_core.actions.action import Action
from rasa_core.actions.factories import RemoteAction
from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.events import (
    ActionExecuted,
    AllSlotsReset,
    BotUttered,
    Restarted,
    SlotSet,
    UserUttered,
)
from rasa_core.policies.policy import Prediction
from rasa_core.trackers import DialogueStateTracker
from rasa_core.version import __version__

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
