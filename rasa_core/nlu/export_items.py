"""What readers of exports of all services share: items of JSON, with the lines in which they stand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rasa_core.nlu.offsets import characters
from rasa_core.nlu.training_data import TrainingDataBuilder
from rasa_core.support.marked_text import MOST_SHOWN, EntitySpan, as_value


class ExportReader:
    """Adds what is found to a builder, with the line in which it stands.

    Attributes
    ----------
    are_utf16 : bool
        Whether the places of entities count the units of UTF-16, rather than characters.
    """

    def __init__(self, text: str, builder: TrainingDataBuilder) -> None:
        self.builder = builder
        self.are_utf16 = False
        self._text, self._line, self._counted = text, 1, 0

    def example(
        self, text: Any, intent: Any, entities: Callable[[str], Iterable[EntitySpan]], beginning: str | None = None
    ) -> None:
        """Add a message; `entities` returns what is marked in its text, of which a `beginning` may stand alone."""
        with self.builder.each(self._line_of(text if beginning is None else beginning)):
            if not isinstance(text, str):
                self.builder.fail(f"the message {json.dumps(text)[:MOST_SHOWN]} is no text.")
            if intent is not None and not isinstance(intent, str):
                self.builder.fail(f"the intent {json.dumps(intent)[:MOST_SHOWN]} of {text[:MOST_SHOWN]!r} is no text.")
            self.builder.add_example(text, (intent or "").strip() or None, entities(text))

    def left_out(self, text: Any, what: str) -> None:
        """Tell of a text in the export that is not read."""
        with self.builder.each(self._line_of(text)):
            shown = json.dumps(text, ensure_ascii=False)[:MOST_SHOWN]
            self.builder.tell(f"{what} is left out: {shown}.", is_harmless=True)

    def part_left_out(self, name: Any) -> None:
        """Tell of an entity in the message that is read, which is a part of another, and not read."""
        shown = json.dumps(name, ensure_ascii=False)[:MOST_SHOWN]
        self.builder.tell(f"the entity {shown} is left out, since it is a part of another.", is_harmless=True)

    def values(self, entity: Any, value: Any, synonyms: Iterable[Any]) -> None:
        """Add a value of an entity, and the texts that stand for it."""
        with self.builder.each(self._line_of(value)):
            texts = [one for one in synonyms if isinstance(one, str) and one.strip()]
            if not isinstance(value, str) or not value.strip() or not isinstance(entity, str):
                self.builder.fail(f"the value {json.dumps(value)[:MOST_SHOWN]} of {entity!r} is no text.")
            for one in texts:
                if one != value:
                    self.builder.add_synonym(one, value)
            self.builder.add_lookup(entity, dict.fromkeys([value, *texts]))

    def span(
        self, text: str, start: Any, end: Any, name: Any, *, value: Any = None, role: Any = "", group: Any = ""
    ) -> EntitySpan:
        """Return an entity of a message; fail if it cannot be one."""
        if not isinstance(name, str) or not name.strip():
            self.builder.fail(f"an entity of {text[:MOST_SHOWN]!r} has no name.")
        if self.are_utf16 and type(start) is int and type(end) is int:
            start, end = characters(text, start), characters(text, end)
        if type(start) is not int or type(end) is not int or not 0 <= start <= end <= len(text):
            self.builder.fail(f"the entity {name[:MOST_SHOWN]!r} stands outside of {text[:MOST_SHOWN]!r}.")
        own = as_value(value) or text[start:end]
        return EntitySpan(start, end, name.strip(), own, as_value(role) or "", as_value(group) or "")

    def regex(self, name: Any, pattern: Any) -> None:
        """Add a regular expression."""
        with self.builder.each(self._line_of(pattern)):
            if isinstance(name, str) and isinstance(pattern, str):
                self.builder.add_regex(name, pattern)

    def _line_of(self, written: Any) -> int:
        """Return the line in which a text stands, behind that of the last call; that one if it is not found."""
        for form in (json.dumps(written, ensure_ascii=False), json.dumps(written)):
            if (at := self._text.find(form, self._counted)) >= 0:
                self._line += self._text.count("\n", self._counted, at)
                self._counted = at
                break
        return self._line


def are_all(found: Any, key: str, kind: type, other: str = "") -> bool:
    """Whether something is a list of objects, at least one, that all have a key of a kind, and perhaps another."""
    return (
        isinstance(found, list)
        and bool(found)
        and all(
            isinstance(one, dict) and isinstance(one.get(key), kind) and (not other or other in one) for one in found
        )
    )


def list_of(value: Any) -> list[Any]:
    """Return a list as it is, and an empty one for all else."""
    return value if isinstance(value, list) else []


def objects(content: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the objects in the list that a key has."""
    return [one for one in list_of(content.get(key)) if isinstance(one, dict)]
