"""The head of a conversation, one row with all that the next turn needs; checks of its numbers and of ids; a cache."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from rasa_core.exceptions import StoreError, VersionConflictError
from rasa_core.trackers import DialogueStateTracker

_MOST_KEPT, _LARGEST_KEPT = 500, 8000  # trackers; characters of a head's state


class SenderIdError(StoreError, ValueError):
    """The id of a conversation cannot be stored."""


class Head(NamedTuple):
    """The row of a conversation that the next turn reads in place of the log.

    Parameters
    ----------
    version
        The number of events in the log.
    origin
        The position in the log of the first event that counts.
    fingerprint
        The fingerprint of the model for which `state` was computed.
    updated
        When the conversation changed last, Unix time in seconds.
    state
        The snapshot of the tracker: JSON text, ASCII, of bounded size.
    """

    version: int
    origin: int
    fingerprint: str
    updated: float
    state: str


def check_sender_id(sender_id: object) -> str:
    """Return `sender_id`; raise `SenderIdError` unless it is text that can be written as UTF-8."""
    if not isinstance(sender_id, str):
        raise SenderIdError(f"a sender_id is text, not {type(sender_id).__name__}: use str({sender_id!r:.60}).")
    if not sender_id.isascii():
        try:
            sender_id.encode()
        except UnicodeEncodeError as error:
            raise SenderIdError(f"the sender_id {sender_id[:60]!r} holds half a character: {error.reason}.") from error
    return sender_id


def conversation_id(sender_id: object) -> str:
    """Return the id of a conversation as text; an int, as some messengers have, becomes its digits."""
    return check_sender_id(str(sender_id) if isinstance(sender_id, int) else sender_id)


def check_commit(expected_version: int, events: Sequence[str], head: Head) -> None:
    """Raise `StoreError` if the numbers of a commit contradict one another."""
    if head.version != expected_version + len(events) or not 0 <= head.origin <= head.version:
        raise StoreError(
            f"{len(events)} events on version {expected_version} cannot give version {head.version} "
            f"with origin {head.origin}."
        )


def version_conflict(sender_id: str, expected: int, found: int) -> VersionConflictError:
    """Return the error of a commit that expected another version than the stored one."""
    return VersionConflictError(
        f"conversation {sender_id!r} is at version {found}, not {expected}: it changed since it was read. "
        "Read it again, and repeat the change."
    )


def closed_error(address: str) -> StoreError:
    """Return the error of an operation on a closed store."""
    return StoreError(f"the tracker store {address} is closed: make a new one.")


def layout_error(address: str, found: object, own: str, other_place: str) -> StoreError:
    """Return the error of a store whose layout is not the one of this version."""
    return StoreError(
        f"the tracker store {address} has layout {found}, and this rasa_core reads layout {own}: it was written by "
        f"another version of rasa_core. Use that version, or another {other_place}."
    )


class TrackerCache:
    """A cache of the trackers of the latest conversations of this process, so that the next turn need not build them.

    A tracker is reused only if the stored head equals the head that was written from it: so the cache stays right when
    another process changes the conversation. A tracker is taken out of the cache for use, and so never has two users.
    Each operation is one step on a dictionary, and needs no lock.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Head, DialogueStateTracker]] = OrderedDict()

    def take(self, sender_id: str, head: Head) -> DialogueStateTracker | None:
        """Take out and return the tracker from which `head` was written; None if the cache does not have it."""
        kept = self._kept.pop(sender_id, None)
        return kept[1] if kept is not None and kept[0] == head else None

    def keep(self, head: Head, tracker: DialogueStateTracker) -> None:
        """Put `tracker`, from which `head` was written, into the cache, unless its state is large."""
        if len(head.state) <= _LARGEST_KEPT:
            tracker.detach()
            self._kept[tracker.sender_id] = head, tracker
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
