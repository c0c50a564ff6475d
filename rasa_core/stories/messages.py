"""How one line of a story is written: ``intent{"entity": "value"} OR other_intent``, and names with JSON in braces."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from rasa_core.events import UserUttered
from rasa_core.interpreter import INTENT_MESSAGE_PREFIX
from rasa_core.support.strict_json import decode_prefix

SEPARATOR: Final = " OR "
OLD_PREFIX: Final = "_"


class LineError(ValueError):
    """A line breaks the grammar at a position, which counts from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Wording:
    """One user message as it is written."""

    name: str
    entities: list[tuple[str, Any]] = field(default_factory=list)
    has_object: bool = False
    is_old_format: bool = False


def story_message(wording: Wording) -> UserUttered:
    """Return the event for a message that names its intent; its text is the one that says so to a bot."""
    intent = {"name": wording.name, "confidence": 1.0}
    entities = [{"entity": name, "value": value} for name, value in wording.entities]
    text = INTENT_MESSAGE_PREFIX + UserUttered("", intent, entities).as_story_string()
    parse_data = {"text": text, "intent": intent, "entities": entities, "intent_ranking": [dict(intent)]}
    return UserUttered(text, intent, entities, parse_data)


def read_messages(text: str, start: int, intents: Collection[str]) -> list[Wording]:
    """Read the alternatives in ``text[start:]``.

    Parameters
    ----------
    text, start
        A line, and where in it the messages begin.
    intents
        Intents of the domain; a name that stands there is not of the old format, even if it starts like one.

    Raises
    ------
    LineError
        If the text breaks the grammar.
    """
    found = []
    while start <= len(text):
        wording, end = _read_message(text, start, intents)
        found.append(wording)
        start = end + len(SEPARATOR)
    return found


def _find(text: str, what: str, start: int, stop: int) -> int:
    place = text.find(what, start, stop)
    return stop if place < 0 else place


def _read_message(text: str, start: int, intents: Collection[str]) -> tuple[Wording, int]:
    """Read one message; return it, and where it ends."""
    separator = _find(text, SEPARATOR, start, len(text))
    brace = _find(text, "{", start, separator)
    name = text[start:brace].strip()
    begin = start + len(text[start:brace]) - len(text[start:brace].lstrip())
    if name not in intents:
        if name.startswith(OLD_PREFIX) and (brace == separator or "[" in name):
            return _read_old_message(text[start:separator].strip(), begin), separator
        name = name.removeprefix(INTENT_MESSAGE_PREFIX).removeprefix(OLD_PREFIX).strip()
    if not name:
        example = '* greet, * greet{"name": "Anna"} or * yes OR no'
        raise LineError(f"the name of an intent is missing; write {example}.", min(begin, len(text) - 1))
    if brace == separator:
        return Wording(name), separator
    parameters, end = _decode_object(text, brace)
    separator = _find(text, SEPARATOR, end, len(text))
    if rest := text[end:separator].strip():
        raise LineError(f"expected {SEPARATOR!r} or the end of the line, not {rest[:80]!r}.", end)
    entities = [
        (name, item) for name, value in parameters.items() for item in (value if isinstance(value, list) else [value])
    ]
    return Wording(name, entities, has_object=True), separator


def _read_old_message(written: str, start: int) -> Wording:
    """Read ``_intent[entity=value,other=value]``."""
    name, bracket, rest = written[len(OLD_PREFIX) :].partition("[")
    if not name.strip():
        raise LineError("the name of an intent is missing; write * greet.", start)
    if bracket and not rest.endswith("]"):
        raise LineError('the bracket after the intent is not closed; write * greet{"name": "Anna"}.', start)
    entities = []
    for part in filter(str.strip, rest.removesuffix("]").split(",")):
        entity, equals, value = part.partition("=")
        if not equals or not entity.strip():
            expected = 'entity=value; write * greet{"name": "Anna"}'
            raise LineError(f"{part.strip()[:80]!r} is not like {expected}.", start)
        entities.append((entity.strip(), value.strip().strip("\"'")))
    return Wording(name.strip(), entities, is_old_format=True)


def read_name_and_object(text: str, what: str, example: str) -> tuple[str, dict[str, Any]]:
    """Return name and parameters of ``mark name{parameters}``; raise `LineError` if the text breaks the grammar."""
    opening = _find(text, "{", 0, len(text))
    name = text[1:opening].strip()
    if not name:
        raise LineError(f"the name of {what} is missing; write {example}.", min(1, len(text) - 1))
    if opening == len(text):
        return name, {}
    parameters, end = _decode_object(text, opening)
    if rest := text[end:].strip():
        raise LineError(f"{rest[:80]!r} stands after the JSON object; nothing was expected there.", end)
    return name, parameters


def _decode_object(text: str, start: int) -> tuple[dict[str, Any], int]:
    """Decode the JSON object that begins at ``text[start]``; return it, and where it ends."""
    problem = "what stands in braces is not a JSON object"
    try:
        return decode_prefix(text, start)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        expected = 'Strings and keys stand in double quotes: {"name": "Anna"}'
        raise LineError(f"{problem}: {reason}. {expected}.", error.pos) from error
    except ValueError as error:
        raise LineError(f"{problem}: {error}.", start) from error
