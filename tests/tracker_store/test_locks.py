"""Locks alone: waiting, timeouts, and releasing everything."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store import SqliteTrackerStore
from rasa_core.tracker_store.locks import MutexTable, close_lock_file, open_lock_file, tries


class Holder:
    """Holds a lock in another thread until it is told to let go."""

    def __init__(self, lock) -> None:
        self._held, self._let_go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold, args=(lock,))

    def _hold(self, lock) -> None:
        with lock:
            self._held.set()
            self._let_go.wait()

    def __enter__(self) -> Holder:
        self._thread.start()
        self._held.wait()
        return self

    def let_go(self) -> None:
        self._let_go.set()

    def __exit__(self, *exc_info: object) -> None:
        self.let_go()
        self._thread.join()


def test_a_mutex_is_dropped_when_nobody_needs_it() -> None:
    table = MutexTable()
    with table.hold("a", name="a", timeout=1), table.hold("b", name="b", timeout=1):
        assert len(table) == 2
    assert len(table) == 0


def test_waiting_for_a_mutex_ends_with_the_conversation_named() -> None:
    table = MutexTable()
    with Holder(table.hold("a", name="alice", timeout=1)):
        refused = pytest.raises(StoreUnavailableError, match=r"'alice' was busy for 0\.01 s")
        with refused, table.hold("a", name="alice", timeout=0.01):
            pass
        assert len(table) == 1
    assert len(table) == 0


def test_a_waiting_thread_goes_on_when_the_mutex_is_free() -> None:
    table = MutexTable()
    with Holder(table.hold("a", name="a", timeout=1)) as holder:
        threading.Timer(0.01, holder.let_go).start()
        with table.hold("a", name="a", timeout=10):
            assert len(table) == 1


def test_two_stores_of_one_process_on_one_file_exclude_each_other(tmp_path: Path) -> None:
    first = SqliteTrackerStore(path=tmp_path / "x.db")
    second = SqliteTrackerStore(path=tmp_path / "." / "x.db", timeout=0.01)
    refused = pytest.raises(StoreUnavailableError, match="busy")
    with first, second, Holder(first.lock("a")), refused, second.lock("a"):
        pass


def test_closing_one_store_keeps_the_locks_of_another(tmp_path: Path) -> None:
    first, second = SqliteTrackerStore(path=tmp_path / "x.db"), SqliteTrackerStore(path=tmp_path / "x.db")
    with first, first.lock("a"):
        second.close()
        third = SqliteTrackerStore(path=tmp_path / "x.db", timeout=0.01)
        with third, pytest.raises(StoreError, match="already open"), third.lock("a"):
            pass


def test_a_lock_file_is_opened_once_and_closed_with_its_last_user(tmp_path: Path) -> None:
    path = str(tmp_path / "x-lock")
    first, second = open_lock_file(path, like=path), open_lock_file(path, like=path)
    assert first is second
    close_lock_file(first)
    close_lock_file(second)
    third = open_lock_file(path, like=path)
    assert third is not first
    close_lock_file(third)


def test_a_lock_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = open_lock_file(str(tmp_path / "missing" / "x-lock"), like="")
    refused = pytest.raises(StoreError, match=r"x-lock: No such file or directory\. It has to be writable")
    with refused, file.hold("a", timeout=1):
        pass
    close_lock_file(file)


def test_waiting_takes_nothing_from_the_random_numbers_that_users_seed() -> None:
    random.seed(7)
    expected = random.random()
    random.seed(7)
    start = time.monotonic()
    assert len(list(tries(start + 0.02, 0.001, 0.004))) > 3
    assert time.monotonic() - start >= 0.02
    assert random.random() == expected
