"""Empty Redis stores on a real server and on a real cluster."""

from __future__ import annotations

import pytest

pytest.importorskip("redis", reason="install it with: pip install redis")

from redis_servers import emptied

from rasa_core.tracker_store.redis import RedisTrackerStore


def empty_store(timeout: float = 20) -> RedisTrackerStore:
    """Return a store on the shared server."""
    return RedisTrackerStore.from_url(f"{emptied('single')}timeout={timeout}")


def empty_cluster_store(timeout: float = 20) -> RedisTrackerStore:
    """Return a store on the shared cluster."""
    return RedisTrackerStore.from_url(f"{emptied('cluster')}timeout={timeout}")
