"""Exports of other services, read as NLU data: of LUIS, Wit, Dialogflow and Watson Assistant.

================  =================================================================================================
Service           What is read
================  =================================================================================================
LUIS              ``utterances``, of which ``endPos`` is the last character of an entity; ``regex_features``; lists
                  of entities (``closedLists``), as synonyms and lookup tables
Wit               ``utterances``, or ``data`` in older ones, where the intent is an entity called ``intent``
Dialogflow        the folder: ``intents/NAME_usersays_LANGUAGE.json`` has the messages of the intent ``NAME``, and
                  ``entities/NAME_entries_LANGUAGE.json`` the values of an entity and their synonyms, or
                  its regular expressions, if ``entities/NAME.json`` says so
Watson Assistant  the examples of ``intents``, and of ``entities`` their values, synonyms and patterns
================  =================================================================================================

What else they say, such as dialogues and answers, is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any, Final

from rasa_core.nlu.training_data import TrainingData, TrainingDataBuilder
from rasa_core.support.marked_text import MOST_SHOWN, EntitySpan, as_value

LUIS, WIT, DIALOGFLOW, WATSON = "LUIS", "Wit", "Dialogflow", "Watson Assistant"

_HINT: Final = re.compile(
    r'"(?:luis_schema_version|utterances|traits|data|isTemplate|synonyms|examples|dialog_nodes|counterexamples|webhookUsed|isOverridable)"\s*:'
)
"""Stands in every export, so that a text without it need not be decoded."""
_FILE: Final = re.compile(r"(.+)_(usersays|entries)_[\w-]+")
_WHERE: Final[dict[str | None, str]] = {LUIS: "utterances", WIT: "utterances", WATSON: "examples of intents"}
_IS_REGEX: Final = re.compile(r'"isRegexp"\s*:\s*true')
DIALOGFLOW_FILES: Final = (
    "give the folder, as it was exported, in which intents/greet_usersays_en.json has the messages of the intent greet"
)
"""What is expected of an export of Dialogflow."""
_PART_OF_AN_AGENT: Final = ("webhookUsed", "isOverridable", "googleAssistant")


def may_be_export(text: str) -> bool:
    """Whether a text in JSON is worth decoding to see whether it is an export."""
    return _HINT.search(text) is not None


def service_of(content: Any, name: str) -> str | None:
    """Return the service that has exported some content of JSON as a file of this name; None for all else."""
    if isinstance(content, list):
        if _FILE.fullmatch(PurePath(name).stem) and _is_of_dialogflow(content):
            return DIALOGFLOW
        return WIT if _are_utterances(content) else None
    if not isinstance(content, dict):
        return None
    if "luis_schema_version" in content:
        return LUIS
    if _are_utterances(content.get("utterances")) or _are_utterances(content.get("data")):
        return WIT
    is_skill = "dialog_nodes" in content or "counterexamples" in content
    return WATSON if is_skill or _all(content.get("intents"), "examples", list, "intent") else None


def is_part_of_agent(content: Any) -> bool:
    """Whether content is from Dialogflow, but of a file that holds no messages, or is not called after its intent."""
    if isinstance(content, list):
        return _is_of_dialogflow(content)
    return isinstance(content, dict) and any(key in content for key in _PART_OF_AN_AGENT)


def _is_of_dialogflow(content: list[Any]) -> bool:
    if _all(content, "data", list):
        return all(isinstance(part, dict) and "text" in part for one in content for part in one["data"])
    return _all(content, "value", str, "synonyms")


def read_export(content: Any, text: str, builder: TrainingDataBuilder) -> TrainingData:
    """Return the data in an export, of which `text` is what was decoded; raise `NLUDataError` with file and line."""
    read: Mapping[str | None, Callable[[_Reader, Any], None]] = {
        LUIS: _read_luis,
        WIT: _read_wit,
        DIALOGFLOW: _read_dialogflow,
        WATSON: _read_watson,
    }
    service = service_of(content, builder.name)
    read[service](_Reader(text, builder), content)
    found = builder.data()
    if service != DIALOGFLOW and not (found.examples or found.lookups or found.regexes):
        builder.line = 1
        builder.fail(f"the export of {service} has no messages; expected them in {_WHERE[service]}.")
    return found


class _Reader:
    """Adds what is found to a builder, with the line in which it stands."""

    def __init__(self, text: str, builder: TrainingDataBuilder) -> None:
        self.builder = builder
        self._text, self._line, self._counted = text, 1, 0

    def example(
        self, text: Any, intent: Any, entities: Callable[[str], Iterable[EntitySpan]], beginning: str | None = None
    ) -> None:
        """Add a message; `entities` returns what is marked in its text, of which a `beginning` may stand alone."""
        with self.builder.each(self._line_of(text if beginning is None else beginning)):
            if not isinstance(text, str):
                self.builder.fail(f"the message {json.dumps(text)[:MOST_SHOWN]} is no text.")
            self.builder.add_example(text, intent if isinstance(intent, str) and intent else None, entities(text))

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

    def span(self, text: str, start: Any, end: Any, name: Any, *, value: Any = None, role: str = "") -> EntitySpan:
        """Return an entity of a message; fail if it cannot be one."""
        if not isinstance(name, str) or not name.strip():
            self.builder.fail(f"an entity of {text[:MOST_SHOWN]!r} has no name.")
        if type(start) is not int or type(end) is not int or not 0 <= start <= end <= len(text):
            self.builder.fail(f"the entity {name[:MOST_SHOWN]!r} stands outside of {text[:MOST_SHOWN]!r}.")
        return EntitySpan(start, end, name.strip(), as_value(value) or text[start:end], role)

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


def _read_luis(reader: _Reader, content: Mapping[str, Any]) -> None:
    for one in _objects(content, "utterances"):

        def entities(text: str, one: Mapping[str, Any] = one) -> list[EntitySpan]:
            return [_luis_span(reader, text, each) for each in _objects(one, "entities")]

        reader.example(one.get("text"), one.get("intent"), entities)
    for one in _objects(content, "closedLists"):
        for values in _objects(one, "subLists"):
            reader.values(one.get("name"), values.get("canonicalForm"), _list(values.get("list")))
    for one in _objects(content, "regex_features"):
        if one.get("activated", True):
            reader.regex(one.get("name"), one.get("pattern"))
    for one in _objects(content, "regex_entities"):
        reader.regex(one.get("name"), one.get("regexPattern"))


def _luis_span(reader: _Reader, text: str, marked: Mapping[str, Any]) -> EntitySpan:
    last, role = marked.get("endPos"), marked.get("role")
    end = last + 1 if type(last) is int else None
    return reader.span(
        text, marked.get("startPos"), end, marked.get("entity"), role=role if isinstance(role, str) else ""
    )


def _read_wit(reader: _Reader, content: Any) -> None:
    found = content if isinstance(content, list) else content.get("utterances") or content.get("data")
    for one in found:
        marked = _objects(one, "entities")
        # In older ones, whatever is no part of the text is an entity without a place; of these, one is the intent.
        intents = [_unquoted(each.get("value")) for each in marked if each.get("entity") == "intent"]

        def entities(text: str, marked: Sequence[Mapping[str, Any]] = marked) -> list[EntitySpan]:
            return [_wit_span(reader, text, each) for each in marked if "start" in each]

        reader.example(one.get("text"), one.get("intent") or next(iter(intents), None), entities)


def _wit_span(reader: _Reader, text: str, marked: Mapping[str, Any]) -> EntitySpan:
    name, _, role = str(marked.get("entity") or "").partition(":")
    own = "" if role == name.removeprefix("wit$") else role
    value = _unquoted(marked.get("value"))
    return reader.span(text, marked.get("start"), marked.get("end"), name, value=value, role=own)


def _read_dialogflow(reader: _Reader, content: Sequence[Mapping[str, Any]]) -> None:
    name, kind = _named(reader.builder.name)
    is_regex = kind == "entries" and _IS_REGEX.search(reader.builder.beside(f"{name}.json")) is not None
    for one in content:
        if kind == "entries" and is_regex:
            reader.regex(name, one.get("value"))
        elif kind == "entries":
            if "@" not in str(one.get("value")):  # Values that are made of other entities.
                reader.values(name, one.get("value"), _list(one.get("synonyms")))
        elif one.get("isTemplate") is not True:  # A template names entities, and has none of their values.
            parts = [(str(part.get("text", "")), _dialogflow_entity(part)) for part in _objects(one, "data")]
            beginning = parts[0][0] if parts else None
            reader.example("".join(text for text, _ in parts), name, partial(_spans_of, parts), beginning)


def _named(file: str) -> tuple[str, str]:
    """Return the intent or entity after which a file of Dialogflow is called, and which of the two it is."""
    found = _FILE.fullmatch(PurePath(file).stem)
    return (found[1], found[2]) if found else ("", "")


def _dialogflow_entity(part: Mapping[str, Any]) -> str:
    meta, alias = part.get("meta"), part.get("alias")
    if not isinstance(meta, str) or meta == "@sys.ignore":
        return ""
    return alias if isinstance(alias, str) and alias else meta.removeprefix("@")


def _spans_of(parts: Iterable[tuple[str, str]], _: str) -> Iterator[EntitySpan]:
    at = 0
    for text, entity in parts:
        if entity:
            yield EntitySpan(at, at + len(text), entity, text)
        at += len(text)


def _read_watson(reader: _Reader, content: Mapping[str, Any]) -> None:
    for intent in _objects(content, "intents"):
        for one in _objects(intent, "examples"):

            def entities(text: str, one: Mapping[str, Any] = one) -> list[EntitySpan]:
                mentions = _objects(one, "mentions")
                return [reader.span(text, *_ends(each.get("location")), each.get("entity")) for each in mentions]

            reader.example(one.get("text"), intent.get("intent"), entities)
    for entity in _objects(content, "entities"):
        for value in _objects(entity, "values"):
            for pattern in _list(value.get("patterns")):
                reader.regex(entity.get("entity"), pattern)
            if not _list(value.get("patterns")):
                reader.values(entity.get("entity"), value.get("value"), _list(value.get("synonyms")))


# -- parts of JSON


def _are_utterances(found: Any) -> bool:
    return _all(found, "text", str, "entities")


def _all(found: Any, key: str, kind: type, other: str = "") -> bool:
    """Whether something is a list of objects, at least one, that all have a key of a kind, and perhaps another."""
    return (
        isinstance(found, list)
        and bool(found)
        and all(
            isinstance(one, dict) and isinstance(one.get(key), kind) and (not other or other in one) for one in found
        )
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(content: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [one for one in _list(content.get(key)) if isinstance(one, dict)]


def _ends(location: Any) -> tuple[Any, Any]:
    return (location[0], location[1]) if isinstance(location, list) and len(location) == 2 else (None, None)


def _unquoted(value: Any) -> Any:
    """Return a value without the quotation marks that older exports of Wit have around each."""
    return value[1:-1] if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"' else value
