from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from at_once import at_once
from cutting_proxy import no_http_server
from thread_servers import running, silent

from rasa_core.events import check_parse_data
from rasa_core.interpreter import NaturalLanguageInterpreter, RasaNLUHttpInterpreter

FAILED = {"intent": {"name": "", "confidence": 0.0}, "intent_ranking": [], "entities": []}


@dataclass
class Call:
    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    connection: tuple[str, int]


Answer = Callable[[Call], "tuple[int, bytes]"]


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *args: object) -> None:
        """Log no error for clients that did not wait for the answer."""


@dataclass
class NluServer:
    """A real HTTP server in a thread that answers by `answer`, and records the requests."""

    answer: Answer
    calls: list[Call] = field(default_factory=list)
    address: str = ""

    def start(self) -> ThreadingHTTPServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            log_message = silent
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                query = parse_qs(url.query, keep_blank_values=True)
                call = Call(self.command, url.path, query, self.rfile.read(length), self.client_address)
                outer.calls.append(call)
                status, content = outer.answer(call)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815

        server = QuietServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{server.server_port}"
        return server


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], NluServer]]:
    with ExitStack() as stack:

        def start(answer: Answer) -> NluServer:
            nlu = NluServer(answer)
            stack.enter_context(running(nlu.start()))
            return nlu

        yield start


def as_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def rasa_nlu(call: Call) -> tuple[int, bytes]:
    """Answer as Rasa NLU 0.12."""
    if (call.method, call.path) != ("GET", "/parse"):
        return 404, b"<html>No Such Resource</html>"
    intent = {"name": "greet", "confidence": 0.8}
    entities = [{"entity": "name", "value": "Anna", "start": 3, "end": 7, "extractor": "ner_crf"}]
    answer = {"text": call.query["q"][0], "intent": intent, "intent_ranking": [intent], "entities": entities}
    return 200, as_bytes({**answer, "project": "default", "model": "m1"})


def rasa(call: Call) -> tuple[int, bytes]:
    """Answer as Rasa 1 to 3."""
    if (call.method, call.path) != ("POST", "/model/parse"):
        return 404, as_bytes({"status": "failure", "message": "Not Found", "code": 404})
    intent = {"name": "greet", "confidence": 0.9}
    text = json.loads(call.body)["text"]
    return 200, as_bytes({"text": text, "intent": intent, "intent_ranking": [intent], "entities": []})


def always(status: int, content: bytes) -> Answer:
    return lambda call: (status, content)


Serve = Callable[[Answer], NluServer]


def test_a_rasa_nlu_server_is_asked_with_all_parameters(serve: Serve) -> None:
    server = serve(rasa_nlu)
    interpreter = RasaNLUHttpInterpreter("m1", "secret", server.address, "bot")

    parse = interpreter.parse("hi Anna & Köln 🎉\x00")

    assert (interpreter.model_name, interpreter.token, interpreter.project_name) == ("m1", "secret", "bot")
    assert parse["text"] == "hi Anna & Köln 🎉\x00"
    assert parse["intent"] == {"name": "greet", "confidence": 0.8}
    assert parse["entities"][0]["extractor"] == "ner_crf"
    assert server.calls[0].query == {
        "q": ["hi Anna & Köln 🎉\x00"],
        "project": ["bot"],
        "model": ["m1"],
        "token": ["secret"],
    }


def test_a_rasa_server_is_asked_with_json(serve: Serve) -> None:
    server = serve(rasa)

    parse = RasaNLUHttpInterpreter(token="secret", server=server.address).parse("hi \ud800 there")

    assert parse["intent"] == {"name": "greet", "confidence": 0.9}
    assert json.loads(server.calls[-1].body) == {"text": "hi \ud800 there"}
    assert server.calls[-1].query == {"token": ["secret"]}


@pytest.mark.parametrize(("protocol", "path"), [(rasa_nlu, "/parse"), (rasa, "/model/parse")])
def test_what_the_server_speaks_is_remembered(serve: Serve, protocol: Answer, path: str) -> None:
    server = serve(protocol)
    interpreter = RasaNLUHttpInterpreter(server=server.address)
    interpreter.parse("first")
    server.calls.clear()

    interpreter.parse("second")

    assert [call.path for call in server.calls] == [path]


