"""Locks of conversations: between the threads of a process, and between the processes of a machine.

`MutexTable` has locks between threads. `LockFile` has locks between processes, too: it locks one byte of a file for
each conversation (POSIX record locks). The code follows from three properties of record locks:

- they belong to a process, so a thread takes a mutex first;
- closing any descriptor of the file frees all of them, so a process opens the file once, for all its stores;
- the kernel frees them when their process dies, so no lease can expire too early or too late.

Locks only order writers. Without a lock, conversations stay safe by the version that every commit expects.

After a fork, as in servers with preloaded workers, the child has mutexes that are held by threads of the parent, which
the child does not have. So every mutex is taken through `PerProcess`, which compares the process id.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Final, Generic, TypeAlias, TypeVar

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.support.threads import started

try:
    import fcntl
except ImportError:  # Windows has no record locks: there are only locks between threads.
    fcntl = None  # type: ignore[assignment]

_BYTES = 2**30
_random: Final = random.SystemRandom()  # Independent of the seed of users, and different in each process.


def check_timeout(timeout: float) -> float:
    """Return `timeout`; raise `StoreError` unless it is a number of seconds that a lock can wait for."""
    if not 0 < timeout <= threading.TIMEOUT_MAX:
        raise StoreError(f"timeout is a number of seconds above 0, not {timeout!r}.")
    return timeout


def timeout_from(options: Mapping[str, str]) -> float:
    """Return the timeout in the options of a URL, in seconds; the default is 30."""
    text = options.get("timeout", "30")
    try:
        return float(text)
    except ValueError:
        raise StoreError(f"timeout is a number of seconds, not {text!r}.") from None


def tries(deadline: float, first: float, longest: float) -> Iterator[None]:
    """Yield once, and again after waits that grow from `first` to `longest` seconds, until the deadline has passed.

    The waits have a random part, so that of several waiting processes none is always too late.
    """
    wait = first
    while True:
        yield
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(wait * _random.uniform(0.5, 1.0), left))
        wait = min(wait * 2, longest)


class _Process:
    """A cache of the id of this process, since a system call takes longer than the rest of taking a lock."""

    def __init__(self) -> None:
        self.note()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.note)

    def note(self) -> None:
        self.id = os.getpid()


_process: Final = _Process()
T = TypeVar("T")


class PerProcess(Generic[T]):
    """An object that each process makes for itself; a call returns the object of the calling process.

    A mutex that a thread holds at a fork stays held in the child for ever, and two processes must not use the same
    connection. So a child makes an object of its own, and never uses, closes or frees that of its parent.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def __call__(self) -> T:
        """Return the object of this process; make it at the first call."""
        made = self._made.get(_process.id)
        # `setdefault` is one step of the interpreter: threads that call at the same time get the same object.
        return self._made.setdefault(_process.id, self._make()) if made is None else made

    def made(self) -> T | None:
        """Return the object of this process, None if it has not been made."""
        return self._made.get(_process.id)


Held: TypeAlias = tuple[threading.Lock, int]
"""A locked mutex, and the id of the thread that holds it."""


class MutexTable:
    """One mutex for each key, which exists only while a thread holds it."""

    def __init__(self) -> None:
        self._held: PerProcess[dict[Hashable, Held]] = PerProcess(dict)

    def __len__(self) -> int:
        """Return how many keys are held."""
        return len(self._held())

    def hold(self, key: Hashable, *, name: str, timeout: float) -> _Hold:
        """Hold the mutex of `key` while the block runs.

        Parameters
        ----------
        key
            The key of the mutex.
        name
            The id of the conversation, for error messages.
        timeout
            The longest wait, in seconds.

        Raises
        ------
        StoreUnavailableError
            If other threads hold the mutex for that long.
        StoreError
            If the calling thread holds the mutex already, and so would wait for itself.
        """
        return _Hold(self, key, name, timeout)


class _Hold:
    """The context manager that holds a mutex; a class, since a generator takes twice the time.

    A thread holds the key if it has put a mutex of its own into the dictionary. Other threads wait for that mutex,
    which is removed before it is released, and then try to put theirs. Each access is one step on the dictionary, so
    that it needs no lock of its own.
    """

    __slots__ = ("_held", "_key", "_mine", "_name", "_table", "_timeout")

    def __init__(self, table: MutexTable, key: Hashable, name: str, timeout: float) -> None:
        self._table = table
        self._key = key
        self._name = name
        self._timeout = timeout

    def __enter__(self) -> None:
        held = self._held = self._table._held()
        mutex = self._mine = threading.Lock()
        mutex.acquire()
        mine = (mutex, threading.get_ident())
        if (found := held.setdefault(self._key, mine)) is not mine:
            deadline = time.monotonic() + self._timeout
            while found is not mine:
                _await(found, self._name, self._timeout, deadline)
                found = held.setdefault(self._key, mine)

    def __exit__(self, *exc_info: object) -> None:
        # In a child that leaves a block of its parent, no other thread uses this dictionary.
        self._held.pop(self._key, None)
        self._mine.release()


def _await(other: Held, name: str, timeout: float, deadline: float) -> None:
    """Wait until another thread has released a mutex."""
    mutex, owner = other
    if owner == threading.get_ident():
        raise StoreError(
            f"conversation {name!r} is already open in this thread: use the tracker of the outer block, "
            "or leave that block first."
        )
    if not mutex.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
        raise busy_error(name, timeout)
    mutex.release()


