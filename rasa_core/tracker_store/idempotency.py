"""Idempotent requests: a repeated request with the same key gets the stored answer, and changes nothing again."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from rasa_core.exceptions import IdempotencyKeyError, KeyReusedError, PreconditionError
from rasa_core.tracker_store.base import Conversation, StoredAnswer

_MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class RequestConditions:
    """The conditions under which a request may change a conversation: an idempotency key, and expected versions.

    Parameters
    ----------
    key
        The idempotency key. The first request with a key changes the conversation; every later request with this key
        within a day gets the answer of the first. None for a request without a key.
    request
        Digest of the request, printable ASCII, to detect one key on two different requests.
    versions
        The versions of the conversation at which the change may be made; None for any version.
    """

    key: str | None = None
    request: str = ""
    versions: frozenset[int] | None = None

    def __post_init__(self) -> None:
        """Raise an error for a key that stores cannot keep."""
        key = self.key
        if key is not None and not (0 < len(key) <= _MAX_KEY and key.isascii() and key.isprintable()):
            raise IdempotencyKeyError(
                f"an Idempotency-Key is 1 to {_MAX_KEY} printable ASCII characters, not {key[:80]!r}; use a UUID."
            )

    def check_version(self, sender_id: str, version: int) -> None:
        """Raise `PreconditionError` unless `version` is one of the expected versions."""
        if self.versions is not None and version not in self.versions:
            asked = " or ".join(map(str, sorted(self.versions))) or "none"
            raise PreconditionError(
                f"conversation {sender_id!r} is at version {version}, not {asked}: it has changed. "
                "Read it, decide again, and send the request with the new version."
            )

    def check_request(self, sender_id: str, answer: StoredAnswer) -> None:
        """Raise `KeyReusedError` if `answer` belongs to a different request with the same key."""
        if answer.request != self.request:
            raise KeyReusedError(
                f"the key {self.key!r} came with another request in conversation {sender_id!r}. Repeat a request "
                "unchanged, and give each new one a key of its own."
            )


class RequestResult(NamedTuple):
    """The result of a request.

    Attributes
    ----------
    result : object
        The answer, plain data for JSON.
    version : int
        The version of the conversation after the request.
    """

    result: Any
    version: int


class IdempotentRequest:
    """A request that changes an open conversation under conditions.

    A repeated request waits for the lock of the conversation until the first request is done; then its answer is
    stored.

    Raises
    ------
    KeyReusedError
        If a different request had the same key.
    PreconditionError
        If the conversation is not at an expected version, unless an earlier try of this request has changed it.
    """

    def __init__(self, conversation: Conversation, conditions: RequestConditions | None) -> None:
        self.conversation = conversation
        self.earlier: StoredAnswer | None = None
        self._key: str | None = None
        if conditions is None:
            return
        sender_id = conversation.tracker.sender_id
        self._key, self._request = conditions.key, conditions.request
        if conditions.key is not None:
            # The answer is looked up before the version is checked, since the first of two equal requests changes it.
            self.earlier = conversation.find_answer(conditions.key)
        if self.earlier is not None:
            conditions.check_request(sender_id, self.earlier)
        else:
            conditions.check_version(sender_id, conversation.tracker.version)

    def repeated(self) -> RequestResult | None:
        """Return the stored answer of an earlier try; None if there is no complete answer."""
        earlier = self.earlier
        if earlier is None or not earlier.complete:
            return None
        return RequestResult(json.loads(earlier.text), earlier.version)

    def commit(self, result: object, complete: bool = True) -> RequestResult:
        """Store the changes and, if the request has a key, the answer to it.

        Parameters
        ----------
        result
            The answer, plain data for JSON; a part of it, if it is not complete.
        complete
            Whether the request is done.
        """
        tracker = self.conversation.tracker
        if self._key is None:
            self.conversation.commit()
        else:
            # The time of the first try, so that a repeated try does not keep the answer for longer.
            created = time.time() if self.earlier is None else self.earlier.created
            answer = StoredAnswer(self._key, self._request, tracker.version, complete, created, "")
            self.conversation.commit_answer(answer, result)
            # `earlier` has no text here, which is needed only to repeat an answer.
            self.earlier = answer
        return RequestResult(result, self.conversation.tracker.version)
