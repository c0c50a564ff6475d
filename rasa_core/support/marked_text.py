"""Messages whose entities are marked in their text, as in Markdown of Rasa NLU and in YAML of Rasa 2 and 3.

===================================================  ======================================================
``in [Lisbon](city)``                                the entity ``city``
``in [Lisboa](city:Lisbon)``                         its value, if it is not the text
``in [Lisboa]{"entity": "city", "value": "Lisbon"}`` the same as a JSON object
``[a][{"entity": "b"}, {"entity": "c"}]``            several entities of the same text
===================================================  ======================================================

Other brackets are text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from rasa_core.exceptions import did_you_mean
from rasa_core.support.strict_json import decode_prefix

MARK: Final = '[Lisbon](city), [Lisboa](city:Lisbon) or [Lisboa]{"entity": "city", "value": "Lisbon"}'
"""The expected forms, for error messages."""
_MARKED: Final = re.compile(r"\[([^\[\]]*)\](?=\(|\{|\[\s*\{)")
_SECOND_MARK: Final = re.compile(r'\{\s*"entity"\s*:')
_MARK_KEYS: Final = ("entity", "value", "role", "group")

MOST_SHOWN: Final = 80
"""How many characters of a text an error message quotes."""

Fail = Callable[[str], NoReturn]
Tell = Callable[[str], object]
EntityMark = tuple[str, str, str, str]
"""Name, value, role and group of an entity."""


@dataclass(frozen=True, slots=True, order=True)
class EntitySpan:
    """An entity in a text.

    Attributes
    ----------
    start, end : int
        The entity is ``text[start:end]``, in characters. In training data it may be empty, and is ignored then.
    entity : str
        The name of the entity, such as ``city``.
    value : str
        The value, with synonyms replaced: ``New York`` for ``NYC``.
    role, group : str
        The role of the entity, such as ``departure``, and the group of entities that it belongs to; may be empty.
    """

    start: int
    end: int
    entity: str
    value: str
    role: str = ""
    group: str = ""

    @property
    def label(self) -> tuple[str, str, str]:
        """The label that a model learns: entity, role and group."""
        return self.entity, self.role, self.group


def as_value(value: Any) -> str | None:
    """Return the value of an entity as text; empty for null, None for values other than texts and numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        return None
    return "" if value is None else str(value)


def has_marks(text: str) -> bool:
    """Tell whether a text has marked entities."""
    return _MARKED.search(text) is not None


def read_annotated(annotated: str, fail: Fail, tell: Tell | None = None) -> tuple[str, list[EntitySpan]]:
    """Return the plain text of a message and the entities that were marked in it.

    `fail` is called with the message of an error, and must raise; `tell` is called with the message of a minor mistake,
    for which `fail` is called if there is no `tell`.
    """
    pieces: list[str] = []
    spans: list[EntitySpan] = []
    position = length = 0
    while (match := _MARKED.search(annotated, position)) is not None:
        pieces += annotated[position : match.start()], match[1]
        length += match.start() - position
        marks, position = _read_marks(annotated, match.end(), fail, tell or fail)
        if tell and _SECOND_MARK.match(annotated, position):
            tell(f"{annotated[position : position + 40]!r} behind a mark is part of the text; an entity has one mark.")
        end = length + len(match[1])
        spans += (EntitySpan(length, end, name, value or match[1], *others) for name, value, *others in marks)
        length = end
    return "".join(pieces) + annotated[position:], spans


def _read_marks(text: str, position: int, fail: Fail, tell: Tell) -> tuple[list[EntityMark], int]:
    """Return the entities of the mark at `position`, and the position of its end."""
    if text[position] != "(":
        return _read_json_marks(text, position, fail, tell)
    closing = text.find(")", position)
    if closing < 0:
        fail(f"{text[position : position + 40]!r} is not closed; an entity is marked like {MARK}.")
    name, _, value = text[position + 1 : closing].partition(":")
    if not name.strip():
        fail(f"the mark {text[position : closing + 1]!r} has no name of an entity; expected {MARK}.")
    return [(name.strip(), value.strip(), "", "")], closing + 1


def _read_json_marks(text: str, position: int, fail: Fail, tell: Tell) -> tuple[list[EntityMark], int]:
    try:
        decoded, end = decode_prefix(text, position)
    except ValueError:
        fail(f"{text[position : position + 40]!r} is no JSON; an entity is marked like {MARK}.")
    return [_read_json_mark(mark, fail, tell) for mark in (decoded if isinstance(decoded, list) else [decoded])], end


def _read_json_mark(mark: Any, fail: Fail, tell: Tell) -> EntityMark:
    name = mark.get("entity") if isinstance(mark, dict) else None
    if not isinstance(name, str) or not name.strip():
        fail(f"the mark {json.dumps(mark)[:80]} names no entity; expected {MARK}.")
    for key in mark:
        if key not in _MARK_KEYS:
            tell(f"a mark has no key {key[:80]!r}.{did_you_mean(key, _MARK_KEYS)} Known: {', '.join(_MARK_KEYS)}.")
    value = as_value(mark.get("value"))
    if value is None:
        fail(f"the value of the entity {name[:80]!r} is {json.dumps(mark['value'])[:80]}; expected a text.")
    return name.strip(), value, str(mark.get("role") or ""), str(mark.get("group") or "")


# -- writing


def with_marks(
    text: str, entities: Iterable[Mapping[str, Any]], *, as_json: bool = True
) -> tuple[str, list[Mapping[str, Any]]]:
    """Return a text with its entities marked, and the list of the entities that were marked.

    Of overlapping entities, unless they have exactly the same text, the first and longest is marked. A value that
    differs from the text is written in a JSON object or, without `as_json`, after a colon, if there is no role or
    group.
    """
    spans: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for entity in entities:
        start, end = entity.get("start"), entity.get("end")
        if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text):
            spans.setdefault((start, -end), []).append(entity)
    parts: list[str] = []
    marked: list[Mapping[str, Any]] = []
    at = 0
    for (start, negative), found in sorted(spans.items(), key=lambda item: item[0]):
        if start >= at:
            words = text[start:-negative]
            parts += [text[at:start], f"[{words}]{_mark(found, words, as_json)}"]
            marked += found
            at = -negative
    return "".join([*parts, text[at:]]), marked


def _mark(entities: Iterable[Mapping[str, Any]], words: str, as_json: bool) -> str:
    told: list[dict[str, Any]] = []
    for entity in entities:
        value = {} if entity.get("value") == words else {"value": entity.get("value")}
        one = {
            "entity": entity["entity"],
            **value,
            **{key: entity[key] for key in ("role", "group") if entity.get(key)},
        }
        told += [one] if one not in told else []
    one = told[0]
    if len(told) > 1:
        return json.dumps(told, ensure_ascii=False)
    if len(one) == 1:
        return f"({one['entity']})"
    is_short = not as_json and one.keys() == {"entity", "value"} and ")" not in str(one["value"])
    return f"({one['entity']}:{one['value']})" if is_short else json.dumps(one, ensure_ascii=False)
