"""Connections that are kept open, and failures of requests."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from at_once import at_once
from thread_servers import running, silent

from rasa_core.support import http as http_transport
from rasa_core.support.http import HttpAnswer, HttpTransport, NoAnswerError, server_address, without_token


def ask(transport: HttpTransport, timeout: float = 10, reuse: bool = True) -> HttpAnswer:
    return transport.exchange("GET", "/hello", headers={}, timeout=timeout, reuse=reuse)


class KeepingServer(ThreadingHTTPServer):
    """A server that keeps connections open, and records the client's address of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), KeepingHandler)
        self.clients: list[tuple[str, int]] = []
        self.targets: list[str] = []
        self.before_answer: Callable[[], object] = lambda: None
        self.address = f"http://127.0.0.1:{self.server_port}"


class KeepingHandler(BaseHTTPRequestHandler):
    log_message = silent
    protocol_version = "HTTP/1.1"
    server: KeepingServer

    def do_GET(self) -> None:
        self.server.clients.append(self.client_address)
        self.server.targets.append(self.path)
        self.server.before_answer()
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")


@pytest.fixture
def server() -> Iterator[KeepingServer]:
    with running(server := KeepingServer()):
        yield server


@pytest.fixture
def transport(server: KeepingServer) -> Iterator[HttpTransport]:
    transport = to(server.address)
    yield transport
    transport.close()


def to(address: str, limit: int | None = None) -> HttpTransport:
    return HttpTransport(urlsplit(address), limit)


@contextlib.contextmanager
def raw_server(*answers: bytes) -> Iterator[tuple[str, list[threading.Event]]]:
    """Answer each connection with these bytes, and close it; yield the address, and the list of closed connections."""
    closed = [threading.Event() for _ in answers]

    def serve(listening: socket.socket) -> None:
        for answer, done in zip(answers, closed, strict=True):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
            done.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", closed
        thread.join()


# -- connections


def test_a_connection_is_used_again(server: KeepingServer, transport: HttpTransport) -> None:
    answers = [ask(transport) for _ in range(3)]

    assert [answer.content for answer in answers] == [b"hello"] * 3
    assert len(set(server.clients)) == 1


def test_a_request_that_must_not_be_repeated_has_a_connection_of_its_own(
    server: KeepingServer, transport: HttpTransport
) -> None:
    for reuse in (True, False, False, True):
        ask(transport, reuse=reuse)

    first, second, third, last = server.clients
    assert first == last
    assert len({first, second, third}) == 3


def test_threads_that_ask_at_once_have_connections_of_their_own(
    server: KeepingServer, transport: HttpTransport
) -> None:
    together = threading.Barrier(4, timeout=10)
    server.before_answer = together.wait
    for _ in range(2):
        at_once(ask, [transport] * 4)

    assert len(server.clients) == 8
    assert len(set(server.clients)) == 4


def test_an_idle_connection_that_the_server_has_closed_is_not_used() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    with raw_server(answer, answer) as (address, closed):
        transport = to(address)
        ask(transport)
        assert closed[0].wait(10)

        assert ask(transport).content == b"hi"


