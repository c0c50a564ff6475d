"""The search index of the conversations of a store.

The index is a SQLite file of its own. It has no data that the store does not have, and may be deleted at any time; it
is then built again. A search first updates the index: it reads the conversations that have changed since the last
update (`rasa_core.tracker_store.reviews`), the latest first. So turns take no time for the index. Conversations that
were deleted from the store are removed from the index by the next update.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from rasa_core.exceptions import StoreError
from rasa_core.support.folders import make_private
from rasa_core.support.moments import ClockWatch
from rasa_core.support.strict_json import encode
from rasa_core.tracker_store.base import TrackerStore
from rasa_core.tracker_store.digests import PROBLEMS, Digest, digest_of
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.reviews import Changed, Mark, Reviews, reviews_of
from rasa_core.tracker_store.search import Search, slot_word

logger = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 200
ROWS_AT_ONCE: Final = 10_000
"""The number of rows of a conversation that are in memory at a time."""

_Method = TypeVar("_Method", bound=Callable[..., Any])
_FORMAT: Final = 3
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_OVERLAP: Final = 30.0  # The largest difference between the clocks of servers, in seconds.
_BATCH: Final = 100
_LIST: Final = ("version", "updated", "messages", "confidence", "unsure_at", *PROBLEMS, "need", "reviewed")
_ABOUT: Final = ("sender_id", "started", "first", "last", "note", "tags")
# Covering indexes: a search without words reads them alone, and no table.
_ASKED: Final = f"confidence, {', '.join(PROBLEMS)}"
# Searches scan the narrow table `list`. Texts that are only shown are in `about`.
_TABLES: Final = (
    *(f"DROP TABLE IF EXISTS {name}" for name in ("words", "list", "about", "state")),  # Of an earlier format.
    "CREATE TABLE list (number INTEGER PRIMARY KEY, version INTEGER, updated REAL, messages INTEGER, confidence REAL, "
    "unsure_at INTEGER, failed INTEGER, paused INTEGER, fallback INTEGER, deviates INTEGER, need REAL, "
    "reviewed INTEGER)",
    "CREATE TABLE about (number INTEGER PRIMARY KEY, sender_id TEXT UNIQUE, started REAL, first TEXT, last TEXT, "
    "note TEXT, tags TEXT)",
    "CREATE VIRTUAL TABLE words USING fts5 (id, text, intent, action, slot, tag, prefix = '2 3 4 5', "
    "tokenize = \"unicode61 tokenchars '_'\")",
    "CREATE TABLE state (name TEXT PRIMARY KEY, value REAL)",
    f"CREATE INDEX list_by_need ON list (need DESC, updated DESC, {_ASKED}, reviewed)",
    f"CREATE INDEX list_by_review ON list (reviewed, need DESC, updated DESC, {_ASKED})",
    f"PRAGMA user_version = {_FORMAT}",
)
_FIND: Final = (
    "WITH fits AS MATERIALIZED (SELECT number, need, updated FROM list WHERE {}), "
    "page AS (SELECT number, need, updated, (SELECT count(*) FROM fits) AS count FROM fits "
    "ORDER BY {} LIMIT ? OFFSET ?) "
    f"SELECT page.count, {', '.join(f'list.{name}' for name in _LIST)}, "
    f"{', '.join(f'about.{name}' for name in _ABOUT)} "
    "FROM page JOIN list USING (number) JOIN about USING (number) ORDER BY {}"
)
# For a search without words, an index has the order of the result, and nothing is sorted.
_FIND_BY_INDEX: Final = (
    "WITH page AS (SELECT number, need, updated, (SELECT count(*) FROM list WHERE {0}) AS count FROM list WHERE {0} "
    "ORDER BY {1} LIMIT ? OFFSET ?) " + _FIND[_FIND.index("SELECT page.count") :].replace("{}", "{2}")
)


@dataclass(slots=True)
class FoundConversations:
    """The result of a search, in descending order of need.

    Attributes
    ----------
    conversations : list of dict
        One page of the conversations that were found, with the data to show.
    count : int
        The number of all conversations that were found.
    indexed, total : int
        The number of conversations in the index, and in the store.
    """

    conversations: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    indexed: int = 0
    total: int = 0


def _made_again(method: _Method) -> _Method:
    """Let a method of an index that is damaged make it again, empty, and run once more."""

    @wraps(method)
    def run(self: ConversationIndex, *args: Any, **kwargs: Any) -> Any:
        writer = self._writer
        try:
            return method(self, *args, **kwargs)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            self._make_again(writer, error)
            return method(self, *args, **kwargs)

    return cast(_Method, run)


class ConversationIndex:
    """The search index of a store. Threads may share it, and processes may share its file.

    Parameters
    ----------
    path
        The file of the index, which is made if it does not exist.

    Attributes
    ----------
    effort, looked : float
        The processor time of the last update in seconds; and its end, a time of the monotonic clock.
    """

    def __init__(self, store: TrackerStore, path: str | os.PathLike[str]) -> None:
        self.store = store
        self.reviews: Reviews = reviews_of(store)
        self.path = Path(path)
        self.effort = 0.0
        self.looked = 0.0
        self._clock = ClockWatch()
        self._is_out_of_order = False  # Whether changes may be older than indexed ones, after a change of the clock.
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._writer = self._connect()
        self._reader = self._connect()

    def close(self) -> None:
        """Close the file."""
        with self._writing, self._reading:
            self.__del__()

    def __del__(self) -> None:
        """Close connections that were not closed, of which Python 3.13 would warn."""
        for name in ("_writer", "_reader"):
            if name in vars(self):
                vars(self)[name].close()

    def _connect(self, *, is_damaged: bool = False) -> sqlite3.Connection:
        for end in ("", "-wal", "-shm") if is_damaged else ():
            Path(f"{self.path}{end}").unlink(missing_ok=True)
        make_private(self.path)
        connection = None
        try:
            connection = sqlite3.connect(self.path, timeout=20, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = off")  # An index that a crash damages is built again.
            connection.execute("BEGIN IMMEDIATE")
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            for statement in _TABLES if found != _FORMAT else ():
                connection.execute(statement)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            if not is_damaged and _is_damage(error):  # For example after a power cut.
                return self._connect(is_damaged=True)
            raise StoreError(f"the index {self.path} of conversations cannot be used: {error}. Delete it.") from error
        return connection

    def _make_again(self, writer: sqlite3.Connection, error: sqlite3.Error) -> None:
        """Make the damaged file again, unless another thread has replaced the connection `writer` meanwhile."""
        with self._writing, self._reading:
            if self._writer is not writer:
                return
            logger.warning("the index %s of conversations is damaged, and is made again: %s", self.path, error)
            self.__del__()
            self._writer, self._reader = self._connect(is_damaged=True), self._connect()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                if self._writer.in_transaction:  # After some errors, such as a full disk, SQLite has rolled back.
                    self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    # -- updates

    @_made_again
    def catch_up(self, seconds: float | None = None) -> bool:
        """Update the index for at most so many seconds (None: no limit); return whether it is up to date then."""
        begun = time.thread_time()
        try:
            return self._catch_up(seconds)
        finally:
            self.effort, self.looked = time.thread_time() - begun, time.monotonic()

    def _catch_up(self, seconds: float | None) -> bool:
        until = None if seconds is None else time.monotonic() + seconds
        indexed, total = self._numbers()
        begun = time.time()
        since, marked = self._state("since"), self._state("marks")
        # After the clock was set back, here or in another process, times are no guide until one update was complete.
        self._is_out_of_order |= self._clock.look() < -_OVERLAP or since > begun + _OVERLAP
        if self._is_out_of_order:
            marked = 0.0
        # If the index has fewer conversations, old ones were imported, or the index is new: read all changes.
        if self._is_out_of_order or indexed < total:
            since = 0.0
        changes = self.reviews.changed_since(since - _OVERLAP)
        changed = [one for one in changes if self._version(one.sender_id) != one.version]
        changed.sort(key=lambda one: -one.updated)
        for start in range(0, len(changed), _BATCH):
            if until is not None and time.monotonic() > until:
                return False
            self._take(changed[start : start + _BATCH])
        marks = list(self.reviews.marks_since(marked - _OVERLAP))
        with self._changing() as connection:
            for sender_id, mark in marks:
                _put_mark(connection, sender_id, mark)
            for name in ("since", "marks"):
                connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, begun))
        self._is_out_of_order = False
        self._forget_deleted()
        return True

    def _state(self, name: str) -> float:
        with self._reading:
            found = self._reader.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return 0.0 if found is None else float(found[0])

    def _version(self, sender_id: str) -> int | None:
        select = "SELECT version FROM about JOIN list USING (number) WHERE sender_id = ?"
        with self._reading:
            found = self._reader.execute(select, (sender_id,)).fetchone()
        return None if found is None else int(found[0])

    def _take(self, changed: Iterable[Changed]) -> None:
        read = []
        for one in changed:
            mark = self.reviews.read(one.sender_id)
            rows = self._rows(one.sender_id)
            if rows is not None:
                since = mark.version if mark.reviewed else 0
                try:
                    read.append((one, digest_of(rows, since), mark))
                except (ValueError, RecursionError) as error:  # One bad conversation must not hide the others.
                    logger.warning(
                        "a row of conversation %r is no JSON, and the list leaves it out: %s", one.sender_id, error
                    )
        with self._changing() as connection:
            for one, digest, mark in read:
                _put(connection, one, digest, mark)

    def _rows(self, sender_id: str) -> Iterable[str] | None:
        store = self.store
        if isinstance(store, EventLogStore):
            head = store.read_head(sender_id)
            if head is None:
                return None
            parts = range(head.origin, head.version, ROWS_AT_ONCE)
            pages = (store.read_events(sender_id, at, min(at + ROWS_AT_ONCE, head.version)) for at in parts)
            return chain.from_iterable(pages)
        tracker = self.store.retrieve(sender_id)
        if tracker is None:
            return None
        return [encode(event.as_dict()) for event in tracker.events]

    def _forget_deleted(self) -> None:
        """Remove conversations that were deleted from the store, if the index has more than the store."""
        with self._reading:
            (have,) = self._reader.execute("SELECT count(*) FROM list").fetchone()
        if have <= self.reviews.count():
            return
        there = set(self.store.keys())
        with self._changing() as connection:
            rows = connection.execute("SELECT number, sender_id FROM about").fetchall()
            gone = [(number,) for number, sender_id in rows if sender_id not in there]
            for table in ("list", "about", "words"):
                connection.executemany(f"DELETE FROM {table} WHERE rowid = ?", gone)

    def mark(self, sender_id: str, mark: Mark) -> None:
        """Write a mark into the store and into the index."""
        self.note(sender_id, mark)
        self.read_again(sender_id, mark)

    @_made_again
    def note(self, sender_id: str, mark: Mark) -> None:
        """Write a mark into the store and into the index, without updating the need of the conversation."""
        self.reviews.write(sender_id, mark)
        with self._changing() as connection:
            _put_mark(connection, sender_id, mark)

    @_made_again
    def read_again(self, sender_id: str, mark: Mark) -> None:
        """Update the need of a conversation after a mark, for which the conversation is read."""
        self._take([Changed(sender_id, mark.version, mark.at)])

    # -- searches

    @_made_again
    def find(self, search: Search, limit: int = 50, offset: int = 0) -> FoundConversations:
        """Return a page of the conversations in the index that a search finds; the index is not updated."""
        condition, values = search.condition()
        matched = search.matched()
        if matched:
            condition += " AND number IN (SELECT rowid FROM words WHERE words MATCH ?)"
            values.append(matched)
        order = "updated DESC" if search.reviewed else "need DESC, updated DESC"
        paged = order.replace("need", "page.need").replace("updated", "page.updated")
        select = (_FIND if matched else _FIND_BY_INDEX).format(condition, order, paged)
        given = values if matched else values * 2
        with self._reading:
            rows = self._reader.execute(select, (*given, min(limit, MOST_AT_ONCE), offset)).fetchall()
            if rows or not offset:
                number = rows[0][0] if rows else 0
            else:  # The page is behind the last one, and has no row with the count.
                count = f"SELECT count(*) FROM list WHERE {condition}"
                (number,) = self._reader.execute(count, values).fetchone()
        return FoundConversations([_shown(row[1:], search.below) for row in rows], number, *self._numbers())

    def _numbers(self) -> tuple[int, int]:
        with self._reading:
            (indexed,) = self._reader.execute("SELECT count(*) FROM list").fetchone()
        return indexed, max(indexed, self.reviews.count())


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED  # The other bytes say which kind of damage.


def _shown(row: Sequence[Any], below: float) -> dict[str, Any]:
    found = dict(zip((*_LIST, *_ABOUT), row, strict=True))
    problems = {name: found.pop(name) for name in PROBLEMS}
    told = {name: position for name, position in problems.items() if position is not None}
    unsure_at = found.pop("unsure_at")
    if found["confidence"] < below and unsure_at is not None:
        told["unsure"] = unsure_at
    tags = [tag for tag in str(found.pop("tags") or "").split("\n") if tag]
    return {**found, "reviewed": bool(found["reviewed"]), "problems": told, "tags": tags}


def _put(connection: sqlite3.Connection, one: Changed, digest: Digest, mark: Mark) -> None:
    reviewed = mark.counts_for(one.version)
    name, tags = _whole(one.sender_id), _whole("\n".join(mark.tags))
    found = connection.execute("SELECT number FROM about WHERE sender_id = ?", (name,)).fetchone()
    if found is None:
        number = connection.execute("INSERT INTO about (sender_id) VALUES (?)", (name,)).lastrowid
    else:
        (number,) = found
        connection.execute("DELETE FROM words WHERE rowid = ?", (number,))
    connection.execute(
        "UPDATE about SET started = ?, first = ?, last = ?, note = ?, tags = ? WHERE number = ?",
        (digest.started, _whole(digest.first), _whole(digest.last), _whole(mark.note), tags, number),
    )
    problems = [digest.problems.get(name) for name in PROBLEMS]
    listed = (one.version, digest.updated, digest.messages, digest.confidence, digest.unsure_at, *problems)
    connection.execute(
        f"INSERT OR REPLACE INTO list (number, {', '.join(_LIST)}) VALUES ({', '.join('?' * (len(_LIST) + 1))})",
        (number, *listed, 0.0 if reviewed else digest.need, int(reviewed)),
    )
    slots = {slot_word(*pair) for pair in digest.slots} | {slot_word(name) for name, _ in digest.slots}
    said, intents, actions = "\n".join(digest.said), " ".join(digest.intents), " ".join(digest.actions)
    words = (name, _whole(said), _whole(intents), _whole(actions), " ".join(sorted(slots)), tags)
    connection.execute(
        "INSERT INTO words (rowid, id, text, intent, action, slot, tag) VALUES (?, ?, ?, ?, ?, ?, ?)", (number, *words)
    )


def _whole(value: Any) -> Any:
    """Return a text without lone surrogates, which SQLite does not take."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _put_mark(connection: sqlite3.Connection, sender_id: str, mark: Mark) -> None:
    """Put a mark of another process into the index; the need is updated with the next change of the conversation."""
    select = "SELECT number, version FROM about JOIN list USING (number) WHERE sender_id = ?"
    found = connection.execute(select, (_whole(sender_id),)).fetchone()
    if found is None:
        return
    number, version = found
    reviewed, tags = int(mark.counts_for(version)), _whole("\n".join(mark.tags))
    connection.execute("UPDATE about SET note = ?, tags = ? WHERE number = ?", (_whole(mark.note), tags, number))
    connection.execute(
        "UPDATE list SET reviewed = ?, need = CASE WHEN ? THEN 0 ELSE need END WHERE number = ?",
        (reviewed, reviewed, number),
    )
    connection.execute("UPDATE words SET tag = ? WHERE rowid = ?", (tags, number))
