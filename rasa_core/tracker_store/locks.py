"""Order between the writers of one conversation: threads of a process, and processes of a machine.

`MutexTable` orders threads. `LockFile` orders processes too, by locking one byte of a file for each
conversation (POSIX record locks). Three properties of such locks shape the code:

- they belong to a process, so threads are ordered by a mutex first;
- closing any descriptor of the file drops all of them, so a process opens it once, for all its stores;
- the kernel frees them when their process dies, so there is no lease that could expire too early or too late.

Locks give order only. What is safe without them is made safe by the version that every commit names.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import zlib
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store._forks import ForkAware

try:
    import fcntl
except ImportError:  # Windows: order among threads only.
    fcntl = None  # type: ignore[assignment]

_BYTES = 2**30
_FIRST_WAIT, _LONGEST_WAIT = 0.0005, 0.02


def check_timeout(timeout: float) -> float:
    """Return `timeout`; raise `StoreError` unless it is a number of seconds that a lock can wait for."""
    if not 0 < timeout <= threading.TIMEOUT_MAX:
        raise StoreError(f"timeout is a number of seconds above 0, not {timeout!r}.")
    return timeout


class _Mutex:
    """A mutex, who holds it, and how many threads hold or await it."""

    __slots__ = ("lock", "owner", "users")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner: int | None = None
        self.users = 0


class MutexTable(ForkAware):
    """One mutex a key, kept only while a thread holds or awaits it."""

    def __init__(self) -> None:
        super().__init__()
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Forget the mutexes: the threads that held them do not exist here."""
        self._guard = threading.Lock()
        self._mutexes: dict[Hashable, _Mutex] = {}

    def __len__(self) -> int:
        """Return how many keys are held or awaited."""
        return len(self._mutexes)

    @contextmanager
    def hold(self, key: Hashable, *, name: str, timeout: float) -> Iterator[None]:
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
        mutexes = self._mutexes
        with self._guard:
            mutex = mutexes.get(key)
            if mutex is None:
                mutex = mutexes[key] = _Mutex()
            mutex.users += 1
        try:
            if not mutex.lock.acquire(blocking=False):
                _await(mutex, name, timeout)
            mutex.owner = threading.get_ident()
            try:
                yield
            finally:
                mutex.owner = None
                mutex.lock.release()
        finally:
            with self._guard:
                mutex.users -= 1
                if not mutex.users:
                    mutexes.pop(key, None)


def _await(mutex: _Mutex, name: str, timeout: float) -> None:
    if mutex.owner == threading.get_ident():
        raise StoreError(
            f"conversation {name!r} is already open in this thread: use the tracker of the outer block, "
            "or leave that block first."
        )
    if not mutex.lock.acquire(timeout=timeout):
        raise _busy(name, timeout)


def _busy(name: str, timeout: float) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"conversation {name!r} was busy for {timeout:g} s: another request is still working on it. "
        "Try again, or give the store a longer timeout."
    )


class LockFile(ForkAware):
    """The locks that stand in one file; made by `open_lock_file`, so that a process has one for each file.

    Parameters
    ----------
    path
        Real path of the file; it is created, empty, at the first lock, and stays.
    like
        A file whose permissions it gets: who may write the one has to lock the other.
    """

    def __init__(self, path: str, *, like: str) -> None:
        super().__init__()
        self.path = path
        self.users = 0
        self._like = like
        self._mutexes = MutexTable()
        self._guard = threading.Lock()
        self._descriptor: int | None = None

    def after_fork_in_child(self) -> None:
        """Go on with the open file: its locks belong to processes, and none of the parent's is ours."""
        self._guard = threading.Lock()

    def close(self) -> None:
        """Close the file, which drops every lock of this process in it."""
        with self._guard:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    @contextmanager
    def hold(self, name: str, *, timeout: float) -> Iterator[None]:
        """Hold the lock of conversation `name` while the block runs; errors as in `MutexTable.hold`."""
        deadline = time.monotonic() + timeout
        offset = zlib.crc32(name.encode("utf-8", "surrogatepass")) % _BYTES
        with self._mutexes.hold(offset, name=name, timeout=timeout):
            if fcntl is None:
                yield
                return
            descriptor = self._open()
            if not self._try_lock(descriptor, offset):
                self._await(descriptor, offset, name, deadline, timeout)
            try:
                yield
            finally:
                if descriptor == self._descriptor:  # Else the store was closed, which freed the lock.
                    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, offset)

    def _open(self) -> int:
        descriptor = self._descriptor
        if descriptor is not None:
            return descriptor
        with self._guard:
            if self._descriptor is None:
                mode = 0o600
                with contextlib.suppress(OSError):
                    mode = os.stat(self._like).st_mode & 0o666
                try:
                    self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
                except OSError as error:
                    raise self._unusable(error) from error
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
        wait = _FIRST_WAIT
        while not self._try_lock(descriptor, offset):
            left = deadline - time.monotonic()
            if left <= 0:
                raise _busy(name, timeout)
            time.sleep(min(wait, left))
            wait = min(wait * 2, _LONGEST_WAIT)

    def _unusable(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot lock conversations with the file {self.path}: {error.strerror}. It has to be writable, "
            "and on a local disk."
        )


class _OpenFiles(ForkAware):
    """The lock files of this process, by path."""

    def __init__(self) -> None:
        super().__init__()
        self.by_path: dict[str, LockFile] = {}
        self.guard = threading.Lock()

    def after_fork_in_child(self) -> None:
        """Free the guard, which a thread of the parent may have held."""
        self.guard = threading.Lock()


_files = _OpenFiles()


def open_lock_file(path: str, *, like: str) -> LockFile:
    """Return this process's locks in the file at `path`; give them back with `close_lock_file`."""
    path = os.path.realpath(path)
    with _files.guard:
        file = _files.by_path.get(path)
        if file is None:
            file = _files.by_path[path] = LockFile(path, like=like)
        file.users += 1
        return file


def close_lock_file(file: LockFile) -> None:
    """Give locks back; the file is closed with the last store that uses it."""
    with _files.guard:
        file.users -= 1
        if not file.users:
            del _files.by_path[file.path]
            file.close()
