"""The common part of the readers of exports: it adds items of JSON to training data, with the line of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rasa_core.nlu.offsets import characters
from rasa_core.nlu.training_data import TrainingDataBuilder
from rasa_core.support.marked_text import MOST_SHOWN, EntitySpan, as_value


class ExportReader:
    """Adds the items of an export to a builder, with their lines in the JSON text.

    Attributes
    ----------
    are_utf16 : bool
        Whether the positions of entities count UTF-16 code units, rather than characters.
    """

    def __init__(self, text: str, builder: TrainingDataBuilder) -> None:
        self.builder = builder
        self.are_utf16 = False
        self._text, self._line, self._counted = text, 1, 0

    def example(
        self, text: Any, intent: Any, entities: Callable[[str], Iterable[EntitySpan]], beginning: str | None = None
    ) -> None:
        """Add a message; `entities` returns the entities of its text, or fails.

        `beginning` is the first part of a text that the export has in parts: the line of the message is that of it.
        """
        with self.builder.each(self._line_of(text if beginning is None else beginning)):
            if not isinstance(text, str):
                self.builder.fail(f"the message {json.dumps(text)[:MOST_SHOWN]} is no text.")
            if intent is not None and not isinstance(intent, str):
                self.builder.fail(f"the intent {json.dumps(intent)[:MOST_SHOWN]} of {text[:MOST_SHOWN]!r} is no text.")
            self.builder.add_example(text, (intent or "").strip() or None, entities(text))

    def left_out(self, text: Any, what: str) -> None:
        """Report a text of the export that is left out; `what` is its kind."""
        with self.builder.each(self._line_of(text)):
            shown = json.dumps(text, ensure_ascii=False)[:MOST_SHOWN]
            self.builder.tell(f"{what} is left out: {shown}.", is_harmless=True)

    def part_left_out(self, name: Any) -> None:
        """Report an entity of the current message that is left out, since it is a part of another entity."""
        shown = json.dumps(name, ensure_ascii=False)[:MOST_SHOWN]
        self.builder.tell(f"the entity {shown} is left out, since it is a part of another.", is_harmless=True)

    def values(self, entity: Any, value: Any, synonyms: Iterable[Any]) -> None:
        """Add a value of an entity with its synonyms, and all of them to the lookup table of the entity."""
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
        """Return an entity of a message; fail if it has no name, or its positions are outside of the text."""
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
        """Return the next line with a text, from the line of the last call on; that line if the text is not found."""
        for form in (json.dumps(written, ensure_ascii=False), json.dumps(written)):
            if (at := self._text.find(form, self._counted)) >= 0:
                self._line += self._text.count("\n", self._counted, at)
                self._counted = at
                break
        return self._line


def are_all(found: Any, key: str, kind: type, other: str = "") -> bool:
    """Return whether something is a non-empty list of objects that have a `key` of a `kind`, and `other`, if given."""
    return (
        isinstance(found, list)
        and bool(found)
        and all(
            isinstance(one, dict) and isinstance(one.get(key), kind) and (not other or other in one) for one in found
        )
    )


def list_of(value: Any) -> list[Any]:
    """Return a list as it is, and an empty list for anything else."""
    return value if isinstance(value, list) else []


def objects(content: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the objects in the list under a key; none if there is no such list."""
    return [one for one in list_of(content.get(key)) if isinstance(one, dict)]
