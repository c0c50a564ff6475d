"""The base of the databases of a SQL store, and its connections to a server.

Connections come from the pool of SQLAlchemy's engine, but statements run on the driver's own cursors: through
SQLAlchemy, each takes twice the processor time, 225 us instead of 110 us in PostgreSQL, and a turn has four of them.

A thread that holds locks of conversations has one connection for all of them, and all its reads and writes use this
connection. A thread without locks takes a connection for each operation. So no thread that has a connection waits for
another one, unless the server closed its connection.

A broken connection is replaced, and the locks are taken again on the new one. Reads are then repeated. A commit that
was sent is not repeated, since it is unknown whether the server applied it.
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
from rasa_core.tracker_store.heads import closed_error
from rasa_core.tracker_store.idle_connections import IdleConnections
from rasa_core.tracker_store.locks import MutexTable, busy_error, check_timeout, tries

_Result = TypeVar("_Result")


class ClashError(StoreUnavailableError):
    """The server rolled back a commit because of a conflict with a concurrent one."""


GRACE = 1.0  # Seconds by which timeouts here are longer than the server's, so that its message comes first.

# The class of error to raise, and the remedy.
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

# Connections of the threads of the parent process. A child keeps references to them, since dropping a connection would
# return it to its pool, and wait for mutexes whose holders do not exist in the child.
_inherited: list[object] = []


class Database(ABC):
    """A database on a server: its connections, its SQL, and the meaning of its errors.

    Parameters
    ----------
    url
        The address; its query has options of the driver.
    timeout
        The longest wait for a connection, and for an answer, in seconds.
    connections
        The largest number of open connections.
    prepare
        A function that is called with this object and a cursor before the first use of the database in this process.
    """

    driver: str  # SQLAlchemy's name of dialect and driver.
    error: type[Exception]  # The root of the driver's errors.
    schema: str  # The SQL expression for the schema of new tables.
    types: ClassVar[dict[str, str]]  # Types of sender_ids, keys and long texts; an index of answers; ids as text.
    storage = ""  # The SQL behind the columns in a CREATE TABLE.
    after_tables: tuple[str, ...] = ()  # Statements that are run after the tables are made.
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
        """Return a function that opens an autocommit connection; it must have no reference to this object."""

    @staticmethod
    @abstractmethod
    def socket(connection: Any) -> int:
        """Return the file descriptor of a connection of the driver; it may be negative if the connection is closed."""

    @abstractmethod
    def lock(self, cursor: Any, name: bytes, seconds: float) -> bool:
        """Take a lock, which lasts as long as the connection; return False if it is not free within `seconds`."""

    @abstractmethod
    def unlock(self, cursor: Any, name: bytes, *, last: bool) -> None:
        """Release a lock; `last` says whether the connection has no other locks."""

    def check(self, cursor: Any) -> None:  # noqa: B027
        """Raise `StoreError` if a pooler before the server would break the locks; called before the first use."""

    def delete(self, cursor: Any, statements: Sequence[str], parameters: Mapping[str, object]) -> bool:
        """Run the first statement and, if it found rows, the others, in a transaction; return whether it found rows."""
        cursor.execute("START TRANSACTION")
        found = delete_rows(cursor, statements, parameters)
        cursor.execute("COMMIT")
        return found

    @abstractmethod
    def append(self, cursor: Any, parameters: dict[str, Any], events: Sequence[str]) -> bool:
        """Store a commit atomically; return False, and store nothing, if the version is not the expected one.

        Parameters
        ----------
        parameters
            ``sender_id``, the ``expected`` version, the fields of the head by name and, if there is an answer, its
            fields with ``answer_`` before their names.
        """

    @abstractmethod
    def diagnosis(self, error: Exception) -> tuple[str, Meaning]:
        """Return the message of the server or driver in an error, and its meaning."""

    # -- work

    def read(self, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Return the rows of a query, which is repeated if the connection was lost."""
        return self._run(lambda cursor: query(cursor, sql, parameters), repeat=True)

    def write(self, work: Callable[[Any], _Result]) -> _Result:
        """Call `work` with a cursor, and return its result; after a lost connection, it is not repeated."""
        return self._run(work, repeat=False)

    @contextmanager
    def hold(self, name: bytes, sender_id: str, timeout: float) -> Iterator[None]:
        """Hold the lock `name` while the block runs; all operations of the thread in it use one connection."""
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
                if thread.pid == os.getpid():  # Only the process that took the lock releases it, not its child.
                    self._let_go(thread, name)

    def _let_go(self, thread: _ThreadConnection, name: bytes) -> None:
        thread.held.remove(name)
        try:
            if thread.cursor is not None:  # Without a cursor, the connection was closed, which freed the lock.
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
                        thread.discard()  # Only after a `StoreError` of this package, the connection is still sound.
                    if not isinstance(error, self.error | exc.TimeoutError):
                        raise
                    lost = worked and self.diagnosis(error)[1] is LOST
                    if not (repeat and lost and time.monotonic() < deadline):
                        raise self.translated(error) from error
                    repeat = False
        finally:
            self._give_back(thread)

    def translated(self, error: Exception) -> StoreError:
        """Return the `StoreError` for an error of driver or pool; no other code translates these errors."""
        if isinstance(error, exc.TimeoutError):
            reason = f"all of its {self._limit} connections are busy for {self.timeout:g} s"
            kind, remedy = BUSY
        else:
            reason, (kind, remedy) = self.diagnosis(error)
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        reason = " ".join(reason.split()).partition(" Is the server running")[0]  # A question of psycopg.
        reason = reason.rstrip(".") or type(error).__name__
        return kind(f"cannot use the tracker store {self.address}: {reason}. {remedy}")

    # -- connections

    def _start(self) -> None:
        """Make a new engine, with an empty pool."""
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
            # No reset, which would cost a round trip, of five in a turn: each statement is a transaction of its own,
            # and a connection is closed after an error.
            pool_reset_on_return=None,
        )
        # A ping by SQL would cost a round trip, too. The first queries of a dialect on a server are not needed here,
        # and fail on the version of a CockroachDB.
        engine.dialect.do_ping = type(self)._is_alive  # type: ignore[method-assign, assignment]
        engine.dialect.initialize = lambda connection: None  # type: ignore[method-assign]
        idle.engine, self._idle = ref(engine), idle
        self._engine, self._opened, self._threads, self._mutexes = engine, opened, _Threads(), MutexTable()

    @classmethod
    def _is_alive(cls, connection: Any) -> bool:
        """Return whether a connection is open; this asks the server only if it has sent something unexpected."""
        try:
            poll = select.poll()
            poll.register(cls.socket(connection), select.POLLIN)
            if poll.poll(0):
                query(connection.cursor(), "SELECT 1")
        except (cls.error, OSError, ValueError):  # A closed descriptor raises ValueError.
            return False
        return True

    def check_open(self) -> None:
        """Raise `StoreError` if the store was closed."""
        if self._closed:
            raise closed_error(self.address)

    def close(self) -> None:
        """Close the idle connections now, and the others when they are given back."""
        self._closed = True
        self._engine.dispose()

    def __del__(self) -> None:
        """Close the connections of a store that was not closed, which psycopg would warn of."""
        if hasattr(self, "_engine"):
            self._engine.dispose()

    def _connect(self, thread: _ThreadConnection, deadline: float) -> None:
        """Give `thread` a working connection with all its locks, unless it has one."""
        self.check_open()
        if thread.pooled is not None and self._is_alive(thread.pooled.dbapi_connection):
            return
        thread.discard()
        thread.pooled = self._pooled(deadline)
        cursor = thread.pooled.cursor()
        prepare = self._prepare
        if prepare is not None:  # Several threads may do this at the same time, without harm.
            self.check(cursor)
            prepare(self, cursor)
            self._prepare = None
        for name in thread.held:
            if not self.lock(cursor, name, max(deadline - time.monotonic(), 0.0)):
                raise busy_error(name.decode(), self.timeout)
        thread.cursor = cursor

    def _pooled(self, deadline: float) -> PoolProxiedConnection:
        """Return a connection of the pool; if the server allows no more, wait until another one is given back."""
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
        """Return a connection to the pool, unless it has locks."""
        if thread.held:
            return
        if self._threads.connection is thread:  # It is not, if another thread collects a block that was not left.
            self._threads.connection = None
        if self._closed:
            thread.discard()
        elif thread.pooled is not None:
            thread.pooled.close()
            thread.pooled = None

    def leave_to_parent(self) -> None:
        """Start with an empty pool in a child, and close its copies of the parent's sockets, unnoticed by the server.

        With open copies in a child, the server would keep the connections and locks of a parent that was killed.
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
    """The connection of a thread, and the locks that it holds on it."""

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
        """Close the connection of a thread that ended within a block; in the pool, it would keep the locks."""
        if self.pooled is not None:
            if self.pid == os.getpid():
                self.discard()
            else:
                _inherited.append(self.pooled)


class _Threads(threading.local):
    connection: _ThreadConnection | None = None


def query(cursor: Any, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    cursor.execute(sql, parameters)
    return list(cursor.fetchall())


def delete_rows(cursor: Any, statements: Sequence[str], parameters: Mapping[str, object]) -> bool:
    """Run statements as `Database.delete` does, in an open transaction."""
    cursor.execute(statements[0], parameters)
    found = bool(cursor.rowcount > 0)
    for statement in statements[1:] if found else ():
        cursor.execute(statement, parameters)
    return found


_databases: WeakSet[Database] = WeakSet()


def _in_child() -> None:
    for database in list(_databases):
        database.leave_to_parent()


# Comparing process ids protects connections that a child uses; this closes those that it never uses.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
