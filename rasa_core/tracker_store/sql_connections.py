"""The database of a SQL store: what servers differ in, and the connections to one of them.

Connections come from the pool of SQLAlchemy's engine, and statements run on the driver's own cursors: run by
SQLAlchemy, each takes twice the processor time, 225 us instead of 110 us in PostgreSQL, and a turn has four of them.

A thread that holds conversations has one connection of its own, on which their locks stand and through which all that
it reads and writes meanwhile goes. Any other operation takes a connection for itself alone. So no thread that has a
connection waits for another one, unless the server ended the one that it had.

A connection that broke is replaced, and the locks are taken again on the new one. Reads are then repeated. A commit is
not, once it was sent: nobody knows whether it was applied.
"""

from __future__ import annotations

import os
import select
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, TypeVar
from weakref import WeakSet, ref

from sqlalchemy import URL, create_engine, exc
from sqlalchemy.pool import PoolProxiedConnection

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store.idle_connections import IdleConnections
from rasa_core.tracker_store.locks import MutexTable, busy_error, check_timeout, tries

_Result = TypeVar("_Result")


class ClashError(StoreUnavailableError):
    """The server undid a commit because another one was in its way."""


GRACE = 1.0  # Seconds by which this side gives up later than the server, whose own message then comes first.

# What an error is for the caller, and the remedy.
Meaning = tuple[type[StoreError], str]
CLASH: Meaning = (ClashError, "Try again.")
LOST: Meaning = (
    StoreUnavailableError,
    "The server is stopping, starting or out of reach: check the address, and try again when it runs.",
)
BUSY: Meaning = (StoreUnavailableError, "Try again, or give the store more connections.")
SLOW: Meaning = (StoreUnavailableError, "The server is too busy; try again, or give the store a longer timeout.")
FULL: Meaning = (
    StoreUnavailableError,
    "The server allows no more connections: give each process fewer with ?connections=N, or raise its limits.",
)
RIGHTS: Meaning = (StoreError, "Check user, password, database and rights, on the server and in the URL.")
OPTIONS: Meaning = (StoreError, "Check the options in the URL.")
LAYOUT: Meaning = (StoreError, "Its tables were changed or removed; restore them, or use another database.")
UNKNOWN: Meaning = (StoreError, "See the log of the server.")

# Connections that threads of the parent process had. A child never touches them again, not even by dropping them: that
# would return them to their pool, and wait for mutexes whose holders do not exist here.
_inherited: list[object] = []


