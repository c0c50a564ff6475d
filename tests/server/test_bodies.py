"""Incomplete bodies, sent as raw bytes to the real server: they block no other client, and are never processed."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launched_command import Launched, answer_on, head

TOKEN = "s3cret"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
CHUNKED = {"Transfer_Encoding": "chunked"}
PARSE = "/conversations/x/parse"
GREETING = b'{"query": "/greet"}'


def chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


LAST = b"0\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model_maker: Callable[[Path], Path]) -> Iterator[Launched]:
    """Return a server with a token and two threads."""
    model = model_maker(tmp_path_factory.mktemp("bodies"))
    nlu = str(model.with_name("nlu"))
    flags = ("--store", "memory://", "--threads", "2", "--enable-train", nlu, "--enable-load", "--body-timeout", "2")
    with Launched(model, *flags, environ={"RASA_CORE_TOKEN": TOKEN}) as launched:
        yield launched


def events_of(server: Launched, sender_id: str) -> int:
    status, body = server.answer(head("GET", f"/conversations/{sender_id}/tracker", Connection="close", **RIGHT))
    assert status == 200
    return len(json.loads(body)["events"])


REFUSED = {
    "a wrong token": ("POST", PARSE, {"Authorization": "Bearer wrong"}, 401),
    "no token": ("POST", "/load", {}, 401),
    "no such path": ("POST", "/nope", RIGHT, 404),
    "no such method": ("PATCH", PARSE, RIGHT, 405),
    "too large": ("POST", PARSE, {**RIGHT, "Content_Length": "99999999"}, 413),
    "compressed": ("POST", PARSE, {**RIGHT, "Content_Encoding": "gzip"}, 415),
}


@pytest.mark.parametrize(("method", "path", "headers", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_answered_and_closed_at_once(
    server: Launched, method: str, path: str, headers: dict[str, str], expected: int
) -> None:
    asked = head(method, path, **{"Content_Length": "1000", **headers})
    waiting = [server.connect(asked, GREETING) for _ in range(4)]

    assert [answer_on(connection)[0] for connection in waiting] == [expected] * 4
    for connection in waiting:
        connection.close()


def test_long_bodies_that_are_refused_hold_nobody_for_long(server: Launched) -> None:
    asked = head("POST", PARSE, Authorization="Bearer wrong", Content_Length=5_000_000)
    waiting = [server.connect(asked, GREETING) for _ in range(20)]

    assert server.answer(head("GET", "/version", Connection="close"))[0] == 200
    for connection in waiting:
        assert connection.recv(12) == b"HTTP/1.1 401"
        connection.close()


@pytest.mark.parametrize(("method", "path"), [("POST", "/conversations/long/predict"), ("GET", "/conversations")])
def test_long_body_that_nobody_needs_keeps_its_client_from_no_answer(server: Launched, method: str, path: str) -> None:
    server.answer(head("GET", "/conversations/long/parse?q=/greet", Connection="close", **RIGHT))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, b" " * 8_000_000, RIGHT)  # More than the system keeps of it.

    assert connection.getresponse().status == 200
    connection.close()


def test_endless_body_that_is_refused_holds_nobody(server: Launched) -> None:
    with server.connect(head("POST", PARSE, **CHUNKED), chunk(GREETING)) as connection:
        assert answer_on(connection)[0] == 401


@pytest.mark.parametrize(
    "rest",
    [b"", b"0\r\n", b"zz\r\n", b"20\r\nshort", b"-1\r\n\r\n"],
    ids=["no last chunk", "half a last chunk", "no number", "half a chunk", "a negative number"],
)
@pytest.mark.parametrize("path", [PARSE, "/conversations/x/tracker/events", "/train?name=cut&epochs=1"])
def test_chunked_body_that_breaks_off_changes_nothing(server: Launched, path: str, rest: bytes) -> None:
    before = events_of(server, "x")
    content = GREETING if "parse" in path else b'[{"event": "restart"}]'
    if "train" in path:
        content = b"## intent:greet\n- hello\n- hi\n## intent:bye\n- bye\n- goodbye\n"

    status, body = server.answer(head("POST", path, **CHUNKED, **RIGHT), chunk(content), rest, end=True)

    assert status == 400
    assert "breaks off" in json.loads(body)["error"]
    assert events_of(server, "x") == before
    assert not server.log.with_name("nlu").joinpath("cut").exists()


def test_declared_body_that_breaks_off_is_no_shorter_one(server: Launched) -> None:
    asked = head("POST", PARSE, Content_Length=len(GREETING) + 1, **RIGHT)
    status, body = server.answer(asked, GREETING, end=True)

    assert status == 400
    assert f"ends after {len(GREETING)} of the {len(GREETING) + 1} bytes" in json.loads(body)["error"]


def test_whole_chunked_body_is_read(server: Launched) -> None:
    parts = [chunk(GREETING[:5]), chunk(GREETING[5:]), LAST]
    status, body = server.answer(
        head("POST", "/conversations/whole/parse", **CHUNKED, Connection="close", **RIGHT), *parts
    )

    assert status == 200
    assert json.loads(body)["next_action"] == "utter_greet"


def test_chunked_body_that_is_too_large_is_refused(server: Launched) -> None:
    parts = [chunk(b" " * 600_000), chunk(b" " * 600_000), LAST]
    assert server.answer(head("POST", PARSE, **CHUNKED, Connection="close", **RIGHT), *parts)[0] == 413


def test_fifty_halves_keep_nobody_waiting_and_are_closed_in_time(server: Launched) -> None:
    asked = head("POST", "/conversations/half/parse", Content_Length=len(GREETING), **RIGHT)
    long = head("POST", "/conversations/half/parse", Content_Length=200_000, **RIGHT)
    endless = head("POST", "/conversations/half/parse", **CHUNKED, **RIGHT)
    begun = [(asked, GREETING[:5]), (long, GREETING), (endless, chunk(GREETING)), (asked, b""), (asked, b"{")]
    waiting = [server.connect(*parts) for parts in begun * 10]

    started = time.monotonic()
    for _ in range(10):
        whole = head("POST", "/conversations/whole/parse", Content_Length=len(GREETING), Connection="close", **RIGHT)
        assert server.answer(whole, GREETING)[0] == 200
    assert time.monotonic() - started < 2

    for connection in waiting:
        with connection:
            status, body = answer_on(connection)
            assert status == 408
            assert "did not come within 2 seconds" in json.loads(body)["error"]
    assert time.monotonic() - started < 10  # One after the other, they would take 17.
    assert events_of(server, "half") == events_of(server, "nobody")
    assert " 408 " in server.log.read_text()


def test_late_rest_of_a_body_is_waited_for(server: Launched) -> None:
    asked = head("POST", "/conversations/late/parse", Content_Length=len(GREETING), Connection="close", **RIGHT)
    with server.connect(asked, GREETING[:7]) as connection:
        assert server.answer(head("GET", "/version", Connection="close"))[0] == 200
        connection.sendall(GREETING[7:])
        assert answer_on(connection)[0] == 200
