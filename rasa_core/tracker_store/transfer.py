"""Exports and imports conversations, and copies them from one store to another.

Each conversation is written under its lock. A run continues where an earlier run was stopped, and stores nothing twice.
A long conversation is written in several commits. Until the last commit, its head has no state, and an empty
fingerprint, so that a turn computes the state from the log.

In a file, a conversation is one line of ASCII JSON, as `rasa-core store export` writes it::

    {"format": 1, "sender_id": "anna", "version": 2, "origin": 0, "events": [{"event": "action", ...}, ...]}

``events`` is the whole log, also the events before ``origin``, which were replaced and count no more. So an imported
conversation has the same version, and the same ETag, as before. ``mark`` is the mark of a reviewer, if there is one.

The import also reads the tracker that servers, including those of Rasa Core 0.9, return for
``GET /conversations/<id>/tracker``: an object with ``sender_id`` and ``events``, all of which count.
"""

from __future__ import annotations

import dataclasses
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from rasa_core.events import Event
from rasa_core.exceptions import EventError, StoreError, StoreUnavailableError, VersionConflictError, did_you_mean
from rasa_core.support.strict_json import is_number
from rasa_core.tracker_store.base import json_line
from rasa_core.tracker_store.heads import Head, check_sender_id
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.packing import ReadRows
from rasa_core.tracker_store.retention import each_sender_id
from rasa_core.tracker_store.reviews import Mark, mark_from_json, marks_in, reviews_of

_FIRST_ROWS, _MOST_ROWS = 256, 1024
_CHUNK = 2**22  # characters, about; a single event may be larger.

_FORMAT = 1
_ONE_EACH = "A line holds one conversation, as `rasa-core store export` writes it, or one tracker of a server."
_WITH_EVENTS = "Ask the server for /conversations/<id>/tracker?ignore_restarts=true, which gives them all."


class DumpError(StoreError, ValueError):
    """A line of a file is not a conversation."""


@dataclass(frozen=True, slots=True)
class Dump:
    """A conversation outside of a store.

    Parameters
    ----------
    origin
        The position of the first event that counts.
    rows
        The rows of its log: the JSON text of each event.
    mark
        The mark of a reviewer.
    """

    sender_id: str
    origin: int
    rows: list[str]
    mark: Mark = field(default_factory=Mark)

    @property
    def version(self) -> int:
        """The version of the conversation: the number of events in its log."""
        return len(self.rows)

    @property
    def updated(self) -> float:
        """The time of the last event with a time: Unix time in seconds, 0 if no event has one."""
        for row in reversed(self.rows):
            stamp = json.loads(row).get("timestamp")
            if is_number(stamp):
                return float(stamp)
        return 0.0

    def as_line(self) -> str:
        """Return the line of a file, ASCII, with a line end."""
        about = {"format": _FORMAT, "sender_id": self.sender_id, "version": self.version, "origin": self.origin}
        if self.mark != Mark():
            about["mark"] = self.mark.as_dict()
        start = json_line(about, "conversation", self.sender_id)
        # The rows are JSON text already, and are copied unchanged.
        return f'{start[:-1]},"events":[{",".join(self.rows)}]}}\n'

    @classmethod
    def from_line(cls, line: str | bytes, *, own_events: bool = False) -> Self:
        """Return the conversation in a line, after checking it.

        Parameters
        ----------
        own_events
            Whether unknown types of events are accepted, as those of custom classes.

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
        return cls(sender_id, origin, _rows(content, own_events), mark_from_json(content.get("mark")))


def _checked_numbers(content: dict[str, Any]) -> int:
    """Return the origin; raise `DumpError` if origin, version and number of events contradict one another."""
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
    rows = []
    for number, event in enumerate(content["events"], 1):
        try:
            known = _known(event, own_events)
            # The events of a tracker may have keys of Rasa Core 0.9, and are normalised; those of a log stay unchanged.
            kept = event if known is None or "format" in content else known.as_dict()
            rows.append(json_line(kept, "event", event))
        except EventError as error:
            raise DumpError(f"event {number}: {error}") from error
    return rows


def _known(event: Any, own_events: bool) -> Event | None:
    """Return the event after checking it; None for an unknown type that is accepted."""
    name = event.get("event") if isinstance(event, dict) else None
    if isinstance(name, str) and name not in Event._subclasses:
        if own_events:
            return None
        hint = did_you_mean(name, Event._subclasses)
        raise EventError(
            f"unknown event type {name[:100]!r}.{hint} If your own code defines it, import with --own-events."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Old conversations may have deprecated events.
        found = Event.from_parameters(event)
    if not event.get("timestamp"):
        raise EventError(f'event "{name}" needs a "timestamp": when it happened, Unix time in seconds, not 0.')
    return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome for one conversation of an import, a copy or a comparison.

    Parameters
    ----------
    sender_id
        The id of the conversation; empty if its line has none.
    events
        The number of events that were stored.
    problem
        Why the stored conversation was not changed; empty if it is complete now.
    """

    sender_id: str
    events: int = 0
    problem: str = ""


