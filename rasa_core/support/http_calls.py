"""Calls of a JSON interface over HTTP that are carried out once, although they may be sent several times.

A call that got no answer may have been carried out. Sent again as it is, it would be carried out twice; sent again
with its key, to a server that keeps keys, it is not. So a changing call is repeated if

- it cannot have reached the server (the connection was refused), or
- the server keeps keys: its answers about conversations carry their version as ``ETag``, which the server of
  Rasa Core 0.9 does not do. Before the first such answer, the caller looks at the conversation to find out.
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
from urllib.parse import urlencode, urlsplit

from rasa_core.exceptions import ClientError
from rasa_core.support.http import HttpAnswer, HttpTransport, NoAnswerError, without_token

logger = logging.getLogger(__name__)

_SHORTEST_TIMEOUT = 0.05
_version_tag = re.compile(r'(W/)?"[0-9]+"')


class Attempts:
    """The attempts of one request: how many, and after which pauses; exponential backoff with full jitter.

    Before attempt n + 1 there is a pause, evenly distributed from 0 to ``first_delay * 2 ** (n - 1)`` seconds, so
    that clients which failed together do not come back together. (Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015.) The ``Retry`` of urllib3 has no deadline for all attempts, and no seed.

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
        self._retries = retries
        self._end = time.monotonic() + within
        self._first_delay, self._longest_delay = first_delay, longest_delay
        self._rng = rng or random.SystemRandom()

    def timeout(self, usual: float) -> float:
        """Return how long this attempt may wait for the server: `usual`, or what is left of the time, in seconds."""
        if self.number == 1:
            return usual
        return min(usual, max(self._end - time.monotonic(), _SHORTEST_TIMEOUT))

    def again(self, asked: float = 0.0) -> bool:
        """Wait before the next attempt; tell whether there may be one.

        The server may have asked for some seconds: up to the longest pause of them come before the random pause.
        """
        if self.number > self._retries:
            return False
        delay = min(asked, self._longest_delay) + self._rng.uniform(0.0, self.longest_pause())
        if time.monotonic() + delay >= self._end:
            return False
        time.sleep(delay)
        self.number += 1
        return True

    def longest_pause(self) -> float:
        """Return the upper limit of the random pause after this attempt, in seconds."""
        return min(self._first_delay * 2.0 ** min(self.number - 1, 60), self._longest_delay)


def exchange_again(
    transport: HttpTransport, request: Mapping[str, Any], attempts: Attempts, timeout: float
) -> HttpAnswer:
    """Send a request that does no harm if it arrives twice, again where the connection breaks.

    A server that was silent is not asked again. The parts of `request` are those of `HttpTransport.exchange`.
    """
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
        How often the request was sent, or tried to be.
    idempotency_key : str or None
        The key that came with each attempt, None if the request needs none. A request that is repeated
        unchanged with this key is carried out once.
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
    """What is asked of the server.

    Attributes
    ----------
    method, path, query : str, str, mapping
        Where to; the path percent-encoded, the query not.
    body, headers : bytes or None, mapping
        What is sent.
    key : str or None
        Names the call; None if it may be carried out any number of times.
    probe : str or None
        Goes with `key`: a path whose answer to GET shows whether the server keeps keys.
    timeout : float or None
        How long the server may stay silent, in seconds, where that is longer than usual. Such a call is too long to be
        repeated, so it has a connection of its own.
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
    """Why an attempt failed; `passing`: another may not; `unsure`: the call may have been carried out all the same."""

    reason: str
    status: int | None
    passing: bool
    unsure: bool
    retry_after: float = 0.0


class JsonCaller:
    """Makes calls to one server, each of them with retries. Safe to share between threads.

    Parameters
    ----------
    host
        Address of the server, perhaps with a path at which it is mounted; without a scheme, it is ``http``.
    token
        Sent as ``Authorization: Bearer``, and to a server that knows only that, as ``?token=``.
    timeout
        How long the server may stay silent, in seconds.
    **retries
        When to try again; see `Attempts`.
    """

    def __init__(self, host: str, token: str | None, timeout: float, **retries: Any) -> None:
        self.host = host.rstrip("/") if "://" in host else f"http://{host.rstrip('/')}"
        self.token = token
        self.timeout = timeout
        self._url = url = urlsplit(self.host)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.username is not None:
            shown = host.partition("?")[0].rpartition("@")[2]
            raise ValueError(
                f"the address of a server is like http://localhost:5005, without a user name, not {shown!r}."
            )
        self._attempts = partial(Attempts, **retries)
        self._attempts()  # Settings that make no sense are refused now.
        self._keeps_connections = retries.get("retries") != 0
        self._keeps_keys: bool | None = None  # Not known before an answer about a conversation.
        # Spaces at the ends of a token, and control characters, do not come through in a header.
        self._sends_bearer = token is not None and token.isprintable() and token == token.strip()
        self._transport = self._new_transport(token_in_url=not self._sends_bearer)

    def _new_transport(self, token_in_url: bool) -> HttpTransport:
        hidden = urlencode({"token": self.token}) if token_in_url and self.token is not None else ""
        return HttpTransport(self._url, hidden_query=hidden)

    def close(self) -> None:
        """Close the idle connections; the next call opens one."""
        self._transport.close()

    def call(self, call: Call, **retries: Any) -> dict[str, Any]:
        """Make a call, and return the JSON of the answer; `retries` overrules the usual settings.

        Raises
        ------
        RequestError
            If there is no answer that can be read.
        ServerAnswerError
            If the answer is an error.
        """
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
        """Send the request, and anew with the token in the URL if the server seems to look for it only there."""
        answer = self._send(self._transport, call, attempts, self._sends_bearer)
        # A server of Rasa Core 0.9 does not say how to send a token. What it refused for want of one, it has not done.
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
            headers["Authorization"] = f"Bearer {self.token}".encode().decode("latin-1")  # As servers read a header.
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
        """Tell whether a call that may have been carried out may be sent again; ask the server if need be."""
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
            value = json.loads(text)  # A server of Rasa Core 0.9 sends NaN where it was given NaN.
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
        """Return the error that tells what happened, and what may be done."""
        sentences = [f"{call.method} {self.host}{call.path} {failure.reason}"]
        if tries > 1:
            sentences.append(f"That was the last of {tries} attempts.")
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
