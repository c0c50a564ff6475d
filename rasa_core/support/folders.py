"""The files in a folder; and directories and files that are written whole or not at all: models and exports."""

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
except ImportError:  # Windows, where nothing that was left is removed.
    fcntl = None  # type: ignore[assignment]

Stamp = tuple[int, int, int]

OLD = ".old"
"""Ending of the name of a directory that was there before, while another takes its place."""
_told_links: set[str] = set()  # Commands go through the same folders many times.
_LEFT_AFTER = 60.0  # Seconds.
_LEAST_ROOM = 16_384  # Bytes; a model takes more, and a full disk has none.
_OF_THIS_MACHINE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    }
)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # As in Linux's <fcntl.h> and <linux/fs.h>.


def is_of_this_machine(error: OSError) -> bool:
    """Tell whether an error says something of this machine, such as that its disk is full, and not of what was sent."""
    return error.errno in _OF_THIS_MACHINE


def files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and in the folders below it, without hidden ones, in the order of their paths.

    Links to folders are followed; one that leads back to where it came from, or to a folder that cannot be read, is
    told of in the log.
    """
    found: list[Path] = []
    # Each folder knows the real paths above it: a link in a circle is found, and two links to one folder are both
    # followed.
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
    # By parts: as text, "a-b/c" would come before "a/b".
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def copy_folder(source: Path, target: Path, **options: Any) -> None:
    """Copy a folder as `shutil.copytree` does; raise the `OSError` of the first file that cannot be copied.

    That names one file and one reason, where `shutil.Error` lists all that went wrong as texts.
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
        _, there, reason = error.args[0][0]  # Of a folder, or a link.
        raise OSError(errno.EIO, str(reason), str(there)) from None


def replace_directory(
    path: str | Path, fill: Callable[[Path], None], known_by: Collection[str], kind: str = "a model"
) -> None:
    """Make the folder `path` anew through `fill`, which gets an empty folder; readers see the old or the new.

    Parameters
    ----------
    known_by
        Names of files one of which a folder has to hold, or to be empty, to be replaced.
    kind
        What the folder is, for messages.

    Raises
    ------
    ModelError
        If `path` is something other than a model, or cannot be written; what was there is unchanged.
    """
    path = Path(os.path.realpath(path))
    _refuse_other_things(path, known_by, kind)
    prefix = f".{path.name}.new-"
    stands_there = path.exists() and os.path.samefile(path, ".")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():  # Or one of them may hold what was there before.
            clear_left(path.parent, prefix)
        # Beside its place, since nothing can be renamed from one file system to another.
        with workplace_in(path.parent, prefix) as workplace:
            folder = workplace / path.name
            folder.mkdir()
            fill(folder)
            _swap(folder, path)
            if stands_there:  # Else "." would go on meaning the folder that was there before, and is removed.
                os.chdir(path)
    except OSError as error:
        raise ModelError(f"cannot write {kind} to {str(path)!r}: {error}. What was there is unchanged.") from error


@contextmanager
def workplace_in(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder whose name begins with `prefix`, and remove it in the end; `clear_left` does if nobody else can."""
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    held = _hold(made)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if held is not None:
            os.close(held)


def clear_left(parent: Path, prefix: str) -> None:
    """Remove the folders that `workplace_in` has made in processes which were killed."""
    for left in sorted(parent.glob(f"{glob.escape(prefix)}*")):
        with suppress(OSError):
            about = left.lstat()
            # Who makes one holds it a moment later.
            if about.st_uid == os.geteuid() and time.time() - about.st_mtime > _LEFT_AFTER:
                held = _hold(left)
                if held is not None:
                    shutil.rmtree(left, ignore_errors=True)
                    os.close(held)


def _hold(folder: Path) -> int | None:
    """Return a descriptor with which this process holds a folder until it ends; None if another one does."""
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
    """Raise what `replace_directory` would raise in the end, before anything takes time."""
    path = Path(os.path.realpath(path))
    _refuse_other_things(path, known_by, kind)
    check_writable(path.parent)


def check_writable(folder: Path) -> None:
    """Raise `ModelError` if nothing can be written into a folder, before anything takes time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            if file.write(bytes(_LEAST_ROOM)) < _LEAST_ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise ModelError(f"cannot write models into {str(folder)!r}: {error.strerror or error}.") from error


def check_parent(path: str | Path) -> None:
    """Raise `RasaCoreError` if there is no folder for a file to be written, before anything takes time."""
    if not (parent := Path(path).absolute().parent).is_dir():
        raise RasaCoreError(f"cannot write {str(path)!r}: there is no folder {str(parent)!r}; make it first.")


def is_replaceable(path: Path, known_by: Collection[str]) -> bool:
    """Tell whether a folder is empty, or holds a file of one of these names."""
    if not path.is_dir():
        return False
    names = os.listdir(path)
    return not names or not set(known_by).isdisjoint(names)


def _swap(folder: Path, path: Path) -> None:
    """Put `folder` in the place of `path`; what was there, if anything, is left in the folder of `folder`."""
    try:
        folder.rename(path)
    except OSError:
        if not path.exists():
            raise
        if not _exchange(folder, path):
            _swap_in_two_steps(folder, path)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, which only Linux can; return whether that was done."""
    try:
        # macOS and old C libraries lack the function, and Windows a library without a name.
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    done: int = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return done == 0


def _swap_in_two_steps(folder: Path, path: Path) -> None:
    # A process that is killed between the two leaves no `path`; who reads the model then finds it by this name.
    old = folder.with_name(folder.name + OLD)
    path.rename(old)
    try:
        folder.rename(path)
    except OSError:
        old.rename(path)
        raise


def stamp_of(file: Path) -> Stamp | None:
    """Return what changes when another file takes the place of this one, None if there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    # The inode tells a file that was renamed here from one of the same size in the same tick of the clock.
    return found.st_ino, found.st_mtime_ns, found.st_size


def make_private(path: str | Path) -> None:
    """Make a file that only its owner can read, if there is none yet; who opens it then tells what stands against it.

    A file that is there is not opened: to close it again would cost the locks that this process has in it.
    """
    with suppress(OSError):
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


@contextmanager
def whole_file(path: str | Path, encoding: str = "ascii", permissions: int = 0o600) -> Iterator[TextIO]:
    """Open a text file for a block to write; it takes its place when the block ends well.

    Only its owner can read it, or who else these `permissions` and the umask let. A pipe or a device keeps its place,
    and is written to as it is. Bytes go into the ``buffer`` of the file. The errors are those of the operating system.
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
            # Else a machine that crashes may leave the new name with nothing in it.
            os.fsync(file.fileno())
        os.replace(written, real)
    # Ctrl-C must leave no half file either.
    except BaseException:
        with suppress(OSError):
            os.unlink(written)
        raise
