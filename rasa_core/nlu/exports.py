"""Readers of exports of other services as NLU data: LUIS, Wit, Dialogflow and Watson Assistant.

================  =================================================================================================
Service           What is read
================  =================================================================================================
LUIS              ``utterances``, in which ``endPos`` is the last character of an entity; ``regex_features``; lists
                  of entities (``closedLists``), as synonyms and lookup tables; lists of phrases, as lookup tables;
                  and the same of its successor, Conversational Language Understanding
Wit               ``utterances``, or ``data`` in older exports, where the intent is an entity called ``intent``; the
                  values of an entity and their synonyms, in ``entities/NAME.json``
Dialogflow        a folder; see `rasa_core.nlu.dialogflow`
Watson Assistant  the examples of ``intents``; the values, synonyms and patterns of ``entities``
================  =================================================================================================

Other content of an export, such as dialogues and answers, is ignored. Parts of messages that cannot be read, such as
patterns of LUIS, are reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from rasa_core.nlu.dialogflow import is_dialogflow, is_part_of_agent, read_dialogflow
from rasa_core.nlu.export_items import ExportReader, are_all, list_of, objects
from rasa_core.nlu.offsets import count_utf16
from rasa_core.nlu.training_data import TrainingData, TrainingDataBuilder
from rasa_core.support.marked_text import EntitySpan

LUIS, CLU, WIT, DIALOGFLOW, WATSON = (
    "LUIS",
    "Conversational Language Understanding",
    "Wit",
    "Dialogflow",
    "Watson Assistant",
)

_OUT_OF_SCOPE: Final = "out_of_scope"
_HINT: Final = re.compile(
    r'"(?:luis_schema_version|projectFileVersion|utterances|traits|data|isTemplate|synonyms|examples|dialog_nodes'
    r'|counterexamples|webhookUsed|isOverridable|trainingPhrases|keywords)"\s*:'
)
"""A key that every export has; a text without such a key is not decoded."""
_WHERE: Final[dict[str | None, str]] = {
    LUIS: "utterances",
    CLU: "utterances of assets",
    WIT: "utterances",
    WATSON: "examples of intents",
}
_DIALOGFLOW_FILES: Final = (
    "give the folder, as it was exported, in which intents/greet_usersays_en.json has the messages of the intent greet"
)
_NOT_READ: Final = {"interactionModel": "an Alexa skill", "sampleUtterances": "Amazon Lex", "slot_name": "Snips"}
_EXPORTED: Final = re.compile(rf'"({"|".join(_NOT_READ)})"\s*:')


def may_be_export(text: str) -> bool:
    """Return whether a text in JSON has a key of an export, so that it is worth decoding for `service_of`."""
    return _HINT.search(text) is not None


def service_of(content: Any, name: str) -> str | None:
    """Return the service that exported a JSON file with this content and name; None if it is no export."""
    if is_dialogflow(content, name):
        return DIALOGFLOW
    if isinstance(content, list):
        return WIT if _are_utterances(content) else None
    if not isinstance(content, dict):
        return None
    if "luis_schema_version" in content:
        return LUIS
    if "projectFileVersion" in content and isinstance(content.get("assets"), dict):
        return CLU
    if any(_has_utterances(content.get(key)) for key in ("utterances", "data")) or _keywords(content):
        return WIT
    skill = _skill(content)
    is_skill = "dialog_nodes" in skill or "counterexamples" in skill
    return WATSON if is_skill or are_all(skill.get("intents"), "examples", list, "intent") else None


def what_else(content: Any, text: str) -> str | None:
    """Return, for an error message, what unreadable JSON seems to be, and a remedy; None if nothing fits."""
    if is_part_of_agent(content):
        return f"a part of an export of Dialogflow; {_DIALOGFLOW_FILES}"
    found = _EXPORTED.search(text)
    return f"an export of {_NOT_READ[found[1]]}, of which nothing is read" if found else None


def read_export(content: Any, text: str, builder: TrainingDataBuilder) -> TrainingData:
    """Return the NLU data of an export; raise `NLUDataError` with file and line if it is invalid.

    `content` is the decoded JSON, and `text` the JSON itself, for the lines of errors.
    """
    read: Mapping[str | None, Callable[[ExportReader, Any], None]] = {
        LUIS: _read_luis,
        CLU: _read_clu,
        WIT: _read_wit,
        DIALOGFLOW: read_dialogflow,
        WATSON: _read_watson,
    }
    service = service_of(content, builder.name)
    read[service](ExportReader(text, builder), content)
    found = builder.data()
    if service != DIALOGFLOW and not (found.examples or found.lookups or found.regexes):
        builder.line = 1
        builder.fail(f"the export of {service} has no messages; expected them in {_WHERE[service]}.")
    return found


# -- LUIS


def _read_luis(reader: ExportReader, content: Mapping[str, Any]) -> None:
    said = objects(content, "utterances")
    reader.are_utf16 = count_utf16((one.get("text"), *_luis_ends(each), None) for one, each in _marked(said))
    for one in said:

        def entities(text: str, one: Mapping[str, Any] = one) -> list[EntitySpan]:
            found = objects(one, "entities")
            for each in found:
                for part in objects(each, "children"):
                    reader.part_left_out(part.get("entity"))
            return [reader.span(text, *_luis_ends(each), each.get("entity"), role=each.get("role")) for each in found]

        reader.example(one.get("text"), one.get("intent"), entities)
    for one in objects(content, "patterns"):
        reader.left_out(one.get("pattern"), "a pattern of messages")
    for one in objects(content, "closedLists"):
        for values in objects(one, "subLists"):
            reader.values(one.get("name"), values.get("canonicalForm"), list_of(values.get("list")))
    for one in (*objects(content, "phraselists"), *objects(content, "model_features")):
        if isinstance(one.get("words"), str) and one.get("activated", True):
            for word in filter(str.strip, one["words"].split(",")):
                reader.values(one.get("name"), word.strip(), ())
    for one in objects(content, "regex_features"):
        if one.get("activated", True):
            reader.regex(one.get("name"), one.get("pattern"))
    for one in objects(content, "regex_entities"):
        reader.regex(one.get("name"), one.get("regexPattern"))


def _luis_ends(marked: Mapping[str, Any]) -> tuple[Any, Any]:
    last = marked.get("endPos")
    return marked.get("startPos"), last + 1 if type(last) is int else None


def _read_clu(reader: ExportReader, content: Mapping[str, Any]) -> None:
    assets = content["assets"]
    said = objects(assets, "utterances")
    reader.are_utf16 = count_utf16((one.get("text"), *_clu_ends(each), None) for one, each in _marked(said))
    for one in said:

        def entities(text: str, one: Mapping[str, Any] = one) -> list[EntitySpan]:
            return [reader.span(text, *_clu_ends(each), each.get("category")) for each in objects(one, "entities")]

        reader.example(one.get("text"), one.get("intent"), entities)
    for entity in objects(assets, "entities"):
        listed = entity.get("list")
        for values in objects(listed, "sublists") if isinstance(listed, dict) else ():
            texts = [text for one in objects(values, "synonyms") for text in list_of(one.get("values"))]
            reader.values(entity.get("category"), values.get("listKey"), texts)


def _clu_ends(marked: Mapping[str, Any]) -> tuple[Any, Any]:
    start, length = marked.get("offset"), marked.get("length")
    return start, start + length if type(start) is int and type(length) is int else None


# -- Wit


def _read_wit(reader: ExportReader, content: Any) -> None:
    if isinstance(content, dict) and (keywords := _keywords(content)):
        for name, value, texts in keywords:
            reader.values(name, value, texts)
        return
    found = content if isinstance(content, list) else content.get("utterances") or content.get("data")
    said = [one for one in found if isinstance(one, dict)]
    ends = ((one.get("text"), each.get("start"), each.get("end"), _wit_value(each)) for one, each in _marked(said))
    reader.are_utf16 = count_utf16(ends)
    for one in said:
        marked = objects(one, "entities")
        # In older exports, the intent is an entity without a position in the text.
        intents = [_unquoted(each.get("value")) for each in marked if each.get("entity") == "intent"]

        def entities(text: str, marked: Sequence[Mapping[str, Any]] = marked) -> list[EntitySpan]:
            return [_wit_span(reader, text, each) for each in marked if "start" in each]

        # In newer exports, a message without an intent is out of scope.
        otherwise = _OUT_OF_SCOPE if "traits" in one else None
        reader.example(one.get("text"), _named(one.get("intent")) or next(iter(intents), otherwise), entities)


def _wit_span(reader: ExportReader, text: str, marked: Mapping[str, Any]) -> EntitySpan:
    written = _named(marked.get("entity"))
    name, _, role = written.partition(":") if isinstance(written, str) else ("", "", "")
    own = "" if role == name.removeprefix("wit$") else role
    for part in objects(marked, "entities"):
        reader.part_left_out(_named(part.get("entity")))
    value = _unquoted(marked.get("value"))
    role, group = marked.get("role") or own, marked.get("group")
    return reader.span(text, marked.get("start"), marked.get("end"), name, value=value, role=role, group=group)


def _wit_value(marked: Mapping[str, Any]) -> Any:
    return marked["body"] if isinstance(marked.get("body"), str) else _unquoted(marked.get("value"))


def _keywords(content: Mapping[str, Any]) -> list[tuple[Any, Any, list[Any]]]:
    """Return entity, value and synonyms for each value in the file of an entity; older exports have ``data``."""
    if isinstance(content.get("data"), dict):
        inner = content["data"]
        return [
            (inner.get("id"), one.get("value"), list_of(one.get("expressions"))) for one in objects(inner, "values")
        ]
    found = [one for one in objects(content, "keywords") if "keyword" in one]
    return [(content.get("name"), one["keyword"], list_of(one.get("synonyms"))) for one in found]


def _named(one: Any) -> Any:
    """Return the name of an intent or entity, which some exports have as an object."""
    return one.get("name") if isinstance(one, dict) else one


def _unquoted(value: Any) -> Any:
    """Return a value without the quotation marks that older exports of Wit put around values."""
    return value[1:-1] if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"' else value


def _are_utterances(found: Any) -> bool:
    return are_all(found, "text", str, "entities")


def _has_utterances(found: Any) -> bool:
    """Return whether something is a list with at least one utterance; other items may be invalid."""
    return any(_are_utterances([one]) for one in list_of(found))


# -- Watson Assistant


def _read_watson(reader: ExportReader, content: Mapping[str, Any]) -> None:
    content = _skill(content)
    said = [
        (intent.get("intent"), one) for intent in objects(content, "intents") for one in objects(intent, "examples")
    ]
    places = ((one.get("text"), *_ends(each)) for _, one in said for each in objects(one, "mentions"))
    reader.are_utf16 = count_utf16((*place, None) for place in places)
    for intent, one in said:

        def entities(text: str, one: Mapping[str, Any] = one) -> list[EntitySpan]:
            return [reader.span(text, *_ends(each), each.get("entity")) for each in objects(one, "mentions")]

        reader.example(one.get("text"), intent, entities)
    for entity in objects(content, "entities"):
        for value in objects(entity, "values"):
            for pattern in list_of(value.get("patterns")):
                reader.regex(entity.get("entity"), pattern)
            if not list_of(value.get("patterns")):
                reader.values(entity.get("entity"), value.get("value"), list_of(value.get("synonyms")))


def _skill(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object with the intents of a skill: the content, or in newer exports its ``workspace``."""
    inner = content.get("workspace")
    return inner if isinstance(inner, dict) and "intents" in inner else content


def _ends(marked: Mapping[str, Any]) -> tuple[Any, Any]:
    location = marked.get("location")
    return (location[0], location[1]) if isinstance(location, list) and len(location) == 2 else (None, None)


def _marked(said: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield a pair of message and entity for each entity of each message."""
    return ((one, each) for one in said for each in objects(one, "entities"))
