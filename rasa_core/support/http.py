"""One request over HTTP: the answer to it, or an error that tells whether it may have arrived.

urllib3 holds the connections. It repeats no request, since only the caller knows what may be repeated (see
`rasa_core.support.http_calls`), and follows no redirect, since a token must not go where it leads.
Connections go straight to the server: ``http_proxy`` and the like are not looked at.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, quote_plus, urlencode

from rasa_core.exceptions import RasaCoreError
from rasa_core.support.work import passed_on
from rasa_core.version import __version__

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

IDLE_LIMIT = 50.0
"""How long connections are kept, in seconds; balancers tend to forget one that was idle for a minute."""


class NoAnswerError(RasaCoreError):
    """A request got no answer, or only a part of one.

    `sent` tells whether it may have reached the server, `passing` whether another attempt may fare better, and
    `timed_out` whether the server was silent for too long.
    """

    def __init__(self, error: Exception) -> None:
        from urllib3.exceptions import ConnectTimeoutError  # Loaded, as whatever raised the error has loaded it.

        cause = _cause_of(error)
        super().__init__(str(cause) or type(cause).__name__)
        # A refused connection, an unknown host, and a handshake that fails are errors of connecting for urllib3.
        self.sent = not isinstance(error, ConnectTimeoutError | UnicodeError)
        self.passing = _is_passing(cause)
        self.timed_out = isinstance(cause, TimeoutError)


def without_secrets(address: str) -> str:
    """Return an address without what may be secret in it: the user, the password, and the parameters."""
    return re.sub(r"//[^/]*@", "//", address.partition("?")[0])


def _cause_of(error: BaseException) -> BaseException:
    """Return what urllib3 has wrapped: the error of the socket or of the protocol."""
    inner = error.__cause__ or next((part for part in error.args if isinstance(part, Exception)), None)
    return error if inner is None else _cause_of(inner)


def _is_passing(error: BaseException) -> bool:
    """Tell an error of the network, or of a server that goes away, from one that would come again."""
    if isinstance(error, ssl.SSLError):
        return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, ConnectionError):
        return not str(error.args[0]).endswith("\n")  # A first line that was cut; a whole one is another protocol.
    return isinstance(error, OSError | http.client.IncompleteRead)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back; not `whole` if nothing tells the length of the body, so that its end may be missing."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    whole: bool


class HttpTransport:
    """Connections to the server at `url`, safe to share between threads, and with processes that are forked.

    No more than `answer_limit` bytes of an answer are read, and where there is a limit, for as long as its timeout.
    The `hidden_query` is added to each request, and to no log.
    """

    def __init__(self, url: SplitResult, answer_limit: int | None = None, hidden_query: str = "") -> None:
        self._url = url
        self._prefix = quote(url.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
        self._answer_limit = answer_limit
        self._hidden_query = hidden_query
        self.close()

    def close(self) -> None:
        """Close the idle connections; the next request opens one."""
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

        The path is percent-encoded, the query not; the server may stay silent for `timeout` seconds, or if there is a
        limit of its answers, has that long for the whole of one. With `reuse`, a
        kept connection may be used. The server may close it in the same moment, and then nobody knows what became
        of the request; so this is for requests that may be repeated.
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
        """Return connections of this process that have not been idle for long; those of old are closed when unused."""
        now, process = time.monotonic(), os.getpid()
        kept = self._kept
        # A forked process must not write into connections of its parent. The age is that of the whole pool: no
        # connection in it can have been idle for longer.
        if kept is None or kept[0] != process or now - kept[1] >= IDLE_LIMIT:
            kept = self._kept = process, now, self._new_pool()
        return kept[2]

    def _new_pool(self) -> HTTPConnectionPool:
        from rasa_core.support.connections import pool_for

        return pool_for(self._url, self._hidden_query, in_time=self._answer_limit is not None)


def without_token(text: str, token: str | None) -> str:
    """Return `text` of a server or of an error, in which the token may have been repeated, without it."""
    return text.replace(token, "<token>").replace(quote_plus(token), "<token>") if token else text
