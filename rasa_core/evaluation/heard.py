"""What two bots take the messages of a conversation for, intents and entities, where that is not the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rasa_core.evaluation.changes import Note, verdict_on
from rasa_core.events import Event, UserUttered
from rasa_core.teaching.corrections import CORRECTED

Understand = Callable[[str], Mapping[str, Any]]


class Heard:
    """What two bots take typed messages for; each text is parsed once."""

    def __init__(self, understand: tuple[Understand, Understand]) -> None:
        self._understand = understand
        self._known: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}

    def notes(self, events: Sequence[Event]) -> Iterator[Note]:
        """Yield how the messages of a conversation are taken otherwise."""
        for position, event in enumerate(events):
            if isinstance(event, UserUttered) and event.text and not event.text.startswith("/"):  # It names its intent.
                yield from self._notes(position, event, event.text)

    def _notes(self, position: int, event: UserUttered, text: str) -> Iterator[Note]:
        if text not in self._known:
            self._known[text] = (self._understand[0](text), self._understand[1](text))
        old, new = self._known[text]
        is_right = bool((event.metadata or {}).get(CORRECTED))
        meant = (_named(event.parse_data), _found(event.parse_data)) if is_right else (None, None)
        if _named(old) != _named(new):
            verdict = verdict_on(meant[0], _named(old), _named(new))
            yield Note("intent", "understood", _named(old), _named(new), verdict, position)
        if _found(old) != _found(new):
            told = _told_apart(_found(old), _found(new))
            yield Note("entities", _named(old), *told, verdict_on(meant[1], _found(old), _found(new)), position)


Entities = tuple[tuple[str, str], ...]


def _named(parsed: Mapping[str, Any]) -> str:
    return str((parsed.get("intent") or {}).get("name") or "")


def _found(parsed: Mapping[str, Any]) -> Entities:
    """Return the entities of a message, with roles and groups, and their values, in the order of their names."""
    found = parsed.get("entities") or ()
    return tuple(sorted((_kind_of(one), json.dumps(one.get("value"), ensure_ascii=False)) for one in found))


def _kind_of(entity: Mapping[str, Any]) -> str:
    parts = (entity.get("role"), entity.get("group"))
    return " ".join([str(entity.get("entity")), *(f"({part})" for part in parts if part)])


def _told_apart(old: Entities, new: Entities) -> tuple[str, str]:
    """Return what only one of both has: the names of the entities; their values too where the names are the same."""
    one, other = (Counter(name for name, _ in found) for found in (old, new))
    if one == other:
        one, other = (Counter(map(" ".join, found)) for found in (old, new))
    return _listed(one - other), _listed(other - one)


def _listed(names: Counter[str]) -> str:
    return ", ".join(sorted(names.elements())) or "none"
