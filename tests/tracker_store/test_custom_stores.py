"""Stores written for Rasa Core 0.9, which override save, retrieve and keys."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from at_once import at_once

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.exceptions import StoreError
from rasa_core.tracker_store import InMemoryTrackerStore, TrackerStore
from rasa_core.tracker_store.base import StoredAnswer
from rasa_core.tracker_store.sqlite import SqliteTrackerStore
from rasa_core.trackers import DialogueStateTracker

LISTEN = ActionExecuted("action_listen")
HI = UserUttered("hi", {"name": "greet", "confidence": 1.0}, [])


class DictTrackerStore(TrackerStore):
    def __init__(self, domain: Domain) -> None:
        self.texts: dict[str, str] = {}
        super().__init__(domain)

    def save(self, tracker: DialogueStateTracker) -> None:
        self.texts[tracker.sender_id] = self.serialise_tracker(tracker)

    def retrieve(self, sender_id: str) -> DialogueStateTracker | None:
        text = self.texts.get(sender_id)
        return None if text is None else self.deserialise_tracker(sender_id, text)

    def keys(self) -> Iterable[str]:  # type: ignore[override]
        return self.texts.keys()


@pytest.fixture
def custom(domain: Domain) -> DictTrackerStore:
    return DictTrackerStore(domain)


def test_the_old_interface_works(custom: DictTrackerStore) -> None:
    tracker = custom.get_or_create_tracker("a")
    assert list(custom.keys()) == ["a"]
    tracker.update(HI)
    custom.save(tracker)
    assert list(custom.get_or_create_tracker("a").events) == [LISTEN, HI]


def test_a_conversation_is_saved_at_each_commit(custom: DictTrackerStore) -> None:
    with custom.conversation("a") as conversation:
        conversation.tracker.update(HI)
        assert custom.texts == {}
        conversation.commit()
        assert conversation.tracker.pending_events == ()
        conversation.tracker.update(SlotSet("name", "Ada"))
    assert list(custom.peek("a").events) == [LISTEN, HI]


def test_a_conversation_can_be_replaced(custom: DictTrackerStore) -> None:
    custom.create_tracker("a")
    with custom.conversation("a") as conversation:
        conversation.replace([HI])
        conversation.commit()
    assert list(custom.peek("a").events) == [HI]


def test_peeking_creates_nothing(custom: DictTrackerStore) -> None:
    assert list(custom.peek("a").events) == [LISTEN]
    assert custom.texts == {}


def test_turns_of_many_threads_do_not_interleave(custom: DictTrackerStore, domain: Domain) -> None:
    def work(number: int) -> None:
        for _ in range(5):
            with custom.conversation("a") as conversation:
                conversation.tracker.update(SlotSet("name", number))
                conversation.commit()

    at_once(work, range(4))
    assert len(custom.peek("a").events) == 1 + 4 * 5


def test_opening_a_conversation_twice_in_one_thread_is_refused(custom: DictTrackerStore) -> None:
    with custom.conversation("a"), pytest.raises(StoreError, match="already open"), custom.conversation("a"):
        pass


@pytest.mark.parametrize(
    ("call", "signature"),
    [
        (lambda store: store.save(store.init_tracker("a")), r"save\(self, tracker\)"),
        (lambda store: store.retrieve("a"), r"retrieve\(self, sender_id\)"),
        (lambda store: store.keys(), r"keys\(self\)"),
        (lambda store: store.delete("a"), r"delete\(self, sender_id\)"),
    ],
    ids=["save", "retrieve", "keys", "delete"],
)
def test_what_a_store_lacks_is_named(domain: Domain, call, signature: str) -> None:
    with pytest.raises(
        NotImplementedError, match=f"TrackerStore does not support this: override {signature}"
    ) as raised:
        call(TrackerStore(domain))
    assert isinstance(raised.value, StoreError)


@pytest.mark.parametrize("data", [pickle.dumps({"a": 1}), b"\x80\x04", "not JSON"], ids=["pickle", "bytes", "text"])
def test_pickled_trackers_are_not_read(custom: DictTrackerStore, data: bytes | str) -> None:
    with pytest.raises(StoreError, match=r"not stored as JSON; trackers that Rasa Core 0\.9 pickled cannot be read"):
        custom.deserialise_tracker("a", data)


def test_text_that_is_no_list_of_events_is_refused(custom: DictTrackerStore) -> None:
    with pytest.raises(StoreError, match="stored as dict, not as a list of events"):
        custom.deserialise_tracker("a", "{}")


def test_binding_gives_a_store_the_domain(domain: Domain) -> None:
    store = DictTrackerStore(None)  # type: ignore[arg-type]
    store.bind(domain, 5, "model")
    assert store.create_tracker("a").get_slot("mood") == "fine"


# -- classes derived from a store of this package


class _Watched:
    """Overrides what classes of 0.9 did, and counts the calls."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.saved: list[int] = []
        self.retrieved: list[str] = []

    def save(self, tracker: DialogueStateTracker) -> None:
        self.saved.append(len(tracker.events))
        super().save(tracker)  # type: ignore[misc]

    def retrieve(self, sender_id: str) -> DialogueStateTracker | None:
        self.retrieved.append(sender_id)
        found: DialogueStateTracker | None = super().retrieve(sender_id)  # type: ignore[misc]
        return found


