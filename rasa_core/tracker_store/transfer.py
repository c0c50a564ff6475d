"""Conversations out of a store, into a store, and from one store to another.

Whatever writes here holds the lock of the one conversation that it writes, goes on where an earlier run was
stopped, and stores nothing that is there already. A long conversation is written in several commits. The head of
all but the last has no state, and the fingerprint of no model: whoever uses it computes the state from the log.

A conversation in a file is one line of ASCII JSON, as `rasa-core store export` writes it::

    {"format": 1, "sender_id": "anna", "version": 2, "origin": 0, "events": [{"event": "action", ...}, ...]}

``events`` is the whole log, as it is stored: also the events before ``origin``, which were replaced and count no
more. So a conversation that is imported has the version, and with it the ETag, that it had before. Where somebody
noted something about it, there is ``mark``, too.

Read, but never written, is the tracker that servers give for ``GET /conversations/<id>/tracker``, as those of Rasa
Core 0.9 do too: an object with ``sender_id`` and ``events``, all of which count.
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
    mark
        What somebody noted about it.
    """

    sender_id: str
    origin: int
    rows: list[str]
    mark: Mark = field(default_factory=Mark)

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
        about = {"format": _FORMAT, "sender_id": self.sender_id, "version": self.version, "origin": self.origin}
        if self.mark != Mark():
            about["mark"] = self.mark.as_dict()
        start = json_line(about, "conversation", self.sender_id)
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
        return cls(sender_id, origin, _rows(content, own_events), mark_from_json(content.get("mark")))


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
    rows = []
    for number, event in enumerate(content["events"], 1):
        try:
            known = _known(event, own_events)
            # What a server gives may be in the words of Rasa Core 0.9; a log is kept as it is.
            kept = event if known is None or "format" in content else known.as_dict()
            rows.append(json_line(kept, "event", event))
        except EventError as error:
            raise DumpError(f"event {number}: {error}") from error
    return rows


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one conversation.

    Parameters
    ----------
    sender_id
        Its id; empty where a line has none.
    events
        How many events were stored.
    problem
        Why it was left as it is; empty if all of it is there now.
    """

    sender_id: str
    events: int = 0
    problem: str = ""


def export_conversation(store: EventLogStore, sender_id: str) -> Dump | None:
    """Return a conversation as it is at one moment, None if there is none."""
    found = store.read_head(sender_id)
    rows = _rows_of(store, sender_id, found)
    if store.read_head(sender_id) != found:
        # It changed, and may even be another one by the same name. Nobody changes it under its lock.
        with store.lock(sender_id):
            found = store.read_head(sender_id)
            rows = _rows_of(store, sender_id, found)
    return None if found is None else Dump(sender_id, found.origin, rows, _mark_of(store, sender_id))


def _mark_of(store: EventLogStore, sender_id: str) -> Mark:
    marks = marks_in(store)
    return Mark() if marks is None else marks.read(sender_id)


def import_conversation(store: EventLogStore, dump: Dump, *, replace: bool = False) -> Outcome:
    """Store a conversation that is not there yet, or only its beginning.

    It counts as changed when its last event happened; now, if no event tells when that was.

    Parameters
    ----------
    replace
        Whether another conversation with its id is deleted; otherwise it stays, and the outcome tells so.
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
    """Import the conversations of a file, and yield what became of each.

    Parameters
    ----------
    lines
        One conversation each. Empty lines are skipped, but counted.
    name
        Of the file, for messages.
    replace, own_events
        As for `import_conversation` and `Dump.from_line`.

    Raises
    ------
    StoreUnavailableError
        If the storage fails. Doing the same again goes on there.
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
    """Copy all conversations, with their versions and heads, and yield what became of each.

    `source` is only read. Answers to requests with keys are not copied.

    Parameters
    ----------
    replace
        Whether a conversation of `target` that is no beginning of the one in `source` is deleted first.

    Raises
    ------
    StoreUnavailableError
        If the storage fails. Doing the same again goes on there.
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
        # Events carry the time at which they happened: with one in common, so are those before it.
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
    """Bring a conversation to `head`, whose rows `read` gives, from wherever it is now."""
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
    """Return why the stored conversation cannot become that of `head` by going on; empty if it can."""
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
    """Append what `read` gives from `version` on, in commits of bounded size; the last one puts `head`."""
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
    """Compare two rows; a file may have been written anew by software with other habits of writing JSON."""
    return one == other or bool(json.loads(one) == json.loads(other))
