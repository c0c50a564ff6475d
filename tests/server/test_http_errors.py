"""Invalid requests get an error in JSON with the right status, and store nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from server_answers import error_of
from server_bot import make_agent
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.events import Event
from rasa_core.exceptions import InterpreterError, StoreUnavailableError, VersionConflictError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.server import create_app
from rasa_core.server.requests import json_response

PARSE = "/conversations/x/parse"
CONTINUE = "/conversations/x/continue"
RESPOND = "/conversations/x/respond"
TRACKER = "/conversations/x/tracker"
EVENTS = "/conversations/x/tracker/events"


def one_event(event: object) -> dict[str, Any]:
    return {"events": [{"event": "restart"}, event]}


REFUSED: dict[str, tuple[str, str, object, int, str, dict[str, Any]]] = {
    # id: (method, path, JSON body or bytes, status, part of the message, further keys)
    "unknown path": ("GET", "/nope", None, 404, "'/nope'", {}),
    "no conversation": ("POST", "/conversations//parse", {"q": "hi"}, 404, "nothing at", {}),
    "a slash in the id": ("POST", "/conversations/a/b/parse", {"q": "hi"}, 404, "sent as %2F", {}),
    "a slash at the end": ("GET", "/conversations/", None, 404, "nothing at", {}),
    "a long id": ("GET", f"/conversations/{'x' * 10_000}/tracker", None, 400, "10000 characters", {}),
    "a long id of letters": (
        "GET",
        f"/conversations/{'%C3%A9' * 1001}/tracker",
        None,
        400,
        "1001 characters",
        {},
    ),
    "a control character in the id": ("POST", "/conversations/a%0Ab/parse", {"q": "hi"}, 400, "control", {}),
    "NUL in the id": ("POST", "/conversations/%00/parse", {"q": "hi"}, 400, "control", {}),
    "no message": ("POST", PARSE, {}, 400, 'send it as {"query"', {}),
    "no message by GET": ("GET", PARSE, None, 400, "the message is missing", {}),
    "no message to respond to": ("POST", RESPOND, {"text": "hi"}, 400, "the message is missing", {}),
    "a message of null": ("POST", PARSE, {"query": None, "q": "hi"}, 400, "not null", {}),
    "a message that is a number": ("POST", PARSE, {"query": 7}, 400, "not a number", {}),
    "a message that is a list": ("POST", RESPOND, {"q": ["hi"]}, 400, "not a list", {}),
    "a message by GET that is not UTF-8": ("GET", f"{PARSE}?q=%FF", None, 400, "not UTF-8", {}),
    "a thousand parameters": ("GET", f"{PARSE}?{'q=1&' * 1000}", None, 400, "more than 100 parameters", {}),
    "no body": ("POST", PARSE, None, 400, "the body is empty", {}),
    "a body of spaces": ("POST", PARSE, b" \n", 400, "the body is empty", {}),
    "a body that is no JSON": ("POST", PARSE, b"query=hi", 400, "not JSON: Expecting value: line 1", {}),
    "a body that is cut off": ("POST", PARSE, b'{"query": "hi', 400, "not JSON: Unterminated string", {}),
    "a body that is not UTF-8": ("POST", PARSE, b'{"query": "\xff"}', 400, "not UTF-8", {}),
    "a body in UTF-16": ("POST", PARSE, '{"query": "hi"}'.encode("utf-16"), 400, "not UTF-8", {}),
    "a list for an object": ("POST", PARSE, ["hi"], 400, "a JSON object, not a list", {}),
    "null for an object": ("POST", CONTINUE, b"null", 400, "a JSON object, not null", {}),
    "a string for an object": ("POST", RESPOND, "hi", 400, "a JSON object, not a string", {}),
    "NaN": (
        "POST",
        CONTINUE,
        b'{"events": [{"event": "slot", "name": "name", "value": NaN}]}',
        400,
        "NaN",
        {},
    ),
    "infinity": (
        "POST",
        EVENTS,
        b'{"event": "slot", "name": "name", "value": -Infinity}',
        400,
        "-Infinity",
        {},
    ),
    "a float beyond floats": (
        "POST",
        EVENTS,
        b'{"event": "slot", "name": "name", "value": 1e999}',
        400,
        "1e999",
        {},
    ),
    "a number of 5,000 digits": ("POST", PARSE, b'{"q": ' + b"1" * 5000 + b"}", 400, "5000 digits", {}),
    "101 levels": (
        "POST",
        PARSE,
        b'{"query": "a", "x": ' + b"[" * 100 + b"]" * 100 + b"}",
        400,
        "100 levels",
        {},
    ),
    "a million levels": ("POST", PARSE, b"[" * 1_000_000, 400, "100 levels", {}),
    "a body over the limit": ("POST", PARSE, b" " * (1024 * 1024 + 1), 413, "larger than 1048576 bytes", {}),
    "an unknown action": (
        "POST",
        CONTINUE,
        {"executed_action": "utter_gret"},
        400,
        "the domain has no action 'utter_gret'. Did you mean 'utter_greet'?",
        {"nearest": ["utter_greet"]},
    ),
    "an empty action": ("POST", CONTINUE, {"executed_action": ""}, 400, "no action ''", {"nearest": []}),
    "an action that is a list": ("POST", CONTINUE, {"executed_action": []}, 400, "not a list", {}),
    "events of null": ("POST", CONTINUE, {"events": None}, 400, "a list, not as null", {}),
    "events that are an object": ("POST", CONTINUE, {"events": {}}, 400, "a list, not as an object", {}),
    "an event that is a string": ("POST", CONTINUE, one_event("restart"), 400, "event 1: ", {"index": 1}),
    "an event without a type": (
        "POST",
        CONTINUE,
        one_event({"name": "x"}),
        400,
        'the key "event"',
        {"index": 1},
    ),
    "an event with a type of null": (
        "POST",
        CONTINUE,
        one_event({"event": None}),
        400,
        "event 1: ",
        {"index": 1},
    ),
    "an event of a type like the word event": (
        "POST",
        CONTINUE,
        one_event({"event": "evnt"}),
        400,
        "unknown event type 'evnt'. Did you mean 'agent'?",
        {"index": 1, "nearest": ["agent"]},
    ),
    "an unknown event": (
        "POST",
        CONTINUE,
        one_event({"event": "slott"}),
        400,
        "unknown event type 'slott'. Did you mean 'slot'?",
        {"index": 1, "nearest": ["slot"]},
    ),
    "an unknown slot": (
        "POST",
        CONTINUE,
        one_event({"event": "slot", "name": "cusine", "value": 1}),
        400,
        "no slot 'cusine'. Did you mean 'cuisine'?",
        {"index": 1, "nearest": ["cuisine"]},
    ),
    "an event of an unknown action": (
        "POST",
        CONTINUE,
        one_event({"event": "followup", "name": "action_serch"}),
        400,
        "Did you mean 'action_search'?",
        {"index": 1, "nearest": ["action_search"]},
    ),
    "a slot without a name": ("POST", CONTINUE, one_event({"event": "slot"}), 400, '"name"', {"index": 1}),
    "an export": (
        "POST",
        EVENTS,
        {"event": "export", "path": "x"},
        400,
        "not accepted over HTTP",
        {"index": 0},
    ),
    "a message of nothing": ("POST", EVENTS, {"event": "user"}, 400, '"text", or "parse_data"', {"index": 0}),
    "a message with a wrong meaning": (
        "POST",
        EVENTS,
        {"event": "user", "text": "a", "parse_data": {"intent": "greet"}},
        400,
        '"parse_data" needs "intent"',
        {"index": 0},
    ),
    "events that are a string": ("POST", EVENTS, "restart", 400, "not as a string", {}),
    "replacing by an object": ("PUT", TRACKER, {"event": "restart"}, 400, "a list, not as an object", {}),
    "replacing by null": ("PUT", TRACKER, b"null", 400, "a list, not as null", {}),
    "a moment that is a word": ("GET", f"{TRACKER}?until=abc", None, 400, "Unix time in seconds", {}),
    "a moment that is no number": ("GET", f"{TRACKER}?until=nan", None, 400, "Unix time in seconds", {}),
    "a page of nothing": ("GET", "/conversations?limit=0", None, 400, "whole number above 0, not '0'", {}),
    "a page of words": ("GET", "/conversations?limit=ten", None, 400, "whole number above 0, not 'ten'", {}),
    "a moment in milliseconds": ("GET", f"{TRACKER}?until=1536000000000", None, 400, "looks like milliseconds", {}),
    "an event in milliseconds": (
        "POST",
        EVENTS,
        {"event": "restart", "timestamp": 1536000000000},
        400,
        "looks like milliseconds: divide it by 1000",
        {"index": 0},
    ),
    "an event that is nested too deep": (
        "POST",
        EVENTS,
        {"event": "slot", "name": "name", "value": json.loads("[" * 98 + "]" * 98)},
        400,
        'event 0: the event "slot" cannot be stored as JSON: it is nested too deep',
        {"index": 0},
    ),
    "uploading a model where that is off": ("POST", "/load", b"", 403, "--enable-load", {}),
}


AS_IN_RASA = ("version", "status", "message", "reason", "code")


@pytest.mark.parametrize(("method", "path", "body", "status", "message", "keys"), REFUSED.values(), ids=REFUSED)
def test_wrong_request_is_refused_and_changes_nothing(
    client: Client, method: str, path: str, body: object, status: int, message: str, keys: dict[str, Any]
) -> None:
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()

    response = client.open(path, method=method, data=data)

    assert response.status_code == status
    assert message in error_of(response)
    said = {key: value for key, value in response.get_json().items() if key not in ("error", *AS_IN_RASA)}
    assert said == keys
    assert client.get("/conversations").get_json() == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/", "GET, HEAD, OPTIONS"),
        ("POST", "/conversations", "GET, HEAD, OPTIONS"),
        ("HEAD", PARSE, "GET, POST, OPTIONS"),
        ("GET", CONTINUE, "POST, OPTIONS"),
        ("POST", TRACKER, "GET, HEAD, PUT, OPTIONS"),
        ("BREW", EVENTS, "POST, PUT, OPTIONS"),
        ("GET", "/conversations/x", "DELETE, OPTIONS"),
    ],
)
def test_wrong_method_is_told_the_right_ones(client: Client, method: str, path: str, allowed: str) -> None:
    response = client.open(path, method=method)

    assert response.status_code == 405
    assert response.headers["Allow"] == allowed


def test_remote_action_reached_by_respond_tells_the_way(client: Client) -> None:
    response = client.post(RESPOND, data='{"query": "/search"}')

    assert response.status_code == 409
    assert "'action_search'" in error_of(response)
    assert "parse" in error_of(response)
    assert "continue" in error_of(response)


def test_what_an_event_class_of_ones_own_does_not_check_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Event, "_subclasses", dict(Event._subclasses))

    class Rated(Event):
        type_name = "rated"

        @classmethod
        def _from_parameters(cls, parameters: Any) -> Event:
            return cls(1 / parameters["stars"])

    response = client.post(EVENTS, json={"event": "rated", "stars": 0})

    assert response.status_code == 400
    assert error_of(response) == 'event 0: ZeroDivisionError in "rated": division by zero'


def test_id_that_is_not_utf_8_is_refused(client: Client) -> None:
    response = client.post(environ_overrides={"PATH_INFO": "/conversations/\xff/parse"}, data=b'{"q": "hi"}')

    assert response.status_code == 400
    assert "the path is not UTF-8" in error_of(response)


def test_length_that_is_no_number_is_refused(client: Client) -> None:
    response = client.post(PARSE, environ_overrides={"CONTENT_LENGTH": "ten"})

    assert response.status_code == 400
    assert "Content-Length" in error_of(response)


def test_body_shorter_than_declared_is_refused(client: Client) -> None:
    response = client.post(PARSE, data=b'{"query": "/greet"}', environ_overrides={"CONTENT_LENGTH": "99"})

    assert response.status_code == 400
    assert "ends after 19 of the 99 bytes" in error_of(response)


def test_compressed_body_is_refused(client: Client) -> None:
    response = client.post(PARSE, data=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    assert response.status_code == 415
    assert "uncompressed" in error_of(response)


def test_body_with_byte_order_mark_is_read(client: Client) -> None:
    assert client.post(PARSE, data=b'\xef\xbb\xbf{"query": "/greet"}').get_json()["next_action"] == "utter_greet"


@pytest.mark.parametrize("half", [r"\ud83d", r"\udcff", r"\udc00\ud800"])
def test_half_characters_are_kept_and_come_back_escaped(client: Client, half: str) -> None:
    body = f'{{"query": "/greet {half}", "{half}": 1, "x": "{half}"}}'.encode()
    slot = f'[{{"event": "slot", "name": "name", "value": "{half}"}}]'.encode()

    parsed = client.post(PARSE, data=body)
    appended = client.post(EVENTS, data=slot, headers={"Idempotency-Key": "k"})
    told = client.get(TRACKER)

    assert (parsed.status_code, appended.status_code, told.status_code) == (200, 200, 200)
    assert f'"text":"/greet {half}"' in parsed.get_data(as_text=True)
    assert client.post(EVENTS, data=slot, headers={"Idempotency-Key": "k"}).data == appended.data
    assert f'"value":"{half}"' in told.get_data(as_text=True)


def test_hundred_levels_are_read(client: Client) -> None:
    body = b'{"query": "/greet", "x": ' + b"[" * 99 + b"]" * 99 + b"}"

    assert client.post(PARSE, data=body).status_code == 200


@pytest.mark.parametrize("text", ["x" * 1_000_000, '/greet{"name": "' + "é" * 500_000 + '"}'], ids=["text", "entity"])
def test_a_long_message_can_be_put_back(client: Client, text: str) -> None:
    assert client.post(PARSE, data=json.dumps({"query": text}, ensure_ascii=False).encode()).status_code == 200
    events = client.get(TRACKER).get_json()["events"]

    put = client.put("/conversations/y/tracker", data=json.dumps(events).encode())

    assert put.status_code == 200
    assert [event.get("text") for event in put.get_json()["events"]] == [None, text, *[None] * (len(events) - 2)]


def test_a_conversation_of_too_many_values_is_refused(client: Client) -> None:
    response = client.put(TRACKER, data=b"[" + b"{}," * 600_000 + b"{}]")

    assert response.status_code == 413
    assert "more than 1048576 values" in error_of(response)


def test_limit_of_bodies_is_an_option(agent: Agent) -> None:
    client = Client(create_app(agent, max_body=10))

    response = client.post(PARSE, data=b'{"q": "hi"}')

    assert response.status_code == 413
    assert "larger than 10 bytes" in error_of(response)


def test_without_a_model_the_reason_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(create_app(tmp_path / "model"))

    response = client.post(PARSE, data=b"no JSON at all")

    assert response.status_code == 503
    assert error_of(response) == (
        "No agent loaded. To continue processing, a model of a trained agent needs to be loaded."
    )
    assert "there is no model at" in response.get_json()["reason"]
    assert "there is no model at" in caplog.text


def test_a_model_that_comes_later_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rasa_core.server.served_model._LOOK_EVERY", 0.0)
    client = Client(create_app(tmp_path / "model", tracker_store="memory://"))
    assert client.get("/ready").status_code == 503

    make_agent().persist(tmp_path / "model")

    assert client.get("/ready").status_code == 200
    assert client.post(PARSE, json={"query": "/greet"}).status_code == 200


def test_without_a_model_the_version_is_told(tmp_path: Path) -> None:
    assert Client(create_app(tmp_path / "model")).get("/version").status_code == 200


@pytest.mark.parametrize(
    ("failure", "status", "retry"),
    [
        (StoreUnavailableError("the disk is full"), 503, "1"),
        (VersionConflictError("somebody else was faster"), 409, None),
        (InterpreterError("the model is not for this language"), 503, None),
    ],
    ids=["store", "conflict", "interpreter"],
)
def test_failure_of_a_part_is_told(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int, retry: str | None
) -> None:
    def fail(*args: object) -> None:
        raise failure

    monkeypatch.setattr(agent.processor, "parse", fail)

    response = Client(create_app(agent)).post(PARSE, data=b'{"query": "/greet"}')

    assert response.status_code == status
    assert error_of(response) == str(failure)
    assert response.headers.get("Retry-After") == retry


def test_what_every_request_meets_is_told_once_and_when_it_is_over(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise StoreUnavailableError("postgresql://db cannot be reached: connection refused")

    client = Client(create_app(agent))
    with monkeypatch.context() as down:
        down.setattr(agent.processor, "parse", fail)
        for number in range(20):
            assert client.post(f"/conversations/{number}/parse", data=b'{"query": "/greet"}').status_code == 503
        assert client.get("/health").status_code == 200
    assert [record.getMessage() for record in caplog.records] == [
        "postgresql://db cannot be reached: connection refused"
    ]
    assert client.post(PARSE, data=b'{"query": "/greet"}').status_code == 200
    assert caplog.records[-1].getMessage() == (
        "over, after it was the same 19 more times: postgresql://db cannot be reached: connection refused"
    )


class BrokenInterpreter(NaturalLanguageInterpreter):
    def parse(self, text: str) -> dict[str, Any]:
        raise ZeroDivisionError("secret detail")


def test_unforeseen_failure_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    agent = make_agent()
    agent.interpreter = BrokenInterpreter()

    response = Client(create_app(agent)).post(PARSE, data=b'{"query": "hi"}')

    assert response.status_code == 500
    assert "secret detail" not in error_of(response)
    assert "secret detail" in caplog.text


def test_answer_is_json_whatever_it_holds() -> None:
    odd = {"nan": math.nan, "inf": [math.inf], "np": np.float32(0.5), 3: {Path("a")}, "set": {1}}

    assert json.loads(json_response(odd).get_data()) == {"nan": None, "inf": [None], "np": 0.5, "3": ["a"], "set": [1]}
