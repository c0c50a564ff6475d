"""Every request, however odd, gets JSON with the right status."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server_bot import make_agent
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from rasa_core.server import ServerApp, create_app
from rasa_core.server.waiting import _PlainVisit

pytestmark = pytest.mark.filterwarnings("ignore:topics are ignored")

PATHS = ["/parse", "/continue", "/respond", "/load", "/version", "/conversations", "/conversations/x"]
PATHS += [f"/conversations/x/{name}" for name in ("parse", "continue", "respond", "tracker", "tracker/events")]
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "PROPFIND"]
NAMES = ["name", "cuisine", "action_listen", "action_search", "utter_greet", "x", ""]
TYPES = [
    "user",
    "bot",
    "slot",
    "restart",
    "reset_slots",
    "rewind",
    "undo",
    "action",
    "reminder",
    "pause",
    "resume",
]
TYPES += ["export", "agent", "topic", "followup", "event", "slott", ""]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(NAMES)
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
parses = st.fixed_dictionaries(
    {
        "intent": st.fixed_dictionaries({"name": st.text() | scalars}, optional={"confidence": scalars}) | values,
        "entities": st.lists(st.fixed_dictionaries({"entity": st.text()}, optional={"value": values})) | values,
    },
    optional={"intent_ranking": values, "text": scalars},
)
events = st.fixed_dictionaries(
    {"event": st.sampled_from(TYPES) | scalars},
    optional={
        "name": scalars,
        "value": values,
        "text": scalars,
        "data": values,
        "timestamp": scalars,
        "parse_data": parses | values,
        "action": scalars,
        "date_time": scalars | st.just("2018-09-03T11:41:10.123456"),
        "kill_on_user_msg": scalars,
        "confidence": scalars,
        "policy": scalars,
        "topic": values,
    },
)
objects = st.fixed_dictionaries(
    {},
    optional={
        "query": scalars | st.sampled_from(["/greet", "/restart", '/greet{"name": [1, {}]}', "_bye@0.3"]),
        "q": scalars,
        "executed_action": scalars,
        "events": st.lists(events) | values,
    },
)
bodies = st.one_of(
    st.binary(max_size=200),
    (objects | events | st.lists(events) | values).map(lambda value: json.dumps(value).encode()),
)


@pytest.fixture(scope="module")
def app() -> ServerApp:
    return create_app(make_agent(), cors_origins=["https://a.example"])


def send(app: ServerApp, environ: dict[str, Any]) -> tuple[int, str, bytes]:
    body, status, headers = run_wsgi_app(app, environ, buffered=True)
    return int(status[:3]), headers.get("Content-Type", ""), b"".join(body)


def check(app: ServerApp, environ: dict[str, Any]) -> int:
    status, kind, body = send(app, environ)
    assert status < 500, body
    if environ["REQUEST_METHOD"] in ("HEAD", "OPTIONS"):
        return status
    assert kind == "application/json"
    assert body.endswith(b"\n")
    content = json.loads(body, parse_constant=pytest.fail)
    assert status == 200 or isinstance(content["error"], str)
    return status


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(PATHS), method=st.sampled_from(METHODS[:4]), body=bodies)
def test_odd_bodies(app: ServerApp, path: str, method: str, body: bytes) -> None:
    check(app, EnvironBuilder(path, method=method, data=body).get_environ())


@settings(max_examples=100, deadline=None)
@given(first=st.lists(events, min_size=1, max_size=3), text=st.text())
def test_odd_events_do_not_break_the_conversation(app: ServerApp, first: list[Any], text: str) -> None:
    client = Client(app)
    client.delete("/conversations/e")
    for event in first:
        data = json.dumps(event).encode()
        environ = EnvironBuilder("/conversations/e/tracker/events", method="POST", data=data).get_environ()
        check(app, environ)

    assert client.post("/conversations/e/parse", data=json.dumps({"query": text}).encode()).status_code == 200
    assert client.post("/conversations/e/continue", data=b"{}").status_code == 200
    assert client.get("/conversations/e/tracker?ignore_restarts=true").status_code == 200


latin = st.text(st.characters(max_codepoint=255))


@settings(max_examples=100, deadline=None)
@given(
    path=st.tuples(
        st.sampled_from(["/", "/conversations/", "/conversation/x/", ""]),
        latin,
        st.sampled_from(["", "/parse"]),
    ),
    query=latin,
    method=st.sampled_from(METHODS) | latin,
    headers=st.dictionaries(
        st.sampled_from(
            [
                "CONTENT_LENGTH",
                "CONTENT_TYPE",
                "HTTP_AUTHORIZATION",
                "HTTP_ORIGIN",
                "HTTP_CONTENT_ENCODING",
                "HTTP_TRANSFER_ENCODING",
                "HTTP_ACCESS_CONTROL_REQUEST_METHOD",
            ]
        ),
        latin,
    ),
)
def test_odd_paths_and_headers(
    app: ServerApp, path: tuple[str, str, str], query: str, method: str, headers: dict[str, str]
) -> None:
    environ = EnvironBuilder("/", data=b'{"q": "/greet"}').get_environ()
    environ.update(headers, PATH_INFO="".join(path), QUERY_STRING=query, REQUEST_METHOD=method)
    if environ["PATH_INFO"] not in ("", "/"):
        check(app, environ)


def test_what_an_application_has_opened_for_its_answer_is_closed_also_where_it_fails() -> None:
    class Pieces(Iterator[bytes]):
        closed = False

        def __init__(self, *pieces: bytes) -> None:
            self._left = list(pieces)

        def __next__(self) -> bytes:
            if not self._left:
                raise StopIteration
            if self._left[0] == b"":
                raise OSError("the file is gone")
            return self._left.pop(0)

        def close(self) -> None:
            self.closed = True

    def app(environ: dict[str, Any], start: Callable[..., None]) -> Pieces:
        start("200 OK", [])
        return environ["pieces"]

    whole, broken = Pieces(b"a", b"b"), Pieces(b"a", b"")
    assert _PlainVisit(app, {"pieces": whole}).answer() == (200, [], b"ab")
    with pytest.raises(OSError, match="gone"):
        _PlainVisit(app, {"pieces": broken}).answer()
    assert (whole.closed, broken.closed) == (True, True)
