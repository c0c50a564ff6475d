"""All engines by name, and functions that make an empty store of each, also for several processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rasa_core.tracker_store import EventLogStore, InMemoryTrackerStore, store_from_url

NO_REDIS = "install it with: pip install redis"


def _sql(name: str) -> str:
    import sql_servers

    return sql_servers.emptied(name).url(timeout=20)


def _pooled() -> str:
    import pgbouncer
    import sql_servers

    sql_servers.emptied("postgresql")
    return pgbouncer.shared_pooler().url(pooler="transaction", timeout=20)


def _redis(nodes: str) -> str:
    pytest.importorskip("redis", reason=NO_REDIS)
    import redis_servers

    return f"{redis_servers.emptied(nodes)}timeout=20"


ADDRESSES: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: f"sqlite:///{folder}/conversations.db?timeout=20",
    "postgresql": lambda folder: _sql("postgresql"),
    "pgbouncer": lambda folder: _pooled(),
    "mariadb": lambda folder: _sql("mariadb"),
    "redis": lambda folder: _redis("single"),
    "redis-cluster": lambda folder: _redis("cluster"),
}
"""What returns the URL of an empty store that other processes can use, too."""

ENGINES: dict[str, Callable[[Path], EventLogStore]] = {
    "memory": lambda folder: InMemoryTrackerStore(timeout=20),
    **{
        name: lambda folder, address=address: store_from_url(address(folder), check=False)  # type: ignore[misc]
        for name, address in ADDRESSES.items()
    },
}
