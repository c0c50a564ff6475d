"""The command ``python -m rasa_core.server`` as a real process, and a client that sends raw bytes to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Self

from programs import free_port

PATIENCE = 20.0
HERE = Path(__file__).parent


def listens(port: int) -> bool:
    """Return whether a process listens on a port of this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Launched:
    """A server of a model, which runs while a block runs.

    Parameters
    ----------
    model
        The directory of the model.
    arguments
        Further arguments of the command.
    environ
        Further environment variables of the command.
    """

    def __init__(
        self, model: Path, *arguments: str, port: int | None = None, environ: dict[str, str] | None = None
    ) -> None:
        self.port = port or free_port()
        self.log = model.with_name("server.log")
        module = [sys.executable, "-u", "-m", "rasa_core.server"]
        path = os.pathsep.join([str(HERE.parent), str(HERE / "server")])
        self.process = subprocess.Popen(
            [*module, "-d", str(model), "-p", str(self.port), "-o", str(self.log), *arguments],
            env={**os.environ, "PYTHONPATH": path, **(environ or {})},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        assert "Serving" in self.process.stdout.readline()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                self.process.communicate(timeout=PATIENCE)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.communicate()

    def kill(self) -> None:
        """End the main process and its workers at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=PATIENCE)

    def open(self, sender: str, text: str, key: str, *, stream: bool = False) -> Any:
        """Send a message over the REST channel, and return the response, whose body may still be arriving."""
        body = json.dumps({"sender": sender, "message": text}).encode()
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        path = f"/webhooks/rest/webhook?stream={str(stream).lower()}"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers)
        return urllib.request.urlopen(request, timeout=60)

    def say(self, sender: str, text: str, key: str) -> list[str]:
        """Send a message over the REST channel, and return the texts of the answer."""
        with self.open(sender, text, key) as answer:
            return [message["text"] for message in json.load(answer)]

    def json(self, path: str) -> Any:
        """Return the JSON of the answer to a GET request."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.load(answer)

    def connect(self, *parts: bytes) -> socket.socket:
        """Open a connection, and send these bytes."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(b"".join(parts))
        return connection

    def answer(self, *parts: bytes, end: bool = False) -> tuple[int, bytes]:
        """Send bytes, with `end` also the end of the stream, and return status and rest of the whole answer."""
        with self.connect(*parts) as connection:
            if end:
                connection.shutdown(socket.SHUT_WR)
            return answer_on(connection)


def answer_on(connection: socket.socket) -> tuple[int, bytes]:
    """Read until the server closes the connection; return the status and the rest of the answer."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


def head(method: str, path: str, **headers: str | int) -> bytes:
    """Return request line and headers of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()
