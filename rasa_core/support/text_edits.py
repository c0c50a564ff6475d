"""Edits of users' files: lines are inserted or replaced, other bytes are kept, and newer edits are not overwritten."""

from __future__ import annotations

import difflib
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rasa_core.exceptions import RasaCoreError


class EditError(RasaCoreError, ValueError):
    """A file cannot be changed in the requested way."""


class NewerEditError(EditError):
    """Somebody has changed a file since an edit of it was prepared."""


@dataclass(frozen=True, slots=True)
class Edit:
    """The edit of a file.

    Attributes
    ----------
    path : Path
        The file; it need not exist.
    before, after : bytes
        The content before and after the edit; empty for a file that does not exist.
    """

    path: Path
    before: bytes
    after: bytes

    @property
    def stamp(self) -> str:
        """A hash of the content before the edit."""
        return stamp_of_content(self.before)

    def diff(self, name: str) -> str:
        """Return the change as a unified diff of a file called `name`."""
        old, new = (lines_in(content) for content in (self.before, self.after))
        return "\n".join(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", lineterm="", n=3))


def stamp_of_content(content: bytes) -> str:
    """Return a hash of the content of a file."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _as_written(text: str) -> list[str]:
    """Return the lines of a text with their line ends; `str.splitlines` would also split at U+2028 and form feeds."""
    return io.StringIO(text, newline="").readlines()


def lines_in(content: bytes) -> list[str]:
    """Return the lines of a file without their line ends, numbered as in `inserted` and `replaced`."""
    return [line.rstrip("\r\n") for line in _as_written(content.decode("utf-8-sig", "replace"))]


def content_of(path: Path) -> bytes:
    """Return the content of a file, empty if it does not exist; raise `EditError` if it cannot be read."""
    try:
        content = path.read_bytes()
        content.decode("utf-8")
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise EditError(f"{path}: the file cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise EditError(f"{path}: not UTF-8; save the file in that encoding, so that it can be added to.") from error
    return content


def end_of_section(lines: Sequence[str], first: int) -> int:
    """Return the last line that is not empty in the section of the YAML key on line `first`, counted from 1."""
    keys = (number for number in range(first + 1, len(lines) + 1) if re.match(r"[\w\"']", lines[number - 1]))
    last = next(keys, len(lines) + 1) - 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    return last


def inserted(content: bytes, line: int, new: Sequence[str]) -> bytes:
    """Return the content with new lines inserted after line number `line`, with the line ends of the file."""
    text = content.decode("utf-8")
    end = "\r\n" if "\r\n" in text else "\n"
    lines = _as_written(text)
    if 0 < line <= len(lines) and not lines[line - 1].endswith(("\n", "\r")):
        lines[line - 1] += end
    lines[line:line] = [f"{one}{end}" for one in new]
    return _encoded("".join(lines))


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:  # A message in a log may have a lone surrogate.
        shown = text[max(0, error.start - 30) : error.end]
        raise EditError(f"half of a character cannot be written into a file: {shown!r}. Leave it out.") from error


def replaced(content: bytes, first: int, last: int, new: Sequence[str]) -> bytes:
    """Return the content with the lines `first` to `last`, counted from 1, replaced by new lines."""
    lines = _as_written(content.decode("utf-8"))
    rest = "".join([*lines[: first - 1], *lines[last:]]).encode("utf-8")
    return inserted(rest, first - 1, new)


def write_edits(edits: Sequence[Edit]) -> None:
    """Write all files, each whole or not at all, if none has changed since the edits were prepared.

    Raises
    ------
    NewerEditError
        If a file has changed; then nothing is written.
    EditError
        If a file cannot be written.
    """
    for edit in edits:
        if content_of(edit.path) != edit.before:
            raise NewerEditError(f"{edit.path} was changed by somebody else meanwhile; look at the change once more.")
    # All new files are written beside the old ones before the first is replaced, so that a full disk is noticed
    # before anything has changed.
    written: list[tuple[str, str]] = []
    try:
        for edit in edits:
            written.append((_beside(edit), os.path.realpath(edit.path)))
        for new, path in written:
            os.replace(new, path)
    except OSError as error:
        # An error while writing, such as a full disk, has no file name, unlike an error while opening.
        raise EditError(f"{error.filename or edit.path}: the file cannot be written: {error.strerror}.") from error
    finally:
        for new, _ in written:
            with suppress(OSError):
                os.unlink(new)


def _beside(edit: Edit) -> str:
    """Write the new content into a temporary file beside the old file, with the permissions of the old file."""
    real = Path(os.path.realpath(edit.path))
    real.parent.mkdir(parents=True, exist_ok=True)
    # By default, only the owner could read a temporary file.
    mode = real.stat().st_mode & 0o777 if real.exists() else 0o644
    descriptor, name = tempfile.mkstemp(prefix=f".{real.name}.new-", dir=real.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(edit.after)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
    except OSError:
        os.unlink(name)
        raise
    return name
