"""The rows of logs, as events; a row that holds none is told of with where it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from rasa_core.events import Event
from rasa_core.exceptions import StoreError

ReadRow = Callable[[str], Event]


class RowError(StoreError):
    """A row of a log holds no event."""


def event_in(row: str) -> Event:
    """Return the event that a row of a log holds; raise `ValueError`, such as `EventError`, if it holds none."""
    return Event.from_log(json.loads(row))


def events_in(rows: Sequence[str], sender_id: str, start: int = 0, read: ReadRow = event_in) -> list[Event]:
    """Return the events of the rows of a conversation that begin at the position `start`.

    Raises
    ------
    RowError
        If one of them holds none.
    """
    found: list[Event] = []
    try:
        found.extend(map(read, rows))
    except (ValueError, RecursionError) as error:
        raise RowError(
            f"row {start + len(found)} of the log of conversation {sender_id!r:.80} holds no event that is known here: "
            f"{str(error).rstrip('.')}. Import the module that defines it (--import MODULE); if other software has "
            "changed the row, put a backup in its place, or delete the conversation."
        ) from error
    return found
