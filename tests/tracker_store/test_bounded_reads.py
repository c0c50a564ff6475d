"""A request for a log above the limit is refused, with the limit, before any of the log is read."""

from __future__ import annotations

from typing import Any

import pytest
from policy_bot import Script, remote_domain
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.server import conversations, create_app, included_events, rasa3, visits
from rasa_core.tracker_store import EventLogStore
from rasa_core.tracker_store.rows import rows_up_to

MOST = 12


@pytest.fixture
def client(engine: EventLogStore, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(included_events, "MOST_READ", MOST)
    monkeypatch.setattr(conversations, "MOST_PLAYED", MOST)
    monkeypatch.setattr(conversations, "MOST_EXPLAINED", MOST)
    return Client(create_app(Agent(remote_domain(), [Script({})], tracker_store=engine), inspect=""))


@pytest.fixture
def longest_read(engine: EventLogStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of rows that were asked for, as they come."""
    read, lengths = engine.read_events, [0]

    def counting(sender_id: str, start: int, stop: int) -> list[str]:
        lengths.append(stop - start)
        return read(sender_id, start, stop)

    monkeypatch.setattr(engine, "read_events", counting)
    return lengths


def test_long_conversation_is_not_read_in_one_request(client: Client, longest_read: list[int]) -> None:
    events: list[dict[str, Any]] = [{"event": "resume"}] * (MOST + 8)
    assert client.post("/conversations/x/tracker/events", json=events).status_code == 200
    refused = [
        client.get("/conversations/x/tracker"),
        client.get("/conversations/x/tracker?ignore_restarts=true"),
        client.get("/conversations/x/tracker?events=false&until=5"),
        client.get("/conversations/x/tracker?include_events=ALL"),
        client.get("/conversations/x/story"),
        client.get("/conversations/x/explain?at=1"),
        client.post("/conversations/x/predict"),
        client.post("/conversations/x/execute", json={"name": "utter_greet"}),
        client.post("/conversations/x/continue", json={"events": [{"event": "rewind"}]}),
        client.post("/conversations/x/tracker/events", json={"event": "undo"}),
        client.get("/conversations/x/timeline"),
        client.get("/conversations/x/timeline?from=19"),
        client.post("/conversations/x/fork", json={"at": 1, "to": "y"}),
        client.post("/conversations/x/correct", json={"at": 1, "action": "utter_greet"}),
        client.post("/conversations/x/act", json={"events": [{"event": "rewind"}]}),
    ]
    assert client.get("/conversations/x/step?at=1").status_code == 400
    assert [
        (answer.status_code, f"at most {MOST}" in answer.text or "at most 0" in answer.text) for answer in refused
    ] == [(400, True)] * len(refused)
    assert max(longest_read) <= MOST

    # What needs no log goes on, and so does everything once the conversation begins anew.
    assert client.get("/conversations/x/tracker?events=false").get_json()["events"] is None
    assert client.post("/conversations/x/parse", json={"query": "/greet"}).status_code == 200
    assert client.post("/conversations/x/tracker/events", json={"event": "restart"}).status_code == 200
    assert client.post("/conversations/x/tracker/events", json=events[:3]).status_code == 200
    assert len(client.get("/conversations/x/tracker").get_json()["events"]) == 3
    assert client.post("/conversations/x/continue", json={"events": [{"event": "rewind"}]}).status_code == 200
    assert max(longest_read) <= MOST


def test_what_is_too_large_is_not_read_in_one_request(
    client: Client, engine: EventLogStore, longest_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(included_events, "MOST_READ", 1000)
    monkeypatch.setattr(conversations, "MOST_PLAYED", 1000)
    monkeypatch.setattr(conversations, "MOST_EXPLAINED", 1000)
    monkeypatch.setattr(visits, "MOST_CHARACTERS", 20_000)
    said = [{"event": "bot", "text": "x" * 1000}] * 60
    assert client.post("/conversations/x/tracker/events", json=said).status_code == 200
    refused = [
        client.get("/conversations/x/tracker"),
        client.get("/conversations/x/tracker?events=false&until=5"),
        client.get("/conversations/x/story"),
        client.get("/conversations/x/explain"),
        client.post("/conversations/x/predict"),
        client.get("/conversations/x/timeline"),
        client.post("/conversations/x/tracker/events", json={"event": "undo"}),
        client.post("/conversations/x/continue", json={"events": [{"event": "rewind"}]}),
    ]
    assert [(answer.status_code, "more than 20000 characters" in answer.text) for answer in refused] == [
        (400, True)
    ] * len(refused)
    assert max(longest_read) == 20

    # A change that was made is not called an error, though its events are asked for.
    answer = client.post("/conversations/x/messages?include_events=ALL", json={"text": "/greet", "sender": "user"})
    assert (answer.status_code, answer.get_json()["events"]) == (200, None)
    assert client.get("/conversations/x/tracker?events=false").get_json()["latest_message"]["text"] == "/greet"
    tracker = engine.retrieve("x")
    assert tracker is not None
    assert len(tracker.events) == 62  # Whoever has the store may read all of it.


def test_a_story_that_would_take_long_to_write_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasa3, "LONGEST_STORY", 1000)
    said = {"event": "user", "text": "/greet", "parse_data": {"intent": {"name": "greet"}, "entities": []}}
    for sender_id, values in ("short", 10), ("long", 1000):
        kept = {"event": "slot", "name": "found", "value": [1] * values}
        assert client.post(f"/conversations/{sender_id}/tracker/events", json=[said, kept]).status_code == 200
    assert client.get("/conversations/short/story").status_code == 200
    answer = client.get("/conversations/long/story")
    assert (answer.status_code, "at most 1000 is written" in answer.text) == (400, True)


def test_rows_of_a_damaged_log_may_be_empty() -> None:
    assert rows_up_to(100, lambda start, stop: [""] * (stop - start), "x", 5, 90) == [""] * 85
