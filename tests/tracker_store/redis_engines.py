"""Redis, on a real server and on a real cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rasa_core.tracker_store import EventLogStore

if TYPE_CHECKING:
    from rasa_core.tracker_store.redis import RedisTrackerStore


def empty_store(timeout: float = 20) -> RedisTrackerStore:
    """Return a store on the shared server, which is emptied."""
    pytest.importorskip("redis", reason="install it with: pip install 'rasa-core[redis]'")
    from redis_servers import shared_server

    from rasa_core.tracker_store.redis import RedisTrackerStore

    server = shared_server()
    with server.client() as client:
        client.flushall()
    return RedisTrackerStore(host="127.0.0.1", port=server.port, timeout=timeout)


def empty_cluster_store(timeout: float = 20) -> RedisTrackerStore:
    """Return a store on the shared cluster, which is emptied."""
    pytest.importorskip("redis", reason="install it with: pip install 'rasa-core[redis]'")
    from redis_servers import shared_cluster

    from rasa_core.tracker_store.redis import RedisTrackerStore

    nodes = shared_cluster()
    for node in nodes:
        with node.client() as client:
            client.flushall()
    return RedisTrackerStore(host="127.0.0.1", port=nodes[0].port, cluster=True, timeout=timeout)


ENGINES: dict[str, Callable[[Path], EventLogStore]] = {
    "redis": lambda folder: empty_store(),
    "redis-cluster": lambda folder: empty_cluster_store(),
}
