"""One request and its answer: a change is made once, however often the request for it comes."""

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
    """What a caller asks of a change, besides the change itself.

    Parameters
    ----------
    key
        Names the request. The first request with a key changes the conversation; any other, within a day, gets
        the answer of the first one. None: every request counts.
    request
        Digest of the request, printable ASCII, to notice a key that is used for two different ones.
    versions
        The change is made only if the conversation is at one of these versions; None: at any.
    """

    key: str | None = None
    request: str = ""
    versions: frozenset[int] | None = None

    def __post_init__(self) -> None:
        """Refuse a key that no store could keep."""
        key = self.key
        if key is not None and not (0 < len(key) <= _MAX_KEY and key.isascii() and key.isprintable()):
            raise IdempotencyKeyError(
                f"a key is 1 to {_MAX_KEY} printable ASCII characters, not {key[:80]!r}; use a UUID."
            )

    def check_version(self, sender_id: str, version: int) -> None:
        """Raise `PreconditionError` unless `version` is one that the caller asked for."""
        if self.versions is not None and version not in self.versions:
            asked = " or ".join(map(str, sorted(self.versions))) or "none"
            raise PreconditionError(
                f"conversation {sender_id!r} is at version {version}, not {asked}: it has changed. "
                "Read it, decide again, and send the request with the new version."
            )

    def check_request(self, sender_id: str, answer: StoredAnswer) -> None:
        """Raise `KeyReusedError` if `answer` was given to another request."""
        if answer.request != self.request:
            raise KeyReusedError(
                f"the key {self.key!r} came with another request in conversation {sender_id!r}. Repeat a request "
                "unchanged, and give each new one a key of its own."
            )


class RequestResult(NamedTuple):
    """What a request led to.

    Attributes
    ----------
    result : object
        JSON-able.
    version : int
        Of the conversation, after the request.
    """

    result: Any
    version: int


class IdempotentRequest:
    """A change of a conversation while its lock is held, under the conditions of who asked for it.

    The lock is what lets a repeated request wait for the first one: when it gets the lock, the answer is stored.

    Raises
    ------
    KeyReusedError
        If the key came with another request before.
    PreconditionError
        If the conversation is at another version than was asked for, and the request did not make it so itself.
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
            # Before the version is compared: the first of two equal requests has moved it on itself.
            self.earlier = conversation.find_answer(conditions.key)
        if self.earlier is not None:
            conditions.check_request(sender_id, self.earlier)
        else:
            conditions.check_version(sender_id, conversation.tracker.version)

    def repeated(self) -> RequestResult | None:
        """Return the answer that was given before, None if there is none that is complete."""
        earlier = self.earlier
        if earlier is None or not earlier.complete:
            return None
        return RequestResult(json.loads(earlier.text), earlier.version)

    def commit(self, result: object, complete: bool = True) -> RequestResult:
        """Store the changes and, if the request has a key, the answer to it.

        Parameters
        ----------
        result
            The answer, JSON-able; as far as it goes, if it is not complete.
        complete
            Whether the request is done with.
        """
        tracker = self.conversation.tracker
        if self._key is None:
            self.conversation.commit()
        else:
            # The time of the first attempt: a request that is taken up again is not remembered for longer.
            created = time.time() if self.earlier is None else self.earlier.created
            answer = StoredAnswer(self._key, self._request, tracker.version, complete, created, "")
            self.conversation.commit_answer(answer, result)
            # Its text is not needed: whoever commits goes on with this request, and does not repeat it.
            self.earlier = answer
        return RequestResult(result, self.conversation.tracker.version)
