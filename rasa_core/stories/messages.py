"""How one line of a story is written: ``intent{"entity": "value"} OR other_intent``, and names with JSON in braces."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from rasa_core.compat.messages import bracketed_entities
from rasa_core.events import UserUttered
from rasa_core.interpreter import INTENT_MESSAGE_PREFIX
from rasa_core.support.strict_json import decode, decode_prefix

SEPARATOR: Final = " OR "
OLD_PREFIX: Final = "_"

_OLD_WITHOUT_PREFIX: Final = re.compile(r"[^\s\[\]{}=]+\s*\[(\s*\]|.*=).*")
_BETWEEN_PAIRS: Final = re.compile(r"\]\s*\[")
_CONSTANTS: Final = {"None": None, "~": None, "True": True, "False": False}
_STRAIGHT_QUOTES: Final = str.maketrans("\u201c\u201d\u201e\u2018\u2019", '"""\'\'')
_PAIR: Final = re.compile(r"([^:=]+)[:=](.*)", re.DOTALL)
# Guesses try an end at each brace; these bounds keep a long or deeply nested line from taking long.
_LONGEST_GUESS: Final = 2000
_DEEPEST_GUESS: Final = 20


class LineError(ValueError):
    """A line breaks the grammar at a position, which counts from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Doubt:
    """A part of a line that breaks the grammar, and can be read all the same.

    Attributes
    ----------
    message : str
        What is wrong, how the part was read, and the remedy.
    is_lost : bool
        Whether some of the line could not be read, and is left out.
    """

    message: str
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class Wording:
    """A user message as a story writes it; without a name, its intent is not known."""

    name: str
    entities: list[tuple[str, Any]] = field(default_factory=list)
    has_object: bool = False
    is_old_format: bool = False
    doubt: Doubt | None = None


_NO_INTENT: Final = Doubt(
    "the name of an intent is missing; the message is read as one of which no intent is known. "
    'Write * greet, * greet{"name": "Anna"} or * yes OR no.'
)
_TWO_OBJECTS: Final = Doubt("the entities are in two pairs of braces, and are read as if they were in one; write one.")
_NO_ALTERNATIVE: Final = Doubt("an alternative is missing and left out; write * yes OR no.")


def story_message(wording: Wording) -> UserUttered:
    """Return the event for a message that names its intent; its text is what a user would type, such as ``/greet``.

    An entity with the value null is left out.
    """
    intent = {"name": wording.name or None, "confidence": 1.0}
    entities = [{"entity": name, "value": value} for name, value in wording.entities if value is not None]
    text = INTENT_MESSAGE_PREFIX + UserUttered("", intent, entities).as_story_string()
    parse_data = {"text": text, "intent": intent, "entities": entities, "intent_ranking": [dict(intent)]}
    return UserUttered(text, intent, entities, parse_data)


def read_messages(text: str, start: int, intents: Collection[str]) -> list[Wording]:
    """Read the alternatives in ``text[start:]``; raise `LineError` if the text breaks the grammar.

    `intents` are the intents of the domain: a name among them is not read as the old format, even if it looks like it.
    An empty alternative, as in ``a OR OR b``, is left out.
    """
    found = []
    text += " " * text.endswith(SEPARATOR.rstrip())  # Which line ends have lost.
    while start <= len(text):
        wording, end = _read_message(text, start, intents)
        found.append(wording)
        start = end + len(SEPARATOR)
    said = [wording for wording in found if wording.name or wording.entities] or found[:1]
    if len(said) < len(found):
        said[0] = replace(said[0], doubt=said[0].doubt or _NO_ALTERNATIVE)
    return said


def _find(text: str, what: str, start: int, stop: int) -> int:
    place = text.find(what, start, stop)
    return stop if place < 0 else place


def _read_message(text: str, start: int, intents: Collection[str]) -> tuple[Wording, int]:
    """Read one message; return the message and the position of its end."""
    separator = _find(text, SEPARATOR, start, len(text))
    brace = _find(text, "{", start, separator)
    name = text[start:brace].strip()
    # The domain decides first: an intent may begin with "_", or have brackets in its name.
    if name not in intents:
        begin = start + len(text[start:brace]) - len(text[start:brace].lstrip())
        name = name.removeprefix(INTENT_MESSAGE_PREFIX)
        if _is_old_format(name, text[start:separator].strip().removeprefix(INTENT_MESSAGE_PREFIX), brace == separator):
            return _read_old_message(text[start:separator].strip(), begin, intents), separator
        name = name.removeprefix(OLD_PREFIX).strip()
    nameless = None if name else _NO_INTENT
    if brace == separator:
        return Wording(name, doubt=nameless), separator
    parameters, end, doubt = _read_object(text, brace, is_needed=False)
    if text[end:].lstrip().startswith("{"):
        more, end, doubt = _read_object(text, text.index("{", end), is_needed=False)
        parameters, doubt = {**parameters, **more}, doubt or _TWO_OBJECTS
    # Looked for again, since the first one may have stood inside of the object.
    separator = _find(text, SEPARATOR, end, len(text))
    if rest := text[end:separator].strip():  # Versions up to 0.9 left out the entities then, and warned.
        said = f"expected {SEPARATOR!r} or the end of the line, not {rest[:80]!r}, which is passed over."
        doubt = Doubt(said, is_lost=True)
    entities = [
        (name, item) for name, value in parameters.items() for item in (value if isinstance(value, list) else [value])
    ]
    return Wording(name, entities, has_object=True, doubt=doubt or nameless), separator


def _is_old_format(name: str, written: str, has_no_brace: bool) -> bool:
    """Tell whether a message is like ``_intent[entity=value]``, whose first character is missing in many files."""
    if name.startswith(OLD_PREFIX) and name != OLD_PREFIX and (has_no_brace or "[" in name):
        return True
    return "[" in name and _OLD_WITHOUT_PREFIX.fullmatch(written) is not None


def _read_old_message(written: str, start: int, intents: Collection[str]) -> Wording:
    """Read ``_intent[entity=value,other=value]``, before whose bracket 0.9 took capital letters for small ones."""
    name, bracket, rest = written.removeprefix(INTENT_MESSAGE_PREFIX).removeprefix(OLD_PREFIX).partition("[")
    if not name.strip():
        raise LineError("the name of an intent is missing; write * greet.", start)
    doubt = None
    content, closing, behind = rest.rpartition("]")
    if closing and behind:
        rest = content + closing
        doubt = Doubt(f"{behind.strip()[:80]!r} stands behind the bracket, and is passed over.", is_lost=True)
    if bracket and not rest.endswith("]"):
        doubt = Doubt('the bracket after the intent is not closed; write * greet{"name": "Anna"}.')
    inner = _BETWEEN_PAIRS.sub(",", rest.removesuffix("]").rstrip("]"))
    if inner != rest.removesuffix("]"):
        problem = "the brackets after the intent are not one pair, and are read as if they were; write "
        doubt = Doubt(f'{problem}* greet{{"name": "Anna"}}.', is_lost="]" in inner)
    try:
        values = bracketed_entities(inner)
    except ValueError as error:  # As in 0.9, a message without them.
        problem = f'{error}; the message is read without entities. Write * greet{{"name": "Anna"}}.'
        values, doubt = [], Doubt(problem, is_lost=True)
    name = name.strip()
    return Wording(name.lower() if bracket and name not in intents else name, values, is_old_format=True, doubt=doubt)


def read_name_and_object(text: str, what: str, example: str) -> tuple[str, dict[str, Any], Doubt | None]:
    """Return name and parameters of ``mark name{parameters}``; raise `LineError` if the text breaks the grammar."""
    opening = _find(text, "{", 0, len(text))
    name = text[1:opening].strip()
    if not name:
        raise LineError(f"the name of {what} is missing; write {example}.", min(1, len(text) - 1))
    if opening == len(text):
        return name, {}, None
    parameters, end, doubt = _read_object(text, opening, is_needed=True)
    if rest := text[end:].strip():
        raise LineError(f"{rest[:80]!r} stands after the JSON object; nothing was expected there.", end)
    return name, parameters, doubt


# -- what stands in braces


def _read_object(text: str, start: int, *, is_needed: bool) -> tuple[dict[str, Any], int, Doubt | None]:
    """Read the JSON object that begins at ``text[start]``; return the object, its end, and a doubt about it or None.

    Text that is not JSON, but can mean only one object, is read as this object. Other text that is not JSON is left
    out, or an error if it `is_needed`.
    """
    problem = "what stands in braces is not a JSON object"
    try:
        return *decode_prefix(text, start), None
    except json.JSONDecodeError as error:
        reason, position = error.msg[:1].lower() + error.msg[1:], error.pos
    except ValueError as error:
        raise LineError(f"{problem}: {error}.", start) from error
    expected = 'Strings and keys stand in double quotes: {"name": "Anna"}'
    stop = _find(text, SEPARATOR, start, len(text))
    if (guess := _meant(text[start:stop])) is not None:
        content, length = guess
        written = json.dumps(content, ensure_ascii=False)
        return content, start + length, Doubt(f"{problem}: {reason}. It is read as {written:.200}; write it so.")
    if is_needed:
        raise LineError(f"{problem}: {reason}. {expected}.", position)
    return {}, stop, Doubt(f"{problem}: {reason}. The message is read without entities. {expected}.", is_lost=True)


def _meant(text: str) -> tuple[dict[str, Any], int] | None:
    """Return the object that `text`, from a brace on, was meant to be, and its end; None if that is not clear.

    It understands the words of Python, other quotes or none, a surplus comma, and a missing last brace.
    """
    if len(text) > _LONGEST_GUESS or text.count("[") + text.count("{") > _DEEPEST_GUESS:
        return None
    ends = [found.end() for found in re.finditer("}", text)][:_DEEPEST_GUESS]
    for end, closing in [*((end, "") for end in ends), (len(text), "}")]:
        try:
            node = yaml.compose(text[:end].translate(_STRAIGHT_QUOTES) + closing, Loader=_Loader)
            assert node is not None  # Since the text begins with a brace.
            content = _plain(node)
        except (yaml.YAMLError, ValueError):
            continue
        return (content, end) if isinstance(content, dict) else None
    return None


class _Loader(yaml.BaseLoader):
    """Makes YAML nodes of text, but none of an alias: nobody means one here, and a few could stand for billions."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("an alias is no value")
        return super().compose_node(parent, index)


def _plain(node: yaml.Node) -> Any:
    """Return the data of a YAML node; without quotes, the words of JSON and Python (such as None) are not texts."""
    if isinstance(node, yaml.MappingNode):
        return dict(_pair(key, value) for key, value in node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    assert isinstance(node, yaml.ScalarNode)
    return _unquoted(node.value) if node.style is None else node.value


def _unquoted(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    try:
        return decode(text)
    except ValueError:
        return text


def _pair(key: yaml.Node, value: yaml.Node) -> tuple[str, Any]:
    """Return a key and its value, also of ``{a:b}`` and ``{a=b}``, which have no space between them."""
    if not isinstance(key, yaml.ScalarNode) or not key.value:
        raise ValueError("a key is a name")
    if not isinstance(value, yaml.ScalarNode) or value.value != "" or value.style is not None:
        return str(key.value), _plain(value)
    parted = _PAIR.fullmatch(key.value)
    if key.style is not None or parted is None:
        raise ValueError("a value is missing")
    # A text without quotes is kept, even if YAML sees a comment or a tag in it: {color=#fff}.
    meant = parted[2].strip()
    return parted[1].strip(), yaml.safe_load(meant) if meant.startswith(("'", '"')) else _unquoted(meant)
