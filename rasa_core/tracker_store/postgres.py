"""PostgreSQL through psycopg 3. A commit is one statement, and so one round trip to the server.

The statement updates the head if it has the expected version, and adds events and answer only if this updated a row.
All connections use the isolation level READ COMMITTED: the later of two concurrent writers waits for the earlier one,
sees its version, and changes nothing. As a transaction, as in MySQL, a commit would take four or five round trips.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store import sql_connections as sql
from rasa_core.tracker_store.sql_connections import Database, query

_Result = TypeVar("_Result")

# `lock_timeout` is set for this statement alone; PostgreSQL evaluates the settings before it waits for the lock.
_LOCK = (
    "WITH limits AS MATERIALIZED (SELECT set_config('lock_timeout', %(wait)s, true) AS wait) "
    "SELECT limits.wait, pg_advisory_lock(%(lock)s) FROM limits"
)
_SERVER_PID = "SELECT pg_backend_pid()"
_UNLOCK = "SELECT pg_advisory_unlock(%(lock)s)"
_HEAD = "version, origin, fingerprint, updated, state"
_NEW = "%(version)s::bigint, %(origin)s::bigint, %(fingerprint)s, %(updated)s, %(state)s"
_NEXT_HEAD = f"""UPDATE rasa_core_heads SET ({_HEAD}) = ({_NEW})
    WHERE sender_id = %(sender_id)s AND version = %(expected)s::bigint RETURNING version"""
# The head of a conversation without events may exist already.
_FIRST_HEAD = f"""INSERT INTO rasa_core_heads (sender_id, {_HEAD}) VALUES (%(sender_id)s, {_NEW})
    ON CONFLICT (sender_id) DO UPDATE SET ({_HEAD}) = ({_NEW})
    WHERE rasa_core_heads.version = %(expected)s::bigint RETURNING version"""
# Events are sent as binary, which needs no escaping. PostgreSQL counts them from 1.
_ADD_EVENTS = """INSERT INTO rasa_core_events (sender_id, seq, event)
    SELECT %(sender_id)s, %(expected)s::bigint - 1 + new.number, new.event
    FROM head, unnest(%(events)b::text[]) WITH ORDINALITY AS new (event, number)"""
_PUT_ANSWER = """INSERT INTO rasa_core_answers (sender_id, request_key, request, version, complete, created, answer)
    SELECT %(sender_id)s, %(answer_key)s, %(answer_request)s, %(answer_version)s::bigint,
    %(answer_complete)s::int::smallint, %(answer_created)s, %(answer_text)s FROM head
    ON CONFLICT (sender_id, request_key) DO UPDATE SET request = excluded.request, version = excluded.version,
    complete = excluded.complete, created = excluded.created, answer = excluded.answer"""
_COMMIT = {
    (first, answered): f"WITH head AS ({_FIRST_HEAD if first else _NEXT_HEAD}), log AS ({_ADD_EVENTS})"
    f"{f', put AS ({_PUT_ANSWER})' if answered else ''} SELECT version FROM head"
    for first in (True, False)
    for answered in (True, False)
}

# A text in PostgreSQL cannot have a NUL.
_SHOWN = (
    "CASE WHEN position('\\x00'::bytea IN sender_id) = 0 THEN convert_from(sender_id, 'UTF8') "
    "ELSE encode(sender_id, 'escape') END"
)
# The keys are beginnings of the error code, SQLSTATE.
_MEANINGS: dict[str, sql.Meaning] = {
    **dict.fromkeys(("40001", "40P01", "23505"), sql.CLASH),
    **dict.fromkeys(("08", "57P"), sql.LOST),
    **dict.fromkeys(("57014", "55P03"), sql.SLOW),
    **dict.fromkeys(("28", "3D", "42501"), sql.RIGHTS),
    **dict.fromkeys(("42P01", "42703"), sql.LAYOUT),
    "25006": (StoreUnavailableError, "Connect to the primary server, or make the database writable."),
    "25P": (StoreUnavailableError, "Try again."),
    "53300": sql.FULL,
    "53100": (StoreUnavailableError, "Make room on the disk of the server."),
    "53": (StoreUnavailableError, "The server is out of resources; try again, or raise its limits."),
    "58": (StoreUnavailableError, "The disk of the server fails, or is full."),
    "54": (StoreError, "A value is bigger than the server can keep."),
    "XX": (StoreError, "The database is damaged; put a backup in its place."),
}
# When a server refuses a connection, libpq gives only the text of the error, not its code.
_TEXTS = {
    r"authentication failed|no password supplied|does not exist|no pg_hba\.conf entry|permission denied|"
    r"not permitted to log in|not currently accepting": sql.RIGHTS,
    r"too many (clients|connections)|remaining connection slots|no more connections allowed": sql.FULL,
    r"invalid (connection option|\w+ value)|bad value for": sql.OPTIONS,
}


class PostgreSQL(Database):
    """A PostgreSQL database; parameters as for `Database`."""

    driver = "postgresql+psycopg"
    error = psycopg.Error
    schema = "current_schema()"
    types: ClassVar = {"id": "BYTEA", "key": "BYTEA", "text": "TEXT", "index": "", "shown": _SHOWN}
    # In a block with EXCEPTION, a failure does not roll back the rest of the transaction.
    view = "DO $$ BEGIN CREATE OR REPLACE VIEW {} AS {}; EXCEPTION WHEN OTHERS THEN NULL; END $$"
    after_tables = (
        # Free room in each page for the next version of a row, so that an update changes no index.
        "ALTER TABLE rasa_core_heads SET (fillfactor = 70)",
        "CREATE INDEX IF NOT EXISTS rasa_core_answers_created ON rasa_core_answers (created)",
    )
    prepared_after: int | None = 5  # A statement is prepared after so many runs; None for never.
    isolation = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED"

    def connector(self) -> Callable[[], Any]:  # noqa: D102
        options = {
            "connect_timeout": max(math.ceil(self.timeout), 2),  # The least timeout of libpq is 2 seconds.
            "application_name": "rasa_core",
            "client_encoding": "utf8",
            "prepare_threshold": self.prepared_after,
            **self.options,
        }
        return partial(_connected, options, self.timeout + sql.GRACE, self.settings(math.ceil(self.timeout * 1000)))

    def settings(self, milliseconds: int) -> str:
        """Return the settings of each connection, with timeouts of so many milliseconds on the server."""
        limits = [f"SET {name} = {milliseconds}" for name in ("statement_timeout", "lock_timeout")]
        return "; ".join([*limits, self.isolation])

    @staticmethod
    def socket(connection: Any) -> int:  # noqa: D102
        return int(connection.pgconn.socket)

    def lock(self, cursor: Any, name: bytes, seconds: float) -> bool:  # noqa: D102
        wait = f"{max(math.ceil(seconds * 1000), 1)}ms"
        try:
            query(cursor, _LOCK, {"wait": wait, "lock": _lock_number(name)})
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
            return False
        return True

    def unlock(self, cursor: Any, name: bytes, *, last: bool) -> None:  # noqa: D102
        query(cursor, _UNLOCK, {"lock": _lock_number(name)})

    def check(self, cursor: Any) -> None:
        """Raise `StoreError` for a pooler that shares server connections, and with them their locks, among clients."""
        client = cursor.connection
        if query(cursor, _SERVER_PID)[0][0] == client.info.backend_pid:
            return
        other = self.connector()()  # A pooler reports another process id for a connection than the server's, or none.
        try:
            for _ in range(3):
                if query(cursor, _SERVER_PID) == query(other.cursor(), _SERVER_PID):
                    cursor.execute("RESET ALL")  # Otherwise the settings would stay for other clients.
                    raise StoreError(
                        f"cannot use the tracker store {self.address}: a pooler gives its connections to others after "
                        "each transaction. Add ?pooler=transaction to the URL, or set pool_mode = session there."
                    )
        finally:
            other.close()

    def append(self, cursor: Any, parameters: dict[str, Any], events: Sequence[str]) -> bool:  # noqa: D102
        statement = _COMMIT[not parameters["expected"], "answer_key" in parameters]
        return bool(query(cursor, statement, {**parameters, "events": list(events)}))

    def diagnosis(self, error: Exception) -> tuple[str, sql.Meaning]:  # noqa: D102
        state = getattr(error, "sqlstate", None)
        reason = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
        if state is None:
            lost = isinstance(error, psycopg.OperationalError)
            other = sql.LOST if lost else (StoreError, "PostgreSQL cannot keep it.")
            return reason, next((meaning for text, meaning in _TEXTS.items() if re.search(text, reason)), other)
        for beginning, meaning in _MEANINGS.items():
            if state.startswith(beginning):
                return reason, meaning
        return f"{reason} (SQLSTATE {state})", sql.UNKNOWN


class PooledPostgreSQL(PostgreSQL):
    """PostgreSQL behind a pooler, such as PgBouncer, that gives a server connection to others after each transaction.

    While a thread holds locks, a transaction stays open, so that the pooler does not give away the connection to which
    the locks belong. A commit begins the next transaction in the same step. If this process dies, the pooler closes the
    connection, since it is in the middle of a transaction. No statement is prepared, and no setting is changed.
    """

    prepared_after = None

    def settings(self, milliseconds: int) -> str:  # noqa: D102
        return ""

    def check(self, cursor: Any) -> None:
        """Raise `StoreError` for a pooler that gives away connections after each statement, and so loses locks."""
        try:
            cursor.execute("BEGIN")
            cursor.execute("ROLLBACK")
        except psycopg.Error as error:
            if "transaction blocks not allowed" not in str(error):
                raise
            raise StoreError(
                f"cannot use the tracker store {self.address}: a pooler gives its connections to others after each "
                "statement. Set pool_mode = transaction there."
            ) from error

    def lock(self, cursor: Any, name: bytes, seconds: float) -> bool:  # noqa: D102
        outside = _is_idle(cursor)
        wait = max(math.ceil(seconds * 1000), 1)
        begin = "BEGIN ISOLATION LEVEL READ COMMITTED; " if outside else ""
        try:
            cursor.execute(
                f"{begin}SET LOCAL lock_timeout = {wait}; SELECT pg_advisory_lock({_lock_number(name)}); "
                "SET LOCAL lock_timeout = 0"
            )
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
            cursor.execute("ROLLBACK" if outside else "ROLLBACK AND CHAIN")
            return False
        return True

    def unlock(self, cursor: Any, name: bytes, *, last: bool) -> None:  # noqa: D102
        # The commit comes first: the next holder of the lock has to see the changes that were made under it.
        end = "; COMMIT" if last else ""
        cursor.execute(f"COMMIT AND CHAIN; SELECT pg_advisory_unlock({_lock_number(name)}){end}")

    def append(self, cursor: Any, parameters: dict[str, Any], events: Sequence[str]) -> bool:  # noqa: D102
        done = super().append(cursor, parameters, events)
        if not _is_idle(cursor):
            cursor.execute("COMMIT AND CHAIN")
        return done

    def delete(self, cursor: Any, statements: Sequence[str], parameters: Mapping[str, object]) -> bool:  # noqa: D102
        if _is_idle(cursor):
            return super().delete(cursor, statements, parameters)
        found = sql.delete_rows(cursor, statements, parameters)
        cursor.execute("COMMIT AND CHAIN")
        return found


def _is_idle(cursor: Any) -> bool:
    return bool(cursor.connection.info.transaction_status == TransactionStatus.IDLE)


class CockroachDB(PostgreSQL):
    """A CockroachDB database, with the protocol of PostgreSQL, but no advisory locks: only versions order writers."""

    isolation = ""  # The default of CockroachDB is stricter.

    def lock(self, cursor: Any, name: bytes, seconds: float) -> bool:  # noqa: D102
        return True

    def unlock(self, cursor: Any, name: bytes, *, last: bool) -> None:  # noqa: D102
        pass


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection with a timeout of `limit` seconds for each answer of the server, which libpq does not have."""

    limit = math.inf

    def wait(self, gen: Generator[Any, Any, _Result], *args: Any, **kwargs: Any) -> _Result:
        """Run `gen` as psycopg does; it yields the events that it waits for, and is sent those that are ready."""

        def limited() -> Generator[Any, Any, _Result]:
            deadline = time.monotonic() + self.limit
            try:
                awaited = next(gen)
                while True:
                    ready = yield awaited
                    if not ready and time.monotonic() > deadline:
                        raise psycopg.OperationalError(f"the server gave no answer for {self.limit:g} s")
                    awaited = gen.send(ready)
            except StopIteration as end:
                result: _Result = end.value
                return result

        return super().wait(limited(), *args, **kwargs)


def _connected(options: dict[str, Any], limit: float, settings: str) -> _Connection:
    connection = _Connection.connect(**options, autocommit=True)
    try:
        connection.limit = limit
        if settings:
            connection.execute(settings)
    except BaseException:
        connection.close()
        raise
    return connection


def _lock_number(name: bytes) -> int:
    """Return a 64-bit number for a lock; two conversations with the same number only wait for each other."""
    digest = hashlib.blake2b(name, digest_size=8, person=b"rasa_core").digest()
    return int.from_bytes(digest, "big", signed=True)
