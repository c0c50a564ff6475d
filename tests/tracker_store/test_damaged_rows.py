"""Rows of logs that other software has changed, or with unknown types of events."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rasa_core.domain import Domain
from rasa_core.events import SlotSet, UserUttered
from rasa_core.exceptions import StoreError
from rasa_core.tracker_store import EventLogStore, Head, InMemoryTrackerStore
from rasa_core.tracker_store.base import StoredAnswer
from rasa_core.tracker_store.logs import each_of, each_readable
from rasa_core.tracker_store.search import Search
from rasa_core.tracker_store.search_index import ConversationIndex

LISTENS = json.dumps({"event": "action", "timestamp": 1.0, "name": "action_listen"})


NO_EVENTS = [
    *('{"event": "nope", "timestamp": 2.0}', "{", '{"event": "slot"}', "[" * 100_000, "5", "[]", "null", "{}"),
    *('{"event": 5}', '{"event": []}', '{"event": "action", "name": 5, "timestamp": 1.0}'),
    *('{"event": "action", "name": "a", "timestamp": {}}', '{"event": "user", "timestamp": 1.0, "parse_data": 5}'),
    '{"event": "reminder", "action": "a", "name": "b", "date_time": [], "timestamp": 1.0}',
]


@pytest.fixture(params=NO_EVENTS)
def store(request: pytest.FixtureRequest) -> EventLogStore:
    """A store with a conversation that can be read, and one that cannot."""
    store = InMemoryTrackerStore(Domain.from_yaml("intents: [greet]"))
    for name, rows in (("ada", [LISTENS]), ("bob", [LISTENS, request.param])):
        store.commit(name, 0, rows, Head(len(rows), 0, "another model", 1.0, "{}"))
    return store


READ: dict[str, Callable[[EventLogStore], object]] = {
    "as a tracker": lambda store: store.retrieve("bob"),
    "as a log": lambda store: list(each_of(store, ["ada", "bob"])),
}


@pytest.mark.parametrize("read", READ)
def test_where_it_is_and_what_to_do_is_told(store: EventLogStore, read: str) -> None:
    with pytest.raises(StoreError, match=r"row 1 of the log of conversation 'bob' holds no event .*\. Import the mod"):
        READ[read](store)


def test_all_others_are_found(store: EventLogStore, tmp_path: Path) -> None:
    index = ConversationIndex(store, tmp_path / "index")
    index.catch_up()
    found = {one["sender_id"] for one in index.find(Search.from_text("", 0.5)).conversations}
    assert "ada" in found


def test_the_others_are_read(store: EventLogStore, caplog: pytest.LogCaptureFixture) -> None:
    assert [len(events) for events in each_readable(store, ["ada", "bob", "ada"], 10)] == [1, 1]
    assert "a conversation is left out: row 1 of the log of conversation 'bob'" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state[:-9],
        lambda state: "",
        lambda state: "[" * 100_000,
        lambda state: "[]",
        lambda state: "5",
        lambda state: state.replace("greet", "gr\x00et"),
        lambda state: json.dumps([5] * len(json.loads(state))),
        lambda state: json.dumps([{}] * len(json.loads(state))),
    ],
    ids=["cut", "empty", "deep", "nothing", "a number", "no JSON", "other types", "other keys"],
)
def test_a_damaged_head_is_computed_anew(damage: Callable[[str], str], caplog: pytest.LogCaptureFixture) -> None:
    store = InMemoryTrackerStore(Domain.from_yaml("intents: [greet]\nslots: {name: {type: text}}"))
    tracker = store.get_or_create_tracker("ada")
    for event in UserUttered("/greet", {"name": "greet", "confidence": 1.0}), SlotSet("name", "Ada"):
        tracker.update(event)
    store.save(tracker)
    head = store.read_head("ada")
    assert head is not None
    store.commit("ada", head.version, [], head._replace(state=damage(head.state)))

    found = store.retrieve("ada")
    assert found is not None
    assert found.current_state() == tracker.current_state()
    assert "the state of conversation 'ada' is damaged" in caplog.text
    found.update(SlotSet("name", "Bob"))
    store.save(found)
    again = store.retrieve("ada")
    assert again is not None
    assert again.get_slot("name") == "Bob"


@pytest.mark.parametrize("text", ["@", "@[1", "@[1,2]", "@5", '@[0,[["name",99]],null,[]]'])
def test_a_damaged_answer_is_told_as_one(text: str) -> None:
    store = InMemoryTrackerStore(Domain.from_yaml("intents: [greet]"))
    tracker = store.get_or_create_tracker("ada")
    head = store.read_head("ada")
    assert head is not None
    store.commit("ada", head.version, [], head, StoredAnswer("k", "r", head.version, True, 1.0, text))
    with (
        store.conversation(tracker.sender_id) as conversation,
        pytest.raises(StoreError, match="cannot be given again: it, or rows of its log, were changed"),
    ):
        conversation.find_answer("k")
