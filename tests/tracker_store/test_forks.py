"""Getting ready for a fork, and going on after it; forks themselves are in ``test_sqlite_processes``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from rasa_core.tracker_store import Head, InMemoryTrackerStore
from rasa_core.tracker_store.locks import MutexTable
from rasa_core.tracker_store.sqlite import _Connections


@pytest.fixture
def connections(tmp_path: Path) -> _Connections:
    return _Connections(str(tmp_path / "x.db"), synchronous="normal", timeout=1)


def test_no_connection_is_open_while_a_process_forks(connections: _Connections) -> None:
    with connections.reading():
        pass
    with connections.at_rest():
        assert connections.idle == []
    with connections.reading() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    connections.close()


@pytest.mark.parametrize("operation", [_Connections.reading, lambda connections: connections.writer])
def test_a_fork_waits_for_the_operations_under_way(
    connections: _Connections, operation: Callable[[_Connections], AbstractContextManager[object]]
) -> None:
    ready = threading.Event()

    def get_ready() -> None:
        with connections.at_rest():
            ready.set()

    forking = threading.Thread(target=get_ready)
    with operation(connections):
        forking.start()
        assert not ready.wait(0.02)
    forking.join()
    assert ready.is_set()
    with connections.writing() as connection:
        assert connection.in_transaction
    connections.close()


def test_mutexes_that_threads_of_the_parent_hold_are_free_in_the_child() -> None:
    table = MutexTable()
    with table.hold("a", name="a", timeout=1):
        table.after_fork_in_child()
        with table.hold("a", name="a", timeout=1):
            assert len(table) == 1
    assert len(table) == 0


def test_a_store_in_memory_forks_between_commits() -> None:
    store = InMemoryTrackerStore()
    committing = threading.Thread(target=store.commit, args=("a", 0, ["0"], Head(1, 0, "model", 5.0, "{}")))
    store.before_fork()
    committing.start()
    assert store.read_head("a") is None
    store.after_fork_in_parent()
    committing.join()
    store.before_fork()
    store.after_fork_in_child()
    store.commit("a", 1, ["1"], Head(2, 0, "model", 5.0, "{}"))
    assert store.read_events("a", 0, 9) == ["0", "1"]
