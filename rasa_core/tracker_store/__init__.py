"""Where conversations are kept: in memory, in SQLite, or in a store of your own."""

from __future__ import annotations

from rasa_core.tracker_store.answers import Answer, Conditions
from rasa_core.tracker_store.base import NotOverriddenError, TrackerStore
from rasa_core.tracker_store.conversation import Conversation
from rasa_core.tracker_store.head import Head, SenderIdError
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.memory import InMemoryTrackerStore
from rasa_core.tracker_store.sqlite import SqliteTrackerStore
from rasa_core.tracker_store.urls import store_from_url

__all__ = [
    "Answer",
    "Conditions",
    "Conversation",
    "EventLogStore",
    "Head",
    "InMemoryTrackerStore",
    "NotOverriddenError",
    "SenderIdError",
    "SqliteTrackerStore",
    "TrackerStore",
    "store_from_url",
]
