"""Reads the rows of a log as events, with an error that names the position of an unreadable row.

Most rows of many conversations differ only in their time, policy and confidence. For readers that ignore these,
`TimelessEvents` caches events: a row like an earlier one is not parsed again, and gives the same object.
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
"""Types of events whose effect does not depend on their time."""
_MOST: Final = 50_000
_LONGEST: Final = 2000  # characters of a row that is remembered
NO_EVENT: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""The exceptions that reading an event from arbitrary JSON may raise, also in custom types of events."""
_FIRST: Final = 20  # rows of the first read, before the length of rows is known
_MOST_AT_ONCE: Final = 5000


class RowError(StoreError):
    """A row of a log cannot be read as an event."""


def event_in(row: str) -> Event:
    """Return the event in a row of a log; raise one of `NO_EVENT`, such as `EventError`, if there is none."""
    return Event.from_log(json.loads(row))


def events_in(rows: Sequence[str], sender_id: str, start: int = 0, read: ReadRow = event_in) -> list[Event]:
    """Return the events in some rows of a conversation, the first of which has the position `start` in the log.

    Raises
    ------
    RowError
        If a row cannot be read as an event; the message has its position.
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
    """Return the rows that ``read(start, stop)`` returns; with a limit, only a few are read at a time.

    Parameters
    ----------
    most
        The limit of the characters of all rows together; None for no limit.

    Raises
    ------
    LogTooLongError
        If the rows have more characters.
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
    """Reads rows as events whose time, policy and confidence are not to be used, and caches these events.

    Rows with utterances of the bot or of a human agent are not parsed: each gives an empty utterance.
    """

    def __init__(self) -> None:
        # Custom types of events are not cached, since they may use their time.
        own = {name for name, kind in Event._subclasses.items() if kind.__module__ in OWN_MODULES}
        self._kinds = own.intersection(_KNOWN_AGAIN)
        self._said = own.intersection(_SAID)
        self._known: dict[object, Event] = {}

    def read(self, row: str) -> Event:
        """Return the event in a row; raise one of `NO_EVENT`, such as `EventError`, if there is none."""
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
