"""An action server with a given answer for each action."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from thread_servers import running, silent

Answer = Mapping[str, Any]
Answers = Mapping[str, Answer | Callable[[dict[str, Any]], Answer]]
"""By action, its ``events`` and ``responses``, or what makes them of a request; ``status`` is that of a failure."""


class _Server(ThreadingHTTPServer):
    answers: Answers
    requests: list[dict[str, Any]]


class _Handler(BaseHTTPRequestHandler):
    log_message = silent
    server: _Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        given = self.server.answers[request["next_action"]]
        answer = dict(given(request) if callable(given) else given)
        status = answer.pop("status", 200)
        content = json.dumps({"events": [], "responses": [], **answer}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def answering_server(answers: Answers) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve `answers`, and give the address and the requests so far."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.answers, server.requests = answers, []
    with running(server, "/webhook") as url:
        yield url, server.requests