def export_conversation(store: EventLogStore, sender_id: str) -> Dump | None:
    """Return a consistent copy of a conversation, None if there is none."""
    found = store.read_head(sender_id)
    rows = _rows_of(store, sender_id, found)
    if store.read_head(sender_id) != found:
        # The conversation changed while it was read. Under its lock, it cannot change.
        with store.lock(sender_id):
            found = store.read_head(sender_id)
            rows = _rows_of(store, sender_id, found)
    return None if found is None else Dump(sender_id, found.origin, rows, _mark_of(store, sender_id))


def _mark_of(store: EventLogStore, sender_id: str) -> Mark:
    marks = marks_in(store)
    return Mark() if marks is None else marks.read(sender_id)


def import_conversation(store: EventLogStore, dump: Dump, *, replace: bool = False) -> Outcome:
    """Store a conversation that the store does not have, or of which it has only the beginning.

    The time of its last change is the time of its last event; now, if no event has a time.

    Parameters
    ----------
    replace
        Whether a different conversation with the same id is deleted; otherwise it stays, and the outcome says so.
    """

    def is_beginning(found: Head) -> bool:
        stored = _rows_of(store, dump.sender_id, found)
        return all(map(_same_event, stored, dump.rows)) and len(stored) == found.version

    now = time.time()
    head = Head(dump.version, dump.origin, "", min(now, dump.updated or now), "{}")
    outcome = _put(store, dump.sender_id, head, lambda start, stop: dump.rows[start:stop], is_beginning, replace)
    if dump.mark != Mark() and not outcome.problem:
        reviews_of(store).write(dump.sender_id, dump.mark)
    return outcome


