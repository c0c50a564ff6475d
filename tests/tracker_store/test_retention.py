"""Retention of conversations: durations, and the expiry of idle conversations, for every engine."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

import pytest

from rasa_core.exceptions import StoreUnavailableError
from rasa_core.tracker_store import EventLogStore, Head, InMemoryTrackerStore, StoredAnswer
from rasa_core.tracker_store.retention import (
    DurationError,
    delete_conversation,
    each_sender_id,
    expire_conversations,
    seconds_of,
)


def append(store: EventLogStore, sender_id: str, updated: float, answer: StoredAnswer | None = None) -> None:
    head = store.read_head(sender_id)
    version = 0 if head is None else head.version
    store.commit(sender_id, version, ['"event"'], Head(version + 1, 0, "model", updated, "{}"), answer)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("45s", 45), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000), ("2w", 1_209_600), (" 1d ", 86_400)],
)
def test_a_duration_is_a_number_and_its_unit(written: str, seconds: float) -> None:
    assert seconds_of(written) == seconds


@pytest.mark.parametrize("written", ["", "90", "d", "0d", "-1d", "1.5h", "90 d", "90D", "1d12h", "٣d", "9999999999d"])
def test_anything_else_is_refused_with_examples(written: str) -> None:
    with pytest.raises(DurationError, match=r"is not a duration: .* 45s, 30m, 12h, 90d or 2w"):
        seconds_of(written)


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5])
def test_every_id_is_found_whatever_the_size_of_a_page(engine: EventLogStore, page_size: int) -> None:
    for sender_id in ("d", "b", "a", "c"):
        append(engine, sender_id, 5.0)
    assert list(each_sender_id(engine, page_size=page_size)) == ["a", "b", "c", "d"]
    assert list(each_sender_id(engine, "b", page_size=page_size)) == ["c", "d"]


@pytest.mark.parametrize("page_size", [1, 2, 100])
def test_only_what_was_idle_since_then_expires(engine: EventLogStore, page_size: int) -> None:
    answer = StoredAnswer("key", "request", 1, True, 1.0, "{}")
    for number in range(5):
        append(engine, f"old {number}", 100.0 + number, answer)
    append(engine, "at that time", 200.0)
    append(engine, "new", 300.0)
    assert expire_conversations(engine, 200.0, page_size=page_size) == 5
    assert engine.sender_ids() == ["at that time", "new"]
    assert engine.read_events("old 1", 0, 9) == []
    assert engine.read_answer("old 1", "key") is None
    assert expire_conversations(engine, 200.0) == 0


def test_a_conversation_that_goes_on_after_it_was_listed_survives(
    engine: EventLogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(engine, "wakes up", 100.0)
    append(engine, "idle", 100.0)
    lock = engine.lock

    def lock_after_a_turn(sender_id: str) -> AbstractContextManager[None]:
        if sender_id == "wakes up":
            append(engine, sender_id, 300.0)
        return lock(sender_id)

    monkeypatch.setattr(engine, "lock", lock_after_a_turn)
    assert expire_conversations(engine, 200.0) == 1
    assert engine.read_events("wakes up", 0, 9) == ['"event"'] * 2


def test_a_conversation_that_was_deleted_after_it_was_listed_is_not_counted(
    engine: EventLogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(engine, "a", 100.0)
    lock = engine.lock

    def lock_after_deletion(sender_id: str) -> AbstractContextManager[None]:
        engine.delete(sender_id)
        return lock(sender_id)

    monkeypatch.setattr(engine, "lock", lock_after_deletion)
    assert expire_conversations(engine, 200.0) == 0


def test_a_conversation_that_somebody_works_on_is_kept_and_the_others_expire() -> None:
    store = InMemoryTrackerStore(timeout=0.05)
    for sender_id in ("a", "busy", "c"):
        append(store, sender_id, 100.0)
    held, done = threading.Event(), threading.Event()

    def work() -> None:
        with store.lock("busy"):
            held.set()
            done.wait(20)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert held.wait(20)
        assert expire_conversations(store, 200.0) == 2
        assert store.sender_ids() == ["busy"]
        with pytest.raises(StoreUnavailableError, match="'busy' was busy"):
            delete_conversation(store, "busy")
        assert store.sender_ids() == ["busy"]
    finally:
        done.set()
        worker.join()


def test_storage_that_fails_is_not_taken_for_a_busy_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    store = InMemoryTrackerStore()
    append(store, "a", 100.0)

    def fail(sender_id: str) -> None:
        raise StoreUnavailableError("the connection is lost")

    monkeypatch.setattr(store, "lock", fail)
    monkeypatch.setattr(store, "read_head", fail)
    with pytest.raises(StoreUnavailableError, match="the connection is lost"):
        expire_conversations(store, 200.0)


def test_deleting_tells_whether_there_was_a_conversation(engine: EventLogStore) -> None:
    append(engine, "a", 100.0)
    assert delete_conversation(engine, "a")
    assert not delete_conversation(engine, "a")
