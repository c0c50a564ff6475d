"""One request and its answer: made once, however often the request comes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from rasa_core.tracker_store.answers import RequestConditions, StoredAnswer
from rasa_core.tracker_store.base import as_json

if TYPE_CHECKING:
    from rasa_core.tracker_store.conversation import Conversation


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
            created = time.time() if self.earlier is None else self.earlier.created
            text = as_json(result, "answer to", tracker.sender_id)
            answer = StoredAnswer(self._key, self._request, tracker.version, complete, created, text)
            self.conversation.commit(answer)
            self.earlier = answer
        return RequestResult(result, self.conversation.tracker.version)
