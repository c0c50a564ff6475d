"""The stores to measure, with real servers where they need one: those that the tests start."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.serving import ROOT

sys.path.append(str(ROOT / "tests" / "tracker_store"))

Opened = tuple[str, Any]


@contextlib.contextmanager
def _sqlite(folder: Path) -> Iterator[Opened]:
    yield f"sqlite:///{folder}/conversations.db", None


@contextlib.contextmanager
def _sql(kind: str) -> Iterator[Opened]:
    import sql_servers

    with sql_servers.running(kind, durable=True) as server:
        yield server.url(), server


@contextlib.contextmanager
def _redis(folder: Path) -> Iterator[Opened]:
    import redis_servers

    data = folder / "redis"
    data.mkdir()
    server = redis_servers.durable(data)
    server.start()
    try:
        yield server.url, server
    finally:
        server.kill()


STORES: dict[str, Callable[[Path], AbstractContextManager[Opened]]] = {
    "sqlite": _sqlite,
    "postgresql": lambda folder: _sql("postgresql"),
    "mariadb": lambda folder: _sql("mariadb"),
    "redis": _redis,
}


def opened(name: str, folder: Path) -> AbstractContextManager[Opened]:
    """Run what a store needs until the block ends; gives its URL, and its server, None if it has none.

    What a server has acknowledged survives its death: settings are the durable ones.
    """
    return STORES[name](folder)
