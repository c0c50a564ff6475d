"""An action server that answers each action with what is given for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Mapping[str, Any]
Answers = Mapping[str, Answer | Callable[[dict[str, Any]], Answer]]
"""By action, its ``events`` and ``responses``, or what makes them of a request; ``status`` is that of a failure."""


class _Server(ThreadingHTTPServer):
    answers: Answers
    requests: list[dict[str, Any]]


class _Handler(BaseHTTPRequestHandler):
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

    def log_message(self, form: str, *args: object) -> None:
        pass


@contextmanager
def answering_server(answers: Answers) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve `answers`, and give the address and the requests so far."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.answers, server.requests = answers, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/webhook", server.requests
        finally:
            server.shutdown()
            thread.join()
