"""The rows of logs, as events; a row that holds none is told of with where it is.

Rows differ in hardly more than when something happened, and who had decided it. `TimelessEvents` is for those to whom
that is all the same: what has been read before is not read again, and equal events are one object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Final

from rasa_core.events import BotUttered, Event
from rasa_core.events.base import OWN_MODULES
from rasa_core.exceptions import LogTooLongError, StoreError

ReadRow = Callable[[str], Event]

_BEGINNING: Final = re.compile(r'\{"event":"(\w+)","timestamp":[-+.0-9eE]+')
_DECIDED: Final = re.compile(
    r',"name":("[^"\\]*")(?:,"policy":"[^"\\]*")?(?:,"model":"[^"\\]*")?(?:,"predicted":"[^"\\]*")?'
    r'(?:,"confidence":[-+.0-9eE]+)?(?:,"hide_rule_turn":(true|false))?\}'
)
_SAID: Final = ("bot", "agent")
_KNOWN_AGAIN: Final = (
    *("action", "user", "slot", "reset_slots", "restart", "rewind", "undo", "pause", "resume", "followup"),
    *("active_loop", "loop_interrupted", "action_execution_rejected", "user_featurization", "session_started"),
)
"""Types of events that do nothing with their time."""
_MOST: Final = 50_000
_LONGEST: Final = 2000  # characters of a row that is remembered
NO_EVENT: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading an event from any JSON raises, of types of users' own as well."""
_FIRST: Final = 20  # rows, of which nobody knows yet how long they are
_MOST_AT_ONCE: Final = 5000


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
    except NO_EVENT as error:
        told = str(error).rstrip(".") if isinstance(error, ValueError) else repr(error)
        raise RowError(
            f"row {start + len(found)} of the log of conversation {sender_id!r:.80} holds no event that is known here: "
            f"{told}. Import the module that defines it (--import MODULE); if other software has "
            "changed the row, put a backup in its place, or delete the conversation."
        ) from error
    return found


def rows_up_to(
    most: int | None, read: Callable[[int, int], list[str]], sender_id: str, start: int, stop: int
) -> list[str]:
    """Return the rows that ``read(start, stop)`` gives, a few at a time where there is a limit.

    Parameters
    ----------
    most
        How many characters they may have together; None for any number.

    Raises
    ------
    LogTooLongError
        If they have more.
    """
    if most is None:
        return read(start, stop)
    rows: list[str] = []
    length, count = 0, _FIRST
    while (position := start + len(rows)) < stop:
        found = read(position, min(position + count, stop))
        rows += found
        length += sum(map(len, found))
        if length > most:
            raise LogTooLongError(
                f"the conversation {sender_id!r:.80} is not read in one request: the events that it takes have more "
                f"than {most} characters. Ask for its tracker with ?events=false, or read the events with "
                "rasa-core store export."
            )
        count = min(_MOST_AT_ONCE, 1 + (most - length) * len(rows) // max(length, 1))
    return rows


class TimelessEvents:
    """Events without a time of their own, and actions that do not tell which policy chose them, how surely.

    What was said to the user is not read: each utterance is an empty one.
    """

    def __init__(self) -> None:
        # Types of users' own may look at anything.
        own = {name for name, kind in Event._subclasses.items() if kind.__module__ in OWN_MODULES}
        self._kinds = own.intersection(_KNOWN_AGAIN)
        self._said = own.intersection(_SAID)
        self._known: dict[object, Event] = {}

    def read(self, row: str) -> Event:
        """Return the event of a row; raise `EventError`, or `ValueError`, for one that holds none."""
        begins = _BEGINNING.match(row)
        kind = "" if begins is None else begins[1]
        if begins is None or kind not in self._kinds:
            return BotUttered.empty() if kind in self._said else Event.from_log(json.loads(row))
        rest = row[begins.end() :]
        decided = _DECIDED.fullmatch(rest) if kind == "action" else None
        key: object = (kind, rest) if decided is None else decided.groups()
        found = self._known.get(key)
        if found is None:
            found = Event.from_log(json.loads(row))
            if len(self._known) >= _MOST:
                self._known.clear()
            if len(row) <= _LONGEST:
                self._known[key] = found
        return found