def busy_error(name: str, timeout: float) -> StoreUnavailableError:
    """Return the error of a wait for the conversation `name` that took longer than `timeout` seconds."""
    return StoreUnavailableError(
        f"conversation {name!r} was busy for {timeout:g} s: another request is still working on it. "
        "Try again, or give the store a longer timeout."
    )


class LockFile:
    """The record locks of one file; `open_lock_file` makes one object for each file in a process.

    After a fork, the child uses the same open file: record locks belong to a process, so the child has none of its
    parent's.

    Parameters
    ----------
    path
        Real path of the lock file; it is created, empty, at the first lock, and stays.
    like
        The file of the store, whose permissions the lock file gets: its writers need to lock.
    """

    def __init__(self, path: str, *, like: str) -> None:
        self.path = path
        self.users = 0
        self._like = like
        self._mutexes = MutexTable()
        self._descriptor: int | None = None

    def close(self) -> None:
        """Close the file, which frees all locks of this process in it; the caller holds `_guard`."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def hold(self, name: str, *, timeout: float) -> _HoldInFile:
        """Hold the lock of conversation `name` while the block runs; errors as in `MutexTable.hold`."""
        return _HoldInFile(self, name, timeout)

    def _open(self) -> int:
        descriptor = self._descriptor
        if descriptor is not None:
            return descriptor
        with _guard():
            if self._descriptor is None:
                try:
                    self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                except OSError as error:
                    raise self._unusable(error) from error
                with contextlib.suppress(OSError):  # No file of the store yet; or the lock file is another user's.
                    os.fchmod(self._descriptor, os.stat(self._like).st_mode & 0o666)
            return self._descriptor

    def _try_lock(self, descriptor: int, offset: int) -> bool:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except (BlockingIOError, PermissionError):
            return False  # POSIX has two errors that mean that another process holds the lock.
        except OSError as error:
            raise self._unusable(error) from error
        return True

    def _await(self, descriptor: int, offset: int, name: str, deadline: float, timeout: float) -> None:
        for _ in tries(deadline, 0.0005, 0.02):
            if self._try_lock(descriptor, offset):
                return
        raise busy_error(name, timeout)

    def _unusable(self, error: OSError) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"cannot lock conversations with the file {self.path}: {error.strerror}. It has to be writable, "
            "and on a local disk."
        )


class _HoldInFile(_Hold):
    """The context manager that holds a lock of a file."""

    __slots__ = ("_descriptor", "_file", "_offset")

    def __init__(self, file: LockFile, name: str, timeout: float) -> None:
        self._file = file
        self._offset = zlib.crc32(name.encode("utf-8", "surrogatepass")) % _BYTES
        super().__init__(file._mutexes, self._offset, name, timeout)

    def __enter__(self) -> None:
        deadline = time.monotonic() + self._timeout
        super().__enter__()
        if fcntl is None:
            return
        try:
            descriptor = self._descriptor = self._file._open()
            if not self._file._try_lock(descriptor, self._offset):
                self._file._await(descriptor, self._offset, self._name, deadline, self._timeout)
        except BaseException:
            super().__exit__()
            raise

    def __exit__(self, *exc_info: object) -> None:
        try:
            # If the descriptor is another one now, the store was closed, which freed the lock.
            if fcntl is not None and self._descriptor == self._file._descriptor:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self._offset)
        finally:
            super().__exit__()


# A process must open each lock file once. The guard is held while a file is opened or closed.
_guard = PerProcess(threading.Lock)
_files: dict[str, LockFile] = {}


def open_lock_file(path: str, *, like: str) -> LockFile:
    """Return this process's `LockFile` for `path`; each call needs a call of `close_lock_file`."""
    path = os.path.realpath(path)
    with _guard():
        file = _files.get(path)
        if file is None:
            file = _files[path] = LockFile(path, like=like)
        file.users += 1
        return file


def close_lock_file(file: LockFile) -> None:
    """Close a `LockFile`, once its last store has called this."""
    with _guard():
        file.users -= 1
        if not file.users:
            del _files[file.path]
            file.close()


class Leases:
    """The leases that one process holds, and the thread that renews them while there are any.

    Parameters
    ----------
    renew
        A function that is called with key and token of each lease, every `every` seconds.
    """

    def __init__(self, renew: Callable[[bytes, bytes], object], every: float) -> None:
        self._renew, self._every = renew, every
        self._changed = threading.Condition()
        self._held: dict[bytes, bytes] = {}
        self._renewing: threading.Thread | None = None
        self._ended = False

    def keep(self, token: bytes, key: bytes) -> None:
        """Renew a lease from now on until `let_go`."""
        with self._changed:
            self._held[token] = key
            if self._renewing is None and not self._ended:
                # If no thread can be started, the lease expires; the next lease tries to start one again.
                self._renewing = started(self._renew_all, "rasa_core leases")

    def let_go(self, token: bytes) -> bool:
        """End the renewal of a lease; return whether there was one: not after a fork, or when the store was closed."""
        with self._changed:
            return self._held.pop(token, None) is not None

    def end(self) -> list[tuple[bytes, bytes]]:
        """End the thread; return token and key of each lease that was held."""
        with self._changed:
            held, self._held, self._ended = self._held, {}, True
            self._changed.notify_all()
            return list(held.items())

    def _renew_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended, self._every)
                held = list(self._held.items())
                if not held:  # The thread ends when no lease is left, so that an idle store has no thread.
                    self._renewing = None
                    return
            for token, key in held:
                with contextlib.suppress(StoreError):
                    self._renew(key, token)
