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
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from rasa_core.exceptions import ClientError
from rasa_core.support.http import (
    Attempts,
    HttpAnswer,
    HttpRequest,
    HttpTransport,
    NoAnswerError,
    RetryPolicy,
    without_token,
)

logger = logging.getLogger(__name__)

MAX_KEY = 255
_version_tag = re.compile(r'(W/)?"[0-9]+"')


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
    """The server answered with an error.

    Attributes
    ----------
    status : int
        The HTTP status.
    """

    status: int


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of the server.

    Attributes
    ----------
    method, path, query : str, str, mapping
        Where to; the path percent-encoded, the query not.
    body, content_type : bytes or None, str
        What is sent.
    key : str or None
        Names the call; None if it may be carried out any number of times.
    expected_version : int or None
        The only version of the conversation on which the call is to be carried out.
    probe : Call or None
        Changes nothing, and shows by its answer whether the server keeps keys; goes with `key`.
    timeout : float or None
        How long the server may stay silent, in seconds, where that is longer than usual. Such a call is too long to be
        repeated, so it has a connection of its own.
    """

    method: str
    path: str
    body: bytes | None = None
    content_type: str = "application/json"
    query: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    expected_version: int | None = None
    probe: Call | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        """Refuse a key that no server could keep."""
        key = self.key
        if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
            raise ValueError(f"a key is 1 to {MAX_KEY} printable ASCII characters, not {key[:80]!r}; use a UUID.")

    def headers(self) -> dict[str, str]:
        """Return the headers of the request."""
        found = {"Accept": "application/json"}
        if self.body is not None:
            found["Content-Type"] = self.content_type
        if self.key is not None:
            found["Idempotency-Key"] = self.key
        if self.expected_version is not None:
            found["If-Match"] = f'"{self.expected_version}"'
        return found


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
        Sent as ``?token=``; never shown in errors or logs.
    timeout
        How long the server may stay silent, in seconds.
    policy
        When to try again.
    """

    def __init__(self, host: str, token: str | None, timeout: float, policy: RetryPolicy) -> None:
        self.host = host.rstrip("/") if "://" in host else f"http://{host.rstrip('/')}"
        self.token = token
        self.timeout = timeout
        url = urlsplit(self.host)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.username is not None:
            shown = host.partition("?")[0].rpartition("@")[2]
            raise ValueError(
                f"the address of a server is like http://localhost:5005, without a user name, not {shown!r}."
            )
        self._policy = policy
        self._transport = HttpTransport(url)
        self._keeps_keys: bool | None = None  # Not known before an answer about a conversation.

    def close(self) -> None:
        """Close the idle connections; the next call opens one."""
        self._transport.close()

    def call(self, call: Call, policy: RetryPolicy | None = None) -> Any:
        """Make a call, and return the JSON of the answer.

        Raises
        ------
        RequestError
            If there is no answer that can be read.
        ServerAnswerError
            If the answer is an error.
        """
        attempts = Attempts(policy or self._policy)
        tries, unsure = 0, False
        while True:
            outcome = self._attempt(call, attempts)
            tries += 1
            if not isinstance(outcome, _Failure):
                return outcome
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
        parameters = dict(call.query) | ({} if self.token is None else {"token": self.token})
        target = f"{self._transport.prefix}{call.path}" + (f"?{urlencode(parameters)}" if parameters else "")
        request = HttpRequest(call.method, target, call.headers(), call.body)
        reuse = self._policy.retries > 0 and (call.key is None or self._keeps_keys is True) and call.timeout is None
        return self._transport.exchange(request, timeout=attempts.timeout(call.timeout or self.timeout), reuse=reuse)

    def _may_repeat(self, call: Call, attempts: Attempts) -> bool:
        """Tell whether a call that may have been carried out may be sent again; ask the server if need be."""
        if call.probe is None:
            return True
        while self._keeps_keys is None:
            outcome = self._attempt(call.probe, attempts)
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
            value = json.loads(text)
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
        return _Failure(f"answered {status}: {shown}", status, passing, unsure=passing, retry_after=answer.retry_after)

    def _error(self, call: Call, failure: _Failure, tries: int, unsure: bool) -> RequestError:
        sentences = [f"{call.method} {self.host}{call.path} {failure.reason}"]
        if tries > 1:
            sentences.append(f"That was the last of {tries} attempts.")
        if unsure and call.key is not None:
            sentences.append(f"The request may or may not have been carried out; {self._advice(call.key)}")
        if failure.status is None or failure.status < 300 or len(sentences) > 1:
            sentences[0] = sentences[0].rstrip(".") + "."
        message = " ".join(sentences)
        if failure.status is not None and failure.status >= 300:
            return ServerAnswerError(message, failure.status, tries, call.key)
        return RequestError(message, failure.status, tries, call.key)

    def _advice(self, key: str) -> str:
        if self._keeps_keys is False:
            return "this server keeps no keys, so look at the conversation before you repeat it."
        safe = f"to repeat it with idempotency_key={key!r} is safe"
        return f"{safe}." if self._keeps_keys else f"{safe} if the server keeps keys, as Rasa Core 1.0 does."
