"""Sending one HTTP request: returns the answer, or raises an error that tells whether the request may have arrived.

urllib3 manages the connections. Requests are not repeated here, since only the caller knows which may be repeated (see
`rasa_core.support.http_calls`), and redirects are not followed, since a token must not be sent to another server.
Connections go directly to the server: environment variables such as ``http_proxy`` are ignored.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, quote_plus, urlencode, urlsplit

from rasa_core.exceptions import RasaCoreError
from rasa_core.support.work import passed_on
from rasa_core.version import __version__

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

IDLE_LIMIT = 50.0
"""Seconds for which idle connections are kept; load balancers often drop connections that were idle for a minute."""


class NoAnswerError(RasaCoreError):
    """A request got no answer, or an incomplete one.

    `sent` tells whether the request may have reached the server, `passing` whether another attempt may succeed, and
    `timed_out` whether the timeout was exceeded.
    """

    def __init__(self, error: Exception) -> None:
        from urllib3.exceptions import ConnectTimeoutError  # Imported already by the code that raised `error`.

        cause = _cause_of(error)
        super().__init__(str(cause) or type(cause).__name__)
        # In urllib3, a refused connection, an unknown host and a failed handshake are also `ConnectTimeoutError`.
        self.sent = not isinstance(error, ConnectTimeoutError | UnicodeError)
        self.passing = _is_passing(cause)
        self.timed_out = isinstance(cause, TimeoutError)


def server_address(url: str) -> SplitResult | None:
    """Return the parts of an ``http://`` or ``https://`` address of a server; None if a text is no such address."""
    with suppress(ValueError):  # The port is no number up to 65535, or an IPv6 address is incomplete.
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    return None


def without_secrets(address: str) -> str:
    """Return an address without the parts that may be secret: the user, the password, and the query."""
    return re.sub(r"//[^/]*@", "//", address.partition("?")[0])


def _cause_of(error: BaseException) -> BaseException:
    """Return the error of the socket or of the protocol that urllib3 has wrapped."""
    inner = error.__cause__ or next((part for part in error.args if isinstance(part, Exception)), None)
    return error if inner is None else _cause_of(inner)


def _is_passing(error: BaseException) -> bool:
    """Tell whether an error comes from the network, or a server that stops, so that another attempt may succeed."""
    if isinstance(error, ssl.SSLError):
        return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, ConnectionError):
        return not str(error.args[0]).endswith("\n")  # The first line was cut off; a whole line is another protocol.
    return isinstance(error, OSError | http.client.IncompleteRead)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The answer to a request; it is not `whole` if the length of the body is unknown, as its end may be missing."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    whole: bool


class HttpTransport:
    """Connections to the server at `url`. Safe to share between threads, and with forked processes.

    At most `answer_limit` bytes of an answer are read; with such a limit, the timeout holds for the whole answer. The
    `hidden_query` is added to each request, but does not appear in logs.
    """

    def __init__(self, url: SplitResult, answer_limit: int | None = None, hidden_query: str = "") -> None:
        self._url = url
        self._prefix = quote(url.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
        self._answer_limit = answer_limit
        self._hidden_query = hidden_query
        self.close()

    def close(self) -> None:
        """Close the idle connections; the next request opens a new one."""
        self._kept: tuple[int, float, HTTPConnectionPool] | None = None

    def exchange(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout: float,
        reuse: bool = True,
    ) -> HttpAnswer:
        """Send a request once and return the answer, or raise `NoAnswerError`.

        The path must be percent-encoded, the query must not. `timeout` is the time for which the server may send
        nothing, in seconds, or, with an `answer_limit`, the time for the whole answer. With `reuse`, a kept connection
        may be used. The server may close it at the same moment, and then it is unknown whether the request was carried
        out; so `reuse` is only for requests that may be repeated.
        """
        parameters = urlencode(list(query), errors="replace")
        target = self._prefix + path + ("?" if parameters else "") + parameters
        every = {"User-Agent": f"rasa_core/{__version__}", **passed_on(), **headers}
        from urllib3.exceptions import HTTPError

        from rasa_core.support.connections import ONCE

        try:
            pool = self._kept_pool() if reuse else self._new_pool()
            with pool.urlopen(
                method, target, body, every, retries=ONCE, redirect=False, timeout=timeout, preload_content=False
            ) as response:
                told = response.length_remaining is not None or "Transfer-Encoding" in response.headers
                content = response.read(self._answer_limit)
            if not reuse:
                pool.close()
        except (HTTPError, http.client.HTTPException, OSError, UnicodeError) as error:
            raise NoAnswerError(error) from error
        return HttpAnswer(response.status, response.headers, content, whole=told)

    def _kept_pool(self) -> HTTPConnectionPool:
        """Return the pool of this process, or a new pool if it is too old; an old pool is closed when it is unused."""
        now, process = time.monotonic(), os.getpid()
        kept = self._kept
        # A forked process must not use connections of its parent. The age of the whole pool is checked, since no
        # connection in it can have been idle for longer.
        if kept is None or kept[0] != process or now - kept[1] >= IDLE_LIMIT:
            kept = self._kept = process, now, self._new_pool()
        return kept[2]

    def _new_pool(self) -> HTTPConnectionPool:
        from rasa_core.support.connections import pool_for

        return pool_for(self._url, self._hidden_query, in_time=self._answer_limit is not None)


def without_token(text: str, token: str | None) -> str:
    """Return the text of a server or an error with the token removed, which the server may have repeated."""
    return text.replace(token, "<token>").replace(quote_plus(token), "<token>") if token else text
