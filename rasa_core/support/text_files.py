"""Reading of users' text files: UTF-8 with or without a byte order mark, and with any of the usual line ends."""

from __future__ import annotations

import codecs
from pathlib import Path

from rasa_core.exceptions import RasaCoreError
from rasa_core.support.places import Place


class TextFileError(RasaCoreError, ValueError):
    """A file cannot be read as text.

    Parameters
    ----------
    problem
        The mistake, and the remedy.
    place
        The place of the mistake, with which the message begins.
    """

    def __init__(self, problem: str, place: Place) -> None:
        self.problem = problem
        self.place = place
        super().__init__(f"{place}: {problem}")


class MissingTextFileError(TextFileError, FileNotFoundError):
    """The file does not exist."""


def read_text(path: str | Path) -> str:
    """Return the text of a file, without its byte order mark.

    Raises
    ------
    TextFileError
        If the file cannot be read, or is not UTF-8; the message names the line and the column.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise MissingTextFileError("there is no such file; check the path.", Place(str(path))) from error
        reason = getattr(error, "strerror", None) or error
        raise TextFileError(f"the file cannot be read: {reason}.", Place(str(path))) from error
    return decoded(content, str(path))


def decoded(content: bytes, name: str) -> str:
    """Return the text in `content`; raise `TextFileError`, with `name` as the file, if it is not UTF-8."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise TextFileError("this is UTF-16; save the file as UTF-8.", Place(name, 1, column=1))
    if 4 * content.count(b"\0") > len(content):  # As in an encoding with two or four bytes per character.
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise TextFileError("this is no text, or not UTF-8; save the file in that encoding.", Place(name, line))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        column = len(before[-1].decode("utf-8", "replace")) + 1
        place = Place(name, len(before), column=column)
        raise TextFileError("this is not UTF-8; save the file in that encoding.", place) from error


def lines_of(text: str) -> list[str]:
    """Return the lines of a text; it is not split at other line-breaking characters such as U+2028."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_lines(path: str | Path) -> list[str]:
    """Return the lines of a file; see `read_text` for the errors."""
    return lines_of(read_text(path))
