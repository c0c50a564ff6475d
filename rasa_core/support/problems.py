"""Mistakes in users' files; they are collected while a file is read, so that one mistake does not hide others."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from rasa_core.exceptions import did_you_mean
from rasa_core.support.places import Place

Severity = Literal["error", "warning"]

Fate = Literal["same", "replaced", "left out"]

UNKNOWN_KEY: Final = "left out, as such a key is unknown"
"""The message about an unknown key in a file, before the suggested key."""

MOST_LOGGED: Final = 100
"""How many warnings of one file are logged."""
MOST_LISTED: Final = 10
"""How many errors an exception lists; a list of problems has all."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    Attributes
    ----------
    severity : str
        ``error`` if a part of the file cannot be read, ``warning`` if it is read nevertheless.
    message : str
        The mistake, what was expected, and the remedy.
    place : Place
        The place of the mistake.
    kind : str
        The kind of mistake, for code that treats some kinds differently.
    """

    severity: Severity
    message: str
    place: Place
    kind: str = ""

    def __str__(self) -> str:
        """Return ``place: message``; lone surrogates, which cannot be written, are escaped."""
        return f"{self.place}: {self.message}".encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Note:
    """A note on how this package treats a part of a Rasa project.

    Attributes
    ----------
    place : Place
        The place of the part.
    what : str
        The name of the part.
    fate : str
        ``same`` if the part works as in Rasa, ``replaced`` if another part is used in its place, ``left out`` if
        there is no replacement.
    message : str
        The replacement, or the remedy.
    unused : tuple of str
        Options of the part that have no effect here.
    """

    place: Place
    what: str
    fate: Fate
    message: str
    unused: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return ``place: what: message``."""
        without = f"; not used: {', '.join(self.unused)}" if self.unused else ""
        said = f"{self.place}: {self.what}: {self.message}{without}"
        return said if said.endswith("?") else f"{said}."

    @property
    def is_unknown(self) -> bool:
        """Whether the note is about an unknown key."""
        return self.message.startswith(UNKNOWN_KEY)


def unread(options: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Return the options that are not known, each with a suggestion of a similar known name."""
    hints = {key: did_you_mean(key, known).strip() for key in options if key not in known}
    return tuple(f"{key} ({hint})" if hint else key for key, hint in hints.items())


def told(notes: Iterable[Note]) -> list[str]:
    """Return a line for each note whose fate is not ``same``; notes of one file with equal messages share a line."""
    alike: dict[tuple[str | None, Fate, str], list[Note]] = {}
    for note in notes:
        if note.fate != "same":
            alike.setdefault((note.place.file, note.fate, note.message), []).append(note)
    return [str(_joined(found)) for found in alike.values()]


def _joined(notes: Sequence[Note]) -> Note:
    names = ", ".join(dict.fromkeys(note.what for note in notes))
    unused = tuple(dict.fromkeys(option for note in notes for option in note.unused))
    return replace(notes[0], what=names, unused=unused)


def errors_in(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems that are errors."""
    return [problem for problem in problems if problem.severity == "error"]


def log_warnings(problems: Sequence[Problem], logger: logging.Logger) -> list[Problem]:
    """Log the warnings, up to `MOST_LOGGED` and the number of the rest, and return the errors."""
    warnings = [problem for problem in problems if problem.severity == "warning"]
    for problem in warnings[:MOST_LOGGED]:
        logger.warning("%s", problem)
    if len(warnings) > MOST_LOGGED:
        logger.warning("and %d more warnings", len(warnings) - MOST_LOGGED)
    return errors_in(problems)


def listed(errors: Sequence[object]) -> str:
    """Return errors as text, one per line, up to `MOST_LISTED` and the number of the rest."""
    lines = [str(error) for error in errors[:MOST_LISTED]]
    if len(errors) > MOST_LISTED:
        rest = len(errors) - MOST_LISTED
        lines.append(f"and {rest} more {'error' if rest == 1 else 'errors'}")
    return "\n".join(lines)
