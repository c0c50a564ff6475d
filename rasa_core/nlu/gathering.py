"""What the readers of all formats share: checks of what one file says, and the data that they gather."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from rasa_core.nlu.data import EntitySpan, Example, Lookup, NLUDataError, Regex, Source, Synonym, TrainingData

MOST_SHOWN: Final = 80


class Gathering:
    """Gathers the data of one file, or of one text that came without a file.

    Parameters
    ----------
    name
        What errors and sources call the file.
    folder
        Where the paths of lookup tables begin; None for a text that came without a file, which may name none.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self.name = name
        self._folder = folder
        self._examples: list[Example] = []
        self._definitions: list[Synonym] = []
        self._regexes: list[Regex] = []
        self._lookups: dict[str, list[str]] = {}
        self._errors: list[NLUDataError] = []

    def fail(self, line: int | None, problem: str) -> NoReturn:
        """Raise `NLUDataError` for a line."""
        raise NLUDataError(problem, Source(self.name, line))

    @contextmanager
    def each(self) -> Iterator[None]:
        """Keep an error in the block until `data` is asked for, so that those of other items are found too."""
        try:
            yield
        except NLUDataError as error:
            self._errors.append(error)

    def add_example(self, text: str, intent: str | None, entities: Iterable[EntitySpan], line: int) -> None:
        """Add a message; an entity whose value is not its text makes a synonym."""
        source = Source(self.name, line)
        spans = tuple(sorted(entities))
        for span in spans:
            covered = text[span.start : span.end]
            if covered and span.value != covered:
                self._definitions.append(Synonym(covered, span.value, source))
        self._examples.append(Example(text, intent, spans, source))

    def add_synonym(self, text: str, value: str, line: int) -> None:
        """Say that `text` stands for `value`."""
        self._definitions.append(Synonym(text, value, Source(self.name, line)))

    def add_regex(self, name: str, pattern: str, line: int) -> None:
        """Add a regular expression; fail if it is none."""
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            shown = pattern[:MOST_SHOWN]
            self.fail(
                line, f"{shown!r} is no regular expression: {error}; put a backslash before a character meant as such."
            )
        self._regexes.append(Regex(name, pattern))

    def add_lookup(self, name: str, entries: Iterable[str]) -> None:
        """Add entries to a lookup table."""
        self._lookups.setdefault(name, []).extend(entries)

    def add_lookup_file(self, name: str, path: str, line: int) -> None:
        """Add the lines of a text file to a lookup table; its path is relative to the file that names it."""
        if self._folder is None:
            self.fail(
                line,
                f"the lookup table {name!r} names the file {path[:MOST_SHOWN]!r}; expected its entries, one an item.",
            )
        places = [self._folder / path, Path(path)]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            looked = " and ".join(repr(str(place)) for place in dict.fromkeys(places))
            self.fail(line, f"the lookup table {name!r} names a file that is not there; looked for {looked}.")
        self.add_lookup(name, filter(None, map(str.strip, read_lines(found))))

    def data(self) -> TrainingData:
        """Return all that was gathered; raise `NLUDataError` if there were errors."""
        if self._errors:
            first = self._errors[0]
            raise NLUDataError(first.problem, first.source, self._errors[1:])
        lookups = [Lookup(name, tuple(dict.fromkeys(entries))) for name, entries in self._lookups.items()]
        return TrainingData.build(self._examples, self._definitions, self._regexes, lookups)


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, with or without a byte order mark.

    Raises
    ------
    NLUDataError
        If the file cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NLUDataError(f"cannot read the NLU data: {reason}.", Source(str(path))) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NLUDataError("not UTF-8; save the file in that encoding.", Source(str(path), line)) from error


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file; see `read_text`."""
    return lines_of(read_text(path))


def lines_of(text: str) -> list[str]:
    """Return lines that ended in any of the usual ways; other characters that break lines stay in them."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