class WatchedMemory(_Watched, InMemoryTrackerStore):
    pass


class WatchedFile(_Watched, SqliteTrackerStore):
    pass


class NamesUsers(InMemoryTrackerStore):
    """A store that begins each conversation with slots that it knows of the user."""

    def create_tracker(self, sender_id: str, append_action_listen: bool = True) -> DialogueStateTracker:
        tracker = super().create_tracker(sender_id, append_action_listen)
        tracker.update(SlotSet("name", sender_id.title()))
        self.save(tracker)
        return tracker


class AsksForNames(InMemoryTrackerStore):
    """A store that fills slots about the user whenever a conversation is stored."""

    def save(self, tracker: DialogueStateTracker) -> None:
        if tracker.get_slot("name") is None:
            tracker.update(SlotSet("name", tracker.sender_id.title()))
        super().save(tracker)


def test_a_derived_store_stores_a_new_conversation_before_its_first_message(domain: Domain) -> None:
    store = AsksForNames(domain)
    for _ in range(2):
        with store.conversation("ada") as conversation:
            assert conversation.tracker.get_slot("name") == "Ada"
            conversation.tracker.update(HI)
            conversation.commit()
    assert list(store.peek("ada").events) == [LISTEN, SlotSet("name", "Ada"), HI, HI]


@pytest.fixture(params=["memory", "file"])
def derived(request: pytest.FixtureRequest, domain: Domain, tmp_path: Path) -> Iterator[Any]:
    store = WatchedMemory(domain) if request.param == "memory" else WatchedFile(domain, path=tmp_path / "store.db")
    with store:
        yield store


def test_what_a_derived_store_overrides_is_called_for_each_turn(derived: Any) -> None:
    for _ in range(2):
        with derived.conversation("a") as conversation:
            conversation.tracker.update(HI)
            conversation.commit()
            conversation.tracker.update(SlotSet("name", "Ada"))
            conversation.commit()
            conversation.tracker.update(HI)  # Is never committed.
    assert derived.saved == [1, 2, 3, 4, 5]
    assert derived.retrieved == ["a", "a"]
    assert list(derived.peek("a").events) == [LISTEN, HI, SlotSet("name", "Ada"), HI, SlotSet("name", "Ada")]


@pytest.mark.parametrize("events", [[HI], []])
def test_a_conversation_of_a_derived_store_can_be_replaced(derived: Any, events: list[Event]) -> None:
    derived.create_tracker("a")
    with derived.conversation("a") as conversation:
        conversation.tracker.update(HI)
        conversation.commit()
        conversation.replace(events)
        conversation.commit()
        conversation.tracker.update(SlotSet("name", "Ada"))
        conversation.commit()
    assert list(derived.peek("a").events) == [*events, SlotSet("name", "Ada")]


def test_an_answer_of_a_derived_store_is_given_again(derived: Any) -> None:
    answer = StoredAnswer("key", "digest", 2, True, time.time(), "")
    with derived.conversation("a") as conversation:
        conversation.tracker.update(HI)
        conversation.commit_answer(answer, {"said": "hi"})
    with derived.conversation("a") as conversation:
        assert json.loads(conversation.find_answer("key").text) == {"said": "hi"}


def test_threads_that_share_a_derived_store_take_turns(derived: Any) -> None:
    def work(number: int) -> None:
        for _ in range(5):
            with derived.conversation("a") as conversation:
                conversation.tracker.update(SlotSet("name", str(number)))
                conversation.tracker.update(SlotSet("name", f"{number} again"))
                conversation.commit()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    values = [event.value for event in derived.peek("a").events if isinstance(event, SlotSet)]
    assert len(values) == 40
    assert all(second == f"{first} again" for first, second in zip(values[::2], values[1::2], strict=True))


def test_a_conversation_begins_as_a_derived_store_begins_it(domain: Domain) -> None:
    store = NamesUsers(domain)
    for _ in range(2):
        with store.conversation("ada") as conversation:
            conversation.tracker.update(HI)
            conversation.commit()
    assert list(store.peek("ada").events) == [LISTEN, SlotSet("name", "Ada"), HI, HI]


def test_a_class_that_overrides_nothing_of_that_keeps_its_log(domain: Domain) -> None:
    class Named(InMemoryTrackerStore):
        name = "mine"

    with Named(domain).conversation("a") as conversation:
        assert type(conversation) is type(InMemoryTrackerStore(domain).conversation("a"))
