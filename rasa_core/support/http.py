"""Requests over HTTP: connections that are kept open, the ways a request can fail, and when to try again.

`HttpTransport` sends a request once, and returns the answer or raises `NoAnswerError`, which tells whether the
request may have arrived. `RetryPolicy` and `Attempts` say whether and when another attempt begins. What may be
repeated at all, only the caller knows.

Connections go straight to the server: ``http_proxy`` and the like are not looked at.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import selectors
import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, quote_plus

from rasa_core.exceptions import RasaCoreError

IDLE_LIMIT = 50.0
"""How long a connection may be idle and still be used, in seconds; balancers tend to forget it after a minute."""

_SHORTEST_TIMEOUT = 0.05
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)

Idle = deque[tuple[int, float, http.client.HTTPConnection]]


class NoAnswerError(RasaCoreError):
    """A request got no answer, or only a part of one.

    Attributes
    ----------
    sent : bool
        Whether the request may have reached the server.
    passing : bool
        Whether another attempt may fare better.
    timed_out : bool
        Whether the server was silent for too long.
    """

    def __init__(self, error: Exception, sent: bool) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.sent = sent
        self.passing = _is_passing(error)
        self.timed_out = isinstance(error, TimeoutError)


def _is_passing(error: Exception) -> bool:
    """Tell an error of the network, or of a server that goes away, from one that would come again."""
    if isinstance(error, ssl.SSLError):
        return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, ConnectionError):
        return not str(error.args[0]).endswith("\n")  # A first line that was cut; a whole one is another protocol.
    return isinstance(error, OSError | http.client.IncompleteRead)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is sent.

    Attributes
    ----------
    method : str
        ``GET``, ``POST`` ...
    target : str
        Path and query, percent-encoded.
    headers : mapping of str to str
        Its headers.
    body : bytes or None
        None if there is none.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back.

    Attributes
    ----------
    status : int
        The HTTP status.
    headers : http.client.HTTPMessage
        Its headers.
    content : bytes
        Its body.
    whole : bool
        False if nothing says how long the body is: a connection that broke then looks like the end of it.
    """

    status: int
    headers: http.client.HTTPMessage
    content: bytes
    whole: bool

    @property
    def retry_after(self) -> float:
        """After how many seconds the server wants to be asked again; 0.0 if it does not say so in seconds."""
        said = self.headers.get("Retry-After", "").strip()
        return float(said) if said.isascii() and said.isdigit() else 0.0


class HttpTransport:
    """Connections to one server. Safe to share between threads, and with processes that are forked.

    A connection serves one request at a time, so that there are as many as threads that ask at once. One that the
    server has closed meanwhile, that was idle for long, or that belongs to the process before a fork is not used.

    Parameters
    ----------
    url
        Address of the server: scheme, host, and perhaps a path at which it is mounted.
    answer_limit
        How much of an answer is read, in bytes; None for all of it.
    """

    def __init__(self, url: SplitResult, answer_limit: int | None = None) -> None:
        self.prefix = quote(url.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
        self._class = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = url.hostname or "", url.port
        self._answer_limit = answer_limit
        self._idle: Idle = deque()
        weakref.finalize(self, _close_all, self._idle)

    def close(self) -> None:
        """Close the idle connections; the next request opens one."""
        _close_all(self._idle)

    def exchange(self, request: HttpRequest, *, timeout: float, reuse: bool = True) -> HttpAnswer:
        """Send a request once, and return the answer to it.

        Parameters
        ----------
        request
            What to send.
        timeout
            How long the server may stay silent, in seconds.
        reuse
            Whether a kept connection may be used. The server may close it in the same moment, and then nobody
            knows what became of the request; so this is for requests that may be repeated.

        Raises
        ------
        NoAnswerError
            If there is no answer, or not all of it.
        """
        connection = (self._kept(timeout) if reuse else None) or self._connect(timeout)
        try:
            connection.request(request.method, request.target, request.body, dict(request.headers))
            response = connection.getresponse()
            answer = self._read(response)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            connection.close()
            raise NoAnswerError(error, sent=True) from error
        except BaseException:
            connection.close()
            raise
        if reuse and response.isclosed() and connection.sock is not None:
            self._idle.append((os.getpid(), time.monotonic(), connection))
        else:
            connection.close()
        return answer

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        connection = self._class(self._host, self._port, timeout=timeout)
        try:
            connection.connect()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            connection.close()
            raise NoAnswerError(error, sent=False) from error
        return connection

    def _kept(self, timeout: float) -> http.client.HTTPConnection | None:
        """Return an idle connection that can be used, None if there is none."""
        while True:
            try:
                process, since, connection = self._idle.pop()
            except IndexError:
                return None
            fresh = process == os.getpid() and time.monotonic() - since < IDLE_LIMIT
            if fresh and connection.sock is not None and not _has_input(connection.sock):
                connection.timeout = timeout
                connection.sock.settimeout(timeout)
                return connection
            connection.close()

    def _read(self, response: http.client.HTTPResponse) -> HttpAnswer:
        limit = self._answer_limit
        content = response.read() if limit is None else response.read(limit)
        missing = response.length
        if missing and (limit is None or len(content) < limit):
            raise http.client.IncompleteRead(content, missing)
        whole = response.chunked or missing is not None
        return HttpAnswer(response.status, response.headers, content, whole)


def _has_input(connection: socket.socket) -> bool:
    """Tell whether there is something to read; on an idle connection, that is its end."""
    with _Selector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(0))


