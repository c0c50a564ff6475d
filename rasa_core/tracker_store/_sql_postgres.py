"""PostgreSQL through psycopg 3: a commit is one statement, and so one trip to the server and back.

The statement updates the head where it has the expected version, and adds events and answer only if that gave a
row. At READ COMMITTED, which every connection is set to, a writer that meets another one waits for it, sees its
version, and changes nothing.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import select
import time
from collections.abc import Generator, Sequence
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.waiting import Ready, Wait
from sqlalchemy import URL, BigInteger, LargeBinary, Select, Text, bindparam, column, func, insert, true
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store import _sql_tables as tables
from rasa_core.tracker_store._sql_database import GRACE, ClashError, Database

_Result = TypeVar("_Result")

# `lock_timeout` is set for this one statement alone; the limits are computed before the lock is awaited.
_LOCK = (
    "WITH limits AS MATERIALIZED (SELECT set_config('lock_timeout', %(wait)s, true) AS wait) "
    "SELECT limits.wait, pg_advisory_lock(%(lock)s) FROM limits"
)
_UNLOCK = "SELECT pg_advisory_unlock(%(lock)s)"

_RETRY = "Try again."
_RESTARTING = "The server is stopping, starting or out of reach: check the address, and try again when it runs."
_SLOW = "The server is too busy; try again, or give the store a longer timeout."
_RIGHTS = "Check user, password, database and rights, on the server and in the URL."
_READ_ONLY = "Connect to the primary server, or make the database writable."
_LAYOUT = "Its tables were changed or removed; restore them, or use another database."
_LONGEST_POLL = 3600.0  # Any wait is shorter; infinity is none that a system call takes.
_POLLED = {Wait.R: select.POLLIN, Wait.W: select.POLLOUT, Wait.RW: select.POLLIN | select.POLLOUT}
_CLASHES = {"40001", "40P01", "23505"}
_UNAVAILABLE = {
    "08": _RESTARTING,
    "57P": _RESTARTING,
    "57014": _SLOW,
    "55P03": _SLOW,
    "25006": _READ_ONLY,
    "53100": "Make room on the disk of the server.",
    "53": "The server is out of resources; try again, or raise its limits.",
    "58": "The disk of the server fails, or is full.",
    "25P": _RETRY,
}
_MISTAKES = {
    "28": _RIGHTS,
    "3D": _RIGHTS,
    "42501": _RIGHTS,
    "42P01": _LAYOUT,
    "42703": _LAYOUT,
    "54": "A value is bigger than the server can keep.",
    "XX": "The database is damaged; put a backup in its place.",
}
# A server that refuses a connection sends a code, but libpq gives only the text.
_REFUSED = re.compile(
    r"authentication failed|no password supplied|does not exist|no pg_hba\.conf entry|permission denied|"
    r"not permitted to log in|not currently accepting"
)
_WRONG_OPTION = re.compile(r"invalid (connection option|\w+ value)|bad value for")


class PostgreSQL(Database):
    """A PostgreSQL database; parameters as for `Database`."""

    error = psycopg.Error
    schema = "current_schema()"
    # Room in each page for the next version of a row, which then touches no index.
    storage: tuple[str, ...] = ("ALTER TABLE rasa_core_heads SET (fillfactor = 70)",)
    isolation: tuple[str, ...] = ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",)

    def __init__(self, url: URL, timeout: float) -> None:
        dialect: Any = PGDialect_psycopg
        self.dialect = dialect(paramstyle="pyformat")
        super().__init__(url, timeout)
        milliseconds = math.ceil(timeout * 1000)
        limits = [f"SET {name} = {milliseconds}" for name in ("statement_timeout", "lock_timeout")]
        self._set_up = "; ".join([*limits, *self.isolation])
        (options,) = self.dialect.create_connect_args(url)[1:]
        self._options: dict[str, Any] = {
            "connect_timeout": max(math.ceil(timeout), 2),  # libpq takes 1 for 2.
            "application_name": "rasa_core",
            "client_encoding": "utf8",
            **options,
        }
        # The rows travel as binary, in which nothing has to be escaped.
        self._append = {
            (first, answered): self._sql(_append(first=first, answered=answered)).replace("%(events)s", "%(events)b")
            for first in (True, False)
            for answered in (True, False)
        }

    def connect(self) -> Any:
        connection = _Connection.connect(**self._options, autocommit=True)
        try:
            connection.limit = self._timeout + GRACE
            connection.execute(self._set_up)
        except BaseException:
            connection.close()
            raise
        return connection

    def socket(self, connection: Any) -> int:
        return int(connection.pgconn.socket)

    def abandon(self, connection: Any) -> None:
        if not connection.closed:
            os.close(connection.pgconn.socket)  # libpq itself does nothing with a connection of another process.

    def lock(self, connection: Any, name: bytes, seconds: float) -> bool:
        wait = f"{max(math.ceil(seconds * 1000), 1)}ms"
        try:
            self.rows(connection, _LOCK, {"wait": wait, "lock": _lock_number(name)})
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
            return False
        return True

    def unlock(self, connection: Any, name: bytes) -> None:
        self.rows(connection, _UNLOCK, {"lock": _lock_number(name)})

    def append(
        self, connection: Any, expected: int, events: Sequence[str], head: dict[str, object], answer: dict[str, object]
    ) -> bool:
        statement = self._append[not expected, bool(answer)]
        parameters = {
            **head,
            "id": head["sender_id"],
            "expected": expected,
            "before": expected - 1,  # PostgreSQL counts from 1.
            "events": list(events),
            **{f"answer_{name}": value for name, value in answer.items()},
        }
        return bool(self.rows(connection, statement, parameters))

    def is_lost(self, error: Exception) -> bool:
        state = getattr(error, "sqlstate", None)
        return isinstance(error, psycopg.OperationalError) and (
            state is None or state[:3] == "57P" or state[:2] == "08"
        )

    def translated(self, error: Exception) -> StoreError:
        state = getattr(error, "sqlstate", None)
        diagnosis = getattr(error, "diag", None)
        reason = getattr(diagnosis, "message_primary", None) or str(error)
        if state is None:
            if _REFUSED.search(reason):
                return self._failure(StoreError, error, reason, _RIGHTS)
            if _WRONG_OPTION.search(reason):
                return self._failure(StoreError, error, reason, "Check the options in the URL.")
            if isinstance(error, psycopg.OperationalError):
                return self._failure(StoreUnavailableError, error, reason, _RESTARTING)
            return self._failure(StoreError, error, reason, "PostgreSQL cannot keep it.")
        if state in _CLASHES:
            return self._failure(ClashError, error, reason, _RETRY)
        for kind, remedies in ((StoreUnavailableError, _UNAVAILABLE), (StoreError, _MISTAKES)):
            for beginning, remedy in remedies.items():
                if state.startswith(beginning):
                    return self._failure(kind, error, reason, remedy)
        return self._failure(StoreError, error, f"{reason} (SQLSTATE {state})", "See the log of the server.")


class CockroachDB(PostgreSQL):
    """A CockroachDB database, which speaks like PostgreSQL but has no advisory locks: only versions order writers."""

    # Room in each page for the next version of a row, which then touches no index.
    storage: tuple[str, ...] = ("ALTER TABLE rasa_core_heads SET (fillfactor = 70)",)
    isolation: tuple[str, ...] = ()  # Its own default is stricter.

    def lock(self, connection: Any, name: bytes, seconds: float) -> bool:
        return True

    def unlock(self, connection: Any, name: bytes) -> None:
        pass


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that gives up on a server that hangs, for which libpq has no option."""

    limit = math.inf

    def wait(self, gen: Generator[Any, Any, _Result], *args: Any, **kwargs: Any) -> _Result:
        """Run `gen`, a step in talking to the server, which yields what it waits for and is sent what is ready."""
        deadline = time.monotonic() + self.limit
        poll = select.poll()
        try:
            awaited = next(gen)
            while True:
                poll.register(self.pgconn.socket, _POLLED[awaited])
                left = min(deadline - time.monotonic(), _LONGEST_POLL)
                events = poll.poll(max(left, 0) * 1000)
                if not events and time.monotonic() > deadline:
                    raise psycopg.OperationalError(f"the server gave no answer for {self.limit:g} s")
                awaited = gen.send(_ready(events[0][1], awaited) if events else 0)
        except StopIteration as end:
            result: _Result = end.value
            return result


