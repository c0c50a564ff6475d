"""Stores written for Rasa Core 0.9, which override save, retrieve and keys."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, SlotSet, UserUttered
from rasa_core.exceptions import StoreError
from rasa_core.tracker_store import TrackerStore
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
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(5):
            with custom.conversation("a") as conversation:
                conversation.tracker.update(SlotSet("name", number))
                conversation.commit()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
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