class Database(ABC):
    """A database on a server: how to connect, what to say, and what its errors mean.

    Parameters
    ----------
    url
        Where it is; the query holds options of the driver.
    timeout
        Longest wait for a connection, and for an answer, in seconds.
    connections
        How many connections may be open at one time.
    prepare
        Is called with this object and a cursor before this process uses the database for the first time.
    """

    driver: str  # What SQLAlchemy calls the dialect and the driver.
    error: type[Exception]  # Root of the driver's errors.
    schema: str  # What the server calls the place of new tables.
    types: ClassVar[dict[str, str]]  # Of sender_ids, of keys, and of long texts; an index of answers; ids as text.
    storage = ""  # What follows the columns of a table where it is made.
    after_tables: tuple[str, ...] = ()  # Statements that are run when the tables were made.
    view = "CREATE OR REPLACE VIEW {} AS {}"

    def __init__(self, url: URL, timeout: float, connections: int, prepare: Callable[[Database, Any], None]) -> None:
        self.timeout = check_timeout(timeout)
        if connections < 1:
            raise StoreError(f"a tracker store needs at least one connection, not {connections!r}.")
        self._limit = connections
        self._prepare: Callable[[Database, Any], None] | None = prepare
        self.address = URL.create(
            url.drivername, username=url.username, host=url.host, port=url.port, database=url.database
        ).render_as_string()
        secrets = [url.password, *(value for name, value in url.query.items() if "pass" in name)]
        self._secrets = [secret for secret in secrets if isinstance(secret, str) and secret]
        self.url = url.set(drivername=self.driver)
        self.options: Mapping[str, Any] = self.url.get_dialect()().create_connect_args(self.url)[1]
        self._closed = False
        self._start()
        _databases.add(self)

    # -- what servers differ in

    @abstractmethod
    def connector(self) -> Callable[[], Any]:
        """Return what makes a connection on which each statement is a transaction; it must not refer to this object."""

    @staticmethod
    @abstractmethod
    def socket(connection: Any) -> int:
        """Return the file descriptor of a connection of the driver; it may be negative if the connection is closed."""

    @abstractmethod
    def lock(self, cursor: Any, name: bytes, seconds: float) -> bool:
        """Take a lock that lives as long as the connection; return False if it was not free for that long."""

    @abstractmethod
    def unlock(self, cursor: Any, name: bytes, *, last: bool) -> None:
        """Give the lock back; `last` tells that no other one stands on the connection."""

    def check(self, cursor: Any) -> None:  # noqa: B027
        """Raise `StoreError` if what is between here and the server breaks the locks; before the first use."""

    def delete(self, cursor: Any, statements: Sequence[str], parameters: Mapping[str, object]) -> bool:
        """Run statements in one transaction; return whether the first one found rows, else leave out the others."""
        cursor.execute("START TRANSACTION")
        found = delete_rows(cursor, statements, parameters)
        cursor.execute("COMMIT")
        return found

    @abstractmethod
    def append(self, cursor: Any, parameters: dict[str, Any], events: Sequence[str]) -> bool:
        """Store a commit, all or nothing; return False, and store nothing, if the version is not the expected one.

        Parameters
        ----------
        parameters
            ``sender_id``, the ``expected`` version, and the fields of the head by name; with ``answer_`` before their
            names, the fields of the answer, if there is one to store.
        """

    @abstractmethod
    def diagnosis(self, error: Exception) -> tuple[str, Meaning]:
        """Return what the server or the driver said, and what that means."""

    # -- work

    def read(self, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Return the rows that a query gives; it is repeated if the connection turns out to be lost."""
        return self._run(lambda cursor: query(cursor, sql, parameters), repeat=True)

    def write(self, work: Callable[[Any], _Result]) -> _Result:
        """Return what `work` gives for a cursor; it is never repeated."""
        return self._run(work, repeat=False)

    @contextmanager
    def hold(self, name: bytes, sender_id: str, timeout: float) -> Iterator[None]:
        """Hold the lock `name` while the block runs; what this thread does meanwhile goes over its connection."""
        deadline = time.monotonic() + timeout

        def take(cursor: Any) -> _ThreadConnection:
            if not self.lock(cursor, name, max(deadline - time.monotonic(), 0.0)):
                raise busy_error(sender_id, timeout)
            thread = self._threads.connection
            assert thread is not None
            thread.held.append(name)
            return thread

        with self._mutexes.hold(name, name=sender_id, timeout=timeout):
            thread = self._run(take, repeat=True, deadline=deadline)
            try:
                yield
            finally:
                if thread.pid == os.getpid():  # Not in a child of the process that holds it.
                    self._let_go(thread, name)

    def _let_go(self, thread: _ThreadConnection, name: bytes) -> None:
        thread.held.remove(name)
        try:
            if thread.cursor is not None:  # Else the lock is gone with its connection.
                self.unlock(thread.cursor, name, last=not thread.held)
        except BaseException as error:
            thread.discard()
            if not isinstance(error, self.error):
                raise
        finally:
            self._give_back(thread)

    def _run(self, work: Callable[[Any], _Result], *, repeat: bool, deadline: float | None = None) -> _Result:
        deadline = deadline or time.monotonic() + self.timeout
        thread = self._threads.connection = self._threads.connection or _ThreadConnection()
        try:
            while True:
                try:
                    self._connect(thread, deadline)
                    return work(thread.cursor)
                except BaseException as error:
                    worked = thread.cursor is not None
                    if not (worked and isinstance(error, StoreError)):
                        thread.discard()  # After an error of this package, a connection that worked is in order.
                    if not isinstance(error, self.error | exc.TimeoutError):
                        raise
                    lost = worked and self.diagnosis(error)[1] is LOST
                    if not (repeat and lost and time.monotonic() < deadline):
                        raise self.translated(error) from error
                    repeat = False
        finally:
            self._give_back(thread)

    def translated(self, error: Exception) -> StoreError:
        """Return what an error of driver or pool is for the caller: the one place where they become ours."""
        if isinstance(error, exc.TimeoutError):
            reason = f"all of its {self._limit} connections are busy for {self.timeout:g} s"
            kind, remedy = BUSY
        else:
            reason, (kind, remedy) = self.diagnosis(error)
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        reason = " ".join(reason.split()).rstrip(".") or type(error).__name__
        return kind(f"cannot use the tracker store {self.address}: {reason}. {remedy}")

    # -- connections

    def _start(self) -> None:
        """Begin without connections."""
        connect, opened, idle = self.connector(), WeakSet[Any](), IdleConnections(self.error)

        def creator() -> Any:
            connection = connect()
            opened.add(connection)
            idle.opened(len(opened))
            return connection

        engine = create_engine(
            self.url,
            creator=creator,
            pool_size=self._limit,
            max_overflow=0,
            pool_timeout=self.timeout,
            pool_use_lifo=True,
            pool_pre_ping=True,
            # Each statement is a transaction of its own, and a connection on which anything failed is closed: to reset
            # it would merely cost one more trip to the server, of five in a turn.
            pool_reset_on_return=None,
        )
        # A ping by SQL would cost another one. What a dialect asks a new server about itself changes nothing here, and
        # it takes no version of CockroachDB for one of PostgreSQL.
        engine.dialect.do_ping = type(self)._is_alive  # type: ignore[method-assign, assignment]
        engine.dialect.initialize = lambda connection: None  # type: ignore[method-assign]
        idle.engine, self._idle = ref(engine), idle
        self._engine, self._opened, self._threads, self._mutexes = engine, opened, _Threads(), MutexTable()

    @classmethod
    def _is_alive(cls, connection: Any) -> bool:
        """Tell whether the server keeps a connection; that costs a trip to it only if it sent anything unasked."""
        try:
            poll = select.poll()
            poll.register(cls.socket(connection), select.POLLIN)
            if poll.poll(0):
                query(connection.cursor(), "SELECT 1")
        except (cls.error, OSError, ValueError):  # The last of a descriptor that is closed.
            return False
        return True

    def check_open(self) -> None:
        """Raise `StoreError` if the store was closed."""
        if self._closed:
            raise StoreError(f"the tracker store {self.address} is closed: make a new one.")

    def close(self) -> None:
        """Close what is idle now, and the rest as it comes back."""
        self._closed = True
        self._engine.dispose()

    def __del__(self) -> None:
        """Close the connections of a store that was not closed, which psycopg would warn of."""
        if hasattr(self, "_engine"):
            self._engine.dispose()

    def _connect(self, thread: _ThreadConnection, deadline: float) -> None:
        """Give `thread` a connection in a state to work with, with all its locks, unless it has one."""
        self.check_open()
        if thread.pooled is not None and self._is_alive(thread.pooled.dbapi_connection):
            return
        thread.discard()
        thread.pooled = self._pooled(deadline)
        cursor = thread.pooled.cursor()
        prepare = self._prepare
        if prepare is not None:  # Threads that begin at once may all do it.
            self.check(cursor)
            prepare(self, cursor)
            self._prepare = None
        for name in thread.held:
            if not self.lock(cursor, name, max(deadline - time.monotonic(), 0.0)):
                raise busy_error(name.decode(), self.timeout)
        thread.cursor = cursor

    def _pooled(self, deadline: float) -> PoolProxiedConnection:
        """Return a connection of the pool; while the server allows no more, wait for one that is given back."""
        refused: Exception | None = None
        for _ in tries(deadline, 0.005, 0.1):
            try:
                return self._engine.raw_connection()
            except self.error as error:
                if self.diagnosis(error)[1] is not FULL:
                    raise
                refused = error
                self._idle.refused()
        assert refused is not None
        raise refused

    def _give_back(self, thread: _ThreadConnection) -> None:
        """Return a connection to the pool, unless locks stand on it."""
        if thread.held:
            return
        if self._threads.connection is thread:  # Else another thread collects a block that was never left.
            self._threads.connection = None
        if self._closed:
            thread.discard()
        elif thread.pooled is not None:
            thread.pooled.close()
            thread.pooled = None

    def leave_to_parent(self) -> None:
        """Start afresh in a child, and close its copies of the parent's connections; the server learns nothing of it.

        While they are open in any process, the server keeps the session, with its locks, of a parent that was killed.
        """
        opened = list(self._opened)
        _inherited.append((self._engine, self._threads))
        self._start()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for connection in opened:
            with suppress(self.error, OSError):
                os.dup2(nowhere, self.socket(connection), inheritable=False)
                connection.close()
        os.close(nowhere)


class _ThreadConnection:
    """The connection through which a thread works, and the locks that stand on it."""

    __slots__ = ("cursor", "held", "pid", "pooled")

    def __init__(self) -> None:
        self.pooled: PoolProxiedConnection | None = None
        self.cursor: Any = None
        self.held: list[bytes] = []
        self.pid = os.getpid()

    def discard(self) -> None:
        """Close the connection, which frees the locks."""
        pooled, self.pooled, self.cursor = self.pooled, None, None
        if pooled is not None:
            pooled.invalidate()

    def __del__(self) -> None:
        """Close the connection of a thread that was ended in the middle of its work; the pool would keep its locks."""
        if self.pooled is not None:
            if self.pid == os.getpid():
                self.discard()
            else:
                _inherited.append(self.pooled)


class _Threads(threading.local):
    connection: _ThreadConnection | None = None


def query(cursor: Any, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
    """Return the rows that a statement gives."""
    cursor.execute(sql, parameters)
    return list(cursor.fetchall())


def delete_rows(cursor: Any, statements: Sequence[str], parameters: Mapping[str, object]) -> bool:
    """Run statements as `Database.delete` does, in a transaction that is open."""
    cursor.execute(statements[0], parameters)
    found = bool(cursor.rowcount > 0)
    for statement in statements[1:] if found else ():
        cursor.execute(statement, parameters)
    return found


_databases: WeakSet[Database] = WeakSet()


def _in_child() -> None:
    for database in list(_databases):
        database.leave_to_parent()


# The process id tells whose a connection is where it is used. But nothing can close what a child never uses but this.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
