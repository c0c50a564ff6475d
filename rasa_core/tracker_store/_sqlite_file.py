"""Connections to one SQLite file: opening, layout, transactions, and the words for what goes wrong.

Connections are pooled, not kept by thread: threads of a server come and go, and a connection that only its
own thread may close would stay open. An operation takes a connection, or opens one, and gives it back; so
there are as many as operations ever ran at one time. None is open while the process forks, since SQLite
cannot carry one into the child.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import suppress

from rasa_core.exceptions import StoreError, StoreUnavailableError, did_you_mean
from rasa_core.tracker_store._forks import ForkAware
from rasa_core.tracker_store.locks import check_timeout

_LAYOUT = "2"
_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE heads (sender_id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, "
    "origin INTEGER NOT NULL, fingerprint TEXT NOT NULL, updated REAL NOT NULL, state TEXT NOT NULL)",
    "CREATE TABLE events (sender_id TEXT NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL, "
    "PRIMARY KEY (sender_id, seq)) WITHOUT ROWID",
    "CREATE TABLE answers (sender_id TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, "
    "version INTEGER NOT NULL, complete INTEGER NOT NULL, created REAL NOT NULL, text TEXT NOT NULL, "
    "PRIMARY KEY (sender_id, key)) WITHOUT ROWID",
    "CREATE INDEX answers_created ON answers (created)",
    f"INSERT INTO meta (key, value) VALUES ('format', 'rasa_core tracker store'), ('version', '{_LAYOUT}')",
)
_SYNCHRONOUS = ("normal", "full")
_BUSY = "Another process is writing to it for too long; try again, or give a longer timeout."
_NOT_WRITABLE = "Make the file and its folder writable for the user that runs this process."
_REMEDIES = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: "Make room on that disk.",
    sqlite3.SQLITE_IOERR: "The disk fails, or is full; conversations need a sound local disk.",
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_PERM: _NOT_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: "Its folder has to exist and be writable for the user that runs this process.",
    sqlite3.SQLITE_NOTADB: "Name another file, or move this one away.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged; move it away and put a backup in its place.",
}
_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CANTOPEN,
}


class Connections(ForkAware):
    """The open connections to the file at `path`; parameters as for `SqliteTrackerStore`."""

    def __init__(self, path: str, *, synchronous: str, timeout: float) -> None:
        super().__init__()
        self._idle: list[sqlite3.Connection] = []
        _check_options(path, synchronous)
        self.path = os.path.abspath(path)
        self._synchronous = synchronous.lower()
        self._timeout = check_timeout(timeout)
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._writer = threading.Lock()
        self._idle = []
        self._in_use = 0

    def close(self) -> bool:
        """Close what is idle now, and the rest as it comes back; return whether the file was open before."""
        with self._changed:
            was_open, self._closed = not self._closed, True
            self._close_idle()
        return was_open

    def __del__(self) -> None:
        """Close the connections of a store that was not closed, which Python 3.13 would warn of."""
        self._close_idle()

    def check_open(self) -> None:
        """Raise `StoreError` if the store was closed."""
        if self._closed:
            raise StoreError(f"the tracker store {self.path} is closed: make a new one.")

    def reading(self) -> _Reading:
        """Lend a connection that is in no transaction."""
        return _Reading(self)

    def writing(self) -> _Writing:
        """Lend a connection in a write transaction, which is committed unless the block raises."""
        return _Writing(self)

    def before_fork(self) -> None:
        """Wait for the operations under way, and close every connection."""
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._in_use)
        self._close_idle()

    def after_fork_in_parent(self) -> None:
        """Let the other threads go on."""
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Start without connections."""
        self._start()

    def _take(self) -> sqlite3.Connection:
        with self._changed:
            self.check_open()
            self._in_use += 1
            if self._idle:
                return self._idle.pop()
        try:
            return self._connect()
        except BaseException as error:
            with self._changed:
                self._returned()
            if isinstance(error, sqlite3.Error):
                raise self._translated(error) from error
            raise

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._changed:
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)
            self._returned()

    def _drop(self, connection: sqlite3.Connection) -> None:
        """Close a connection whose state is in doubt, which also rolls back."""
        with suppress(sqlite3.Error):
            connection.close()
        with self._changed:
            self._returned()

    def _returned(self) -> None:
        self._in_use -= 1
        if not self._in_use:
            self._changed.notify_all()

    def _close_idle(self) -> None:
        while self._idle:
            with suppress(sqlite3.Error):
                self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            self._write_ahead(connection)
            if not _has_layout(connection, self.path):
                _create_layout(connection, self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        """Switch the file to a write-ahead log, so that readers and a writer do not wait for each other."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                # Of several processes that start at once, one switches; SQLite does not let the others wait.
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise StoreError(
                f"cannot use the tracker store {self.path}: its file system has no shared memory, as network "
                "drives have none. Put the file on a local disk."
            )

    def _translated(self, error: sqlite3.Error) -> StoreError:
        code = _code(error)
        folder = os.path.dirname(self.path)
        if code == sqlite3.SQLITE_CANTOPEN and not os.path.isdir(folder):
            remedy = f"The folder {folder} does not exist; make it first."
        else:
            remedy = _REMEDIES.get(code, "The file is damaged, or was changed by other software.")
        kind = StoreUnavailableError if code in _PASSING else StoreError
        return kind(f"cannot use the tracker store {self.path}: {error}. {remedy}")


class _Reading:
    """The block in which a connection is lent; a class, since generators take twice the time."""

    __slots__ = ("_connection", "_connections")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __enter__(self) -> sqlite3.Connection:
        self._connection = self._connections._take()
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        connections, connection = self._connections, self._connection
        if isinstance(error, sqlite3.Error):
            connections._drop(connection)
            raise connections._translated(error) from error
        if error is not None and connection.in_transaction:
            connections._drop(connection)
        else:
            connections._give_back(connection)


class _Writing(_Reading):
    """The block in which a connection is lent for a transaction."""

    __slots__ = ()

    def __enter__(self) -> sqlite3.Connection:
        connections = self._connections
        # SQLite lets waiting writers sleep and try again; within this process, a mutex hands over at once.
        if not connections._writer.acquire(timeout=connections._timeout):
            raise StoreUnavailableError(
                f"cannot use the tracker store {connections.path}: busy for {connections._timeout:g} s. {_BUSY}"
            )
        try:
            connection = super().__enter__()
        except BaseException:
            connections._writer.release()
            raise
        try:
            connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            try:
                if error is None:
                    self._connection.execute("COMMIT")
                elif isinstance(error, StoreError):
                    self._connection.execute("ROLLBACK")
            except sqlite3.Error as failure:
                super().__exit__(type(failure), failure, failure.__traceback__)
            else:
                super().__exit__(kind, error, trace)
        finally:
            self._connections._writer.release()


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, 0 if the error is not SQLite's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _check_options(path: str, synchronous: str) -> None:
    if os.path.basename(path) in ("", ":memory:") or "\0" in path:
        raise StoreError(
            f"{path!r} is not a file for a tracker store. Conversations that need no file live in memory://, "
            "the InMemoryTrackerStore."
        )
    if synchronous.lower() not in _SYNCHRONOUS:
        hint = did_you_mean(synchronous.lower(), _SYNCHRONOUS)
        raise StoreError(f'synchronous is "normal" or "full", not {synchronous!r}.{hint}')


def _has_layout(connection: sqlite3.Connection, path: str) -> bool:
    """Return False if the file is new; raise `StoreError` if what it holds is not ours to use."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return False
    if not tables >= {"meta", "heads", "events"}:
        raise StoreError(f"{path} is a database of other software: its tables are {', '.join(sorted(tables))}.")
    found = dict(connection.execute("SELECT key, value FROM meta")).get("version")
    if found != _LAYOUT:
        raise StoreError(
            f"the tracker store {path} has layout {found}, and this rasa_core reads layout {_LAYOUT}: it was "
            "written by another version of rasa_core. Use that version, or another file."
        )
    return True


def _create_layout(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if not _has_layout(connection, path):  # Another process may have been first.
        for statement in _TABLES:
            connection.execute(statement)
    connection.execute("COMMIT")
