"""Closing connections before a fork, and continuing after it; ``test_processes`` forks with each engine."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import rasa_core
from rasa_core.exceptions import StoreError
from rasa_core.tracker_store import Head, InMemoryTrackerStore, StoredAnswer, locks
from rasa_core.tracker_store.locks import MutexTable
from rasa_core.tracker_store.sqlite_connections import Connections


@pytest.fixture
def connections(tmp_path: Path) -> Connections:
    return Connections(str(tmp_path / "x.db"), synchronous="normal", timeout=1)


def test_no_connection_is_open_while_a_process_forks(connections: Connections) -> None:
    with connections.reading():
        pass
    with connections.at_rest():
        assert connections.idle == []
    with connections.reading() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    connections.close()


@pytest.mark.parametrize("operation", [Connections.reading, lambda connections: connections.writer])
def test_a_fork_waits_for_the_operations_under_way(
    connections: Connections, operation: Callable[[Connections], AbstractContextManager[object]]
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


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that makes this process take itself for a child that was forked just now."""
    return lambda: monkeypatch.setattr(locks._process, "id", -1)


def test_mutexes_that_threads_of_the_parent_hold_are_free_in_the_child(forked: Callable[[], None]) -> None:
    table = MutexTable()
    with table.hold("a", name="a", timeout=1):
        forked()
        with table.hold("a", name="a", timeout=1):
            assert len(table) == 1
    assert len(table) == 0


@pytest.mark.parametrize("copied", [False, True], ids=["the store", "a copy of it"])
def test_a_lock_of_the_parent_is_free_in_the_child_of_a_store_and_of_its_copy(
    copied: bool, forked: Callable[[], None]
) -> None:
    store = InMemoryTrackerStore(timeout=0.01)
    used = copy.copy(store) if copied else store
    with store.lock("a"):
        with pytest.raises(StoreError, match="already open in this thread"), used.lock("a"):
            pass
        with used._guard():
            forked()
            with used.lock("a"):
                used.commit("a", 0, ["0"], Head(1, 0, "model", 5.0, "{}"))
    assert used.read_events("a", 0, 9) == ["0"]


def test_a_child_that_is_forked_while_answers_expire_goes_on() -> None:
    run_worker = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        str(Path(__file__).with_name("forking_worker.py")),
    ]
    done = subprocess.run(
        run_worker,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(Path(rasa_core.__file__).parents[1])},
    )
    assert done.stdout.split() == ["child", "parent"], done.stderr


@pytest.mark.parametrize("put", ["answer", "events"])
def test_a_child_sees_nothing_of_a_commit_that_another_thread_had_begun(put: str) -> None:
    store = InMemoryTrackerStore()
    store.commit("a", 0, ["0"], Head(1, 0, "model", 5.0, "{}"))
    answer = StoredAnswer("k", "digest", 2, True, 1.5, "{}")
    # What the memory of a child holds that was forked at that moment.
    if put == "answer":
        store._answers.put("a", answer)
    else:
        store._logs["a"].append("lost")
    assert store.read_answer("a", "k") is None
    assert store.read_events("a", 0, 9) == ["0"]
    store.commit("a", 1, ["1"], Head(2, 0, "model", 5.0, "{}"), answer)
    assert store.read_events("a", 0, 9) == ["0", "1"]
    assert store.read_answer("a", "k") == answer