def _ready(event: int, awaited: int) -> int:
    """Return what is ready, in psycopg's terms; after an error all is, so that the next step reports it."""
    ready = (Ready.R if event & select.POLLIN else 0) | (Ready.W if event & select.POLLOUT else 0)
    return ready or awaited


def _lock_number(name: bytes) -> int:
    """Return a number of 64 bits; two conversations that share one merely wait for each other."""
    digest = hashlib.blake2b(name, digest_size=8, person=b"rasa_core").digest()
    return int.from_bytes(digest, "big", signed=True)


def _append(*, first: bool, answered: bool) -> Select[Any]:
    """Return the statement of a commit; it gives one row if the version was the expected one."""
    heads = tables.HEADS
    change: Any = tables.NEXT_HEAD
    if first:  # There may be a head: that of a conversation that has no events.
        new = postgresql.insert(heads)
        columns = {name.name: new.excluded[name.name] for name in heads.c if not name.primary_key}
        change = new.on_conflict_do_update(
            index_elements=[heads.c.sender_id], set_=columns, where=heads.c.version == bindparam("expected")
        )
    head = change.returning(heads.c.version).cte("head")
    texts = func.unnest(bindparam("events", type_=postgresql.ARRAY(Text)))
    rows = texts.table_valued(column("event", Text), with_ordinality="number", name="rows").render_derived()
    seq = bindparam("before", type_=BigInteger) + rows.c.number
    log = sa.select(bindparam("id", type_=LargeBinary), seq, rows.c.event).select_from(head.join(rows, true()))
    parts = [insert(tables.EVENTS).from_select(["sender_id", "seq", "event"], log).cte("log")]
    if answered:
        parts.append(_put_answer(head))
    return sa.select(head.c.version).add_cte(*parts)


def _put_answer(head: Any) -> Any:
    columns = tables.ANSWERS.c
    row = sa.select(*(bindparam(f"answer_{one.name}", type_=one.type) for one in columns)).select_from(head)
    put = postgresql.insert(tables.ANSWERS).from_select([one.name for one in columns], row)
    return put.on_conflict_do_update(
        index_elements=[one for one in columns if one.primary_key],
        set_={one.name: put.excluded[one.name] for one in columns if not one.primary_key},
    ).cte("put")
