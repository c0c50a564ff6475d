"""Calls of a JSON API over HTTP that are carried out once, although a request may be sent several times.

A call without an answer may have been carried out. If the request were simply sent again, it could be carried out
twice; if it has an idempotency key, and the server supports keys, it is not. So a call that changes something is
repeated only if

- the request cannot have reached the server (the connection was refused), or
- the server supports keys. Such a server sends the version of a conversation as ``ETag``, which the server of
  Rasa Core 0.9 does not do. Before the first such answer, the client reads the conversation to find out.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

from rasa_core.exceptions import ClientError
from rasa_core.support.http import HttpAnswer, HttpTransport, NoAnswerError, server_address, without_token

logger = logging.getLogger(__name__)

_SHORTEST_TIMEOUT = 0.05
_version_tag = re.compile(r'(W/)?"[0-9]+"')


class Attempts:
    """The attempts of one request: their number, and the pauses between them; exponential backoff with full jitter.

    Before attempt n + 1 there is a pause, evenly distributed from 0 to ``first_delay * 2 ** (n - 1)`` seconds, so
    that clients that failed together do not retry together. (Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015.) urllib3's own ``Retry`` has no timeout for all attempts, and no seed.

    Parameters
    ----------
    retries
        How many attempts may follow the first one.
    within
        Total timeout of all attempts, in seconds from the start of the first one.
    first_delay, longest_delay
        Upper limit of the first pause, and of all pauses, in seconds.
    rng
        The random numbers; by default the system's, which differ between forked processes.
    """

    def __init__(
        self,
        retries: int = 5,
        within: float = 60.0,
        first_delay: float = 0.25,
        longest_delay: float = 10.0,
        rng: random.Random | None = None,
    ) -> None:
        settings = {"retries": retries, "within": within, "first_delay": first_delay, "longest_delay": longest_delay}
        for name, value in settings.items():
            if not value >= 0:
                raise ValueError(f"{name} is a number from 0 on, not {value!r}.")
        self.number = 1
        self._retries, self._first_delay, self._longest_delay = retries, first_delay, longest_delay
        self._end = time.monotonic() + within
        self._rng = rng or random.SystemRandom()

    def timeout(self, usual: float) -> float:
        """Return the timeout of this attempt in seconds: `usual`, or the rest of the total timeout if it is less."""
        if self.number == 1:
            return usual
        return min(usual, max(self._end - time.monotonic(), _SHORTEST_TIMEOUT))

    def again(self, asked: float = 0.0) -> bool:
        """Wait before the next attempt, and return True; return False if there may be no further attempt.

        `asked` is the time in seconds that the server asks to wait; up to `longest_delay` of it is added to the pause.
        """
        if self.number > self._retries:
            return False
        highest = min(self._first_delay * 2.0 ** min(self.number - 1, 60), self._longest_delay)
        delay = min(asked, self._longest_delay) + self._rng.uniform(0.0, highest)
        if time.monotonic() + delay >= self._end:
            return False
        time.sleep(delay)
        self.number += 1
        return True


def exchange_again(
    transport: HttpTransport, request: Mapping[str, Any], attempts: Attempts, timeout: float
) -> HttpAnswer:
    """Send a request that may be carried out twice; repeat it if the connection breaks, but not after a timeout."""
    while True:
        try:
            return transport.exchange(**request, timeout=attempts.timeout(timeout))
        except NoAnswerError as error:
            if error.timed_out or not error.passing or not attempts.again():
                raise


class RequestError(ClientError):
    """A request failed, after all attempts.

    Attributes
    ----------
    status : int or None
        The HTTP status of the last answer, None if the last attempt got none.
    attempts : int
        The number of attempts to send the request.
    idempotency_key : str or None
        The idempotency key of all attempts; None if the request needs none. If the unchanged request is sent again with
        this key, it is carried out only once.
    """

    def __init__(
        self, message: str, status: int | None = None, attempts: int = 1, idempotency_key: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.attempts = attempts
        self.idempotency_key = idempotency_key


class ServerAnswerError(RequestError):
    """The server answered with an error, whose HTTP status is `status`."""

    status: int


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the server; the path is percent-encoded, the query is not.

    Attributes
    ----------
    key : str or None
        The idempotency key; None if the request may be carried out several times.
    probe : str or None
        With a `key`, a path whose answer to GET shows whether the server supports keys.
    timeout : float or None
        Timeout in seconds, if it is longer than usual. Such a request takes too long to be repeated, so it is sent on a
        new connection.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    probe: str | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an attempt failed; `passing`: another attempt may succeed; `unsure`: the call may have been carried out."""

    reason: str
    status: int | None
    passing: bool
    unsure: bool
    retry_after: float = 0.0


