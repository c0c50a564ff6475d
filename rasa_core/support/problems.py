"""What is wrong in files that people wrote: gathered while they are read, so that one mistake does not hide others."""

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
"""What is said of a key of a file that nothing reads, before the nearest that is known."""

MOST_LOGGED: Final = 100
"""How many warnings of one file are logged."""
MOST_LISTED: Final = 10
"""How many errors an exception lists; whoever wants all gathers the problems."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    Attributes
    ----------
    severity : str
        ``error`` if something cannot be read, ``warning`` if it is read in spite of it.
    message : str
        What is wrong, what was expected, and the remedy.
    place : Place
        Where.
    kind : str
        What sort of mistake, for whoever treats some in another way.
    """

    severity: Severity
    message: str
    place: Place
    kind: str = ""

    def __str__(self) -> str:
        """Return ``place: message``; half characters, which no file and no terminal takes, are escaped."""
        return f"{self.place}: {self.message}".encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Note:
    """What becomes of a part of a project that was made for Rasa.

    Attributes
    ----------
    place : Place
        Where it stands.
    what : str
        Its name.
    fate : str
        ``same`` if it does here what it did there, ``replaced`` if something else stands for it, ``left out`` if
        nothing does.
    message : str
        What stands for it, or what is to be done.
    unused : tuple of str
        Its options that do nothing here.
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
        """Whether it is of a key that nothing reads."""
        return self.message.startswith(UNKNOWN_KEY)


def unread(options: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Return those of some options that nothing reads, each with the name that may be meant."""
    hints = {key: did_you_mean(key, known).strip() for key in options if key not in known}
    return tuple(f"{key} ({hint})" if hint else key for key, hint in hints.items())


def told(notes: Iterable[Note]) -> list[str]:
    """Return a line for each note on what is not the same; those of one message, of one file, share a line."""
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
    """Log the problems that are warnings, of very many the first and how many more there are; return the errors."""
    warnings = [problem for problem in problems if problem.severity == "warning"]
    for problem in warnings[:MOST_LOGGED]:
        logger.warning("%s", problem)
    if len(warnings) > MOST_LOGGED:
        logger.warning("and %d more warnings", len(warnings) - MOST_LOGGED)
    return errors_in(problems)


def listed(errors: Sequence[object]) -> str:
    """Return errors as text, a line each; of very many, the first and how many more there are."""
    lines = [str(error) for error in errors[:MOST_LISTED]]
    if len(errors) > MOST_LISTED:
        rest = len(errors) - MOST_LISTED
        lines.append(f"and {rest} more {'error' if rest == 1 else 'errors'}")
    return "\n".join(lines)
