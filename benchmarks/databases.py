"""The tracker stores to measure, on real database servers, which are started as in the tests.

A benchmark of several stores leaves out a store whose server is not installed, and says so in a line.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import ROOT

sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "tracker_store")]

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
    """Run the server of a store until the block ends; yield the URL of the store, and its server or None.

    The settings of the server are durable: an acknowledged commit survives a crash of the server.
    """
    return STORES[name](folder)


@contextlib.contextmanager
def opened_if_installed(name: str, folder: Path) -> Iterator[Opened | None]:
    """Do as `opened`; if the server or a package is not installed, print what is missing, and yield None."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(opened(name, folder))
        except (pytest.skip.Exception, ImportError) as error:
            remedy = "; install it with: pip install '.[test]'" if isinstance(error, ImportError) else ""
            print(f"{name} is left out: {error}{remedy}", flush=True)
            found = None
        yield found
