"""Conversations in one SQLite file: the default of the server, for all processes of one machine.

Trust and durability
    Whoever can write to the file can change conversations, but cannot make this process run code: rows are
    JSON. A commit survives the death of the process at any point. It survives a power cut with
    ``synchronous="full"``; with ``"normal"``, the default, the last commits before the cut may be missing,
    but the file stays sound.
Files
    ``x.db`` with the tables below, ``x.db-wal`` and ``x.db-shm`` of SQLite, and ``x.db-lock``, which stays
    empty and gives each conversation one writer at a time (see `rasa_core.tracker_store.locks`). All of them
    on a local disk.
Tables
    ``meta(key, value)`` holds the version of this layout. ``heads`` has one row a conversation, ``events``
    one row an event: ``(sender_id, seq)`` and its JSON, written once. ``answers`` has one row for each request
    that came with a key.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple
from typing import TYPE_CHECKING

from rasa_core.tracker_store._sqlite_file import Connections
from rasa_core.tracker_store.base import StoredAnswer
from rasa_core.tracker_store.locks import close_lock_file, open_lock_file
from rasa_core.tracker_store.log_store import EventLogStore, Head, check_commit, check_sender_id, version_conflict

if TYPE_CHECKING:
    from rasa_core.domain import Domain

_READ_HEAD = "SELECT version, origin, fingerprint, updated, state FROM heads WHERE sender_id = ?"
_READ_EVENTS = "SELECT event FROM events WHERE sender_id = ? AND seq >= ? AND seq < ? ORDER BY seq"
_READ_ANSWER = "SELECT key, request, version, complete, created, text FROM answers WHERE sender_id = ? AND key = ?"
_NEXT_HEAD = (
    "UPDATE heads SET version = ?, origin = ?, fingerprint = ?, updated = ?, state = ? "
    "WHERE sender_id = ? AND version = ?"
)
_FIRST_HEAD = (
    "INSERT INTO heads (version, origin, fingerprint, updated, state, sender_id) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (sender_id) DO NOTHING"
)
_ADD_EVENT = "INSERT INTO events (sender_id, seq, event) VALUES (?, ?, ?)"
_PUT_ANSWER = (
    "INSERT OR REPLACE INTO answers (sender_id, key, request, version, complete, created, text) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_FIRST_SENDER_IDS = "SELECT sender_id FROM heads WHERE updated < ? ORDER BY sender_id LIMIT ?"
_NEXT_SENDER_IDS = "SELECT sender_id FROM heads WHERE sender_id > ? AND updated < ? ORDER BY sender_id LIMIT ?"
_EXPIRE_ANSWERS = (
    "DELETE FROM answers WHERE (sender_id, key) IN (SELECT sender_id, key FROM answers WHERE created < ? LIMIT ?)"
)
_EXPIRED_AT_ONCE = 500
_DELETE_EVENTS = "DELETE FROM events WHERE sender_id = ?"
_DELETE_ANSWERS = "DELETE FROM answers WHERE sender_id = ?"
_DELETE_HEAD = "DELETE FROM heads WHERE sender_id = ?"


class SqliteTrackerStore(EventLogStore):
    """Keeps conversations in the SQLite file at `path`, which is made at the first use.

    Parameters
    ----------
    domain
        The domain of the trackers; an `Agent` sets it by `bind`.
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
        self._connections = Connections(os.fsdecode(path), synchronous=synchronous, timeout=timeout)
        self.path = self._connections.path
        self._timeout = timeout
        self._locks = open_lock_file(f"{os.path.realpath(self.path)}-lock", like=self.path)

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
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
        with self._connections.reading() as connection:
            return [row for (row,) in connection.execute(_READ_EVENTS, (sender_id, start, stop))]

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
        new_head = (head.version, head.origin, head.fingerprint, head.updated, head.state, sender_id)
        rows = [(sender_id, seq, event) for seq, event in enumerate(events, expected_version)]
        with self._connections.writing() as connection:
            changed = connection.execute(_NEXT_HEAD, (*new_head, expected_version)).rowcount
            if not changed and not expected_version:
                changed = connection.execute(_FIRST_HEAD, new_head).rowcount
            if not changed:
                row = connection.execute(_READ_HEAD, (sender_id,)).fetchone()
                raise version_conflict(sender_id, expected_version, 0 if row is None else row[0])
            connection.executemany(_ADD_EVENT, rows)
            if answer is not None:
                connection.execute(_PUT_ANSWER, (sender_id, *astuple(answer)))

    def read_answer(self, sender_id: str, key: str) -> StoredAnswer | None:  # noqa: D102
        check_sender_id(sender_id)
        with self._connections.reading() as connection:
            row = connection.execute(_READ_ANSWER, (sender_id, key)).fetchone()
        if row is None:
            return None
        key, request, version, complete, created, text = row
        return StoredAnswer(key, request, version, bool(complete), created, text)

    def expire_answers(self, before: float) -> int:  # noqa: D102
        removed = 0
        while True:  # A few at a time, so that turns need not wait long.
            with self._connections.writing() as connection:
                found = connection.execute(_EXPIRE_ANSWERS, (before, _EXPIRED_AT_ONCE)).rowcount
            removed += found
            if found < _EXPIRED_AT_ONCE:
                return removed

    def sender_ids(  # noqa: D102
        self, after: str | None = None, limit: int | None = None, *, idle_since: float | None = None
    ) -> list[str]:
        most = -1 if limit is None else max(limit, 0)  # SQLite: below 0 means all.
        idle = math.inf if idle_since is None else idle_since
        with self._connections.reading() as connection:
            if after is None:
                rows = connection.execute(_FIRST_SENDER_IDS, (idle, most))
            else:
                rows = connection.execute(_NEXT_SENDER_IDS, (check_sender_id(after), idle, most))
            return [sender_id for (sender_id,) in rows]

    def delete(self, sender_id: str) -> bool:  # noqa: D102
        check_sender_id(sender_id)
        with self._connections.writing() as connection:
            connection.execute(_DELETE_EVENTS, (sender_id,))
            connection.execute(_DELETE_ANSWERS, (sender_id,))
            return connection.execute(_DELETE_HEAD, (sender_id,)).rowcount > 0
