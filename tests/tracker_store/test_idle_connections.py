"""The thread that closes idle connections; the tests of the stores have its effect on real servers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from at_once import at_once

from rasa_core.tracker_store.idle_connections import IdleConnections


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Let threads take turns so often that they meet within a line."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Counted(IdleConnections):
    """Counts who begins to watch."""

    def __init__(self) -> None:
        super().__init__(OSError)
        self.watchers: list[int] = []

    def _watch(self) -> None:
        self.watchers.append(threading.get_ident())


def opened_by(threads: int, number: int) -> Counted:
    """Let threads open connections at once; each reports that `number` connections are open."""
    idle = Counted()
    at_once(idle.opened, [number] * threads)
    if idle._thread is not None:
        idle._thread.join()
    return idle


@pytest.mark.usefixtures("many_switches")
def test_one_thread_watches_however_many_open_connections_at_once() -> None:
    assert {len(opened_by(6, 2).watchers) for _ in range(60)} == {1}


def test_nobody_watches_the_only_connection() -> None:
    assert opened_by(2, 1).watchers == []