def import_lines(
    store: EventLogStore, lines: Iterable[str | bytes], name: str, *, replace: bool = False, own_events: bool = False
) -> Iterator[Outcome]:
    """Import the conversations of a file, and yield the outcome for each.

    Parameters
    ----------
    lines
        The lines of the file, one conversation each. Empty lines are skipped, but counted.
    name
        The name of the file, for error messages.
    replace, own_events
        As for `import_conversation` and `Dump.from_line`.

    Raises
    ------
    StoreUnavailableError
        If the storage fails. A repeated call continues where this one stopped.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        sender_id = ""
        try:
            dump = Dump.from_line(line, own_events=own_events)
            sender_id = dump.sender_id
            outcome = import_conversation(store, dump, replace=replace)
        except StoreUnavailableError:
            raise
        except StoreError as error:
            outcome = Outcome(sender_id, problem=str(error))
        if outcome.problem:
            outcome = dataclasses.replace(outcome, problem=f"{name}:{number}: {outcome.problem}")
        yield outcome


def migrate(source: EventLogStore, target: EventLogStore, *, replace: bool = False) -> Iterator[Outcome]:
    """Copy all conversations, with their versions and heads, and yield the outcome for each.

    `source` is only read. Answers to requests with keys are not copied.

    Parameters
    ----------
    replace
        Whether a conversation of `target` is deleted first if it is not a beginning of that in `source`.

    Raises
    ------
    StoreUnavailableError
        If the storage fails. A repeated call continues where this one stopped.
    """
    for sender_id in each_sender_id(source):
        try:
            outcome = _migrate_one(source, target, sender_id, replace)
        except StoreUnavailableError:
            raise
        except StoreError as error:
            named = repr(sender_id) in str(error)
            outcome = Outcome(sender_id, problem=str(error) if named else f"conversation {sender_id!r}: {error}")
        yield outcome


def verify(source: EventLogStore, target: EventLogStore) -> Iterator[Outcome]:
    """Compare the versions and the last events of all conversations, and yield the outcome for each."""
    for sender_id in each_sender_id(source):
        found = _difference(source, target, sender_id)
        remedy = "Stop the servers that use the two stores, and do this again."
        yield Outcome(sender_id, problem=f"conversation {sender_id!r} {found}. {remedy}" if found else "")


def _difference(source: EventLogStore, target: EventLogStore, sender_id: str) -> str:
    ours, theirs = source.read_head(sender_id), target.read_head(sender_id)
    if ours is None:  # It was deleted since it was listed.
        return ""
    if theirs is None:
        return "is not in the target"
    if ours.version != theirs.version:
        return f"is at version {ours.version} in the source, and at {theirs.version} in the target"
    if _last_row(source, sender_id, ours.version) != _last_row(target, sender_id, ours.version):
        return f"is another one in the target, at version {ours.version} too"
    return ""


def _migrate_one(source: EventLogStore, target: EventLogStore, sender_id: str, replace: bool) -> Outcome:
    head = source.read_head(sender_id)
    if head is None:  # It was deleted since it was listed.
        return Outcome(sender_id)

    def is_beginning(found: Head) -> bool:
        # Events have times: if the last row of the beginning is equal in both stores, so are the rows before it.
        return _last_row(source, sender_id, found.version) == _last_row(target, sender_id, found.version)

    outcome = _put(target, sender_id, head, partial(source.read_events, sender_id), is_beginning, replace)
    mark = _mark_of(source, sender_id)
    if mark != Mark() and not outcome.problem:
        reviews_of(target).write(sender_id, mark)
    return outcome


def _put(
    store: EventLogStore,
    sender_id: str,
    head: Head,
    read: ReadRows,
    is_beginning: Callable[[Head], bool],
    replace: bool,
) -> Outcome:
    """Append the missing rows of a conversation, which `read` returns, and put `head`."""
    with store.lock(sender_id):
        found = store.read_head(sender_id)
        problem = "" if found is None else _conflict(sender_id, found, head, is_beginning)
        if problem and not replace:
            return Outcome(sender_id, problem=problem)
        if problem:
            store.delete(sender_id)
            found = None
        version = 0 if found is None else found.version
        if found is None or version < head.version:
            _append(store, sender_id, version, head, read)
        return Outcome(sender_id, head.version - version)


def _conflict(sender_id: str, found: Head, head: Head, is_beginning: Callable[[Head], bool]) -> str:
    """Return why the stored conversation is not a beginning of that of `head`; empty if it is one."""
    remedy = "It is left as it is; delete it, or replace it with --replace."
    if found.version > head.version:
        return (
            f"conversation {sender_id!r} is stored already at version {found.version}, beyond version {head.version}: "
            f"it has gone on, or is another one. {remedy}"
        )
    if not is_beginning(found) or (found.version == head.version and found.origin != head.origin):
        return f"another conversation {sender_id!r} is stored already, at version {found.version}. {remedy}"
    return ""


def _append(store: EventLogStore, sender_id: str, version: int, head: Head, read: ReadRows) -> None:
    """Append the rows from `version` on, which `read` returns, in commits of bounded size; the last puts `head`."""
    count = _FIRST_ROWS
    while True:
        stop = min(version + count, head.version)
        rows = read(version, stop)
        if len(rows) != stop - version:
            raise VersionConflictError(f"conversation {sender_id!r} was deleted while it was copied. Do it again.")
        origin = min(head.origin, stop)
        between = Head(stop, origin, "", head.updated, "{}")
        store.commit(sender_id, version, rows, head if stop == head.version else between)
        if stop == head.version:
            return
        version = stop
        count = min(_MOST_ROWS, 2 * count) if sum(map(len, rows)) < _CHUNK else max(1, count // 4)


def _rows_of(store: EventLogStore, sender_id: str, head: Head | None) -> list[str]:
    return [] if head is None else store.read_events(sender_id, 0, head.version)


def _last_row(store: EventLogStore, sender_id: str, version: int) -> list[str]:
    return store.read_events(sender_id, version - 1, version) if version else []


def _same_event(one: str, other: str) -> bool:
    """Return whether two rows have the same content; other software may have written the JSON in another form."""
    return one == other or bool(json.loads(one) == json.loads(other))
