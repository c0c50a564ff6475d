"""``Idempotency-Key``, ``ETag`` and ``If-Match``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from at_once import at_once
from server_answers import error_of
from server_bot import make_agent
from werkzeug.test import Client, TestResponse

from rasa_core.server import create_app
from rasa_core.server.requests import HttpError, matching_versions

CHANGES: dict[str, tuple[str, str, Any]] = {
    "parse": ("POST", "parse", {"query": "/bye"}),
    "parse by GET": ("GET", "parse?q=/bye", None),
    "continue": ("POST", "continue", {"executed_action": "utter_greet", "events": [{"event": "pause"}]}),
    "respond": ("POST", "respond", {"query": "/bye"}),
    "respond by GET": ("GET", "respond?query=/bye", None),
    "append": ("POST", "tracker/events", [{"event": "slot", "name": "name", "value": "Zoë"}]),
    "replace": ("PUT", "tracker", [{"event": "slot", "name": "name", "value": "Zoë"}]),
}


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> tuple[str, str, Any]:
    return CHANGES[request.param]


def send(client: Client, change: tuple[str, str, Any], *, sender_id: str = "x", **headers: str) -> TestResponse:
    method, path, body = change
    return client.open(
        f"/conversations/{sender_id}/{path}",
        method=method,
        data=None if body is None else json.dumps(body),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def greet(client: Client) -> str:
    """Start the conversation, and return its tag."""
    return send(client, ("POST", "parse", {"query": "/greet"})).headers["ETag"]


def log(client: Client) -> list[str]:
    """Return the types of all events of the conversation."""
    events = client.get("/conversations/x/tracker?ignore_restarts=true").get_json()["events"]
    return [event["event"] for event in events]


def whole(response: TestResponse) -> tuple[int, bytes, str | None]:
    return response.status_code, response.get_data(), response.headers.get("ETag")


class TestIdempotencyKey:
    def test_a_repeated_request_gets_the_same_bytes_and_adds_nothing(self, client: Client, change) -> None:
        greet(client)
        first = send(client, change, Idempotency_Key="k-1")
        before = log(client)
        again = send(client, change, Idempotency_Key="k-1")
        assert first.status_code == 200
        assert whole(again) == whole(first)
        assert log(client) == before

    def test_the_same_bytes_come_after_further_turns_too(self, client: Client, change) -> None:
        greet(client)
        first = send(client, change, Idempotency_Key="k-1")
        greet(client)
        assert whole(send(client, change, Idempotency_Key="k-1")) == whole(first)

    def test_without_a_key_every_request_counts(self, client: Client) -> None:
        for _ in range(2):
            send(client, CHANGES["append"])
        assert log(client).count("slot") == 2

    def test_a_key_with_another_body_is_refused(self, client: Client) -> None:
        send(client, CHANGES["parse"], Idempotency_Key="k")
        before = log(client)
        answer = send(client, ("POST", "parse", {"query": "/greet"}), Idempotency_Key="k")
        assert answer.status_code == 422
        assert "the key 'k' came with another request" in error_of(answer)
        assert log(client) == before

    def test_a_key_with_another_operation_is_refused(self, client: Client) -> None:
        send(client, CHANGES["parse"], Idempotency_Key="k")
        assert send(client, CHANGES["respond"], Idempotency_Key="k").status_code == 422

    def test_a_refused_request_stores_nothing_and_may_be_corrected_under_its_key(self, client: Client) -> None:
        greet(client)
        wrong = ("POST", "continue", {"executed_action": "utter_gret"})
        assert send(client, wrong, Idempotency_Key="k").status_code == 400
        assert send(client, CHANGES["continue"], Idempotency_Key="k").status_code == 200

    @pytest.mark.parametrize("key", ["", "k" * 256, "ä"])
    def test_a_key_that_cannot_be_kept_is_refused(self, client: Client, key: str) -> None:
        answer = send(client, CHANGES["append"], Idempotency_Key=key)
        assert answer.status_code == 400
        assert "1 to 255 printable ASCII characters" in error_of(answer)
        assert client.get("/conversations").get_json() == []

    def test_requests_at_the_same_time_get_one_answer(self) -> None:
        app = create_app(make_agent())
        answers = at_once(lambda _: whole(send(Client(app), CHANGES["parse"], Idempotency_Key="k")), range(6))
        assert answers == answers[:1] * 6
        assert log(Client(app)) == ["action", "user"]

    def test_deleting_a_conversation_forgets_its_keys(self, client: Client) -> None:
        send(client, CHANGES["append"], Idempotency_Key="k")
        client.delete("/conversations/x")
        send(client, CHANGES["append"], Idempotency_Key="k")
        assert log(client) == ["action", "slot"]


class TestETag:
    def test_every_answer_about_a_conversation_has_its_version(self, client: Client, change) -> None:
        greet(client)
        answer = send(client, change)
        assert answer.headers["ETag"] == client.get("/conversations/x/tracker").headers["ETag"]
        if "next_action" in answer.get_json():
            assert answer.headers["ETag"] == f'"{answer.get_json()["version"]}"'

    def test_an_earlier_moment_has_the_version_of_now(self, client: Client) -> None:
        tag = greet(client)
        assert client.get("/conversations/x/tracker?until=1").headers["ETag"] == tag

    def test_other_answers_have_none(self, client: Client) -> None:
        assert "ETag" not in client.get("/conversations").headers
        assert "ETag" not in client.get("/version").headers


class TestIfMatch:
    def test_a_change_on_the_version_that_was_read_is_made(self, client: Client, change) -> None:
        tag = greet(client)
        assert send(client, change, If_Match=tag).status_code == 200

    def test_a_change_on_another_version_is_refused(self, client: Client, change) -> None:
        tag = greet(client)
        send(client, CHANGES["append"])
        before = log(client)
        answer = send(client, change, If_Match=tag)
        assert answer.status_code == 412
        assert "is at version 3, not 2" in error_of(answer)
        assert log(client) == before

    def test_a_repetition_of_the_request_that_changed_the_version_gets_its_answer(self, client: Client, change) -> None:
        tag = greet(client)
        first = send(client, change, If_Match=tag, Idempotency_Key="k")
        assert whole(send(client, change, If_Match=tag, Idempotency_Key="k")) == whole(first)

    def test_an_unknown_conversation_has_the_version_that_it_is_shown_with(self, client: Client) -> None:
        tag = client.get("/conversations/x/tracker").headers["ETag"]
        assert send(client, CHANGES["append"], If_Match=tag).status_code == 200

    @pytest.mark.parametrize(
        ("header", "versions"),
        [
            ('"7"', {7}),
            ("7", {7}),
            (' "7" , "12"', {7, 12}),
            ('W/"7"', {7}),
            ('"1",, W/"7-gzip" ,', {1, 7}),
            ('"7;gzip"', {7}),
            ('"7-other"', set()),
            ('"abc"', set()),
            ('""', set()),
            ('"٣"', set()),
            (f'"{"9" * 400}"', set()),
            ("*", None),
        ],
    )
    def test_its_forms(self, header: str, versions: set[int] | None) -> None:
        assert matching_versions(header) == versions

    @pytest.mark.parametrize("header", ["", "abc", '"7', '"7" "8"', ",", "* , *"])
    def test_anything_else_is_refused(self, header: str) -> None:
        with pytest.raises(HttpError, match="If-Match is a list of tags") as raised:
            matching_versions(header)
        assert raised.value.code == 400
