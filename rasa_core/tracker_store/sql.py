"""Tracker store in PostgreSQL, MySQL, MariaDB or CockroachDB: for several hosts, and databases with backups.

Trust
    Whoever can write to the tables can change conversations, but cannot make this process run code: rows are JSON.
Durability
    A commit is acknowledged when the server has acknowledged it, and survives the death of this process at any point.
    Settings of the server decide what else a commit survives:

    - PostgreSQL with ``synchronous_commit = on``, its default: a crash of the server and a power cut. With ``off``, the
      last commits before either, of less than a second, may be missing; the rest is whole. ``fsync = off`` may lose the
      database. To survive the loss of the host, commits have to wait for a standby: ``synchronous_standby_names``.
    - MySQL and MariaDB with ``innodb_flush_log_at_trx_commit = 1``, their default: a crash and a power cut; with the
      binary log, ``sync_binlog = 1`` too. With ``2``, a power cut may cost the last second, with ``0`` a crash as well.

    A commit whose connection breaks before the server answered raises `StoreUnavailableError` and may have been
    applied. The store repeats no commit; it recognises a repeated request with a key.
Locks
    Threads of a process are ordered by mutexes. Processes and hosts are ordered by locks of the server that last as
    long as a connection: advisory locks in PostgreSQL, ``GET_LOCK`` in MySQL and MariaDB. When a process dies, its
    locks are free at once; when a host vanishes, they are free when the server notices. Behind a pooler that gives its
    connections to others after each transaction (PgBouncer: ``pool_mode = transaction``), the URL needs
    ``?pooler=transaction``; without this option, such a pooler is refused if it is detected. In a cluster of several
    writable servers, ``GET_LOCK`` orders the writers of one server only. CockroachDB has no such locks. Without a lock,
    conversations stay whole by the version that each commit expects: the later of two writers gets
    `VersionConflictError`, and repeats its turn.
Tables
    ``rasa_core_meta(name, value)`` has the version of this layout. ``rasa_core_heads`` has one row for each
    conversation, ``rasa_core_events`` one row for each event: ``(sender_id, seq)`` and its JSON, which is never
    changed. ``rasa_core_answers`` has one row for each request with a key. The tables are made at the first use, in the
    default database and, in PostgreSQL, the default schema of the user. The views ``rasa_core_conversations(sender_id,
    version, updated)`` and ``rasa_core_log(sender_id, seq, event)`` are for people, with ids as text; this package does
    not read them. Missing views are made, also beside older tables, if the user may make views.

CockroachDB uses the protocol of PostgreSQL. It is not tested on a server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Self
from urllib.parse import parse_qsl

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from rasa_core.domain import Domain
from rasa_core.exceptions import StoreError, StoreUnavailableError, did_you_mean
from rasa_core.support.extras import installing
from rasa_core.tracker_store.base import StoredAnswer
from rasa_core.tracker_store.heads import (
    Head,
    SenderIdError,
    check_commit,
    check_sender_id,
    layout_error,
    version_conflict,
)
from rasa_core.tracker_store.locks import timeout_from
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.sql_connections import ClashError, Database, query

MAX_ID = 2000
"""The most bytes of a sender_id: an index entry of it and a key of 255 bytes fits both PostgreSQL and InnoDB."""

_ATTEMPTS = 3
_POSTGRESQL = ("postgresql", "postgres", "cockroachdb")
_MYSQL = ("mysql", "mariadb")

# Ids and keys are stored as bytes of UTF-8, so that no collation folds case, drops trailing spaces, or refuses a NUL.
# They sort by code point. Events, states and answers are ASCII JSON of any length.
_TABLES = {
    "rasa_core_meta": "name VARCHAR(64) NOT NULL, value VARCHAR(255) NOT NULL, PRIMARY KEY (name)",
    "rasa_core_heads": "sender_id {id} NOT NULL, version BIGINT NOT NULL, origin BIGINT NOT NULL, "
    "fingerprint TEXT NOT NULL, updated DOUBLE PRECISION NOT NULL, state {text} NOT NULL, PRIMARY KEY (sender_id)",
    "rasa_core_events": "sender_id {id} NOT NULL, seq BIGINT NOT NULL, event {text} NOT NULL, "
    "PRIMARY KEY (sender_id, seq)",
    "rasa_core_answers": "sender_id {id} NOT NULL, request_key {key} NOT NULL, request TEXT NOT NULL, "
    "version BIGINT NOT NULL, complete SMALLINT NOT NULL, created DOUBLE PRECISION NOT NULL, answer {text} NOT NULL, "
    "PRIMARY KEY (sender_id, request_key){index}",
}
_VIEWS = {
    "rasa_core_conversations": (
        {"sender_id", "version", "updated"},
        "SELECT {shown} AS sender_id, version, updated FROM rasa_core_heads",
    ),
    "rasa_core_log": ({"sender_id", "seq", "event"}, "SELECT {shown} AS sender_id, seq, event FROM rasa_core_events"),
}
_LAYOUT = "1"
_LAYOUT_LOCK = b"\xff rasa_core layout"  # No sender_id has these bytes, which are not UTF-8.
_COLUMNS = (
    "SELECT table_name AS t, column_name AS c FROM information_schema.columns "
    f"WHERE table_schema = {{}} AND table_name IN ({', '.join(map(repr, (*_TABLES, *_VIEWS)))})"
)
_READ_LAYOUT = "SELECT value FROM rasa_core_meta WHERE name = 'version'"
_WRITE_LAYOUT = (
    f"INSERT INTO rasa_core_meta (name, value) VALUES ('format', 'rasa_core tracker store'), ('version', '{_LAYOUT}')"
)

# Both drivers take parameters in this form, and all servers understand this SQL.
_READ_HEAD = "SELECT version, origin, fingerprint, updated, state FROM rasa_core_heads WHERE sender_id = %(id)s"
_READ_EVENTS = (
    "SELECT event FROM rasa_core_events WHERE sender_id = %(id)s AND seq >= %(start)s AND seq < %(stop)s ORDER BY seq"
)
_READ_ANSWER = (
    "SELECT request, version, complete, created, answer FROM rasa_core_answers "
    "WHERE sender_id = %(id)s AND request_key = %(key)s"
)
_SENDER_IDS = "SELECT sender_id FROM rasa_core_heads WHERE {} ORDER BY sender_id{}"
# Deletes the oldest answers, a few at a time, so that no statement takes long. MySQL requires the subquery.
_EXPIRED_AT_ONCE = 1000
_EXPIRE_ANSWERS = (
    "DELETE FROM rasa_core_answers WHERE created < %(before)s AND created <= COALESCE((SELECT created FROM (SELECT "
    "created FROM rasa_core_answers WHERE created < %(before)s ORDER BY created LIMIT 1 OFFSET %(page)s) AS youngest), "
    "%(before)s)"
)
# The head is deleted first, which waits for a concurrent commit; then the rows of that commit are visible, too. If
# there is no head, there are no rows, except those of a commit that is just adding the head: they must stay.
_DELETE = [f"DELETE FROM rasa_core_{part} WHERE sender_id = %(id)s" for part in ("heads", "events", "answers")]


class SqlTrackerStore(EventLogStore):
    """Keeps conversations in the database at `url`, whose tables are made at the first use.

    Parameters
    ----------
    url
        ``postgresql://user:password@host/database``, or with ``mysql``, ``mariadb`` or ``cockroachdb``. Its query
        goes to the driver: ``?sslmode=verify-full`` for psycopg, ``?ssl_ca=...`` for PyMySQL.
    timeout
        How long to wait for a conversation that another request works on, for a connection, and for an answer of
        the server, in seconds.
    connections
        The most connections of this process. A thread uses one connection while it works on conversations.
    """

    def __init__(self, domain: Domain | None = None, *, url: str, timeout: float = 30.0, connections: int = 20) -> None:
        super().__init__(domain)
        self._database = _database(_parsed(url), timeout, connections)
        self._timeout = timeout
        self.address = self._database.address

    @classmethod
    def from_url(cls, url: str, domain: Domain | None = None) -> Self:
        """Return the store at `url`, in which ``?timeout=5&connections=10`` are the parameters of those names."""
        parsed = _parsed(url)
        # SQLAlchemy drops options with an empty value, which are errors here.
        options = dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))
        most = options.get("connections", "20")
        if not (most.isascii() and most.isdigit() and len(most) < 6):
            raise StoreError(f"connections is a whole number, not {most!r}.")
        rest = parsed.difference_update_query(["timeout", "connections"]).render_as_string(hide_password=False)
        return cls(domain, url=rest, timeout=timeout_from(options), connections=int(most))

    def close(self) -> None:
        """Close the connections; the store cannot be used afterwards."""
        self._database.close()

    def lock(self, sender_id: str) -> AbstractContextManager[None]:  # noqa: D102
        self._database.check_open()
        return self._database.hold(_key(sender_id), sender_id, self._timeout)

    def read_head(self, sender_id: str) -> Head | None:  # noqa: D102
        found = self._database.read(_READ_HEAD, {"id": _key(sender_id)})
        return Head(*found[0]) if found else None

    def read_events(self, sender_id: str, start: int, stop: int) -> list[str]:  # noqa: D102
        found = self._database.read(_READ_EVENTS, {"id": _key(sender_id), "start": start, "stop": stop})
        return [event for (event,) in found]

    def commit(  # noqa: D102
        self,
        sender_id: str,
        expected_version: int,
        events: Sequence[str],
        head: Head,
        answer: StoredAnswer | None = None,
    ) -> None:
        parameters = {"sender_id": _key(sender_id), "expected": expected_version, **_fields(head)}
        check_commit(expected_version, events, head)
        if answer is not None:
            parameters |= {**_fields(answer, "answer_"), "answer_key": answer.key.encode()}
        clash = None
        for _ in range(_ATTEMPTS):
            try:
                if self._database.write(lambda cursor: self._database.append(cursor, parameters, events)):
                    return
            except ClashError as error:
                clash = error  # The server has rolled back the commit, so that it may be sent again.
            stored = self.read_head(sender_id)
            version = 0 if stored is None else stored.version
            if version != expected_version:
                raise version_conflict(sender_id, expected_version, version) from clash
        raise clash or StoreUnavailableError(f"conversation {sender_id!r} changes all the time. Try again.")

    def read_answer(self, sender_id: str, key: str) -> StoredAnswer | None:  # noqa: D102
        found = self._database.read(_READ_ANSWER, {"id": _key(sender_id), "key": key.encode()})
        if not found:
            return None
        request, version, complete, created, text = found[0]
        return StoredAnswer(key, request, version, bool(complete), created, text)

    def expire_answers(self, before: float) -> int:  # noqa: D102
        def expire(cursor: Any) -> int:
            cursor.execute(_EXPIRE_ANSWERS, {"before": before, "page": _EXPIRED_AT_ONCE - 1})
            return int(cursor.rowcount)

        removed = 0
        while found := self._database.write(expire):
            removed += found
        return removed

    def sender_ids(  # noqa: D102
        self, after: str | None = None, limit: int | None = None, *, idle_since: float | None = None
    ) -> list[str]:
        conditions = ["sender_id > %(after)s"] * (after is not None) + ["updated < %(idle)s"] * (idle_since is not None)
        sql = _SENDER_IDS.format(" AND ".join(conditions) or "TRUE", "" if limit is None else " LIMIT %(limit)s")
        start = None if after is None else check_sender_id(after).encode()
        found = self._database.read(sql, {"after": start, "idle": idle_since, "limit": max(limit or 0, 0)})
        return [bytes(key).decode() for (key,) in found]

    def delete(self, sender_id: str) -> bool:  # noqa: D102
        parameters = {"id": _key(sender_id)}
        return self._database.write(lambda cursor: self._database.delete(cursor, _DELETE, parameters))


def _key(sender_id: str) -> bytes:
    """Return `sender_id` as bytes of UTF-8; raise `SenderIdError` if it has none, or too many."""
    key = check_sender_id(sender_id).encode()
    if len(key) > MAX_ID:
        raise SenderIdError(
            f"the sender_id {sender_id[:60]!r} has {len(key)} bytes in UTF-8, and this store keeps up to {MAX_ID}: "
            "use a shorter one."
        )
    return key


def _fields(one: Head | StoredAnswer, prefix: str = "") -> dict[str, Any]:
    return {prefix + name: getattr(one, name) for name in one._fields}


def _parsed(url: str) -> URL:
    scheme, colon, rest = url.partition(":")
    if colon and not rest.startswith("//"):
        url = f"{scheme}://{rest}"  # urllib drops the slashes of a URL without a host.
    try:
        return make_url(url)
    except (SQLAlchemyError, ValueError):
        # The message does not have the reason, which may quote a part of the password.
        raise StoreError(
            f"the URL of the tracker store cannot be read: write {scheme}://user:password@host:port/database, and "
            "in user and password @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25."
        ) from None


def _database(url: URL, timeout: float, connections: int) -> Database:
    scheme = url.drivername
    if scheme not in (*_POSTGRESQL, *_MYSQL):
        hint = did_you_mean(scheme, (*_POSTGRESQL, *_MYSQL))
        raise StoreError(f"no SQL store for {scheme + '://'!r}.{hint} Known: {', '.join((*_POSTGRESQL, *_MYSQL))}.")
    try:
        if scheme in _MYSQL:
            from rasa_core.tracker_store.mysql import MySQL

            return MySQL(url, timeout, connections, _prepare)
        from rasa_core.tracker_store.postgres import CockroachDB, PooledPostgreSQL, PostgreSQL

        pooler = url.query.get("pooler", "session")
        if pooler not in ("session", "transaction"):
            raise StoreError(f"pooler is session or transaction, not {pooler!r}.")
        kind = PooledPostgreSQL if pooler == "transaction" else PostgreSQL
        url = url.difference_update_query(["pooler"])
        return (CockroachDB if scheme == "cockroachdb" else kind)(url, timeout, connections, _prepare)
    except ImportError as error:
        extra = "mysql" if scheme in _MYSQL else "sql"
        raise StoreError(f"{scheme}:// needs more packages: {installing(extra)}. ({error})") from error
    except (TypeError, ValueError) as error:
        raise StoreError(f"an option in the URL of the tracker store is wrong: {error}.") from error


# -- making the tables at the first use, in one of several processes; tables of other software are refused


def _prepare(database: Database, cursor: Any) -> None:
    if not _missing(database, cursor):
        return
    if not database.lock(cursor, _LAYOUT_LOCK, database.timeout):
        raise StoreUnavailableError(
            f"cannot use the tracker store {database.address}: another process makes its tables for "
            f"{database.timeout:g} s. Try again."
        )
    try:
        missing = _missing(database, cursor)  # Another process may have made the tables meanwhile.
        if "rasa_core_meta" in missing:
            # The table with the layout comes first, and its rows last, since MySQL cannot make tables in a transaction.
            for name, columns in _TABLES.items():
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {name} ({columns.format_map(database.types)}) {database.storage}"
                )
            for statement in (*database.after_tables, _WRITE_LAYOUT):
                cursor.execute(statement)
        for name in sorted(_VIEWS.keys() & missing):
            # No code needs the views, so the user need not be allowed to make them.
            with suppress(database.error):
                cursor.execute(database.view.format(name, _VIEWS[name][1].format_map(database.types)))
    finally:
        database.unlock(cursor, _LAYOUT_LOCK, last=True)


def _missing(database: Database, cursor: Any) -> set[str]:
    """Return the missing views, and ``rasa_core_meta`` if tables are missing, or were not finished by a process."""
    found: dict[str, set[str]] = defaultdict(set)
    for table, column in query(cursor, _COLUMNS.format(database.schema)):
        found[table].add(column)
    views = {name for name, (columns, _) in _VIEWS.items() if found.pop(name, None) != columns}
    return views if _has_layout(database, cursor, found) else {"rasa_core_meta", *views}


def _has_layout(database: Database, cursor: Any, found: Mapping[str, set[str]]) -> bool:
    """Return False if the tables are missing, or if a process died while it made them."""
    for table, columns in found.items():
        ours = {part.split()[0] for part in _TABLES[table].partition(", PRIMARY KEY")[0].split(", ")}
        if "rasa_core_meta" not in found or not columns >= ours:
            raise StoreError(
                f"{database.address} has a table {table} of other software: it has the columns "
                f"{', '.join(sorted(columns))}. Use another database or schema."
            )
    versions = query(cursor, _READ_LAYOUT) if found else []
    if versions and versions[0][0] != _LAYOUT:
        raise layout_error(database.address, versions[0][0], _LAYOUT, "database")
    return bool(versions)
