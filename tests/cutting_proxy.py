"""Faulty servers: a TCP proxy that cuts connections, and a server of another protocol."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Self
from urllib.parse import urlsplit

LOST = ["before", "reset"]
"""The request does not reach the server: its connection ends, or is reset."""

CARRIED_OUT = ["after", "first line", "headers", "middle"]
"""The server has answered, and so much of its answer arrives: nothing, or up to the middle of one of its parts."""


@dataclass(frozen=True)
class Arrived:
    """A request as it came to the proxy."""

    method: str
    target: str
    head: str
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        found = re.search(rf"^{name}: *(.*?)\r$", self.head, re.IGNORECASE | re.MULTILINE)
        return found and found[1]

    @property
    def key(self) -> str | None:
        return self.header("Idempotency-Key")


class CuttingProxy:
    """A proxy before the server at `address`; each of the next requests gets one of `faults` (None for no fault)."""

    def __init__(self, address: str, faults: Iterable[str | None] = (), port: int = 0) -> None:
        url = urlsplit(address)
        self._upstream = (url.hostname or "", url.port or 0)
        self.faults = deque(faults)
        self.arrived: list[Arrived] = []
        self.on_arrival: Callable[[Arrived], object] = lambda request: None
        self._listener = socket.create_server(("127.0.0.1", port))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.port: int = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def changing(self) -> list[Arrived]:
        return [request for request in self.arrived if request.method != "GET"]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection, len(self._open)))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
            while message := _read(stream):
                fault = self._note(message, number)
                if fault == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if fault in LOST:
                    return
                connection.sendall(_cut(self._forward(message), fault))
                if fault is not None:
                    return

    def _note(self, message: bytes, number: int) -> str | None:
        head, _, body = message.partition(b"\r\n\r\n")
        method, target, _ = head.decode("latin-1").split(" ", 2)
        request = Arrived(method, target, head.decode("latin-1") + "\r\n", body, number)
        self.arrived.append(request)
        self.on_arrival(request)
        with contextlib.suppress(IndexError):
            return self.faults.popleft()
        return None

    def _forward(self, message: bytes) -> bytes:
        with socket.create_connection(self._upstream) as upstream, upstream.makefile("rb") as stream:
            upstream.sendall(message)
            return _read(stream)


def _cut(answer: bytes, fault: str | None) -> bytes:
    head = answer.index(b"\r\n\r\n") + 4
    ends = {
        None: len(answer),
        "after": 0,
        "first line": len("HTTP/1."),
        "headers": answer.index(b"\r\n") + len("\r\nSer"),
        "middle": (head + len(answer)) // 2,
    }
    return answer[: ends[fault]]


def _read(stream: BufferedReader) -> bytes:
    """Read one request or answer, nothing at the end of the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return head + stream.read(int(length[1]) if length else 0)


@contextlib.contextmanager
def no_http_server() -> Iterator[str]:
    """Answer one client as a server of another protocol does; yield the address."""

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()
