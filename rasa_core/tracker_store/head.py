"""The head of a conversation, and what every engine checks before it stores anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rasa_core.exceptions import StoreError, VersionConflictError


class SenderIdError(StoreError, ValueError):
    """The id of a conversation cannot be stored."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the next turn of a conversation needs.

    Parameters
    ----------
    version
        How many events the log holds.
    origin
        Position in the log of the first event that counts.
    fingerprint
        Of the model that computed `state`.
    updated
        When the conversation changed last, Unix time in seconds.
    state
        JSON text, ASCII, of bounded size.
    """

    version: int
    origin: int
    fingerprint: str
    updated: float
    state: str


def check_sender_id(sender_id: str) -> str:
    """Return `sender_id`; raise `SenderIdError` unless it is text that can be written as UTF-8."""
    if not isinstance(sender_id, str):
        raise SenderIdError(f"a sender_id is text, not {type(sender_id).__name__}: use str({sender_id!r:.60}).")
    if not sender_id.isascii():
        try:
            sender_id.encode()
        except UnicodeEncodeError as error:
            raise SenderIdError(f"the sender_id {sender_id[:60]!r} holds half a character: {error.reason}.") from error
    return sender_id


def check_commit(expected_version: int, events: Sequence[str], head: Head) -> None:
    """Raise `StoreError` if the numbers of a commit contradict one another."""
    if head.version != expected_version + len(events) or not 0 <= head.origin <= head.version:
        raise StoreError(
            f"{len(events)} events on version {expected_version} cannot give version {head.version} "
            f"with origin {head.origin}."
        )


def version_conflict(sender_id: str, expected: int, found: int) -> VersionConflictError:
    """Return the error of a commit that came too late."""
    return VersionConflictError(
        f"conversation {sender_id!r} is at version {found}, not {expected}: it changed since it was read. "
        "Read it again, and repeat the change."
    )
