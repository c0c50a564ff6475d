"""The JSON Schemas of bodies and answers; this module is only imported for /openapi.json."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rasa_core.events import Event
from rasa_core.events.base import END_OF_TIME, JsonKey

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
WHOLE: Final[Schema] = {"type": "integer"}
OBJECT: Final[Schema] = {"type": "object"}
ANYTHING: Final[Schema] = {}

_TYPES: Final[Mapping[str, Schema]] = {
    **{"text": TEXT, "text|null": TEXT_OR_NULL, "number": {"type": "number"}, "number|null": NUMBER_OR_NULL},
    **{"whole": WHOLE, "whole|null": {"type": ["integer", "null"]}, "flag": {"type": "boolean"}, "object": OBJECT},
    "any": ANYTHING,
}
_key = re.compile(r"(\w+)(\??)(?:: ([\w|\[\]]+))?")
_KINDS: Final[Mapping[type | None, str]] = {str: "string", dict: "object", bool: "boolean", float: "number"}
_LARGEST: Final = 1e15  # As in `strict_json.is_number`: a float holds every whole number below it exactly.
_BOUNDS: Final[Mapping[type, Schema]] = {float: {"exclusiveMinimum": -_LARGEST, "exclusiveMaximum": _LARGEST}}
_NAMED: Final = {
    ("slot", "name"): "Slot",
    ("action", "name"): "Action",
    ("followup", "name"): "Action",
    ("reminder", "action"): "Action",
}
"""The parameters of events that are names of the domain, with the kind of name."""
_REFUSED: Final = ("export",)  # Not accepted over HTTP, since this event writes files.


def ref(name: str) -> Schema:
    """Return a reference to one of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    """Return a schema that also allows null."""
    return {"anyOf": [schema, {"type": "null"}]}


