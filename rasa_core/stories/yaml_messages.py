"""Reads the intent and the entities of a message from a step of a story or rule in YAML.

``entities:`` lists the entities, as names, or with values, roles and groups. Without this key, the entities are the
ones that are marked in the text (``user:``), or named in a message such as ``/inform{"city": "Rome"}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from rasa_core.events import UserUttered
from rasa_core.interpreter import INTENT_MESSAGE_PREFIX, RegexInterpreter
from rasa_core.support.marked_text import EntitySpan, read_annotated
from rasa_core.support.yaml_parts import Part

RETRIEVAL_KEY: Final = "full_retrieval_intent_name"
"""The key of the full name of a retrieval intent, such as ``faq/opening``, beside its intent ``faq``."""

_MARKS: Final = ("role", "group", "value", "start", "end", "extractor", "confidence", "confidence_entity")

TellError = Callable[[Part, str], None]
Described = dict[str, Any]


class _UnreadableError(ValueError):
    """The marks in a text cannot be read."""


def name_in(part: Part, key: str, tell: TellError) -> str:
    """Return the name that is the value of a key; report a missing one, and return an empty text."""
    name = part.written.strip()
    if not name or part.is_null:
        tell(part, f"{key}: needs one name, as in {key}: {_EXAMPLES[key]}.")
        return ""
    return name


_EXAMPLES: Final = {
    "intent": "greet",
    "action": "utter_greet",
    "active_loop": "booking_form",
    "checkpoint": "after greeting",
}


def message_in(keys: Mapping[str, Part], tell: TellError) -> UserUttered:
    """Return the message of a step; mistakes are reported to `tell`."""
    name = name_in(keys["intent"], "intent", tell).removeprefix(INTENT_MESSAGE_PREFIX).strip()
    # Policies learn the retrieval intent; its part only decides the response.
    meant, _, part = name.partition("/")
    intent = {"name": meant, "confidence": 1.0} | ({RETRIEVAL_KEY: name} if part else {})
    text = keys["user"].written.strip() if "user" in keys else None
    if text is not None and "entities" not in keys:
        return UserUttered(text, intent, _said_in(text, keys["user"], tell))
    return UserUttered(text, intent, _listed(keys.get("entities"), tell))


def _said_in(text: str, part: Part, tell: TellError) -> list[Described]:
    if text.startswith(INTENT_MESSAGE_PREFIX):
        named = RegexInterpreter().parse(text)["entities"]
        return [{"entity": one["entity"], "value": one["value"]} for one in named]

    def fail(problem: str) -> NoReturn:
        raise _UnreadableError(problem)

    try:
        return [_of_span(span) for span in read_annotated(text, fail)[1]]
    except _UnreadableError as error:
        tell(part, str(error))
        return []


def _of_span(span: EntitySpan) -> Described:
    marks = {"role": span.role, "group": span.group}
    return {"entity": span.entity, "value": span.value, **{key: value for key, value in marks.items() if value}}


def _listed(part: Part | None, tell: TellError) -> list[Described]:
    if part is None or part.is_null:
        return []
    if not part.is_mapping and not part.is_list:
        tell(part, "entities: is a list such as [city], or [city: Rome].")
    described = _parts(part)
    entities = [_entity(entry) for entry in described if set(entry) - set(_MARKS)]
    if len(entities) < len(described):
        tell(part, "an entity is like - city, or - city: Rome; one here has no name.")
    return entities


def _parts(part: Part) -> list[Described]:
    if part.is_mapping:
        return [{name: value} for name, value in part.meant.items()]
    # A name alone has some value, as in Rasa, where it fills the slots that are mapped from the entity.
    return [entry.meant if entry.is_mapping else {entry.written: ""} for entry in part.entries()]


def _entity(described: Mapping[str, Any]) -> Described:
    """Return an entity of ``- city``, ``- city: Rome`` with ``role:`` beside it, or ``- entity: city``."""
    if "entity" in described:
        return {"value": None, **described, "entity": str(described["entity"])}
    name = next(key for key in described if key not in _MARKS)
    marks = {key: described[key] for key in ("role", "group") if described.get(key)}
    return {"entity": name, "value": described[name], **marks}
