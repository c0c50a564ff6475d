"""Listing the files in a folder, and writing folders and files whole or not at all, such as models and exports."""

from __future__ import annotations

import ctypes
import errno
import glob
import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from rasa_core.exceptions import ModelError, RasaCoreError

logger = logging.getLogger(__name__)

try:
    import fcntl
except ImportError:  # On Windows, folders that killed processes have left are not removed.
    fcntl = None  # type: ignore[assignment]

Stamp = tuple[int, int, int]

OLD = ".old"
"""Ending of the name of an old directory while it is being replaced."""
_told_links: set[str] = set()  # Links that were logged, since commands read the same folders many times.
_LEFT_AFTER = 60.0  # Seconds.
_LEAST_ROOM = 16_384  # Bytes that are written to check for a full disk; a model is larger.
_OF_THIS_MACHINE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    }
)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # The values in Linux's <fcntl.h> and <linux/fs.h>.


def is_of_this_machine(error: OSError) -> bool:
    """Tell whether an error comes from this machine, such as a full disk, and not from the data of a client."""
    return error.errno in _OF_THIS_MACHINE


def files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and in the folders below it, without hidden ones, in the order of their paths.

    Links to folders are followed. A link that leads into a circle, or to a folder that cannot be read, is logged and
    skipped.
    """
    found: list[Path] = []
    # Each folder is kept with the real paths of its parents. So a circle of links is found, but two links to one folder
    # are both followed.
    waiting: list[tuple[Path, frozenset[str]]] = [(folder, frozenset({os.path.realpath(folder)}))]
    while waiting:
        here, above = waiting.pop()
        try:
            names = os.listdir(here)
        except OSError as error:
            logger.warning("%s: the folder cannot be read: %s.", here, error.strerror or error)
            continue
        for path in (here / name for name in names if not name.startswith(".")):
            real = os.path.realpath(path)
            if path.is_file():
                found.append(path)
            elif path.is_dir() and real not in above:
                waiting.append((path, above | {real}))
            elif path.is_dir() and (link := str(path.absolute())) not in _told_links:
                _told_links.add(link)
                logger.warning("%s: the link leads back to %s, and is not followed.", path, real)
    # Sorted by the parts of the paths: as texts, "a-b/c" would come before "a/b".
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def copy_folder(source: Path, target: Path, **options: Any) -> None:
    """Copy a folder as `shutil.copytree` does; raise the `OSError` of the first file that cannot be copied.

    This error names one file and one reason, while `shutil.Error` lists all errors as texts.
    """
    failed: list[OSError] = []

    def copy(here: str, there: str) -> None:
        try:
            shutil.copy2(here, there)
        except OSError as error:
            failed.append(OSError(error.errno, error.strerror, error.filename2 or error.filename))
            raise

    try:
        shutil.copytree(source, target, copy_function=copy, **options)
    except shutil.Error as error:
        if failed:
            raise failed[0] from None
        _, there, reason = error.args[0][0]  # The error concerns a folder or a link.
        raise OSError(errno.EIO, str(reason), str(there)) from None


def replace_directory(
    path: str | Path, fill: Callable[[Path], None], known_by: Collection[str], kind: str = "a model"
) -> None:
    """Replace the folder `path` by a new one that `fill` writes; readers see the whole old or the whole new folder.

    Parameters
    ----------
    fill
        A function that writes the content into an empty folder.
    known_by
        Names of files. A folder is only replaced if it is empty, or has one of these files.
    kind
        The kind of folder, for messages.

    Raises
    ------
    ModelError
        If `path` is another kind of folder, or cannot be written; then it is not changed.
    """
    path = Path(os.path.realpath(path))
    _refuse_other_things(path, known_by, kind)
    prefix = f".{path.name}.new-"
    stands_there = path.exists() and os.path.samefile(path, ".")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():  # If it does not exist, a folder left by a killed process may have the old content.
            clear_left(path.parent, prefix)
        # Beside `path`, since folders cannot be renamed from one file system to another.
        with workplace_in(path.parent, prefix) as workplace:
            folder = workplace / path.name
            folder.mkdir()
            fill(folder)
            _swap(folder, path)
            if stands_there:  # `path` is the working folder: "." would still be the old folder, which is removed.
                os.chdir(path)
    except OSError as error:
        raise ModelError(f"cannot write {kind} to {str(path)!r}: {error}. What was there is unchanged.") from error


@contextmanager
def workplace_in(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a temporary folder whose name begins with `prefix`, and remove it after the block.

    If the process is killed, `clear_left` removes the folder later.
    """
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    held = _hold(made)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if held is not None:
            os.close(held)


