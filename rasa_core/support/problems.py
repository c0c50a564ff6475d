"""What is wrong in files that people wrote: gathered while they are read, so that one mistake does not hide others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rasa_core.support.places import Place

Severity = Literal["error", "warning"]

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


def errors_in(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems that are errors."""
    return [problem for problem in problems if problem.severity == "error"]


def log_warnings(problems: Sequence[Problem], logger: logging.Logger) -> list[Problem]:
    """Log the problems that are warnings; return the errors."""
    for problem in problems:
        if problem.severity == "warning":
            logger.warning("%s", problem)
    return errors_in(problems)


def listed(errors: Sequence[object]) -> str:
    """Return errors as text, a line each; of very many, the first and how many more there are."""
    lines = [str(error) for error in errors[:MOST_LISTED]]
    if len(errors) > MOST_LISTED:
        rest = len(errors) - MOST_LISTED
        lines.append(f"and {rest} more {'error' if rest == 1 else 'errors'}")
    return "\n".join(lines)