def test_a_connection_that_was_idle_for_long_is_not_used(
    server: KeepingServer, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(transport)
    monkeypatch.setattr(http_transport, "IDLE_LIMIT", 0.0)
    ask(transport)

    assert len(set(server.clients)) == 2


def test_a_forked_process_opens_a_connection_of_its_own(server: KeepingServer) -> None:
    script = f"""
import os
from urllib.parse import urlsplit
from rasa_core.support.http import HttpTransport
transport = HttpTransport(urlsplit({server.address!r}))
ask = lambda: transport.exchange("GET", "/", headers={{}}, timeout=10)
ask()
child = os.fork()
ask()
if child:
    assert os.waitpid(child, 0)[1] == 0
    ask()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2], timeout=60)

    assert len(server.clients) == 4
    assert sorted(map(server.clients.count, set(server.clients))) == [1, 3]


def test_a_closed_transport_opens_a_connection_again(server: KeepingServer, transport: HttpTransport) -> None:
    ask(transport)
    transport.close()
    ask(transport)

    assert len(set(server.clients)) == 2


def test_proxies_of_the_environment_are_not_used(transport: HttpTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert ask(transport).status == 200


# -- failures


@pytest.mark.parametrize(
    "received",
    [
        b"",
        b"HTTP/1.",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["nothing", "version", "status", "body", "chunks"],
)
@pytest.mark.parametrize("limit", [None, 1000])
def test_an_answer_that_breaks_off_is_none_and_the_next_may_be_whole(received: bytes, limit: int | None) -> None:
    with raw_server(received) as (address, _), pytest.raises(NoAnswerError, match=r".") as caught:
        ask(to(address, limit))

    assert (caught.value.sent, caught.value.passing, caught.value.timed_out) == (True, True, False)


@pytest.mark.parametrize(
    ("received", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
    ids=["cut headers", "no length", "length", "chunks", "no body"],
)
def test_an_answer_without_a_length_may_be_a_part_of_one(received: bytes, whole: bool) -> None:
    with raw_server(received) as (address, _):
        assert ask(to(address)).whole is whole


def test_a_refused_connection_has_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(NoAnswerError, match="refused") as caught:
        ask(to(f"http://127.0.0.1:{port}"))

    assert (caught.value.sent, caught.value.passing) == (False, True)


def test_a_silent_server_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(NoAnswerError, match="timed out") as caught,
    ):
        ask(to(f"http://127.0.0.1:{silent.getsockname()[1]}"), timeout=0.05)

    assert (caught.value.sent, caught.value.passing, caught.value.timed_out) == (True, True, True)


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"], ids=["in its head", "in its body"]
)
def test_an_answer_that_comes_byte_by_byte_is_given_up(begun: bytes) -> None:
    def drip() -> None:
        near, _ = listener.accept()
        with near, contextlib.suppress(OSError):
            near.sendall(begun)
            while not is_over.wait(0.05):
                near.sendall(b"H")

    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(NoAnswerError, match="timed out") as caught:
                ask(to(f"http://127.0.0.1:{listener.getsockname()[1]}", 1000), timeout=0.3)
        finally:
            is_over.set()
            thread.join(10)
    assert caught.value.timed_out


def test_a_kept_connection_has_all_the_time_again(server: KeepingServer) -> None:
    transport, wait = to(server.address, 1000), threading.Event().wait
    server.before_answer = lambda: wait(0.3)
    assert [ask(transport, timeout=0.6).content for _ in range(3)] == [b"hello"] * 3
    assert len(set(server.clients)) == 1
    transport.close()


def test_another_protocol_stays_another_protocol() -> None:
    with raw_server(b"SSH-2.0-OpenSSH\r\n") as (address, _), pytest.raises(NoAnswerError, match="SSH") as caught:
        ask(to(address))

    assert not caught.value.passing


def test_a_server_without_tls_stays_without_tls() -> None:
    with (
        raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (address, _),
        pytest.raises(NoAnswerError, match="SSL") as caught,
    ):
        ask(to(address.replace("http:", "https:")))

    assert (caught.value.sent, caught.value.passing) == (False, False)


def test_a_host_that_cannot_be_stays_impossible() -> None:
    with pytest.raises(NoAnswerError, match=r"label|idna") as caught:
        ask(to("http://a..b"))

    assert (caught.value.sent, caught.value.passing) == (False, False)


def test_no_more_of_an_answer_is_read_than_allowed(server: KeepingServer) -> None:
    assert ask(to(server.address, 3)).content == b"hel"


def test_a_redirect_is_an_answer_like_another(server: KeepingServer) -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % server.address.encode()
    with raw_server(redirect) as (address, _):
        assert ask(to(address)).status == 302

    assert server.clients == []


def test_what_is_hidden_is_sent_and_in_no_log(server: KeepingServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    transport = HttpTransport(urlsplit(server.address), hidden_query="token=s3cret")
    for query in ({}, {"a": "b c"}):
        transport.exchange("GET", "/hello", headers={}, query=query.items(), timeout=10)
    transport.close()

    assert server.targets == ["/hello?token=s3cret", "/hello?a=b+c&token=s3cret"]
    assert "GET /hello" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_token_is_taken_out_of_a_text() -> None:
    assert without_token("a?token=s%26t, s&t", "s&t") == "a?token=<token>, <token>"
    assert without_token("a", None) == without_token("a", "") == "a"


@pytest.mark.parametrize(
    "text",
    ["", "x", "//x", "ftp://x", "http://", "http://:5005", "http://[", "http://x:y", "http://x:70000", "http://x:0"],
)
def test_what_is_no_address_of_a_server_has_no_parts(text: str) -> None:
    assert server_address(text) is None


def test_the_address_of_a_server_has_parts() -> None:
    parts = server_address("HTTPS://[::1]:5005/a?b=c")
    assert parts is not None
    assert (parts.scheme, parts.hostname, parts.port, parts.path, parts.query) == ("https", "::1", 5005, "/a", "b=c")