def test_a_server_that_is_replaced_by_one_of_the_other_kind_is_understood(serve: Serve) -> None:
    server = serve(rasa)
    interpreter = RasaNLUHttpInterpreter(server=server.address)
    interpreter.parse("first")

    server.answer = rasa_nlu

    assert interpreter.parse("second")["intent"]["confidence"] == 0.8


def test_path_and_query_of_the_address_are_part_of_each_request(serve: Serve) -> None:
    server = serve(lambda call: (200, as_bytes({"intent": None})))
    interpreter = NaturalLanguageInterpreter.create(server.address + "/nlu/?token=secret")

    interpreter.parse("hi")

    assert (server.calls[0].path, server.calls[0].query["token"]) == ("/nlu/parse", ["secret"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {"intent": {"name": "greet", "confidence": 0.5}},
            {"intent_ranking": [{"name": "greet", "confidence": 0.5}], "entities": [], "text": "hi"},
        ),
        ({"intent": None, "entities": None}, {"intent": {"name": None, "confidence": 0.0}, "entities": []}),
        ({"intent": {"name": "a"}, "text": None, "extra": 1}, {"text": "hi", "extra": 1}),
    ],
)
def test_what_an_answer_lacks_is_filled_in(serve: Serve, answer: object, expected: dict[str, Any]) -> None:
    server = serve(always(200, as_bytes(answer)))

    parse = RasaNLUHttpInterpreter(server=server.address).parse("hi")

    check_parse_data(parse)
    assert {key: parse[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (200, b"<html>welcome</html>", "answered with no parse"),
        (200, b"", "answered with no parse"),
        (200, b"\xff\xfe", "answered with no parse"),
        (200, b"[]", "answered with no parse"),
        (200, b'{"status": "ok"}', "answered with no parse"),
        (200, b'{"intent": "greet", "entities": []}', "answered with no parse"),
        (200, b'{"intent": {"name": 5}, "entities": []}', "answered with no parse"),
        (200, b'{"intent": {"name": "a", "confidence": NaN}}', "answered with no parse"),
        (200, b'{"intent": {"name": "a"}, "entities": [5]}', "answered with no parse"),
        (200, b'{"intent": {"name": "a"}, "intent_ranking": 5}', "answered with no parse"),
        (200, b"[" * 100_000, "answered with no parse"),
        (200, b'{"intent": {"name": "a"}, "x": ' + b"[" * 99 + b"]" * 99 + b"}", "answered with no parse"),
        (200, b'{"intent": {"name": "a"}, "entities": [' + b'{"entity": "a"},' * 10_001 + b"{}]}", "no parse"),
        (200, as_bytes({"intent": {"name": "a"}, "entities": [{"entity": "a"}] * 10_001}), "at most 10000 items"),
        (401, b"no", "answered 401: 'no'"),
        (404, b"no", "GET /parse answered 404: 'no'; POST /model/parse answered 404: 'no'"),
        (500, b"Traceback", "answered 500: 'Traceback'"),
    ],
)
def test_a_failing_server_gives_no_intent_and_one_error_in_the_log(
    serve: Serve, status: int, content: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(always(status, content))

    parse = RasaNLUHttpInterpreter(server=server.address, token="secret").parse("hi")

    assert parse == {"text": "hi", **FAILED}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert server.address in caplog.text
    assert reason in caplog.text
    assert "secret" not in caplog.text


def test_a_server_that_is_not_there_gives_no_intent(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    parse = RasaNLUHttpInterpreter(server=f"http://127.0.0.1:{port}").parse("hi")

    assert parse == {"text": "hi", **FAILED}
    assert f"127.0.0.1:{port} did not parse a message" in caplog.text
    assert "refused" in caplog.text


def test_a_slow_server_is_given_up(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    given_up = threading.Event()

    def wait(call: Call) -> tuple[int, bytes]:
        given_up.wait(10)
        return 404, b""

    server = serve(wait)
    parse = RasaNLUHttpInterpreter(server=server.address, timeout=0.05).parse("hi")
    given_up.set()

    assert parse == {"text": "hi", **FAILED}
    assert len(server.calls) == 1
    assert "timed out" in caplog.text


def test_a_server_that_is_no_http_server_gives_no_intent(caplog: pytest.LogCaptureFixture) -> None:
    with no_http_server() as address:
        parse = RasaNLUHttpInterpreter(server=address).parse("hi")

    assert parse == {"text": "hi", **FAILED}
    assert "SSH-2.0" in caplog.text


def test_a_connection_is_used_again(serve: Serve) -> None:
    server = serve(rasa)
    interpreter = RasaNLUHttpInterpreter(server=server.address)

    interpreter.parse("first")
    interpreter.parse("second")

    assert len({call.connection for call in server.calls}) == 1


def test_a_message_is_sent_again_if_the_server_has_closed_the_idle_connection() -> None:
    content = as_bytes({"intent": {"name": "greet", "confidence": 1.0}})
    closed = threading.Event()

    def answer_once_each(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
            closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer_once_each, args=(listening,))
        thread.start()
        interpreter = RasaNLUHttpInterpreter(server=f"http://127.0.0.1:{listening.getsockname()[1]}")
        first = interpreter.parse("first")
        assert closed.wait(10)
        second = interpreter.parse("second")
        thread.join()

    assert (first["intent"]["name"], second["intent"]["name"]) == ("greet", "greet")


def test_connections_are_not_shared_with_a_forked_process(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(rasa_nlu)
    interpreter = RasaNLUHttpInterpreter(server=server.address)
    interpreter.parse("parent")

    monkeypatch.setattr(os, "getpid", lambda: -1)
    interpreter.parse("child")

    assert len({call.connection for call in server.calls}) == 2


def test_a_closed_interpreter_opens_a_connection_again(serve: Serve) -> None:
    server = serve(rasa_nlu)
    interpreter = RasaNLUHttpInterpreter(server=server.address)
    interpreter.parse("first")

    interpreter.close()
    interpreter.parse("second")

    assert len({call.connection for call in server.calls}) == 2


def test_threads_get_their_own_answers(serve: Serve) -> None:
    server = serve(rasa)
    interpreter = RasaNLUHttpInterpreter(server=server.address)
    texts: dict[str, str] = {}

    def ask(name: str) -> None:
        for number in range(20):
            text = f"{name} {number}"
            texts[text] = interpreter.parse(text)["text"]

    at_once(ask, [f"thread {index}" for index in range(4)])

    assert len(texts) == 80
    assert all(asked == answered for asked, answered in texts.items())


def test_an_address_with_odd_characters_is_no_reason_to_show_the_token(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(always(404, b"no"))
    parse = RasaNLUHttpInterpreter(token="secret", server=server.address + "/my nlu/ä").parse("hi")

    assert parse == {"text": "hi", **FAILED}
    assert server.calls[0].path == "/my%20nlu/%C3%A4/parse"
    assert "secret" not in caplog.text


def test_a_server_that_repeats_the_token_does_not_bring_it_into_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(always(404, b"Cannot GET /parse?token=s%26cret, s&cret"))
    RasaNLUHttpInterpreter(token="s&cret", server=server.address).parse("hi")

    assert "Cannot GET /parse?token=<token>, <token>" in caplog.text


def test_no_log_shows_the_token(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(rasa_nlu)
    RasaNLUHttpInterpreter(token="s3cret", server=server.address + "?key=0ther").parse("hi")

    assert server.calls[0].query["token"] == ["s3cret"]
    assert "GET /parse" in caplog.text
    assert "s3cret" not in caplog.text
    assert "0ther" not in caplog.text


def test_a_host_that_cannot_be_gives_no_intent(caplog: pytest.LogCaptureFixture) -> None:
    assert RasaNLUHttpInterpreter(server="http://a..b").parse("hi") == {"text": "hi", **FAILED}
    assert "http://a..b did not parse a message" in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "localhost:5000",
        "ftp://localhost",
        "http://",
        "http://localhost:port",
        "http://[::1",
        "http://me:pw@localhost",
    ],
)
def test_a_wrong_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is like http://localhost:5000") as caught:
        RasaNLUHttpInterpreter(server=address)

    assert "pw" not in str(caught.value)