class JsonCaller:
    """Makes calls to the server at `host`, with retries as in `Attempts`. Safe to share between threads.

    The token is sent in the header ``Authorization``, or in the URL if the server only accepts that. `timeout` is the
    time for which the server may send nothing, in seconds.
    """

    def __init__(self, host: str, token: str | None, timeout: float, **retries: Any) -> None:
        self.host = host.rstrip("/") if "://" in host else f"http://{host.rstrip('/')}"
        self.token = token
        self.timeout = timeout
        url = server_address(self.host)
        if url is None or url.query or url.username is not None:
            shown = host.partition("?")[0].rpartition("@")[2]
            raise ValueError(
                f"the address of a server is like http://localhost:5005, without a user name, not {shown!r}."
            )
        self._url = url
        self._attempts = partial(Attempts, **retries)
        self._attempts()  # Raises an error for invalid settings now.
        self._keeps_connections = retries.get("retries") != 0
        self._keeps_keys: bool | None = None  # Whether the server supports keys; unknown at first.
        # A header cannot carry control characters, or spaces at the ends of a token.
        self._sends_bearer = token is not None and token.isprintable() and token == token.strip()
        self._transport = self._new_transport(token_in_url=not self._sends_bearer)

    def _new_transport(self, token_in_url: bool) -> HttpTransport:
        hidden = urlencode({"token": self.token}) if token_in_url and self.token is not None else ""
        return HttpTransport(self._url, hidden_query=hidden)

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        self._transport.close()

    def call(self, call: Call, **retries: Any) -> dict[str, Any]:
        """Make a call, and return the JSON of the answer, or raise `RequestError`; `retries` override the settings."""
        attempts = self._attempts(**retries)
        tries, unsure = 0, False
        while True:
            outcome = self._attempt(call, attempts)
            tries += 1
            if not isinstance(outcome, _Failure):
                found: dict[str, Any] = outcome
                return found
            unsure = unsure or outcome.unsure
            if not outcome.passing or not attempts.again(outcome.retry_after):
                raise self._error(call, outcome, tries, unsure)
            if unsure and not self._may_repeat(call, attempts):
                raise self._error(call, outcome, tries, unsure)
            logger.warning("%s %s %s; it is sent again.", call.method, self.host + call.path, outcome.reason)

    def _attempt(self, call: Call, attempts: Attempts) -> Any:
        """Send the request once; return the JSON of the answer, or a `_Failure`."""
        try:
            answer = self._exchange(call, attempts)
        except NoAnswerError as error:
            reason = f"got no answer: {without_token(str(error), self.token)}"
            return _Failure(reason, None, error.passing, error.sent)
        outcome = self._read(answer)
        if _version_tag.fullmatch(answer.headers.get("ETag", "").strip()):
            self._keeps_keys = True
        elif call.key is not None and not isinstance(outcome, _Failure):
            self._keeps_keys = False
        return outcome

    def _exchange(self, call: Call, attempts: Attempts) -> HttpAnswer:
        """Send the request; if the server seems to accept a token only in the URL, send it again in this way."""
        answer = self._send(self._transport, call, attempts, self._sends_bearer)
        # A server of Rasa Core 0.9 answers 401 without WWW-Authenticate. The refused request was not carried out.
        if answer.status == 401 and self._sends_bearer and "WWW-Authenticate" not in answer.headers:
            transport = self._new_transport(token_in_url=True)
            answer = self._send(transport, call, attempts, bearer=False)
            if answer.status != 401:
                self._transport, self._sends_bearer = transport, False
        return answer

    def _send(self, transport: HttpTransport, call: Call, attempts: Attempts, bearer: bool) -> HttpAnswer:
        headers = {"Accept": "application/json", **call.headers}
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        if bearer:
            headers["Authorization"] = f"Bearer {self.token}".encode().decode("latin-1")  # Sent as UTF-8 bytes.
        may_be_repeated = call.timeout is None and (call.key is None or self._keeps_keys is True)
        return transport.exchange(
            call.method,
            call.path,
            headers=headers,
            query=call.query.items(),
            body=call.body,
            timeout=attempts.timeout(call.timeout or self.timeout),
            reuse=self._keeps_connections and may_be_repeated,
        )

    def _may_repeat(self, call: Call, attempts: Attempts) -> bool:
        """Tell whether a call that may have been carried out may be sent again; ask the server if this is unknown."""
        if call.probe is None:
            return True
        while self._keeps_keys is None:
            outcome = self._attempt(Call("GET", call.probe, query={"events": "false"}), attempts)
            if not isinstance(outcome, _Failure):
                self._keeps_keys = self._keeps_keys is True
            elif not outcome.passing or not attempts.again(outcome.retry_after):
                return False
        return self._keeps_keys

    def _read(self, answer: HttpAnswer) -> Any:
        """Return the JSON in an answer, or a `_Failure`."""
        text = answer.content.decode("utf-8", "replace")
        status = answer.status
        try:
            value = json.loads(text)  # Not the strict decoder, since a server of Rasa Core 0.9 may send NaN.
        except (ValueError, RecursionError):
            value = None
            if status < 300:
                shown = without_token(text, self.token)[:200]
                if not answer.whole:
                    return _Failure(f"got an answer that broke off: {shown!r}", status, passing=True, unsure=True)
                reason = f"answered with something that is not JSON: {shown!r}"
                return _Failure(reason, status, passing=False, unsure=False)
        if status < 300:
            return value
        said = value.get("error") if isinstance(value, dict) else None
        shown = without_token(str(said or text), self.token)[:1000]
        passing = status >= 500 and status != 501
        asked = answer.headers.get("Retry-After", "").strip()
        seconds = float(asked) if asked.isascii() and asked.isdigit() else 0.0
        return _Failure(f"answered {status}: {shown}", status, passing, unsure=passing, retry_after=seconds)

    def _error(self, call: Call, failure: _Failure, tries: int, unsure: bool) -> RequestError:
        """Return the error with the reason and the remedy."""
        sentences = [f"{call.method} {self.host}{call.path} {failure.reason}"]
        if tries > 1:
            sentences.append(f"That was the last of {tries} attempts.")
        if failure.status is None and not unsure:
            sentences.append("Check that the server runs, and that its address is right.")
        if unsure and call.key is not None:
            sentences.append(f"The request may or may not have been carried out; {self._advice(call.key)}")
        if failure.status is None or failure.status < 300 or len(sentences) > 1:
            sentences[0] = sentences[0].rstrip(".") + "."
        refused = failure.status is not None and failure.status >= 300
        kind = ServerAnswerError if refused else RequestError
        return kind(" ".join(sentences), failure.status, tries, call.key)

    def _advice(self, key: str) -> str:
        if self._keeps_keys is False:
            return "this server keeps no keys, so look at the conversation before you repeat it."
        safe = f"to repeat it with idempotency_key={key!r} is safe"
        return f"{safe}." if self._keeps_keys else f"{safe} if the server keeps keys, as Rasa Core 1.0 does."
