"""Rows of logs that other software has changed, or that are of types that nobody has defined here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rasa_core.domain import Domain
from rasa_core.exceptions import StoreError
from rasa_core.tracker_store import EventLogStore, Head, InMemoryTrackerStore
from rasa_core.tracker_store.logs import each_of, each_readable
from rasa_core.tracker_store.search import Search
from rasa_core.tracker_store.search_index import ConversationIndex

LISTENS = json.dumps({"event": "action", "timestamp": 1.0, "name": "action_listen"})


@pytest.fixture(params=['{"event": "nope", "timestamp": 2.0}', "{", '{"event": "slot"}', "[" * 100_000])
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
    assert [len(events) for events in each_readable(store, ["ada", "bob", "ada"])] == [1, 1]
    assert "a conversation is left out: row 1 of the log of conversation 'bob'" in caplog.text