def array(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def one_of(*schemas: Schema) -> Schema:
    """Return a schema that allows any of the given schemas."""
    return {"anyOf": list(schemas)}


def shape(keys: str, text: str = "", /, **others: Schema) -> Schema:
    """Return the schema of an object with these keys, and perhaps more.

    Parameters
    ----------
    keys
        The keys with their types, as in ``id: text, tags?: [text], next: Event|null``. A key with a question mark is
        optional, brackets stand for a list, and a type that JSON does not have is the name of a schema.
    text
        The description of the object.
    others
        The schemas of the keys that have no type in `keys`.
    """
    found = _key.findall(keys)
    return {
        "type": "object",
        **({"description": text} if text else {}),
        "properties": {name: _typed(kind) if kind else others[name] for name, _, kind in found},
        "required": sorted(name for name, mark, _ in found if not mark),
    }


def _typed(kind: str) -> Schema:
    """Return the schema of a type in the notation of `shape`."""
    if kind in _TYPES:
        return _TYPES[kind]
    if kind.endswith("|null"):
        return or_null(_typed(kind.removesuffix("|null")))
    return array(_typed(kind[1:-1])) if kind.startswith("[") else ref(kind)


# -- events


def _parameter(event: str, name: str, key: JsonKey) -> Schema:
    """Return the schema of a parameter of an event."""
    named = _NAMED.get((event, name))
    if named is not None:
        return ref(named) if key.is_required else or_null(ref(named))
    if key.kind is None:
        return ANYTHING
    kinds: Any = _KINDS[key.kind] if key.is_required else [_KINDS[key.kind], "null"]
    return {"type": kinds, **_BOUNDS.get(key.kind, {})}


def _event(kind: type[Event]) -> Schema:
    """Return the schema of a type of events, made from the checks of its parameters."""
    keys = kind.json_keys()
    about = (kind.__doc__ or "").partition("\n")[0]
    made = {
        "title": kind.type_name,
        **({"description": about} if about else {}),
        "type": "object",
        "properties": {
            "event": {"const": kind.type_name},
            "timestamp": {"$ref": "#/components/schemas/Timestamp"},
            **{name: _parameter(kind.type_name, name, key) for name, key in keys.items()},
        },
        "required": ["event", *(name for name, key in keys.items() if key.is_required)],
    }
    return {**made, **_MORE.get(kind.type_name, {})}


def _needs(**keys: Schema) -> Schema:
    return {"properties": keys, "required": list(keys)}


_MORE: Final[Mapping[str, Schema]] = {
    "user": {
        "required": ["event"],
        "properties": {
            "event": {"const": "user"},
            "timestamp": ref("Timestamp"),
            "text": TEXT_OR_NULL,
            "parse_data": or_null(ref("ParseData")),
            "input_channel": TEXT_OR_NULL,
            "metadata": {"type": ["object", "null"]},
            "interpreter": TEXT_OR_NULL,
        },
        # A message without its parse is interpreted by the server.
        "anyOf": [_needs(text=TEXT), _needs(parse_data=ref("ParseData"))],
    },
    "reminder": {"anyOf": [_needs(action=ref("Action")), _needs(intent=TEXT)]},
}


def _any_name(schema: Any) -> Any:
    """Return a schema that allows any text where the given one asks for a name of the domain."""
    if isinstance(schema, list):
        return [_any_name(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema in (ref("Action"), ref("Slot")):
        return TEXT
    return {key: _any_name(part) for key, part in schema.items()}


def events(any_name_in_logs: bool = False) -> dict[str, Schema]:
    """Return the schemas of events: of each type, of one event, of a list, and of the log of a conversation.

    With `any_name_in_logs`, a log may also contain names that the domain does not have.
    """
    known = {name: Event.resolve_by_type(name) for name in Event.known_types() if name not in _REFUSED}
    made = {f"Event-{name}": _event(kind) for name, kind in known.items()}
    action = made["Event-action"]
    action["properties"]["name"] = or_null(ref("Action"))  # Null of an action that is a text of a story.
    action |= {"required": ["event"], "anyOf": [_needs(name=ref("Action")), _needs(action_text=ref("Action"))]}
    reminder = made["Event-reminder"]["properties"]
    reminder["date_time"] = {"type": "string", "format": "date-time", "examples": ["2030-01-01T12:00:00+02:00"]}
    naming = {f"Event-{kind}" for kind, _ in _NAMED} if any_name_in_logs else set()
    in_logs = {f"Log{name}" if name in naming else name: _any_name(made[name]) for name in made}
    return {
        **made,
        **{name: schema for name, schema in in_logs.items() if name not in made},
        "Event": {"anyOf": [ref(name) for name in made]},
        "Events": array(ref("Event")),
        "LogEvent": {"anyOf": [ref(name) for name in in_logs]},
        "Log": {**array(ref("LogEvent")), "description": "The events of a conversation, in order."},
        "Timestamp": {
            **NUMBER_OR_NULL,
            "description": "Unix time in seconds; now if it is missing or null.",
            "exclusiveMinimum": -END_OF_TIME,
            "exclusiveMaximum": END_OF_TIME,
        },
        "Entity": shape("entity: text, value?: any, start?: any, end?: any", "Something that a message names."),
        "Ranked": shape(
            "name?: text|null, confidence?",
            "An intent, and how probable it is.",
            confidence={**NUMBER_OR_NULL, **_BOUNDS[float]},
        ),
        "ParseData": shape(
            "intent: Ranked|null, entities: [Entity], text?: text|null, intent_ranking?",
            "What a message means, as an interpreter tells it.",
            intent_ranking={"type": ["array", "null"], "items": ref("Ranked")},
        ),
    }


# -- answers

_BUTTON: Final = shape("title?: any, payload?: any")
_OPINION: Final = shape(
    "policy: text, action: text|null, score: number, scores: object, lessons: [object]|null, note: text|null"
)

ANSWERS: Final[Mapping[str, Schema]] = {
    "Error": shape(
        "error: text, message: text, reason: text, status, code: whole, version: text, index?, nearest?",
        "What is wrong, what was expected, and what to do; the other keys are what clients of Rasa expect.",
        status={"const": "failure"},
        index={**WHOLE, "description": "The position in its list of the event that is wrong."},
        nearest={**array(TEXT), "description": "Existing names that look like the one that was sent."},
    ),
    "Logged": shape("event: text, timestamp: number|null", "An event of the log."),
    "Message": shape(
        "recipient_id: text, text?: text|null, data?: any, buttons?, image?: any, attachment?: any, custom?: any",
        "What the bot says.",
        buttons=array(_BUTTON),
    ),
    "State": shape(
        "sender_id: text, slots: object, latest_message: object, latest_event_time: number|null, paused: flag, "
        "events: [Logged]|null",
        "A conversation: its slots, its latest message, and its events if they were asked for.",
    ),
    "Decision": shape(
        "next_action, tracker: State, messages?: [Message], confidence?: number|null, policy?: text|null, "
        "understood?: number|null, requested_slot?: text|null, version?: whole, info?",
        "The next action, and what there is to say before it.",
        next_action={**TEXT_OR_NULL, "description": "action_listen ends the turn; null if the bot is paused."},
        info={**TEXT, "description": "What is odd about the request, for whoever reads the answer."},
    ),
    "Messages": array(ref("Message")),
    "Changed": shape("tracker: State, messages: [Message]", "What one action led to."),
    "Prediction": shape(
        "scores, policy: text|null, confidence: number|null, tracker: State",
        "What comes next, and how probable each action is.",
        scores=array(shape("action: text, score: number")),
    ),
    "Parse": shape(
        "text?: text|null, intent: object, entities: [object], intent_ranking?: [object]", "What a text means."
    ),
    "Explanation": shape(
        "at: whole, action: text|null, confidence: number|null, policy: text|null, fixed_by, executed: text|null, "
        "understood: number|null, failed: text|null, policies, nearest_miss: object|null",
        "Why one decision is as it is.",
        fixed_by={"enum": ["paused", "followup", "restart", None]},
        policies=array(_OPINION),
    ),
    "SenderIds": {**array(TEXT), "description": "The ids of conversations."},
    "Deleted": shape("deleted: flag"),
    "Version": shape("version: text, core_model: text|null, nlu_model: text|null"),
    "Status": shape("model_file: text|null, model_id: text|null, num_active_training_jobs: whole"),
    "Ok": shape("status", status={"const": "ok"}),
    "Ready": shape("status", status={"const": "ready"}),
    "NotReady": shape("status, reason: text", status={"const": "not ready"}),
    "Loaded": shape("success: whole"),
    "Tested": shape(
        "report: object, precision: number, f1: number, accuracy: number, actions: [object], "
        "in_training_data_fraction: number, is_end_to_end_evaluation: flag",
        "How well a model does what test stories say.",
    ),
    "Understood": shape(
        "intent_evaluation: object, entity_evaluation, response_selection_evaluation",
        "How well a model understands examples.",
        entity_evaluation={"type": ["object", "null"]},
        response_selection_evaluation={"type": "null"},
    ),
    "Trained": shape("name: text", "What was trained, and how well it does."),
    "Domain": {**OBJECT, "description": "The domain, as domain.yml has it."},
    "Document": shape("openapi: text, info: object, paths: object, components: object", "This document."),
}


def names(kind: str, known: Iterable[str], text: str) -> dict[str, Schema]:
    """Return the schema that lists the known names of a kind; any text if there are no names to list."""
    listed_names = list(known)
    return {kind: {**TEXT, "description": text, **({"enum": listed_names} if listed_names else {})}}


def settings(given: Iterable[Any]) -> list[tuple[str, Schema]]:
    """Return the schemas of the settings of a training, from the fields of their dataclass."""
    made = []
    for field in given:
        low, high = field.metadata["range"]
        kind = "integer" if isinstance(field.default, int) else "number"
        made.append((field.name, {"type": kind, "minimum": low, "maximum": high, "default": field.default}))
    return made
