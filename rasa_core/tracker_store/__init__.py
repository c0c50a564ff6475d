"""Tracker stores, which keep conversations: in memory, in SQLite, PostgreSQL, MySQL, Redis, or in a custom way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rasa_core.compat import later
from rasa_core.tracker_store.base import Conversation, NotOverriddenError, StoredAnswer, TrackerStore
from rasa_core.tracker_store.heads import Head, SenderIdError
from rasa_core.tracker_store.idempotency import RequestConditions
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.memory import InMemoryTrackerStore
from rasa_core.tracker_store.sqlite import SqliteTrackerStore
from rasa_core.tracker_store.urls import NEEDING_PACKAGES, imported_store, store_from_url

if TYPE_CHECKING:
    from rasa_core.tracker_store.redis import RedisTrackerStore as RedisTrackerStore
    from rasa_core.tracker_store.sql import SqlTrackerStore as SqlTrackerStore

# `__getattr__` imports the stores that need further packages, and so they are not in this list.
__all__ = [
    "Conversation",
    "EventLogStore",
    "Head",
    "InMemoryTrackerStore",
    "NotOverriddenError",
    "RequestConditions",
    "SenderIdError",
    "SqliteTrackerStore",
    "StoredAnswer",
    "TrackerStore",
    "store_from_url",
]


def __getattr__(name: str) -> object:
    """Import a store that needs further packages.

    Raises
    ------
    ImportError
        If the packages are missing.
    """
    if name in NEEDING_PACKAGES:
        return imported_store(name)
    return later.of_module(__name__)(name)
