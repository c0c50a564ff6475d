"""Connections of urllib3; this module is imported with the first request of a process, since most servers send none."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any, Final
from urllib.parse import SplitResult

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

ONCE: Final = Retry(False, redirect=False)

_KEPT_AT_MOST = 100


def pool_for(url: SplitResult, hidden_query: str, *, in_time: bool = False) -> HTTPConnectionPool:
    """Return a pool of connections to a server.

    Parameters
    ----------
    hidden_query
        A query that is added to each request, but does not appear in logs.
    in_time
        Whether the timeout of a request holds for the whole answer, and not only for each part of it.
    """
    is_tls = url.scheme == "https"
    host = (url.hostname or "").encode("idna").decode()
    kind = HTTPSConnectionPool if is_tls else HTTPConnectionPool
    pool = kind(host, url.port, maxsize=_KEPT_AT_MOST, hidden_query=hidden_query, in_time=in_time)
    pool.ConnectionCls = _TlsConnection if is_tls else _Connection
    return pool


class _Connection(HTTPConnection):
    """A connection that adds the hidden query to each target; urllib3, which logs targets, does not see the query."""

    def __init__(self, *args: Any, hidden_query: str = "", in_time: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self._hidden_query = hidden_query
        if in_time:
            self.response_class = _InTime

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        if self._hidden_query:
            url = f"{url}{'&' if '?' in url else '?'}{self._hidden_query}"
        super().putrequest(method, url, *args, **options)


class _InTime(http.client.HTTPResponse):
    """An answer that must be complete within the timeout, so that a server cannot send it one byte at a time."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Until(sock))


class _Until(io.RawIOBase):
    """Reads from a socket; the socket's timeout is the limit for all reads together."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket, self._raw = sock, sock.makefile("rb", buffering=0)
        self._patience = sock.gettimeout()
        self._end = None if self._patience is None else time.monotonic() + self._patience

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            if self._socket.fileno() >= 0:  # Resets the timeout for the next request on this connection.
                self._socket.settimeout(self._patience)
            self._raw.close()
        super().close()


class _TlsConnection(_Connection, HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:  # In the handshake, nothing was sent; urllib3's own error would not say so.
            raise NewConnectionError(self, str(error)) from error
