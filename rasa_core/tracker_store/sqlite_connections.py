"""The connections to one SQLite file, its layout, and the translation of its errors.

The connections are in a pool, rather than one for each thread: threads of a server come and go, and the connection of a
thread that ended would stay open. The pool has as many connections as operations ever ran at the same time. All of them
are closed for a fork.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from weakref import WeakSet

from rasa_core.exceptions import StoreError, StoreUnavailableError, did_you_mean
from rasa_core.support.folders import make_private
from rasa_core.tracker_store.heads import closed_error, layout_error
from rasa_core.tracker_store.locks import check_timeout

SEQ_BITS = 32
"""The number of low bits of an event's rowid that are its position in the log; the higher bits number conversations."""

_LAYOUT, _LAYOUT_BEFORE = "3", "2"
_TABLES = (
    "CREATE TABLE heads (number INTEGER PRIMARY KEY, sender_id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, "
    "origin INTEGER NOT NULL, fingerprint TEXT NOT NULL, updated REAL NOT NULL, state TEXT NOT NULL)",
    "CREATE TABLE events (place INTEGER PRIMARY KEY, event TEXT NOT NULL)",
    "CREATE TABLE answers (number INTEGER NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, "
    "version INTEGER NOT NULL, complete INTEGER NOT NULL, created REAL NOT NULL, text TEXT NOT NULL, "
    "PRIMARY KEY (number, key))",
    "CREATE INDEX answers_created ON answers (created)",
)
_VIEWS = {
    "rasa_core_conversations": "SELECT sender_id, version, updated FROM heads",
    "rasa_core_log": f"SELECT sender_id, place - (number << {SEQ_BITS}) AS seq, event FROM heads CROSS JOIN events "
    f"ON place BETWEEN number << {SEQ_BITS} AND (number << {SEQ_BITS}) + {(1 << SEQ_BITS) - 1}",
}
"""Views for people and their programs, with the same names as in other engines."""
_MAKE_VIEWS = tuple(f"CREATE VIEW IF NOT EXISTS {name} AS {query}" for name, query in _VIEWS.items())
_NEW_FILE = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID",
    *_TABLES,
    f"INSERT INTO meta (key, value) VALUES ('format', 'rasa_core tracker store'), ('version', '{_LAYOUT}')",
    *_MAKE_VIEWS,
)
_UPGRADE = (
    "DROP INDEX answers_created",
    *(f"ALTER TABLE {name} RENAME TO old_{name}" for name in ("heads", "events", "answers")),
    *_TABLES,
    "INSERT INTO heads (sender_id, version, origin, fingerprint, updated, state) "
    "SELECT sender_id, version, origin, fingerprint, updated, state FROM old_heads ORDER BY sender_id",
    f"INSERT INTO events SELECT (number << {SEQ_BITS}) + seq, event "
    "FROM heads CROSS JOIN old_events USING (sender_id) ORDER BY 1",
    "INSERT INTO answers SELECT number, key, request, a.version, complete, created, text "
    "FROM heads CROSS JOIN old_answers AS a USING (sender_id) ORDER BY 1, 2",
    *(f"DROP TABLE old_{name}" for name in ("heads", "events", "answers")),
    f"UPDATE meta SET value = '{_LAYOUT}' WHERE key = 'version'",
    *_MAKE_VIEWS,
)
# Pages in the write-ahead log that start a checkpoint, during which all writers wait for the disk.
_PAGES_IN_LOG = 4000

_BUSY = "Another process is writing to it for too long; try again, or give a longer timeout."
_NOT_WRITABLE = "Make the file and its folder writable for the user that runs this process."
_PASSING = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: "Make room on that disk.",
    sqlite3.SQLITE_IOERR: "The disk fails, or is full; conversations need a sound local disk.",
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_PERM: _NOT_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: "Its folder has to exist and be writable for the user that runs this process.",
}
_LASTING = {
    sqlite3.SQLITE_NOTADB: "Name another file, or move this one away.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged; move it away and put a backup in its place.",
}


