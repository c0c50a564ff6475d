"""Reader of exports of Dialogflow: folders in which the name of a file says what the file has.

===========================================  =========================================================================
File                                         What is read
===========================================  =========================================================================
``intents/NAME_usersays_LANGUAGE.json``      messages of the intent that ``intents/NAME.json`` names, or else ``NAME``
``intents/NAME.json`` with ``userSays``      the same, in older exports
``entities/NAME_entries_LANGUAGE.json``      values of an entity and their synonyms; its regular expressions, if
                                             ``entities/NAME.json`` says so
``entities/NAME.json`` with ``entries``      the same, in older exports
``intents/NAME/trainingPhrases/*.json``      messages, in exports of Dialogflow CX
``entityTypes/NAME/entities/*.json``         values of an entity, in exports of Dialogflow CX
===========================================  =========================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any, Final

from rasa_core.nlu.export_items import ExportReader, are_all, list_of, objects
from rasa_core.support.marked_text import EntitySpan

_FILE: Final = re.compile(r"(.+)_(usersays|entries)_[\w-]+")
_IN_PARTS: Final = {"usersays": "data", "userSays": "data", "trainingPhrases": "parts"}
_MADE_OF_OTHERS: Final = re.compile(r"(?<!\S)@[\w.-]+")
_OF_AN_AGENT: Final = ("webhookUsed", "isOverridable", "googleAssistant")


def is_dialogflow(content: Any, name: str) -> bool:
    """Return whether a file with this content and name has messages, or values of an entity, of Dialogflow."""
    if isinstance(content, list):
        return _FILE.fullmatch(PurePath(name).stem) is not None and is_list_of_agent(content)
    if not isinstance(content, dict):
        return False
    if isinstance(content.get("name"), str) and any(key in content for key in _OF_AN_AGENT):
        return bool(objects(content, "userSays") or objects(content, "entries"))
    is_of_values = are_all(content.get("entities"), "value", str, "synonyms") and "entityTypes" in PurePath(name).parts
    return is_of_values or bool(objects(content, "trainingPhrases"))


def is_list_of_agent(content: list[Any]) -> bool:
    """Return whether a list has messages in parts, or values of an entity; some of its items may be invalid."""
    found = [one for one in content if isinstance(one, dict)]
    in_parts = [one for one in found if isinstance(one.get("data"), list)]
    if in_parts:
        return all(isinstance(part, dict) and "text" in part for one in in_parts for part in one["data"])
    return are_all(found, "value", str, "synonyms")


def is_part_of_agent(content: Any) -> bool:
    """Return whether content is from Dialogflow, even if its file has no messages, or a name that tells no intent."""
    if isinstance(content, list):
        return is_list_of_agent(content)
    return isinstance(content, dict) and any(key in content for key in _OF_AN_AGENT)


def read_dialogflow(reader: ExportReader, content: Any) -> None:
    """Add the messages, or the values of an entity, in a file to the builder of the reader."""
    if isinstance(content, list):
        found = _FILE.fullmatch(PurePath(reader.builder.name).stem)
        name, kind = (found[1], found[2]) if found else ("", "")
        about = _described(reader, f"{name}.json")
        written, items = about.get("name"), [one for one in content if isinstance(one, dict)]
        name = written if isinstance(written, str) and written.strip() else name
        if kind == "usersays":
            _read_messages(reader, name, items, kind)
        else:
            _read_values(reader, name, items, is_regex=about.get("isRegexp") is True)
        return
    if "trainingPhrases" in content:
        _read_messages(reader, _of_folder(reader), objects(content, "trainingPhrases"), "trainingPhrases")
    elif "entities" in content:
        _read_values(reader, _of_folder(reader), objects(content, "entities"))
    elif content.get("userSays"):
        _read_messages(reader, content["name"], objects(content, "userSays"), "userSays")
    else:
        _read_values(reader, content["name"], objects(content, "entries"), is_regex=content.get("isRegexp") is True)


def _described(reader: ExportReader, name: str) -> Mapping[str, Any]:
    """Return the content of another file of the agent; empty if there is no such file, or it has no object."""
    try:
        found = json.loads(reader.builder.beside(name) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _of_folder(reader: ExportReader) -> str:
    """Return the intent or entity of a file of Dialogflow CX, from the folder two levels above the file."""
    folder = PurePath(reader.builder.name).parent.parent.name
    written = _described(reader, f"../{folder}.json").get("displayName")
    return written if isinstance(written, str) and written.strip() else folder


def _read_messages(reader: ExportReader, intent: str, items: Iterable[Mapping[str, Any]], kind: str) -> None:
    for one in items:
        parts = [(str(part.get("text", "")), _entity_of(part)) for part in objects(one, _IN_PARTS[kind])]
        text = "".join(written for written, _ in parts)
        if one.get("isTemplate") is True:  # A template has names of entities in place of their values.
            reader.left_out(text, "a template")
        elif text.strip():
            reader.example(text, intent, partial(_spans_of, parts), parts[0][0])


def _read_values(
    reader: ExportReader, entity: str, items: Iterable[Mapping[str, Any]], *, is_regex: bool = False
) -> None:
    for one in items:
        value = one.get("value")
        if is_regex:
            reader.regex(entity, value)
        elif _MADE_OF_OTHERS.search(str(value)):
            reader.left_out(value, "a value that is made of other entities")
        else:
            reader.values(entity, value, list_of(one.get("synonyms")))


def _entity_of(part: Mapping[str, Any]) -> str:
    meta, alias, parameter = part.get("meta"), part.get("alias"), part.get("parameterId")
    if isinstance(parameter, str):
        return parameter
    if not isinstance(meta, str) or meta == "@sys.ignore":
        return ""
    return alias if isinstance(alias, str) and alias else meta.removeprefix("@")


def _spans_of(parts: Iterable[tuple[str, str]], _: str) -> Iterator[EntitySpan]:
    at = 0
    for text, entity in parts:
        if entity:
            yield EntitySpan(at, at + len(text), entity, text)
        at += len(text)
