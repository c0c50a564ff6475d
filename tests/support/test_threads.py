"""Work for a background thread is done in the caller's thread if the system cannot start one."""

from __future__ import annotations

import threading

import pytest

from rasa_core.support.threads import started
from rasa_core.tracker_store.locks import Leases


def fail(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_work_is_done_at_once_or_later() -> None:
    done = [threading.Event() for _ in range(2)]

    threads = [started(done[0].set, "now"), started(done[1].set, "later", after=0.01)]

    assert all(one.wait(10) for one in done)
    assert [(one.name, one.daemon) for one in threads if one is not None] == [("now", True), ("later", True)]


def test_where_no_thread_can_be_started_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", fail)

    assert started(print, "none") is None


def test_a_lease_is_renewed_as_soon_as_a_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = threading.Event()
    leases = Leases(lambda key, token: renewed.set(), every=0.01)
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", fail)
        leases.keep(b"first", b"key")

    leases.keep(b"second", b"key")

    assert renewed.wait(10)
    leases.end()
