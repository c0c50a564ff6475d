"""Every engine, under one name: what makes an empty store of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import redis_engines
import sql_engines

from rasa_core.tracker_store import EventLogStore, InMemoryTrackerStore, SqliteTrackerStore

ENGINES: dict[str, Callable[[Path], EventLogStore]] = {
    "memory": lambda folder: InMemoryTrackerStore(timeout=20),
    "sqlite": lambda folder: SqliteTrackerStore(path=folder / "conversations.db", timeout=20),
    **sql_engines.ENGINES,
    **redis_engines.ENGINES,
}
