"""How long conversations are kept: durations as people write them, and deleting what is older.

Nothing here holds more than a page of ids, and nothing is deleted but under the lock of its conversation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rasa_core.exceptions import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from rasa_core.tracker_store.log_store import EventLogStore

_PAGE = 1000
_SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60, "w": 7 * 24 * 60 * 60}
_duration = re.compile(r"([0-9]{1,9})([smhdw])")


class DurationError(StoreError, ValueError):
    """Text is not a duration."""


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration such as ``90d``: a whole number above 0, and s, m, h, d or w.

    Raises
    ------
    DurationError
        If `duration` is something else.
    """
    found = _duration.fullmatch(duration.strip())
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not seconds:
        raise DurationError(
            f"{duration[:60]!r} is not a duration: write a whole number above 0 and its unit, as in 45s, 30m, 12h, "
            "90d or 2w (seconds, minutes, hours, days, weeks)."
        )
    return float(seconds)


def each_sender_id(
    store: EventLogStore, after: str | None = None, *, idle_since: float | None = None, page_size: int = _PAGE
) -> Iterator[str]:
    """Yield the ids of a store in ascending order, of which no more than a page is held at a time.

    Parameters
    ----------
    after, idle_since
        As for `EventLogStore.sender_ids`.
    page_size
        How many ids are asked for at once.
    """
    page = store.sender_ids(after, page_size, idle_since=idle_since)
    while page:
        yield from page
        page = store.sender_ids(page[-1], page_size, idle_since=idle_since)


def delete_conversation(store: EventLogStore, sender_id: str) -> bool:
    """Delete a conversation under its lock, with its log and its answers; return whether there was one."""
    with store.lock(sender_id):
        return store.delete(sender_id)


def expire_conversations(store: EventLogStore, idle_since: float, *, page_size: int = _PAGE) -> int:
    """Delete the conversations that have not changed since a time; return how many that were.

    One that changes meanwhile is kept. Several processes may do this at once.

    Parameters
    ----------
    idle_since
        Unix time in seconds: what changed last before it is deleted.
    page_size
        How many ids are held at a time.

    Raises
    ------
    StoreUnavailableError
        If the storage fails; what was deleted until then stays deleted.
    """
    ids = each_sender_id(store, idle_since=idle_since, page_size=page_size)
    return sum(_expire(store, sender_id, idle_since) for sender_id in ids)


def _expire(store: EventLogStore, sender_id: str, idle_since: float) -> bool:
    with ExitStack() as stack:
        try:
            stack.enter_context(store.lock(sender_id))
        except StoreUnavailableError:
            # Somebody works on it, and it is not idle then; or the storage fails, and this will tell.
            store.read_head(sender_id)
            return False
        head = store.read_head(sender_id)  # It may have changed since it was listed.
        return head is not None and head.updated < idle_since and store.delete(sender_id)
