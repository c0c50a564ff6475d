"""The connections of urllib3, which are loaded when a process sends its first request: most servers never do."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import SplitResult

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

ONCE: Final = Retry(False, redirect=False)

_KEPT_AT_MOST = 100


def pool_for(url: SplitResult, hidden_query: str) -> HTTPConnectionPool:
    """Return connections to a server; the query is added to each request, and to no log."""
    is_tls = url.scheme == "https"
    host = (url.hostname or "").encode("idna").decode()
    kind = HTTPSConnectionPool if is_tls else HTTPConnectionPool
    pool = kind(host, url.port, maxsize=_KEPT_AT_MOST, hidden_query=hidden_query)
    pool.ConnectionCls = _TlsConnection if is_tls else _Connection
    return pool


class _Connection(HTTPConnection):
    """Adds to each target what urllib3, which logs targets, must not see: the token of older servers."""

    def __init__(self, *args: Any, hidden_query: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self._hidden_query = hidden_query

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        if self._hidden_query:
            url = f"{url}{'&' if '?' in url else '?'}{self._hidden_query}"
        super().putrequest(method, url, *args, **options)


class _TlsConnection(_Connection, HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:  # From the handshake; urllib3 would not tell that nothing was sent.
            raise NewConnectionError(self, str(error)) from error
