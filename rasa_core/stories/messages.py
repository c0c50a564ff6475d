"""How user messages are written in stories: ``intent{"entity": "value"} OR other_intent``."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from rasa_core.events import UserUttered
from rasa_core.interpreter import INTENT_MESSAGE_PREFIX

SEPARATOR: Final = " OR "
OLD_PREFIX: Final = "_"

Json = dict[str, Any]


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
    position: int | None = start
    scanner = _Scanner(text)
    while position is not None:
        wording, position = _read_message(scanner, position, intents)
        found.append(wording)
    return found


class _Scanner:
    """Finds the next brace and separator, looking at each part of a line once, so that the time is linear."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._found: dict[str, int] = {}

    def find(self, what: str, position: int) -> int:
        """Return the first place of `what` from `position` on, or the length of the text."""
        known = self._found.get(what, -1)
        if known < position:
            place = self.text.find(what, position)
            known = self._found[what] = len(self.text) if place < 0 else place
        return known


def _read_message(scanner: _Scanner, start: int, intents: Collection[str]) -> tuple[Wording, int | None]:
    """Read one message; return it, and where the next begins, if there is one."""
    text = scanner.text
    separator, brace = scanner.find(SEPARATOR, start), scanner.find("{", start)
    stop = min(separator, brace)
    name = text[start:stop].strip()
    begin = start + len(text[start:stop]) - len(text[start:stop].lstrip())
    if name not in intents:
        if name.startswith(OLD_PREFIX) and (stop == separator or "[" in name):
            return _old_message(text[start:separator].strip(), begin), _after(text, separator)
        name = name.removeprefix(INTENT_MESSAGE_PREFIX).removeprefix(OLD_PREFIX).strip()
    if not name:
        example = '* greet, * greet{"name": "Anna"} or * yes OR no'
        raise LineError(f"the name of an intent is missing; write {example}.", min(begin, len(text) - 1))
    if stop == separator:
        return Wording(name), _after(text, separator)
    parameters, end = decode_object(text, brace)
    separator = scanner.find(SEPARATOR, end)
    if text[end:separator].strip():
        found = text[end:separator].strip()[:80]
        raise LineError(f"expected {SEPARATOR!r} or the end of the line, not {found!r}.", end)
    return Wording(name, _entities(parameters), has_object=True), _after(text, separator)


def _after(text: str, separator: int) -> int | None:
    return None if separator == len(text) else separator + len(SEPARATOR)


def _entities(parameters: Json) -> list[tuple[str, Any]]:
    return [
        (name, item) for name, value in parameters.items() for item in (value if isinstance(value, list) else [value])
    ]


def _old_message(written: str, start: int) -> Wording:
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


def decode_object(text: str, start: int) -> tuple[Json, int]:
    """Decode the JSON object that begins at ``text[start]``; return it, and where it ends."""
    try:
        found, end = _decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        expected = 'Strings and keys stand in double quotes: {"name": "Anna"}'
        raise LineError(f"{_NO_OBJECT}: {reason}. {expected}.", error.pos) from error
    except RecursionError as error:
        raise LineError(f"{_NO_OBJECT}: it is nested too deeply.", start) from error
    except ValueError as error:
        raise LineError(f"{_NO_OBJECT}: {error}.", start) from error
    return found, end


_NO_OBJECT: Final = "what stands in braces is not a JSON object"


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(written: str) -> float:
    number = float(written)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {written[:20]} is too large")
    return number


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
