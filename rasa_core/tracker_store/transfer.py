"""Conversations out of a store, into a store, and from one store to another.

Whatever writes here holds the lock of the one conversation that it writes, goes on where an earlier run was
stopped, and stores nothing that is there already. A long conversation is written in several commits. The head of
all but the last has no state, and the fingerprint of no model: whoever uses it computes the state from the log.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from rasa_core.exceptions import StoreError, StoreUnavailableError, VersionConflictError
from rasa_core.tracker_store.dumps import Dump
from rasa_core.tracker_store.log_store import EventLogStore, Head
from rasa_core.tracker_store.retention import each_sender_id

_FIRST_ROWS, _MOST_ROWS = 256, 1024
_CHUNK = 2**22  # characters, about; a single event may be larger.

ReadRows = Callable[[int, int], Sequence[str]]


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
    return None if found is None else Dump(sender_id, found.origin, rows)


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
    return _put(store, dump.sender_id, head, lambda start, stop: dump.rows[start:stop], is_beginning, replace)


def import_lines(
    store: EventLogStore, lines: Iterable[str | bytes], name: str, *, replace: bool = False, own_events: bool = False
) -> Iterator[Outcome]:
    """Import the conversations of a file, and yield what became of each.

    Parameters
    ----------
    lines
        One conversation each; see `rasa_core.tracker_store.dumps`. Empty lines are skipped, but counted.
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

    return _put(target, sender_id, head, partial(source.read_events, sender_id), is_beginning, replace)


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
