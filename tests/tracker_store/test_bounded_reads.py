"""No request reads a log without end: what would is refused, with the limit, before any of the log is read."""

from __future__ import annotations

from typing import Any

import pytest
from policy_bot import Script, remote_domain
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.server import conversations, create_app, told_events
from rasa_core.tracker_store import EventLogStore

MOST = 12


@pytest.fixture
def client(engine: EventLogStore, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(told_events, "MOST_READ", MOST)
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
