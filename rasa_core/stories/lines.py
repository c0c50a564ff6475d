"""The lines of a story file, without comments and with template variables filled in, and where each stood."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from rasa_core.exceptions import StoryParseError, did_you_mean

COMMENT_START = "<!--"
COMMENT_END = "-->"
VARIABLE_QUOTE = "`"

Origins = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line that says something.

    Attributes
    ----------
    number : int
        Counted from 1.
    text : str
        The line without comments, variables filled in, and without space around it; never empty.
    origins : list of (int, int)
        Positions in `text`, ascending, and the positions in the line as it was written from which they came.
    """

    number: int
    text: str
    origins: Origins

    def column(self, position: int) -> int:
        """Return the column, counted from 1, at which the character at `position` of the text was written."""
        index = bisect_right(self.origins, position, key=_start_of) - 1
        start, origin = self.origins[max(0, index)]
        return origin + position - start + 1


def _start_of(origin: tuple[int, int]) -> int:
    return origin[0]


class LineReader:
    """Reads the lines of one file.

    Parameters
    ----------
    file
        What errors call the file.
    variables
        Values of template variables, which stand in the text as a name between backticks.
    """

    def __init__(self, file: str | None, variables: Mapping[str, Any]) -> None:
        self._file = file
        self._variables = variables
        self._comment: tuple[int, int] | None = None

    def read(self, lines: Iterable[str]) -> Iterator[Line]:
        """Yield the lines that say something.

        Raises
        ------
        StoryParseError
            If a comment is not closed, or a variable is unknown.
        """
        for number, raw in enumerate(lines, 1):
            if self._comment is None and COMMENT_START not in raw and VARIABLE_QUOTE not in raw:
                text = raw.strip()
                if text:
                    yield Line(number, text, [(0, raw.index(text[0]))])
            else:
                line = self._clean(number, raw)
                if line.text:
                    yield line
        if self._comment is not None:
            self._fail(*self._comment, f"this comment is not closed; write {COMMENT_END} where it ends.")

    def _fail(self, number: int, position: int, problem: str) -> NoReturn:
        raise StoryParseError(problem, self._file, number, position + 1)

    def _clean(self, number: int, raw: str) -> Line:
        parts: list[str] = []
        origins: Origins = []
        length = 0
        for position, text in self._pieces(number, raw):
            parts.append(text)
            origins.append((length, position))
            length += len(text)
        whole = "".join(parts)
        leading = len(whole) - len(whole.lstrip())
        shifted = [(start - leading, origin) for start, origin in origins]
        return Line(number, whole.strip(), shifted or [(0, 0)])

    def _pieces(self, number: int, raw: str) -> Iterator[tuple[int, str]]:
        """Yield the text outside of comments, in pieces, each with the position at which it was written."""
        position = 0
        while True:
            if self._comment is not None:
                end = raw.find(COMMENT_END, position)
                if end < 0:
                    return
                self._comment = None
                position = end + len(COMMENT_END)
            start = raw.find(COMMENT_START, position)
            yield from self._filled(number, raw, position, len(raw) if start < 0 else start)
            if start < 0:
                return
            self._comment = (number, start)
            position = start + len(COMMENT_START)

    def _filled(self, number: int, raw: str, position: int, stop: int) -> Iterator[tuple[int, str]]:
        """Yield ``raw[position:stop]`` with variables filled in; a single backtick is text."""
        while position < stop:
            opening = raw.find(VARIABLE_QUOTE, position, stop)
            closing = raw.find(VARIABLE_QUOTE, opening + 1, stop) if opening >= 0 else -1
            if closing < 0:
                yield position, raw[position:stop]
                return
            name = raw[opening + 1 : closing]
            if name not in self._variables:
                known = ", ".join(sorted(self._variables)) or "none"
                hint = did_you_mean(name, self._variables)
                self._fail(
                    number,
                    opening,
                    f"the template variable {name[:100]!r} is not defined.{hint} Known: {known}.",
                )
            yield position, raw[position:opening]
            yield opening, str(self._variables[name])
            position = closing + 1