def _close_all(connections: Idle) -> None:
    with contextlib.suppress(IndexError):
        while True:
            connections.pop()[2].close()


def without_token(text: str, token: str | None) -> str:
    """Return `text` of a server or of an error, in which the token may have been repeated, without it."""
    if not token:
        return text
    return text.replace(token, "<token>").replace(quote_plus(token), "<token>")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after how long, to try again: exponential backoff with full jitter.

    Before attempt n + 1 there is a pause, evenly distributed from 0 to ``first_delay * 2 ** (n - 1)`` seconds, so
    that clients which failed together do not come back together. (Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015.)

    Parameters
    ----------
    retries
        How many attempts may follow the first one.
    within
        No attempt begins, or waits for the server, longer than this after the first one began, in seconds.
    first_delay, longest_delay
        Upper limit of the first pause, and of all pauses, in seconds.
    rng
        Where chance comes from. Not given: from the system, which differs between forked processes.
    """

    retries: int = 5
    within: float = 60.0
    first_delay: float = 0.25
    longest_delay: float = 10.0
    rng: random.Random = field(default_factory=random.SystemRandom)

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name in ("retries", "within", "first_delay", "longest_delay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is a number from 0 on, not {getattr(self, name)!r}.")

    def delay(self, attempt: int, asked: float = 0.0) -> float:
        """Return how long to wait after an attempt, in seconds.

        Parameters
        ----------
        attempt
            Its number, from 1.
        asked
            How long the server wants us to wait; up to `longest_delay` of it comes before the random pause.
        """
        highest = min(self.first_delay * 2.0 ** min(attempt - 1, 60), self.longest_delay)
        return min(asked, self.longest_delay) + self.rng.uniform(0.0, highest)


class Attempts:
    """The attempts of one request, under a policy.

    Attributes
    ----------
    number : int
        Which attempt this is, from 1.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self.number = 1
        self._policy = policy
        self._end = time.monotonic() + policy.within

    def timeout(self, usual: float) -> float:
        """Return how long this attempt may wait for the server: `usual`, or what is left of the time, in seconds."""
        if self.number == 1:
            return usual
        return min(usual, max(self._end - time.monotonic(), _SHORTEST_TIMEOUT))

    def again(self, asked: float = 0.0) -> bool:
        """Wait before the next attempt, for at least the seconds `asked`; tell whether there may be one."""
        if self.number > self._policy.retries:
            return False
        delay = self._policy.delay(self.number, asked)
        if time.monotonic() + delay >= self._end:
            return False
        time.sleep(delay)
        self.number += 1
        return True
