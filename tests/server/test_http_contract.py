"""The HTTP interface as a table of requests and their exact answers.

Moments are replaced by 0 on both sides; everything else is compared byte by byte.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from server_answers import exactly, text_without_times
from werkzeug.test import Client, TestResponse

from rasa_core.processor import INFO_LISTENING, INFO_NO_MESSAGE, INFO_PAUSED
from rasa_core.version import __version__

Sent = tuple[str, str, Any]

NOTHING_SAID = {"entities": [], "intent": {}, "text": None}
LISTEN = {"event": "action", "name": "action_listen", "timestamp": 0}
LISTEN_DECIDED = {**LISTEN, "confidence": 1.0, "policy": "AnswersByIntent"}
GREET_DECIDED = {**LISTEN_DECIDED, "name": "utter_greet"}
SLOT = {"event": "slot", "name": "name", "value": "Zoë"}
PAUSE: Sent = ("POST", "/conversations/x/tracker/events", [{"event": "pause"}])
GREET: Sent = ("POST", "/conversations/x/parse", {"query": "/greet"})
GREETED: Sent = ("POST", "/conversations/x/continue", {"executed_action": "utter_greet"})


def said(text: str, intent: str | None = None, entities: Any = ()) -> dict[str, Any]:
    found = {"name": intent or text.lstrip("/") or None, "confidence": 1.0}
    return {"text": text, "intent": found, "intent_ranking": [found], "entities": list(entities)}


def user(text: str, intent: str | None = None) -> dict[str, Any]:
    parsed = {"text": text, "parse_data": said(text, intent), "interpreter": "RegexInterpreter"}
    return {"event": "user", **parsed, "timestamp": 0}


def action(name: str) -> dict[str, Any]:
    return {"event": "action", "name": name, "timestamp": 0}


def state(
    message: Any = NOTHING_SAID,
    *,
    sender_id: str = "x",
    name: Any = None,
    cuisine: Any = None,
    paused: bool = False,
    events: list[Any] | None = None,
    time: int | None = 0,
) -> dict[str, Any]:
    return {
        "sender_id": sender_id,
        "slots": {"name": name, "cuisine": cuisine},
        "latest_message": message,
        "latest_event_time": time,
        "paused": paused,
        "events": events,
    }


MESSAGES: dict[str, dict[str, Any]] = {
    "utter_greet": {"text": "hey", "data": [{"title": "Bye", "payload": "/bye"}]},
    "utter_bye": {"text": "bye"},
}


def step(next_action: str | None, version: int, tracker: dict[str, Any], info: str = "") -> dict[str, Any]:
    decided = next_action is not None
    said = MESSAGES.get(next_action or "")
    answer = {
        **({} if said is None else {"messages": [{"recipient_id": tracker["sender_id"], **said}]}),
        "next_action": next_action,
        "confidence": 1.0 if decided else None,
        "policy": "AnswersByIntent" if decided else None,
        "understood": tracker["latest_message"]["intent"].get("confidence"),
        "version": version,
        "tracker": tracker,
    }
    return {**answer, "info": info} if info else answer


def post(path: str, body: Any) -> Sent:
    return ("POST", path, body)


def get(path: str) -> Sent:
    return ("GET", path, None)


ANNA = {"entity": "name", "value": "Anna", "start": 6, "end": 22}
GREETING = step("utter_greet", 2, state(said("/greet")))
HEY = {"recipient_id": "x", **MESSAGES["utter_greet"]}

ANSWERED: dict[str, tuple[list[Sent], Sent, Any]] = {
    # id: (requests before, request, JSON of the answer)
    "version": ([], get("/version"), {"version": __version__, "core_model": None, "nlu_model": None}),
    "parse": ([], GREET, GREETING),
    "parse by q": ([], post("/conversations/x/parse", {"q": "/greet"}), GREETING),
    "query wins over q": ([], post("/conversations/x/parse", {"q": "/bye", "query": "/greet"}), GREETING),
    "other keys do not matter": (
        [],
        post("/conversations/x/parse", {"query": "/greet", "token": 1}),
        GREETING,
    ),
    "parse by GET and q": ([], get("/conversations/x/parse?q=/greet"), GREETING),
    "parse by GET and query": ([], get("/conversations/x/parse?query=%2Fgreet&q=/bye"), GREETING),
    "parse by the old path": ([], post("/conversation/x/parse", {"query": "/greet"}), GREETING),
    "parse of the default conversation": (
        [],
        post("/parse", {"query": "/greet"}),
        step("utter_greet", 2, state(said("/greet"), sender_id="default")),
    ),
    "parse sets slots from entities": (
        [],
        post("/conversations/x/parse", {"query": '/greet{"name": "Anna"}'}),
        step("utter_greet", 3, state(said('/greet{"name": "Anna"}', "greet", [ANNA]), name="Anna")),
    ),
    "parse of nothing": (
        [],
        post("/conversations/x/parse", {"query": ""}),
        step("action_listen", 3, state(said(""))),
    ),
    "parse logs listening at once": (
        [post("/conversations/x/parse", {"query": "hm"})],
        get("/conversations/x/tracker"),
        state(said("hm"), events=[LISTEN, user("hm"), LISTEN_DECIDED]),
    ),
    "parse answers in ASCII": (
        [],
        post("/conversations/%C3%A9/parse", {"query": "ça"}),
        step("action_listen", 3, state(said("ça"), sender_id="é")),
    ),
    "parse while paused": (
        [PAUSE],
        GREET,
        step(None, 3, state(said("/greet"), paused=True), INFO_PAUSED),
    ),
    "a message sent while paused is kept": (
        [PAUSE, GREET],
        get("/conversations/x/tracker"),
        state(
            said("/greet"),
            paused=True,
            events=[LISTEN, {"event": "pause", "timestamp": 0}, user("/greet")],
        ),
    ),
    "continue": ([GREET], GREETED, step("action_listen", 4, state(said("/greet")))),
    "continue by the old path": (
        [GREET],
        post("/conversation/x/continue", {"executed_action": "utter_greet"}),
        step("action_listen", 4, state(said("/greet"))),
    ),
    "continue of the default conversation": (
        [post("/parse", {"q": "/greet"})],
        post("/continue", {"executed_action": "utter_greet"}),
        step("action_listen", 4, state(said("/greet"), sender_id="default")),
    ),
    "continue with events": (
        [GREET],
        post("/conversations/x/continue", {"executed_action": "utter_greet", "events": [SLOT]}),
        step("action_listen", 5, state(said("/greet"), name="Zoë")),
    ),
    "continue with nothing": ([GREET], post("/conversations/x/continue", {}), GREETING),
    "continue with an action of null": (
        [GREET],
        post("/conversations/x/continue", {"executed_action": None, "events": [SLOT]}),
        step("utter_greet", 3, state(said("/greet"), name="Zoë")),
    ),
    "continue with listening keeps the events": (
        [GREET, GREETED],
        post("/conversations/x/continue", {"executed_action": "action_listen", "events": [SLOT]}),
        step(None, 5, state(said("/greet"), name="Zoë"), INFO_LISTENING),
    ),
    "continue after the turn is over": (
        [GREET, GREETED],
        GREETED,
        step("action_listen", 6, state(said("/greet")), INFO_NO_MESSAGE),
    ),
    "continue with a restart": (
        [post("/conversations/x/parse", {"query": "/restart"})],
        post(
            "/conversations/x/continue",
            {"executed_action": "action_restart", "events": [{"event": "restart"}]},
        ),
        {**step("action_listen", 5, state(name=None)), "policy": None},
    ),
    "continue with action_restart restarts without the event": (
        [post("/conversations/x/parse", {"query": '/restart{"name": "Anna"}'})],
        post("/conversations/x/continue", {"executed_action": "action_restart"}),
        {**step("action_listen", 6, state(name=None)), "policy": None},
    ),
    "respond": ([], post("/conversations/x/respond", {"query": "/greet"}), [HEY]),
    "respond by GET": ([], get("/conversations/x/respond?q=/greet"), [HEY]),
    "respond in the default conversation": (
        [],
        post("/respond", {"query": "/greet"}),
        [{**HEY, "recipient_id": "default"}],
    ),
    "respond with nothing to say": ([], post("/conversations/x/respond", {"q": "hm"}), []),
    "respond while paused": ([PAUSE], post("/conversations/x/respond", {"q": "/greet"}), []),
    "no conversations": ([], get("/conversations"), []),
    "conversations": (
        [GREET, post("/conversations/%C3%A9/parse", {"q": "hm"}), post("/parse", {"q": "hm"})],
        get("/conversations"),
        ["default", "x", "é"],
    ),
    "a page of conversations": ([GREET, post("/parse", {"q": "hm"})], get("/conversations?limit=1"), ["default"]),
    "the next page": ([GREET, post("/parse", {"q": "hm"})], get("/conversations?after=default&limit=5"), ["x"]),
    "those behind an id": ([GREET, post("/parse", {"q": "hm"})], get("/conversations?after=a"), ["default", "x"]),
    "tracker": (
        [GREET, GREETED],
        get("/conversations/x/tracker"),
        state(said("/greet"), events=[LISTEN, user("/greet"), GREET_DECIDED, LISTEN_DECIDED]),
    ),
    "tracker by the old path": (
        [GREET],
        get("/conversation/x/tracker?events=True"),
        state(said("/greet"), events=[LISTEN, user("/greet")]),
    ),
    "tracker without events": ([GREET], get("/conversations/x/tracker?events=false"), state(said("/greet"))),
    "anything but true is false": ([GREET], get("/conversations/x/tracker?events=1"), state(said("/greet"))),
    "tracker after a restart": (
        [GREET, post("/conversations/x/tracker/events", [{"event": "restart"}, SLOT])],
        get("/conversations/x/tracker"),
        state(name="Zoë", events=[{**SLOT, "timestamp": 0}]),
    ),
    "tracker with restarts ignored": (
        [GREET, post("/conversations/x/tracker/events", [{"event": "restart"}])],
        get("/conversations/x/tracker?ignore_restarts=true"),
        state(events=[LISTEN, user("/greet"), {"event": "restart", "timestamp": 0}]),
    ),
    "tracker as it was": (
        [
            ("PUT", "/conversations/x/tracker", [{**SLOT, "value": n, "timestamp": n} for n in (1, 2, 3)]),
        ],
        get("/conversations/x/tracker?until=2"),
        state(name=2, events=[{**SLOT, "value": n, "timestamp": 0} for n in (1, 2)]),
    ),
    "tracker of an unknown conversation": ([], get("/conversations/x/tracker"), state(events=[LISTEN])),
    "reading creates nothing": ([get("/conversations/x/tracker")], get("/conversations"), []),
    "replacing a tracker": (
        [GREET],
        ("PUT", "/conversations/x/tracker", [{"event": "slot", "name": "cuisine", "value": ["thai"]}]),
        state(
            cuisine=["thai"],
            events=[{"event": "slot", "name": "cuisine", "value": ["thai"], "timestamp": 0}],
        ),
    ),
    "replacing a tracker by nothing": (
        [GREET],
        ("PUT", "/conversations/x/tracker", []),
        state(events=[], time=None),
    ),
    "appending events": (
        [],
        post("/conversations/x/tracker/events", [SLOT, {"event": "pause"}]),
        state(name="Zoë", paused=True),
    ),
    "appending one event": ([], post("/conversations/x/tracker/events", SLOT), state(name="Zoë")),
    "appending a message without its meaning": (
        [],
        post("/conversations/x/tracker/events", [{"event": "user", "text": "/greet"}]),
        state(said("/greet")),
    ),
    "appending a message with null for its meaning": (
        [],
        post("/conversations/x/tracker/events", {"event": "user", "text": "/bye", "parse_data": None}),
        state(said("/bye")),
    ),
    "deleting a conversation": ([GREET], ("DELETE", "/conversations/x", None), {"deleted": True}),
    "deleting an unknown conversation": ([], ("DELETE", "/conversations/x", None), {"deleted": False}),
    "a deleted conversation is gone": (
        [GREET, ("DELETE", "/conversation/x", None)],
        get("/conversations"),
        [],
    ),
}


def send(client: Client, sent: Sent) -> TestResponse:
    """Send a request as old clients do: the body has no JSON content type."""
    method, path, body = sent
    data = None if body is None else json.dumps(body).encode()
    return client.open(path, method=method, data=data, content_type="text/plain; charset=utf-8")


@pytest.mark.parametrize(("before", "sent", "answer"), ANSWERED.values(), ids=ANSWERED)
def test_answer_is_exactly(client: Client, before: list[Sent], sent: Sent, answer: object) -> None:
    for earlier in before:
        assert send(client, earlier).status_code == 200

    response = send(client, sent)

    assert response.status_code == 200
    assert text_without_times(response) == exactly(answer)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Content-Length"] == str(len(response.get_data()))


def test_home_greets_in_html(client: Client) -> None:
    response = client.get("/")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.get_data(as_text=True) == f"hello from Rasa Core: {__version__}"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", "GET, HEAD, OPTIONS"),
        ("/version", "GET, HEAD, OPTIONS"),
        ("/conversations/x/parse", "GET, POST, OPTIONS"),
        ("/conversations/x/tracker", "GET, HEAD, PUT, OPTIONS"),
    ],
)
def test_options_names_the_methods(client: Client, path: str, allowed: str) -> None:
    response = client.options(path)

    assert (response.status_code, response.headers["Allow"], response.get_data()) == (200, allowed, b"")


def test_head_has_the_headers_of_get_and_no_body(client: Client) -> None:
    read = client.get("/conversations/x/tracker")

    response = client.head("/conversations/x/tracker")

    assert response.status_code == 200
    assert response.get_data() == b""
    assert abs(int(response.headers["Content-Length"]) - len(read.get_data())) < 20
