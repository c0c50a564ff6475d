"""What was answered to requests that came with a key, so that a repeated request gets the same and adds nothing."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from rasa_core.exceptions import IdempotencyKeyError, KeyReusedError, PreconditionError

ANSWERS_KEPT = 24 * 60 * 60.0
"""How long an answer is kept at least, in seconds."""

_MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer that is stored in the same commit as the events that led to it.

    Parameters
    ----------
    key
        What the caller named the request; 1 to 255 characters, unique within the conversation.
    request
        Digest of the request, printable ASCII; the same key with another digest is an error of the caller.
    version
        Version of the conversation when this was stored.
    complete
        False for an answer to a turn that is still under way: what was said so far.
    created
        When it was stored first, Unix time in seconds.
    text
        JSON text, ASCII.
    """

    key: str
    request: str
    version: int
    complete: bool
    created: float
    text: str


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


class StoredAnswers:
    """Answers in the memory of this process, by conversation and key; safe to share between threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._answers: dict[str, dict[str, StoredAnswer]] = {}

    def put(self, sender_id: str, answer: StoredAnswer) -> None:
        """Keep `answer`, in the place of one with its key."""
        with self._guard:
            self._answers.setdefault(sender_id, {})[answer.key] = answer

    def get(self, sender_id: str, key: str) -> StoredAnswer | None:
        """Return the answer with `key`, None if there is none."""
        return self._answers.get(sender_id, {}).get(key)

    def forget(self, sender_id: str) -> None:
        """Remove all answers of a conversation."""
        with self._guard:
            self._answers.pop(sender_id, None)

    def expire(self, before: float) -> int:
        """Remove answers that were created before a Unix time in seconds; return how many."""
        removed = 0
        with self._guard:
            for sender_id, answers in list(self._answers.items()):
                kept = {key: answer for key, answer in answers.items() if answer.created >= before}
                removed += len(answers) - len(kept)
                if kept:
                    self._answers[sender_id] = kept
                else:
                    del self._answers[sender_id]
        return removed
