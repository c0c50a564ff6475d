"""Deletes old conversations, and reads durations such as ``90d``.

Ids are read a page at a time, and each conversation is deleted under its lock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store.log_store import EventLogStore

_PAGE = 1000
_SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60, "w": 7 * 24 * 60 * 60}
_duration = re.compile(r"([0-9]{1,9})([smhdw])")


class DurationError(StoreError, ValueError):
    """A text is not a duration."""


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration such as ``90d``: a whole number above 0, and s, m, h, d or w.

    Raises
    ------
    DurationError
        If `duration` has another form.
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
    """Yield the ids of a store in ascending order; only one page of them is in memory at a time.

    Parameters
    ----------
    after, idle_since
        As for `EventLogStore.sender_ids`.
    page_size
        The number of ids in a page.
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
    """Delete the conversations that have not changed since a time; return their number.

    A conversation that changes meanwhile is kept. Several processes may do this at once.

    Parameters
    ----------
    idle_since
        Unix time in seconds; conversations whose last change was earlier are deleted.
    page_size
        The number of ids in a page.

    Raises
    ------
    StoreUnavailableError
        If the storage fails; the conversations that were deleted until then stay deleted.
    """
    ids = each_sender_id(store, idle_since=idle_since, page_size=page_size)
    return sum(_expire(store, sender_id, idle_since) for sender_id in ids)


def _expire(store: EventLogStore, sender_id: str, idle_since: float) -> bool:
    with ExitStack() as stack:
        try:
            stack.enter_context(store.lock(sender_id))
        except StoreUnavailableError:
            # The conversation is locked, so it is not idle; or the storage fails, which this read raises.
            store.read_head(sender_id)
            return False
        head = store.read_head(sender_id)  # The conversation may have changed since its id was listed.
        return head is not None and head.updated < idle_since and store.delete(sender_id)
