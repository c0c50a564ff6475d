"""Order between the writers of one conversation: threads of a process, and processes of a machine.

`MutexTable` orders threads. `LockFile` orders processes too, by locking one byte of a file for each
conversation (POSIX record locks). Three properties of such locks shape the code:

- they belong to a process, so threads are ordered by a mutex first;
- closing any descriptor of the file drops all of them, so a process opens it once, for all its stores;
- the kernel frees them when their process dies, so there is no lease that could expire too early or too late.

Locks give order only. What is safe without them is made safe by the version that every commit names.

A process that forks, as servers with preloaded workers do, gives its child mutexes that threads held which the child
does not have. So every mutex is asked for through `PerProcess`, which compares the process id.
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
except ImportError:  # Windows: order among threads only.
    fcntl = None  # type: ignore[assignment]

_BYTES = 2**30
_random: Final = random.SystemRandom()  # Not the one that users seed, and another one in each process.


def check_timeout(timeout: float) -> float:
    """Return `timeout`; raise `StoreError` unless it is a number of seconds that a lock can wait for."""
    if not 0 < timeout <= threading.TIMEOUT_MAX:
        raise StoreError(f"timeout is a number of seconds above 0, not {timeout!r}.")
    return timeout


def timeout_from(options: Mapping[str, str]) -> float:
    """Return the timeout among the options of a URL, in seconds; 30 if there is none."""
    text = options.get("timeout", "30")
    try:
        return float(text)
    except ValueError:
        raise StoreError(f"timeout is a number of seconds, not {text!r}.") from None


def tries(deadline: float, first: float, longest: float) -> Iterator[None]:
    """Yield once, and again after waits that grow from `first` to `longest` seconds, until the deadline has passed.

    Processes that wait for the same thing try at different moments, so that none is always a little too late.
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
    """The id of this process, which is asked for once: to ask takes longer than all else on the way of a lock."""

    def __init__(self) -> None:
        self.note()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.note)

    def note(self) -> None:
        self.id = os.getpid()


_process: Final = _Process()
T = TypeVar("T")


class PerProcess(Generic[T]):
    """Something that each process makes for itself; calling this gives that of the calling process.

    A mutex that a thread held at a fork stays held in the child for ever, and a connection must not be used by two
    processes. The child makes its own instead, and never touches, closes or frees that of its parent.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def __call__(self) -> T:
        """Return what belongs to this process."""
        made = self._made.get(_process.id)
        # `setdefault` is one step of the interpreter: threads that come here at one moment get the same.
        return self._made.setdefault(_process.id, self._make()) if made is None else made

    def made(self) -> T | None:
        """Return what belongs to this process, None if it has not been made."""
        return self._made.get(_process.id)


Held: TypeAlias = tuple[threading.Lock, int]
"""A mutex, which is locked, and the thread that holds it."""


class MutexTable:
    """One mutex a key, kept only while a thread holds it."""

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
            What is locked.
        name
            The conversation, for messages.
        timeout
            Longest wait, in seconds.

        Raises
        ------
        StoreUnavailableError
            If other threads kept it for that long.
        StoreError
            If this very thread holds it already, and so would wait for itself.
        """
        return _Hold(self, key, name, timeout)


class _Hold:
    """The block in which a mutex is held; a class, since generators take twice the time.

    Who puts a mutex of its own under the key holds it. Others wait for that one, which is taken away before it is let
    go, and then try the same again. Each is one step on a dictionary, so that no lock guards it.
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
        # In a child that leaves a block of its parent, nobody else looks at this dictionary.
        self._held.pop(self._key, None)
        self._mine.release()


def _await(other: Held, name: str, timeout: float, deadline: float) -> None:
    """Wait until another thread has let go of a mutex."""
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
    """The locks that stand in one file; made by `open_lock_file`, so that a process has one for each file.

    A child goes on with the open file: its locks belong to processes, and none of the parent's is the child's.

    Parameters
    ----------
    path
        Real path of the file; it is created, empty, at the first lock, and stays.
    like
        A file whose permissions it gets: who may write the one has to lock the other.
    """

    def __init__(self, path: str, *, like: str) -> None:
        self.path = path
        self.users = 0
        self._like = like
        self._mutexes = MutexTable()
        self._descriptor: int | None = None

    def close(self) -> None:
        """Close the file, which drops every lock of this process in it; `_guard` is held."""
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
                with contextlib.suppress(OSError):  # There is no such file yet, or it belongs to another user.
                    os.fchmod(self._descriptor, os.stat(self._like).st_mode & 0o666)
            return self._descriptor

    def _try_lock(self, descriptor: int, offset: int) -> bool:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except (BlockingIOError, PermissionError):
            return False  # The two errors that POSIX has for "another process holds it".
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
    """The block in which a lock of a file is held."""

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
            # If another file is open now, the store was closed, which freed the lock.
            if fcntl is not None and self._descriptor == self._file._descriptor:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self._offset)
        finally:
            super().__exit__()


# A process must open each file once. The guard is held while one is opened or closed.
_guard = PerProcess(threading.Lock)
_files: dict[str, LockFile] = {}


def open_lock_file(path: str, *, like: str) -> LockFile:
    """Return this process's locks in the file at `path`; give them back with `close_lock_file`."""
    path = os.path.realpath(path)
    with _guard():
        file = _files.get(path)
        if file is None:
            file = _files[path] = LockFile(path, like=like)
        file.users += 1
        return file


def close_lock_file(file: LockFile) -> None:
    """Give locks back; the file is closed with the last store that uses it."""
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
        Is called with the key and the token of each lease, `every` so many seconds.
    """

    def __init__(self, renew: Callable[[bytes, bytes], object], every: float) -> None:
        self._renew, self._every = renew, every
        self._changed = threading.Condition()
        self._held: dict[bytes, bytes] = {}
        self._renewing: threading.Thread | None = None
        self._ended = False

    def keep(self, token: bytes, key: bytes) -> None:
        """Renew a lease from now on."""
        with self._changed:
            self._held[token] = key
            if self._renewing is None and not self._ended:
                # Where none can be started, the lease ends by itself, and whoever holds one next tries again.
                self._renewing = started(self._renew_all, "rasa_core leases")

    def let_go(self, token: bytes) -> bool:
        """Return whether this process still had it: after a fork, or when the store was closed, it has not."""
        with self._changed:
            return self._held.pop(token, None) is not None

    def end(self) -> list[tuple[bytes, bytes]]:
        """End the thread; return the tokens and keys of what was held."""
        with self._changed:
            held, self._held, self._ended = self._held, {}, True
            self._changed.notify_all()
            return list(held.items())

    def _renew_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended, self._every)
                held = list(self._held.items())
                if not held:  # No store that is idle has a thread.
                    self._renewing = None
                    return
            for token, key in held:
                with contextlib.suppress(StoreError):
                    self._renew(key, token)
