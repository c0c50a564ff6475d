"""The interface that tracker stores have had since 0.9, on the engines."""

from __future__ import annotations

import json

import pytest
from at_once import at_once
from small_commits import HI, LISTEN, TURN, take_turn

from rasa_core.domain import Domain
from rasa_core.events import Event, SlotSet
from rasa_core.exceptions import VersionConflictError
from rasa_core.tracker_store import EventLogStore, InMemoryTrackerStore
from rasa_core.trackers import DialogueStateTracker


def visible(tracker: DialogueStateTracker) -> dict[str, object]:
    return tracker.current_state(should_include_events=True)


def test_a_tracker_can_be_read_changed_and_saved(store: EventLogStore) -> None:
    tracker = store.get_or_create_tracker("a")
    tracker.update(HI)
    store.save(tracker)
    store.save(tracker)
    assert list(store.get_or_create_tracker("a").events) == [LISTEN, HI]


def test_saving_a_tracker_that_was_read_too_early_is_a_conflict(store: EventLogStore) -> None:
    first, second = store.get_or_create_tracker("a"), store.get_or_create_tracker("a")
    first.update(HI)
    second.update(SlotSet("name", "lost?"))
    store.save(first)
    with pytest.raises(VersionConflictError, match="at version 2, not 1"):
        store.save(second)


def test_creating_a_tracker_stores_it_at_once(store: EventLogStore) -> None:
    assert list(store.create_tracker("a").events) == [LISTEN]
    assert list(store.peek("a").events) == [LISTEN]


def test_a_tracker_can_be_created_without_listening(store: EventLogStore) -> None:
    store.create_tracker("a", append_action_listen=False)
    assert store.keys() == ["a"]
    assert list(store.peek("a").events) == []


def test_creating_a_tracker_replaces_an_earlier_one(store: EventLogStore) -> None:
    take_turn(store, "a")
    tracker = store.create_tracker("a")
    tracker.update(HI)
    store.save(tracker)
    assert list(store.peek("a").events) == [LISTEN, HI]


def test_an_initial_tracker_is_not_stored_before_it_is_saved(store: EventLogStore) -> None:
    tracker = store.init_tracker("a")
    assert store.keys() == []
    tracker.update(HI)
    store.save(tracker)
    assert list(store.peek("a").events) == [HI]


def test_of_threads_that_start_one_conversation_all_get_it(store: EventLogStore) -> None:
    assert at_once(lambda _: store.get_or_create_tracker("a").version, range(8)) == [1] * 8


def test_a_conversation_that_another_thread_just_started_is_kept(
    store: EventLogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_turn(store, "a")
    read_head, heads = store.read_head, iter([None])
    monkeypatch.setattr(store, "read_head", lambda sender_id: next(heads, read_head(sender_id)))
    assert list(store.get_or_create_tracker("a").events) == [LISTEN, *TURN]


def test_a_tracker_from_elsewhere_is_stored_as_it_is(store: EventLogStore, domain: Domain) -> None:
    tracker = DialogueStateTracker.from_events("a", TURN, domain)
    store.save(tracker)
    assert visible(store.peek("a")) == visible(tracker)


def test_a_tracker_from_elsewhere_that_goes_further_is_appended(store: EventLogStore, domain: Domain) -> None:
    tracker = DialogueStateTracker.from_events("a", TURN, domain)
    store.save(tracker)
    tracker.update(HI)
    store.save(tracker)
    assert list(store.peek("a").events) == [*TURN, HI]
    assert store.peek("a").origin == 0


@pytest.mark.parametrize("events", [[HI], [SlotSet("name", "x"), *TURN], []], ids=["shorter", "other", "empty"])
def test_a_tracker_from_elsewhere_that_differs_replaces(
    store: EventLogStore, domain: Domain, events: list[Event]
) -> None:
    take_turn(store, "a")
    store.save(DialogueStateTracker.from_events("a", events, domain))
    assert list(store.peek("a").events) == events


def test_conversations_move_from_one_store_to_another(store: EventLogStore, domain: Domain) -> None:
    old = InMemoryTrackerStore(domain)
    take_turn(old, "a")
    for sender_id in old.sender_ids():
        store.save(old.peek(sender_id))
    assert visible(store.peek("a")) == visible(old.peek("a"))


def test_keys_come_in_pages(store: EventLogStore) -> None:
    for sender_id in "cab":
        take_turn(store, sender_id)
    assert store.keys() == ["a", "b", "c"]
    assert store.keys(after="a", limit=1) == ["b"]


def test_a_tracker_can_be_written_as_text_and_read_again(store: EventLogStore) -> None:
    take_turn(store, "a")
    text = store.serialise_tracker(store.peek("a"))
    assert [row["event"] for row in json.loads(text)] == ["action", "user", "slot", "action", "bot", "action"]
    tracker = store.deserialise_tracker("a", text.encode())
    assert visible(tracker) == visible(store.peek("a"))
    assert tracker.pending_events == ()


def test_a_tracker_whose_conversation_was_deleted_cannot_read_its_log(store: EventLogStore) -> None:
    take_turn(store, "a")
    tracker = store.peek("a")
    store.delete("a")
    with pytest.raises(VersionConflictError, match="'a' was deleted while it was being read"):
        list(tracker.events)
