"""A small server that answers as Duckling does, for tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from thread_servers import running, silent


class DucklingServer(ThreadingHTTPServer):
    """A server that answers every request with `answer`, and records the forms that it was sent."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Answers)
        self.asked: list[dict[str, str]] = []
        self.status = 200
        self.answer: Any = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    log_message = silent
    server: DucklingServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert self.path == "/parse"
        self.server.asked.append({key: values[0] for key, values in parse_qs(body).items()})
        self.server.may_answer.wait()
        answer = self.server.answer
        sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        with suppress(BrokenPipeError):  # Of a client that did not wait.
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)


@contextmanager
def duckling(port: int = 0) -> Iterator[DucklingServer]:
    """Run a `DucklingServer` while the test runs."""
    with running(server := DucklingServer(port)):
        try:
            yield server
        finally:
            server.may_answer.set()


def found(dim: str, text: str, part: str, **value: Any) -> dict[str, Any]:
    """Return the entities that Duckling finds in a text."""
    start = text.index(part)
    return {"dim": dim, "body": part, "start": start, "end": start + len(part), "value": value, "latent": False}
