"""Findings: the description of a mistake in a domain, in stories or in NLU data, found without training."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rasa_core.support.places import Place
from rasa_core.support.problems import Severity

MOST_PLACES: Final = 5
"""The largest number of places with the same text that are shown of a finding."""
_PLACE: Final = re.compile(
    r"^(?P<file>[^\n]*?\.(?:ya?ml|json|md|markdown)):(?P<line>\d+)(?::\d+)?(?: \"(?P<name>[^\"]*)\")?: "
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake.

    Attributes
    ----------
    kind : str
        The kind of mistake, a fixed word for programs: ``contradiction``, ``unused-intent``.
    severity : str
        ``error`` if the bot will not follow the stories, ``warning`` if it may be intended.
    message : str
        What is wrong, and the remedy.
    places : tuple of Place
        All places of the mistake, in the order of file and line; at least one.
    """

    kind: str
    severity: Severity
    message: str
    places: tuple[Place, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        places = [
            {"file": place.file, "line": place.line, "story": place.name, "note": place.note} for place in self.places
        ]
        return {"kind": self.kind, "severity": self.severity, "message": self.message, "places": places}

    def lines(self, all_by: str | None = None) -> list[str]:
        """Return the finding as lines of text.

        `all_by` is a hint that says how to list all places; with it, only the first `MOST_PLACES` places with the same
        text are listed.
        """
        first = self.places[0]
        is_alone = len(self.places) == 1
        story = f'in "{first.name}": ' if is_alone and first.name else ""
        place = replace(first, name=None, note=None)
        lines = [f"{place}: {self.severity}: {story}{self.message} [{self.kind}]"]
        if is_alone:
            return lines
        alike: dict[str | None, int] = {}
        for place in self.places:  # Some places of each text are shown, since a contradiction has at least two texts.
            alike[place.note] = alike.get(place.note, 0) + 1
            if all_by is None or alike[place.note] <= MOST_PLACES:
                lines.append(f"    {place}")
        for note, count in alike.items():
            if all_by is not None and count > MOST_PLACES:
                lines.append(f"    and {count - MOST_PLACES} more{f': {note}' if note else ''} ({all_by})")
        return lines


def finding(kind: str, severity: Severity, message: str, places: Iterable[Place | None]) -> Finding:
    """Return a finding with its places in order, each once; only findings about unreadable text have columns."""
    unique = dict.fromkeys(_with_file(place, has_column=kind == "grammar") for place in places)
    return Finding(kind, severity, message, tuple(sorted(unique, key=lambda place: place.order)))


def _with_file(place: Place | None, has_column: bool) -> Place:
    place = place or Place("stories")
    column = place.column if has_column else None
    return Place(place.file or "stories", place.line, place.name or None, column, place.note)


def placed(line: str, elsewhere: str) -> tuple[Place, str]:
    """Return the place with which a line of an error begins, or that of `elsewhere`, and the rest of the line."""
    found = _PLACE.match(line)
    if found is None:
        return Place(elsewhere), line
    return Place(found["file"], int(found["line"]), found["name"]), line[found.end() :]


def finding_in(line: str, kind: str, elsewhere: str, severity: Severity = "error") -> Finding:
    """Return a finding with the text of a line of an error, at its place."""
    place, message = placed(line, elsewhere)
    return finding(kind, severity, message, [place])


def in_order(findings: Iterable[Finding], first: str) -> list[Finding]:
    """Return the findings by file and line of their first places, each once; the file `first` goes first."""

    def order(found: Finding) -> tuple[object, ...]:
        place = found.places[0]
        return place.file != first, *place.order, found.kind, found.message

    return sorted(dict.fromkeys(findings), key=order)


def words_of_code(folder: Path) -> set[str]:
    """Return all words in the code of a project, and in its config.yml, which may use names that no story has."""
    # Words, not calls: a name may be put together, or stand in a list, and to tell too little is better than wrongly.
    found = [*folder.glob("*.py"), *folder.glob("*/*.py"), *folder.glob("actions/**/*.py"), folder / "config.yml"]
    sources = filter(Path.is_file, found)
    texts = [path.read_text("utf-8", "replace") for path in sources]
    return {word for text in texts for form in (r"\w+", r"\w+(?:[/-]\w+)+") for word in re.findall(form, text)}
