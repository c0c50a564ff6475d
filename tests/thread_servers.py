"""HTTP servers of the standard library that run in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import TCPServer
from typing import Any


def silent(*args: Any) -> None:
    """Write no line for a request, as the ``log_message`` of a request handler."""


@contextmanager
def running(server: TCPServer, path: str = "") -> Iterator[str]:
    """Run a server while the block runs, and give the address of `path` on it; close it then."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{path}"
        finally:
            server.shutdown()
            thread.join()