def clear_left(parent: Path, prefix: str) -> None:
    """Remove the folders that `workplace_in` made in processes that were killed."""
    for left in sorted(parent.glob(f"{glob.escape(prefix)}*")):
        with suppress(OSError):
            about = left.lstat()
            # A new folder may not be locked yet by the process that has just made it, so young folders are skipped.
            if about.st_uid == os.geteuid() and time.time() - about.st_mtime > _LEFT_AFTER:
                held = _hold(left)
                if held is not None:
                    shutil.rmtree(left, ignore_errors=True)
                    os.close(held)


def _hold(folder: Path) -> int | None:
    """Lock a folder until this process ends, and return the descriptor; None if another process holds the lock."""
    if fcntl is None:
        return None
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def _refuse_other_things(path: Path, known_by: Collection[str], kind: str) -> None:
    if path.exists() and not is_replaceable(path, known_by):
        raise ModelError(
            f"{str(path)!r} exists and is not {kind}; it is left alone. Choose another path, or remove it."
        )


def check_place(path: str | Path, known_by: Collection[str], kind: str = "a model") -> None:
    """Raise the errors of `replace_directory` in advance, before any slow work."""
    path = Path(os.path.realpath(path))
    _refuse_other_things(path, known_by, kind)
    check_writable(path.parent)


def check_writable(folder: Path) -> None:
    """Raise `ModelError` if nothing can be written into a folder; for a check before any slow work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            if file.write(bytes(_LEAST_ROOM)) < _LEAST_ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise ModelError(f"cannot write models into {str(folder)!r}: {error.strerror or error}.") from error


def check_parent(path: str | Path) -> None:
    """Raise `RasaCoreError` if the folder of a file does not exist; for a check before any slow work."""
    if not (parent := Path(path).absolute().parent).is_dir():
        raise RasaCoreError(f"cannot write {str(path)!r}: there is no folder {str(parent)!r}; make it first.")


def is_replaceable(path: Path, known_by: Collection[str]) -> bool:
    """Tell whether a folder is empty, or has a file with one of the given names."""
    if not path.is_dir():
        return False
    names = os.listdir(path)
    return not names or not set(known_by).isdisjoint(names)


def _swap(folder: Path, path: Path) -> None:
    """Put `folder` in the place of `path`; the old `path`, if any, is moved beside `folder`."""
    try:
        folder.rename(path)
    except OSError:
        if not path.exists():
            raise
        if not _exchange(folder, path):
            _swap_in_two_steps(folder, path)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, which only Linux supports; return whether it was done."""
    try:
        # macOS and old C libraries do not have this function, and Windows has no library without a name.
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    done: int = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return done == 0


def _swap_in_two_steps(folder: Path, path: Path) -> None:
    # If the process is killed between the two steps, there is no `path`; an error then names the old folder.
    old = folder.with_name(folder.name + OLD)
    path.rename(old)
    try:
        folder.rename(path)
    except OSError:
        old.rename(path)
        raise


def stamp_of(file: Path) -> Stamp | None:
    """Return values that change when a file is replaced or written; None if there is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    # The inode also tells apart a file that was renamed to this name with the same size and the same time.
    return found.st_ino, found.st_mtime_ns, found.st_size


def make_private(path: str | Path) -> None:
    """Create a file that only its owner can read, unless it exists; errors are left to the code that opens the file.

    An existing file is not opened, since closing it would release the locks that this process holds in it.
    """
    with suppress(OSError):
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


@contextmanager
def whole_file(path: str | Path, encoding: str = "ascii", permissions: int = 0o600) -> Iterator[TextIO]:
    """Open a text file for a block to write; it replaces `path` if the block ends without an error.

    By default only its owner can read the file; `permissions` and the umask may allow others. A pipe or a device is not
    replaced but written to. Bytes can be written to the ``buffer`` of the file. Raises the system's `OSError`.
    """
    real = os.path.realpath(path)
    if os.path.exists(real) and not os.path.isfile(real):
        with open(real, "w", encoding=encoding) as file:
            yield file
        return
    folder, name = os.path.split(real)
    written = os.path.join(folder, f".{name}.new-{secrets.token_hex(4)}")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, permissions)
    try:
        with open(descriptor, "w", encoding=encoding) as file:
            yield file
            file.flush()
            # Without this, the file may be empty after a crash of the machine.
            os.fsync(file.fileno())
        os.replace(written, real)
    # `BaseException`, so that Ctrl+C leaves no incomplete file either.
    except BaseException:
        with suppress(OSError):
            os.unlink(written)
        raise
