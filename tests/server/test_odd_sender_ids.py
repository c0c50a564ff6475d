"""Conversations with odd ids can be reached, and very long ones do not block the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from launched_command import Launched, head
from server_answers import error_of
from werkzeug.test import Client

from rasa_core.remote import RasaCoreClient
from rasa_core.server import conversations
from rasa_core.server.log_lines import query_without_secrets

NAMES = ["a/b", "/", "a/", "/a", "a//b", "..", ".", "../x", "a/parse", "é/ü", "a%2Fb", "...", "a?b#c"]


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, model_maker: Any) -> Iterator[RasaCoreClient]:
    """Return our own client of a real server."""
    model: Path = model_maker(tmp_path_factory.mktemp("odd"))
    with Launched(model, "--store", "memory://") as server:
        yield RasaCoreClient(f"http://127.0.0.1:{server.port}")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_reached_through_the_client(remote: RasaCoreClient, name: str) -> None:
    parsed = remote.parse("/greet", name)

    assert parsed["tracker"]["sender_id"] == name
    assert remote.continue_core("utter_greet", [], name)["next_action"] == "action_listen"
    assert remote.tracker_json(name)["sender_id"] == name
    assert name in remote.clients()


@pytest.mark.parametrize("written", ["a%2Fb", "a%2fb", "%2E%2E", ".."])
def test_slash_and_dots_in_a_path(client: Client, written: str) -> None:
    answer = client.post(f"/conversations/{written}/parse", data='{"query": "/greet"}').get_json()

    assert answer["tracker"]["sender_id"] == {"a": "a/b"}.get(written[0], "..")


def test_slash_that_is_not_encoded_is_no_part_of_a_name(client: Client) -> None:
    assert client.post("/conversations/a/b/parse", data='{"query": "/greet"}').status_code == 404


def test_path_as_it_was_written_counts_only_for_this_very_path(client: Client) -> None:
    other = {"RAW_URI": "/conversations/a%2Fb/parse", "REQUEST_URI": "/conversations/a%2Fb/parse"}
    response = client.get("/conversations/x/tracker", environ_overrides=other)

    assert response.get_json()["sender_id"] == "x"


def test_conversation_with_a_slash_is_deleted_where_paths_come_decoded(tmp_path: Path, model_maker: Any) -> None:
    with Launched(model_maker(tmp_path), "--store", "memory://") as server:
        server.answer(head("PUT", "/conversations/a%2Fb/tracker", Content_Length=2, Connection="close"), b"[]")
        deleted = server.answer(head("DELETE", "/conversations/a%2Fb", Connection="close"))
        unknown = server.answer(head("GET", "/conversations/a%2Fb/nope", Connection="close"))

    assert (deleted[0], unknown[0]) == (200, 404)


@pytest.mark.parametrize(
    ("tag", "status"), [('"1"', 412), ('W/"1"', 412), ('W/"3"', 200), ('"1", W/"3-gzip"', 200), ("*", 200)]
)
def test_delete_honours_the_version_that_it_is_for(client: Client, tag: str, status: int) -> None:
    client.post("/conversations/x/parse", data='{"query": "/greet"}')
    version = client.get("/conversations/x/tracker").headers["ETag"].strip('"')

    response = client.delete("/conversations/x", headers={"If-Match": tag.replace("3", version)})

    assert response.status_code == status
    assert client.get("/conversations").get_json() == (["x"] if status == 412 else [])


@pytest.mark.parametrize(
    "name",
    [
        *("token", "Token", "TOKEN", "%54oken", "tok%65n", "access_token", "auth_token"),
        *("?token", "x;token", "token[]", "token%00", "authToken", "jwt", "api_key", "apikey", "password", "Secret"),
    ],
)
def test_token_is_hidden_however_it_is_written(name: str) -> None:
    assert query_without_secrets(f"a=1&{name}=s3cret&b=2") == f"a=1&{name}=***&b=2"


@pytest.mark.parametrize(("method", "path"), [("POST", "tracker/events"), ("PUT", "tracker"), ("POST", "continue")])
@pytest.mark.parametrize("kind", ["rewind", "undo"])
def test_no_request_takes_back_without_end(client: Client, method: str, path: str, kind: str) -> None:
    events = [{"event": kind}] * 3000
    body: Any = {"events": events} if path == "continue" else events

    response = client.open(f"/conversations/x/{path}", method=method, json=body)

    assert response.status_code == 400
    assert "at most 66 of them are taken" in error_of(response)
    assert client.get("/conversations").get_json() == []


def test_some_are_taken_back(client: Client) -> None:
    assert client.post("/conversations/x/tracker/events", json=[{"event": "undo"}] * 50).status_code == 200


def test_huge_conversation_is_not_explained(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "MOST_EXPLAINED", 10)
    client.put("/conversations/x/tracker", json=[{"event": "resume"}] * 11)

    response = client.get("/conversations/x/explain?at=1")

    assert response.status_code == 400
    assert "11 events" in error_of(response)
    assert "at most 10" in error_of(response)
