"""Connections to one database: how many, who has which, the locks on them, and what happens when one breaks.

A thread that holds conversations has one connection of its own, on which their locks stand and through which all
that it reads and writes meanwhile goes. Any other operation takes a connection for itself alone. So no thread that
has a connection ever waits for another one.

A connection that broke is replaced, and the locks are taken again on the new one. Reads are then repeated. A commit
is not, once it was sent: nobody knows whether it was applied.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store._forks import ForkAware
from rasa_core.tracker_store._sql_database import Database
from rasa_core.tracker_store._sql_layout import prepare
from rasa_core.tracker_store.locks import busy_error, check_timeout

_Result = TypeVar("_Result")
_Work = Callable[[Any], _Result]

_crossed: list[Any] = []  # Connections of the parent process, never to be touched again, not even by being dropped.


class _Lease:
    """A place among the connections: the connection, if one is open, and the conversations that are held on it."""

    __slots__ = ("connection", "held")

    def __init__(self, connection: Any | None) -> None:
        self.connection = connection
        self.held: list[bytes] = []


class Connections(ForkAware):
    """The open connections to `database`.

    Parameters
    ----------
    database
        Opens them.
    limit
        How many may be open at one time.
    timeout
        Longest wait for a connection, a lock and an answer, in seconds.
    """

    def __init__(self, database: Database, *, limit: int, timeout: float) -> None:
        super().__init__()
        self._idle: list[Any] = []
        self.database = database
        self._timeout = check_timeout(timeout)
        if limit < 1:
            raise StoreError(f"a tracker store needs at least one connection, not {limit!r}.")
        self._limit = limit
        self._closed = False
        self._prepared = False
        self._start()

    def _start(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._idle = []
        self._leases: set[_Lease] = set()
        self._opening = 0
        self._own = threading.local()

    def close(self) -> None:
        """Close what is idle now, and the rest as it comes back."""
        with self._changed:
            self._closed = True
            self._close_idle()
            self._changed.notify_all()

    def __del__(self) -> None:
        """Close the connections of a store that was not closed, which psycopg would warn of."""
        self._close_idle()

    def check_open(self) -> None:
        """Raise `StoreError` if the store was closed."""
        if self._closed:
            raise StoreError(f"the tracker store {self.database.address} is closed: make a new one.")

    # -- work

    def read(self, work: _Work[_Result]) -> _Result:
        """Return what `work` gives for a connection; it is repeated if the connection turns out to be lost."""
        deadline = time.monotonic() + self._timeout
        with self._lease(deadline) as lease:
            return self._repeated(lease, work, deadline)

    def write(self, work: _Work[_Result]) -> _Result:
        """Return what `work` gives for a connection; it is never repeated."""
        deadline = time.monotonic() + self._timeout
        with self._lease(deadline) as lease:
            try:
                return self._once(lease, work, deadline)
            except self.database.error as error:
                raise self.database.translated(error) from error

    @contextmanager
    def holding(self, name: bytes, sender_id: str, deadline: float) -> Iterator[None]:
        """Hold the lock `name` while the block runs; what this thread does meanwhile goes over its connection."""
        own, lease = self._own, getattr(self._own, "lease", None)
        if lease is None:
            lease = own.lease = self._take(deadline)
        try:
            if not self._repeated(lease, lambda connection: self._lock(connection, name, deadline), deadline):
                raise busy_error(sender_id, self._timeout)
            lease.held.append(name)
            try:
                yield
            finally:
                lease.held.remove(name)
                self._unlock(lease, name)
        finally:
            if not lease.held:
                own.lease = None
                self._give_back(lease)

    @contextmanager
    def _lease(self, deadline: float) -> Iterator[_Lease]:
        own: _Lease | None = getattr(self._own, "lease", None)
        if own is not None:
            yield own
            return
        lease = self._take(deadline)
        try:
            yield lease
        finally:
            self._give_back(lease)

    def _once(self, lease: _Lease, work: _Work[_Result], deadline: float) -> _Result:
        connection = self._connected(lease, deadline)
        try:
            return work(connection)
        except StoreError:
            raise  # Raised by this package, which left the connection in order.
        except BaseException:
            self._discard(lease)
            raise

    def _repeated(self, lease: _Lease, work: _Work[_Result], deadline: float) -> _Result:
        error_type = self.database.error
        try:
            return self._once(lease, work, deadline)
        except error_type as error:
            if not self.database.is_lost(error) or time.monotonic() >= deadline:
                raise self.database.translated(error) from error
        try:
            return self._once(lease, work, deadline)
        except error_type as error:
            raise self.database.translated(error) from error

    def _lock(self, connection: Any, name: bytes, deadline: float) -> bool:
        return self.database.lock(connection, name, max(deadline - time.monotonic(), 0.0))

    def _unlock(self, lease: _Lease, name: bytes) -> None:
        if lease not in self._leases or lease.connection is None:
            return  # In a child of the process that took the lock, or gone with its connection.
        try:
            self.database.unlock(lease.connection, name)
        except self.database.error:
            self._discard(lease)

    # -- connections

    def _connected(self, lease: _Lease, deadline: float) -> Any:
        """Return the connection of `lease`, in a state to work with, with all locks of `lease` on it."""
        self.check_open()
        if lease.connection is not None and self._is_stale(lease.connection):
            self._discard(lease)
        if lease.connection is None:
            try:
                lease.connection = self._connect()
                for name in lease.held:
                    if not self._lock(lease.connection, name, deadline):
                        raise busy_error(name.decode(), self._timeout)
            except BaseException as error:
                self._discard(lease)
                if isinstance(error, self.database.error):
                    raise self.database.translated(error) from error
                raise
        return lease.connection

    def _is_stale(self, connection: Any) -> bool:
        """Tell whether the server closed a connection; that costs a trip to it only if it sent anything unasked."""
        try:
            poll = select.poll()
            poll.register(self.database.socket(connection), select.POLLIN)
            if poll.poll(0):
                self.database.ping(connection)
        except (self.database.error, OSError):
            return True
        return False

    def _connect(self) -> Any:
        with self._changed:
            self._opening += 1
        try:
            connection = self.database.connect()
            try:
                if not self._prepared:
                    prepare(self.database, connection, self._timeout)
                    self._prepared = True
            except BaseException:
                self._shut(connection)
                raise
            return connection
        finally:
            with self._changed:
                self._opening -= 1
                self._changed.notify_all()

    def _take(self, deadline: float) -> _Lease:
        with self._changed:
            self.check_open()
            if not self._changed.wait_for(self._has_place, deadline - time.monotonic()):
                raise StoreUnavailableError(
                    f"cannot use the tracker store {self.database.address}: all of its {self._limit} connections are "
                    f"busy for {self._timeout:g} s. Try again, or give the store more connections."
                )
            self.check_open()
            lease = _Lease(self._idle.pop() if self._idle else None)
            self._leases.add(lease)
            return lease

    def _has_place(self) -> bool:
        return self._closed or len(self._leases) < self._limit

    def _give_back(self, lease: _Lease) -> None:
        if lease not in self._leases:
            return  # In a child of the process that took it.
        with self._changed:
            self._leases.remove(lease)
            if lease.connection is not None and not self._closed:
                self._idle.append(lease.connection)
                lease.connection = None
            self._changed.notify()
        self._discard(lease)

    def _discard(self, lease: _Lease) -> None:
        connection, lease.connection = lease.connection, None
        if connection is not None:
            self._shut(connection)

    def _shut(self, connection: Any) -> None:
        with suppress(self.database.error, OSError):
            connection.close()

    def _close_idle(self) -> None:
        while self._idle:
            self._shut(self._idle.pop())

    # -- forks

    def before_fork(self) -> None:
        """Wait for connections that are being opened, and close those that nobody uses."""
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._opening, self._timeout)
        self._close_idle()

    def after_fork_in_parent(self) -> None:
        """Let the other threads go on."""
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Start without connections; the server must not see the parent's as open once the parent has died."""
        for lease in self._leases:
            connection = lease.connection
            _crossed.append((lease, connection))
            if connection is not None:
                with suppress(self.database.error, OSError):
                    self.database.abandon(connection)
        self._start()