class Connections:
    """The open connections to the file at `path`; parameters as for `SqliteTrackerStore`."""

    def __init__(self, path: str, synchronous: str, timeout: float) -> None:
        self.idle: list[sqlite3.Connection] = []
        if os.path.basename(path) in ("", ":memory:") or "\0" in path:
            raise StoreError(
                f"{path!r} is not a file for a tracker store. Conversations that need no file live in memory://, "
                "the InMemoryTrackerStore."
            )
        if synchronous not in ("normal", "full"):
            hint = did_you_mean(synchronous, ("normal", "full"))
            raise StoreError(f'synchronous is "normal" or "full", not {synchronous!r}.{hint}')
        self.path = os.path.abspath(path)
        self.timeout = check_timeout(timeout)
        self.writer = threading.Lock()
        self._synchronous = synchronous
        self._closed = False
        self._guard = threading.Lock()  # To lock it directly takes a quarter of the time of locking the condition.
        self._at_rest = threading.Condition(self._guard)
        self._in_use = 0
        self._is_awaited = False
        _open_files.add(self)

    def close(self) -> bool:
        """Close the idle connections, and the others when they are given back; return whether this was not done yet."""
        with self._guard:
            was_open, self._closed = not self._closed, True
            self._close_idle()
        return was_open

    def __del__(self) -> None:
        """Close the connections of a store that was not closed, which Python 3.13 would warn of."""
        self._close_idle()

    def check_open(self) -> None:
        """Raise `StoreError` if the store was closed."""
        if self._closed:
            raise closed_error(self.path)

    def reading(self) -> _Lent:
        """Lend a connection that is in no transaction."""
        return _Lent(self, writes=False)

    def writing(self) -> _Lent:
        """Lend a connection in a write transaction, which is committed unless the block raises."""
        return _Lent(self, writes=True)

    def take(self) -> sqlite3.Connection:
        """Return a connection; the caller must call `give_back` in any case, even after an error."""
        with self._guard:
            self._in_use += 1
            self.check_open()
            if self.idle:
                return self.idle.pop()
        return self._connect()

    def give_back(self, connection: sqlite3.Connection | None, *, sound: bool) -> None:
        """Keep a connection for the next operation; close it, which rolls back, if it is not `sound`."""
        with self._guard:
            if connection is not None:
                if sound and not connection.in_transaction and not self._closed:
                    self.idle.append(connection)
                else:
                    connection.close()
            self._in_use -= 1
            if not self._in_use and self._is_awaited:
                self._at_rest.notify_all()

    def translated(self, error: sqlite3.Error) -> StoreError:
        """Return the `StoreError` for an error of SQLite; no other code translates these errors."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # The primary code; errors of the module have none.
        kind = StoreUnavailableError if code in _PASSING else StoreError
        remedy = {**_PASSING, **_LASTING}.get(code, "The file is damaged, or was changed by other software.")
        folder = os.path.dirname(self.path)
        if code == sqlite3.SQLITE_CANTOPEN and not os.path.isdir(folder):
            remedy = f"The folder {folder} does not exist; make it first."
        return kind(f"cannot use the tracker store {self.path}: {error}. {remedy}")

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Wait for the operations in progress, and keep all connections closed while the block runs."""
        with self.writer, self._guard:
            self._is_awaited = True
            self._at_rest.wait_for(lambda: not self._in_use)
            self._is_awaited = False
            self._close_idle()
            yield

    def _close_idle(self) -> None:
        while self.idle:
            self.idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        make_private(self.path)
        connection = sqlite3.connect(self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_IN_LOG}")
            self._write_ahead(connection)
            if self._missing(connection):
                connection.execute("BEGIN IMMEDIATE")
                for statement in self._missing(connection):  # Empty if another process has made the tables.
                    connection.execute(statement)
                connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        """Switch the file to a write-ahead log, so that readers and a writer do not wait for each other."""
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                # If several processes start at the same time, SQLite lets one switch, and fails for the others.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise StoreError(
                f"cannot use the tracker store {self.path}: its file system has no shared memory, as network "
                "drives have none. Put the file on a local disk."
            )

    def _missing(self, connection: sqlite3.Connection) -> Sequence[str]:
        """Return the statements that make the tables; raise `StoreError` if the file belongs to other software."""
        named = connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
        tables = {name for name, kind in named if kind == "table"}
        if not tables:
            return _NEW_FILE
        if not tables >= {"meta", "heads", "events"}:
            others = ", ".join(sorted(tables))
            raise StoreError(f"{self.path} is a database of other software: its tables are {others}.")
        found = dict(connection.execute("SELECT key, value FROM meta")).get("version")
        if found not in (_LAYOUT, _LAYOUT_BEFORE):
            raise layout_error(self.path, found, _LAYOUT, "file")
        if found != _LAYOUT:
            return _UPGRADE
        return () if _VIEWS.keys() <= {name for name, _ in named} else _MAKE_VIEWS


class _Lent:
    """The context manager that lends a connection; a class, since a generator takes twice the time."""

    __slots__ = ("_connection", "_connections", "_writes")

    def __init__(self, connections: Connections, *, writes: bool) -> None:
        self._connections = connections
        self._connection: sqlite3.Connection | None = None
        self._writes = writes

    def __enter__(self) -> sqlite3.Connection:
        connections = self._connections
        # In SQLite, waiting writers sleep and try again. Between threads of this process, a mutex is faster.
        if self._writes and not connections.writer.acquire(timeout=connections.timeout):
            raise StoreUnavailableError(
                f"cannot use the tracker store {connections.path}: busy for {connections.timeout:g} s. {_BUSY}"
            )
        try:
            connection = self._connection = connections.take()
            if self._writes:
                connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        connection = self._connection
        try:
            if connection is not None and connection.in_transaction:
                if error is None:
                    connection.execute("COMMIT")
                elif isinstance(error, StoreError):
                    connection.execute("ROLLBACK")
        except sqlite3.Error as failure:
            error = failure
        finally:
            self._connections.give_back(connection, sound=not isinstance(error, sqlite3.Error))
            if self._writes:
                self._connections.writer.release()
        if isinstance(error, sqlite3.Error):
            raise self._connections.translated(error) from error


_open_files: WeakSet[Connections] = WeakSet()
_forking = threading.local()


def _before_fork() -> None:
    _forking.files = ExitStack()
    for connections in list(_open_files):
        _forking.files.enter_context(connections.at_rest())


def _after_fork() -> None:
    _forking.files.close()


# All connections must be closed before a fork. SQLite remembers in memory which locks of the file the process has, but
# a child has none of these locks: it could write into a write-ahead log that its parent has removed, and lose the
# commit. Comparing process ids when a connection is taken would be too late.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
