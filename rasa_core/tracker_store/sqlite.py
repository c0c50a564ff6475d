"""Tracker store in one SQLite file, for all processes of one machine: the default of the server.

Trust and durability
    Whoever can write to the file can change conversations, but cannot make this process run code: rows are JSON. A
    commit survives the death of the process at any point. It survives a power cut with ``synchronous="full"``; with
    ``"normal"``, the default, the last commits before the cut may be missing, but the file stays sound.
Files
    ``x.db`` has the tables below, ``x.db-wal`` and ``x.db-shm`` belong to SQLite, and ``x.db-lock`` is empty and has
    the locks of conversations (see `rasa_core.tracker_store.locks`). All of them must be on a local disk. Only their
    owner can read them, unless ``x.db`` was made with other permissions.
Tables
    ``meta(key, value)`` has the version of this layout. ``heads`` has one row for each conversation, with a number for
    it; ``events`` has one row for each event, its JSON, at the rowid ``number * 2**32 + seq``, which is never changed;
    ``answers`` has one row for each request with a key. The tables have rowids because of their rows of several hundred
    bytes: in a table without rowids, SQLite needs an overflow page for each row of more than a quarter of a page. The
    first version of this layout had such tables. A file with it is converted at its first use, in one transaction.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from urllib.parse import quote

from rasa_core.domain import Domain
from rasa_core.tracker_store.base import StoredAnswer
from rasa_core.tracker_store.heads import Head, check_commit, check_sender_id, version_conflict
from rasa_core.tracker_store.locks import close_lock_file, open_lock_file
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.sqlite_connections import SEQ_BITS, Connections

_READ_HEAD = "SELECT version, origin, fingerprint, updated, state FROM heads WHERE sender_id = ?"
# CROSS JOIN keeps SQLite from swapping the two tables: first the head is read, then the range of its rows.
_READ_EVENTS = (
    f"SELECT event FROM heads CROSS JOIN events WHERE sender_id = ? AND place >= (number << {SEQ_BITS}) + ? "
    f"AND place < (number << {SEQ_BITS}) + ? ORDER BY place"
)
_READ_ANSWER = (
    "SELECT key, request, answers.version, complete, created, text FROM heads JOIN answers USING (number) "
    "WHERE sender_id = ? AND key = ?"
)
_FIND = "SELECT number, version FROM heads WHERE sender_id = ?"
_NEXT_HEAD = "UPDATE heads SET version = ?, origin = ?, fingerprint = ?, updated = ?, state = ? WHERE number = ?"
_FIRST_HEAD = "INSERT INTO heads (version, origin, fingerprint, updated, state, sender_id) VALUES (?, ?, ?, ?, ?, ?)"
_ADD_EVENT = "INSERT INTO events (place, event) VALUES (?, ?)"
_PUT_ANSWER = (
    "INSERT OR REPLACE INTO answers (number, key, request, version, complete, created, text) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_SENDER_IDS = "SELECT sender_id FROM heads WHERE {}updated < ? ORDER BY sender_id LIMIT ?"
_EXPIRE_ANSWERS = "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM answers WHERE created < ? LIMIT ?)"
_EXPIRED_AT_ONCE = 500
_DELETE = (  # With a named parameter, since Python 3.12 deprecates numbered ones.
    f"DELETE FROM events WHERE place >= :number << {SEQ_BITS} AND place < (:number + 1) << {SEQ_BITS}",
    "DELETE FROM answers WHERE number = :number",
    "DELETE FROM heads WHERE number = :number",
)


class SqliteTrackerStore(EventLogStore):
    """Keeps conversations in the SQLite file at `path`, which is made at the first use.

    Parameters
    ----------
    path
        The file. Its folder has to exist.
    synchronous
        ``"normal"`` or ``"full"``; see above.
    timeout
        How long to wait for a conversation that another request works on, and for the file, in seconds.
    """

    def __init__(
        self,
        domain: Domain | None = None,
        *,
        path: str | os.PathLike[str],
        synchronous: str = "normal",
        timeout: float = 30.0,
    ) -> None:
        super().__init__(domain)
        self._connections = Connections(os.fsdecode(path), synchronous.lower(), timeout)
        self.path = self._connections.path
        self.url = f"sqlite:///{quote(self.path)}"
        self._timeout = timeout
        # With the real path, two names of the same file share their locks.
        self._locks = open_lock_file(f"{os.path.realpath(self.path)}-lock", like=self.path)

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        # Only the first call closes the lock file, which counts its stores.
        if self._connections.close():
            close_lock_file(self._locks)

    def lock(self, sender_id: str) -> AbstractContextManager[None]:  # noqa: D102
        self._connections.check_open()
        return self._locks.hold(check_sender_id(sender_id), timeout=self._timeout)

    def read_head(self, sender_id: str) -> Head | None:  # noqa: D102
        check_sender_id(sender_id)
        with self._connections.reading() as connection:
            row = connection.execute(_READ_HEAD, (sender_id,)).fetchone()
        return None if row is None else Head(*row)

    def read_events(self, sender_id: str, start: int, stop: int) -> list[str]:  # noqa: D102
        check_sender_id(sender_id)
        span = max(start, 0), min(stop, 1 << SEQ_BITS)
        with self._connections.reading() as connection:
            return [event for (event,) in connection.execute(_READ_EVENTS, (sender_id, *span))]

    def commit(  # noqa: D102
        self,
        sender_id: str,
        expected_version: int,
        events: Sequence[str],
        head: Head,
        answer: StoredAnswer | None = None,
    ) -> None:
        check_sender_id(sender_id)
        check_commit(expected_version, events, head)
        with self._connections.writing() as connection:
            # The version is read within the transaction, so that no other commit comes between reading and writing.
            number, version = connection.execute(_FIND, (sender_id,)).fetchone() or (0, 0)
            if version != expected_version:
                raise version_conflict(sender_id, expected_version, version)
            if number:
                connection.execute(_NEXT_HEAD, (*head, number))
            else:
                number = connection.execute(_FIRST_HEAD, (*head, sender_id)).lastrowid or 0
            place = (number << SEQ_BITS) + expected_version
            connection.executemany(_ADD_EVENT, enumerate(events, place))
            if answer is not None:
                connection.execute(_PUT_ANSWER, (number, *answer))

    def read_answer(self, sender_id: str, key: str) -> StoredAnswer | None:  # noqa: D102
        check_sender_id(sender_id)
        with self._connections.reading() as connection:
            row = connection.execute(_READ_ANSWER, (sender_id, key)).fetchone()
        if row is None:
            return None
        key, request, version, complete, created, text = row
        return StoredAnswer(key, request, version, bool(complete), created, text)

    def expire_answers(self, before: float) -> int:  # noqa: D102
        removed, found = 0, _EXPIRED_AT_ONCE
        while found == _EXPIRED_AT_ONCE:  # Short transactions, so that turns do not wait long for the file.
            with self._connections.writing() as connection:
                found = connection.execute(_EXPIRE_ANSWERS, (before, _EXPIRED_AT_ONCE)).rowcount
            removed += found
        return removed

    def sender_ids(  # noqa: D102
        self, after: str | None = None, limit: int | None = None, *, idle_since: float | None = None
    ) -> list[str]:
        most = -1 if limit is None else max(limit, 0)  # For SQLite, a negative limit is no limit.
        idle = math.inf if idle_since is None else idle_since
        start = () if after is None else (check_sender_id(after),)
        sql = _SENDER_IDS.format("sender_id > ? AND " if start else "")
        with self._connections.reading() as connection:
            return [sender_id for (sender_id,) in connection.execute(sql, (*start, idle, most))]

    def delete(self, sender_id: str) -> bool:  # noqa: D102
        check_sender_id(sender_id)
        with self._connections.writing() as connection:
            found = connection.execute(_FIND, (sender_id,)).fetchone()
            for statement in _DELETE if found else ():
                connection.execute(statement, {"number": found[0]})
        return found is not None
