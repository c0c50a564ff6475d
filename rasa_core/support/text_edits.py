"""Changes of files that people wrote: a few lines more, the rest byte for byte, never over a newer edit."""

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
    """A file cannot be changed as wanted."""


class NewerEditError(EditError):
    """Somebody has changed a file since the change was made up."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A file, as it is and as it is to be.

    Attributes
    ----------
    path : Path
        The file; it need not be there yet.
    before, after : bytes
        Its content; nothing of a file that is not there.
    """

    path: Path
    before: bytes
    after: bytes

    @property
    def stamp(self) -> str:
        """What tells this content of the file from any other."""
        return stamp_of_content(self.before)

    def diff(self, name: str) -> str:
        """Return the change as a unified diff of a file called `name`."""
        old, new = (lines_in(content) for content in (self.before, self.after))
        return "\n".join(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", lineterm="", n=3))


def stamp_of_content(content: bytes) -> str:
    """Return a hash of the content of a file."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _as_written(text: str) -> list[str]:
    """Return the lines of a text with their ends; `str.splitlines` would break at U+2028 and form feeds as well."""
    return io.StringIO(text, newline="").readlines()


def lines_in(content: bytes) -> list[str]:
    """Return the lines of a file without their ends, as many as `inserted` and `replaced` count."""
    return [line.rstrip("\r\n") for line in _as_written(content.decode("utf-8-sig", "replace"))]


def content_of(path: Path) -> bytes:
    """Return the content of a file, nothing if there is none; raise `EditError` if it cannot be read."""
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
    """Return the last line with anything in it below a key of YAML that stands on line `first`, counted from 1."""
    keys = (number for number in range(first + 1, len(lines) + 1) if re.match(r"[\w\"']", lines[number - 1]))
    last = next(keys, len(lines) + 1) - 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    return last


def inserted(content: bytes, line: int, new: Sequence[str]) -> bytes:
    """Return a text with lines more behind the first `line` ones, in the way in which its lines end."""
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
    except UnicodeEncodeError as error:  # Messages may hold one, and are kept as they came.
        shown = text[max(0, error.start - 30) : error.end]
        raise EditError(f"half of a character cannot be written into a file: {shown!r}. Leave it out.") from error


def replaced(content: bytes, first: int, last: int, new: Sequence[str]) -> bytes:
    """Return a text with other lines in the place of those from `first` to `last`, counted from 1."""
    lines = _as_written(content.decode("utf-8"))
    rest = "".join([*lines[: first - 1], *lines[last:]]).encode("utf-8")
    return inserted(rest, first - 1, new)


def write_edits(edits: Sequence[Edit]) -> None:
    """Write all files, each whole, if none has changed since the edits were made up.

    Raises
    ------
    NewerEditError
        If one has changed; nothing is written then.
    EditError
        If one cannot be written.
    """
    for edit in edits:
        if content_of(edit.path) != edit.before:
            raise NewerEditError(f"{edit.path} was changed by somebody else meanwhile; look at the change once more.")
    # All are written beside their places before the first takes its place: a full disk is met while nothing has
    # changed.
    written: list[tuple[str, str]] = []
    try:
        for edit in edits:
            written.append((_beside(edit), os.path.realpath(edit.path)))
        for new, path in written:
            os.replace(new, path)
    except OSError as error:
        # An error of writing, such as a full disk, names no file, other than one of opening.
        raise EditError(f"{error.filename or edit.path}: the file cannot be written: {error.strerror}.") from error
    finally:
        for new, _ in written:
            with suppress(OSError):
                os.unlink(new)


def _beside(edit: Edit) -> str:
    """Write the new content into a file beside the one that it is to replace, with its permissions."""
    real = Path(os.path.realpath(edit.path))
    real.parent.mkdir(parents=True, exist_ok=True)
    # A temporary file is its owner's alone, and a file that people edit is not.
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
