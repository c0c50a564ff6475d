"""Conversations in PostgreSQL, MySQL, MariaDB or CockroachDB: for several hosts, and databases with backups.

Trust
    Whoever can write to the tables can change conversations, but cannot make this process run code: rows are JSON.
Durability
    A commit is acknowledged when the server says that it is committed, and survives the death of this process at
    any point. What else it survives is a setting of the server:

    - PostgreSQL with ``synchronous_commit = on``, its default: a crash of the server and a power cut. With
      ``off``, the last commits before either, of less than a second, may be missing; the rest is whole.
      ``fsync = off`` may lose the database. To survive the loss of the host, commits have to wait for a standby:
      ``synchronous_standby_names``.
    - MySQL and MariaDB with ``innodb_flush_log_at_trx_commit = 1``, their default: a crash and a power cut; with
      the binary log, ``sync_binlog = 1`` too. With ``2``, a power cut may cost the last second, with ``0`` a crash
      as well.

    A commit whose connection breaks before the server answered raises `StoreUnavailableError` and may have been
    applied. Nothing is repeated behind the caller's back; a repeated request with a key is recognised.
Order
    Threads of a process wait for each other by mutexes, then processes and hosts by locks of the server that live
    as long as a connection: advisory locks in PostgreSQL, ``GET_LOCK`` in MySQL and MariaDB. A process that dies
    frees its locks at once, a host that vanishes when the server notices. Poolers between have to keep sessions
    together (PgBouncer: ``pool_mode = session``). In a cluster of several writable servers, ``GET_LOCK`` knows only
    its own server. CockroachDB has no such locks. There, and wherever a lock is lost, the version that each commit
    names keeps conversations whole: of two writers one gets `VersionConflictError`, and repeats its turn.
Tables
    ``rasa_core_meta(name, value)`` holds the version of this layout. ``rasa_core_heads`` has one row a
    conversation, ``rasa_core_events`` one row an event: ``(sender_id, seq)`` and its JSON, written once.
    ``rasa_core_answers`` has one row for each request that came with a key. They are made at the first use, in the
    database, and for PostgreSQL the schema, that new tables of the user go to.

CockroachDB is reached as PostgreSQL, and this part is not tested on a server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from rasa_core.exceptions import StoreError, StoreUnavailableError, did_you_mean
from rasa_core.tracker_store._sql_connections import Connections
from rasa_core.tracker_store._sql_database import ClashError, Database, answer_row, head_row
from rasa_core.tracker_store._sql_tables import MAX_ID
from rasa_core.tracker_store.base import StoredAnswer
from rasa_core.tracker_store.locks import MutexTable, check_timeout
from rasa_core.tracker_store.log_store import (
    EventLogStore,
    Head,
    SenderIdError,
    check_commit,
    check_sender_id,
    version_conflict,
)

if TYPE_CHECKING:
    from rasa_core.domain import Domain

_ATTEMPTS = 3
_SCHEMES = ("postgresql", "postgres", "cockroachdb", "mysql", "mariadb")


class SqlTrackerStore(EventLogStore):
    """Keeps conversations in the database at `url`, whose tables are made at the first use.

    Parameters
    ----------
    domain
        The domain of the trackers; an `Agent` sets it by `bind`.
    url
        ``postgresql://user:password@host/database``, or with ``mysql``, ``mariadb`` or ``cockroachdb``. Its query
        goes to the driver: ``?sslmode=verify-full`` for psycopg, ``?ssl_ca=...`` for PyMySQL.
    timeout
        How long to wait for a conversation that another request works on, for a connection, and for an answer of
        the server, in seconds.
    connections
        How many connections this process opens at most. A thread uses one, while it works on conversations.
    """

    def __init__(self, domain: Domain | None = None, *, url: str, timeout: float = 30.0, connections: int = 20) -> None:
        super().__init__(domain)
        self._timeout = check_timeout(timeout)
        database = _database(_parsed(url), timeout)
        self._database = database
        self._connections = Connections(database, limit=connections, timeout=timeout)
        self._mutexes = MutexTable()
        self.address = database.address

    @classmethod
    def from_url(cls, url: str, domain: Domain | None = None) -> Self:
        """Return the store at `url`, in which ``?timeout=5`` is the parameter of that name."""
        parsed = _parsed(url)
        # SQLAlchemy leaves out what has no value.
        text = dict(parse_qsl(url.partition("?")[2], keep_blank_values=True)).get("timeout", "30")
        try:
            timeout = float(text)
        except ValueError:
            raise StoreError(f"timeout is a number of seconds, not {text!r}.") from None
        rest = parsed.difference_update_query(["timeout"])
        return cls(domain, url=rest.render_as_string(hide_password=False), timeout=timeout)

    def close(self) -> None:
        """Close the connections; the store cannot be used afterwards."""
        self._connections.close()

    def lock(self, sender_id: str) -> AbstractContextManager[None]:  # noqa: D102
        self._connections.check_open()
        return self._hold(sender_id, _key(sender_id))

    @contextmanager
    def _hold(self, sender_id: str, key: bytes) -> Iterator[None]:
        deadline = time.monotonic() + self._timeout
        with (
            self._mutexes.hold(key, name=sender_id, timeout=self._timeout),
            self._connections.holding(key, sender_id, deadline),
        ):
            yield

    def read_head(self, sender_id: str) -> Head | None:  # noqa: D102
        key = _key(sender_id)
        return self._connections.read(lambda connection: self._database.head(connection, key))

    def read_events(self, sender_id: str, start: int, stop: int) -> list[str]:  # noqa: D102
        key = _key(sender_id)
        return self._connections.read(lambda connection: self._database.events(connection, key, start, stop))

    def commit(  # noqa: D102
        self,
        sender_id: str,
        expected_version: int,
        events: Sequence[str],
        head: Head,
        answer: StoredAnswer | None = None,
    ) -> None:
        key = _key(sender_id)
        check_commit(expected_version, events, head)
        rows = head_row(key, head), answer_row(key, answer)
        clash = None
        for _ in range(_ATTEMPTS):
            try:
                if self._connections.write(
                    lambda connection: self._database.append(connection, expected_version, events, *rows)
                ):
                    return
            except ClashError as error:
                clash = error  # The server undid it, so that it may be sent again.
            stored = self.read_head(sender_id)
            version = 0 if stored is None else stored.version
            if version != expected_version:
                raise version_conflict(sender_id, expected_version, version) from clash
        raise clash or StoreUnavailableError(f"conversation {sender_id!r} changes all the time. Try again.")

    def read_answer(self, sender_id: str, key: str) -> StoredAnswer | None:  # noqa: D102
        sender = _key(sender_id)
        return self._connections.read(lambda connection: self._database.answer(connection, sender, key))

    def expire_answers(self, before: float) -> int:  # noqa: D102
        removed = 0
        while found := self._connections.write(lambda connection: self._database.expire(connection, before)):
            removed += found
        return removed

    def sender_ids(  # noqa: D102
        self, after: str | None = None, limit: int | None = None, *, idle_since: float | None = None
    ) -> list[str]:
        start = None if after is None else check_sender_id(after).encode()
        most = None if limit is None else max(limit, 0)
        return self._connections.read(lambda connection: self._database.sender_ids(connection, start, most, idle_since))

    def delete(self, sender_id: str) -> bool:  # noqa: D102
        key = _key(sender_id)
        return self._connections.write(lambda connection: self._database.remove(connection, key))


def _key(sender_id: str) -> bytes:
    """Return the bytes that stand for `sender_id`; raise `SenderIdError` if there are none, or too many."""
    key = check_sender_id(sender_id).encode()
    if len(key) > MAX_ID:
        raise SenderIdError(
            f"the sender_id {sender_id[:60]!r} has {len(key)} bytes in UTF-8, and this store keeps up to {MAX_ID}: "
            "use a shorter one."
        )
    return key


def _parsed(url: str) -> URL:
    scheme, colon, rest = url.partition(":")
    if colon and not rest.startswith("//"):
        url = f"{scheme}://{rest}"  # What urllib leaves of a URL without a host.
    try:
        return make_url(url)
    except (SQLAlchemyError, ValueError):
        # The reason may quote a part of the password.
        raise StoreError(
            f"the URL of the tracker store cannot be read: write {scheme}://user:password@host:port/database, and "
            "in user and password @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25."
        ) from None


def _database(url: URL, timeout: float) -> Database:
    scheme = url.drivername
    if scheme not in _SCHEMES:
        hint = did_you_mean(scheme, _SCHEMES)
        raise StoreError(f"no SQL store for {scheme + '://'!r}.{hint} Known: {', '.join(_SCHEMES)}.")
    try:
        if scheme in ("mysql", "mariadb"):
            from rasa_core.tracker_store._sql_mysql import MySQL

            return MySQL(url, timeout)
        from rasa_core.tracker_store._sql_postgres import CockroachDB, PostgreSQL

        return (CockroachDB if scheme == "cockroachdb" else PostgreSQL)(url, timeout)
    except ImportError as error:
        extra = "mysql" if scheme in ("mysql", "mariadb") else "sql"
        raise StoreError(f"{scheme}:// needs more packages: pip install 'rasa-core[{extra}]'. ({error})") from error
    except (TypeError, ValueError) as error:
        raise StoreError(f"an option in the URL of the tracker store is wrong: {error}.") from error
