"""A conversation as a line of JSON: what `rasa-core store export` writes, and `rasa-core store import` reads.

The line of this package is ::

    {"format": 1, "sender_id": "anna", "version": 2, "origin": 0, "events": [{"event": "action", ...}, ...]}

``events`` is the whole log, as it is stored: also the events before ``origin``, which were replaced and count no
more. So a conversation that is imported has the version, and with it the ETag, that it had before.

Read, but never written, is the tracker that servers give for ``GET /conversations/<id>/tracker``, as those of Rasa
Core 0.9 do too: an object with ``sender_id`` and ``events``, all of which count.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import Any, Self

from rasa_core.events import Event
from rasa_core.exceptions import EventError, StoreError, did_you_mean
from rasa_core.support.strict_json import is_number
from rasa_core.tracker_store.base import as_json
from rasa_core.tracker_store.head import check_sender_id

_FORMAT = 1
_ONE_EACH = "A line holds one conversation, as `rasa-core store export` writes it, or one tracker of a server."
_WITH_EVENTS = "Ask the server for /conversations/<id>/tracker?ignore_restarts=true, which gives them all."


class DumpError(StoreError, ValueError):
    """A line is not a conversation."""


@dataclass(frozen=True, slots=True)
class Dump:
    """A conversation outside of any store.

    Parameters
    ----------
    sender_id
        Its id.
    origin
        Position of the first event that counts.
    rows
        JSON text of each event of its log, as a store keeps it.
    """

    sender_id: str
    origin: int
    rows: list[str]

    @property
    def version(self) -> int:
        """Number of events."""
        return len(self.rows)

    @property
    def updated(self) -> float:
        """Time of the last event that has one: Unix time in seconds, 0 if none has."""
        for row in reversed(self.rows):
            stamp = json.loads(row).get("timestamp")
            if is_number(stamp):
                return float(stamp)
        return 0.0

    def as_line(self) -> str:
        """Return the line, ASCII, with its end."""
        start = as_json(
            {"format": _FORMAT, "sender_id": self.sender_id, "version": self.version, "origin": self.origin},
            "conversation",
            self.sender_id,
        )
        # The rows are JSON already: writing them as they are keeps them as they are.
        return f'{start[:-1]},"events":[{",".join(self.rows)}]}}\n'

    @classmethod
    def from_line(cls, line: str | bytes, *, own_events: bool = False) -> Self:
        """Read and check a line.

        Parameters
        ----------
        own_events
            Whether types of events are accepted that are not known here, as those of a user's own classes.

        Raises
        ------
        DumpError
            If the line is not a conversation that a store can keep.
        """
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DumpError(f"this is not a JSON object on a line of its own: {error}. {_ONE_EACH}") from error
        if not isinstance(content, dict):
            raise DumpError(f"expected an object, not {type(content).__name__}. {_ONE_EACH}")
        if not isinstance(content.get("sender_id"), str):
            raise DumpError(f'expected the key "sender_id" with the id of the conversation. {_ONE_EACH}')
        sender_id = check_sender_id(content["sender_id"])
        origin = _checked_numbers(content)
        return cls(sender_id, origin, _rows(content, own_events))


def _checked_numbers(content: dict[str, Any]) -> int:
    """Return the origin; raise `DumpError` if it, the version and the number of events contradict one another."""
    events = content.get("events")
    if not isinstance(events, list):
        raise DumpError(f'expected a list "events", not {type(events).__name__}. {_WITH_EVENTS}')
    if "format" not in content:
        return 0
    if content["format"] != _FORMAT:
        raise DumpError(
            f"the line has format {content['format']!r:.40}, and this rasa_core reads format {_FORMAT}: import it with "
            "the version of rasa_core that wrote it, or a later one."
        )
    version, origin = content.get("version"), content.get("origin")
    if type(version) is not int or version != len(events):
        raise DumpError(f'"version" is {version!r:.40}, but there are {len(events)} events: the line was changed.')
    if type(origin) is not int or not 0 <= origin <= version:
        raise DumpError(f'"origin" is a position in the {version} events, not {origin!r:.40}: the line was changed.')
    return origin


def _rows(content: dict[str, Any], own_events: bool) -> list[str]:
    # What a server gives may be in the words of Rasa Core 0.9; a log is kept as it is.
    form = _as_stored if "format" in content else _as_logged
    rows = []
    for number, event in enumerate(content["events"], 1):
        try:
            rows.append(form(event, own_events))
        except EventError as error:
            raise DumpError(f"event {number}: {error}") from error
    return rows


def _as_stored(event: Any, own_events: bool) -> str:
    _known(event, own_events)
    return as_json(event, "event", event)


def _as_logged(event: Any, own_events: bool) -> str:
    known = _known(event, own_events)
    return as_json(event if known is None else known.as_dict(), "event", event)


def _known(event: Any, own_events: bool) -> Event | None:
    """Return the checked event, None if its type is accepted without being known."""
    name = event.get("event") if isinstance(event, dict) else None
    if isinstance(name, str) and name not in Event._subclasses:
        if own_events:
            return None
        hint = did_you_mean(name, Event._subclasses)
        raise EventError(
            f"unknown event type {name[:100]!r}.{hint} If your own code defines it, import with --own-events."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Old conversations may well hold old events.
        found = Event.from_parameters(event)
    if not event.get("timestamp"):
        raise EventError(f'event "{name}" needs a "timestamp": when it happened, Unix time in seconds, not 0.')
    return found
