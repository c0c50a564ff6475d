"""What checking a domain and stories finds: each mistake with all of its places."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from rasa_core.stories.steps import Source

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding stands.

    Attributes
    ----------
    file : str
        The domain, a story file, or the folder of the stories.
    line : int or None
        Counted from 1; None for the whole file.
    story : str or None
        Name of the story, for a line of one.
    note : str or None
        What is there, where a finding says different things of its places.
    """

    file: str
    line: int | None = None
    story: str | None = None
    note: str | None = None

    def __str__(self) -> str:
        """Return ``file:line "story": note``, as far as these are known."""
        text = self.file if self.line is None else f"{self.file}:{self.line}"
        text += f' "{self.story}"' if self.story else ""
        return f"{text}: {self.note}" if self.note else text

    @property
    def order(self) -> tuple[str, int, str]:
        """What sorts places: by file and line."""
        return self.file, self.line or 0, self.note or ""

    def as_dict(self) -> dict[str, Any]:
        """Return the place as JSON-able data."""
        return {"file": self.file, "line": self.line, "story": self.story, "note": self.note}


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake.

    Attributes
    ----------
    kind : str
        What sort of mistake, a fixed word for programs: ``contradiction``, ``unused-intent``.
    severity : str
        ``error`` if the bot will not do what the stories say, ``warning`` if it may be meant so.
    message : str
        What is wrong, and the remedy.
    places : tuple of Place
        All places that take part, in the order of file and line; at least one.
    """

    kind: str
    severity: Severity
    message: str
    places: tuple[Place, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-able data."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "message": self.message,
            "places": [place.as_dict() for place in self.places],
        }


def place_of(source: Source | None, note: str | None = None) -> Place:
    """Return the place of something in a story."""
    if source is None:
        return Place("stories", note=note)
    return Place(source.file or "stories", source.line, source.name or None, note)


def finding(kind: str, severity: Severity, message: str, places: Iterable[Place]) -> Finding:
    """Return a finding with its places in order, each once."""
    return Finding(kind, severity, message, tuple(sorted(dict.fromkeys(places), key=lambda place: place.order)))


def in_order(findings: Iterable[Finding], first: str) -> list[Finding]:
    """Return the findings by file and line of their first places, each once; the file `first` goes first."""

    def order(found: Finding) -> tuple[object, ...]:
        place = found.places[0]
        return place.file != first, *place.order, found.kind, found.message

    return sorted(dict.fromkeys(findings), key=order)
