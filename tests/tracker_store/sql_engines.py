"""The SQL engines, on real servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sql_servers import SERVERS, empty_store

from rasa_core.tracker_store import EventLogStore

ENGINES: dict[str, Callable[[Path], EventLogStore]] = {
    name: lambda folder, name=name: empty_store(name)  # type: ignore[misc]
    for name in SERVERS
}
