"""The JSON Schemas of bodies and answers; this module is only imported for /openapi.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rasa_core.events import Event
from rasa_core.events.base import END_OF_TIME, JsonKey

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
WHOLE: Final[Schema] = {"type": "integer"}
_NUMBER: Final[Schema] = {"type": "number"}
FLAG: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
ANYTHING: Final[Schema] = {}

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


def shape(_text: str = "", /, **keys: Schema) -> Schema:
    """Return the schema of an object with these keys and perhaps others; a name that ends in ``_`` is optional."""
    described = {"description": _text} if _text else {}
    return {
        "type": "object",
        **described,
        "properties": {name.rstrip("_"): schema for name, schema in keys.items()},
        "required": sorted(name for name in keys if not name.endswith("_")),
    }


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
        "Entity": shape(
            "Something that a message names.", entity=TEXT, value_=ANYTHING, start_=ANYTHING, end_=ANYTHING
        ),
        "Ranked": shape(
            "An intent, and how probable it is.", name_=TEXT_OR_NULL, confidence_={**NUMBER_OR_NULL, **_BOUNDS[float]}
        ),
        "ParseData": shape(
            "What a message means, as an interpreter tells it.",
            intent=or_null(ref("Ranked")),
            entities=array(ref("Entity")),
            text_=TEXT_OR_NULL,
            intent_ranking_={"type": ["array", "null"], "items": ref("Ranked")},
        ),
    }


# -- answers

_BUTTON: Final = shape(title_=ANYTHING, payload_=ANYTHING)

ANSWERS: Final[Mapping[str, Schema]] = {
    "Error": shape(
        "What is wrong, what was expected, and what to do; the other keys are what clients of Rasa expect.",
        error=TEXT,
        message=TEXT,
        reason=TEXT,
        status={"const": "failure"},
        code=WHOLE,
        version=TEXT,
        index_={**WHOLE, "description": "The position in its list of the event that is wrong."},
        nearest_={**array(TEXT), "description": "Existing names that look like the one that was sent."},
    ),
    "Logged": shape("An event of the log.", event=TEXT, timestamp=NUMBER_OR_NULL),
    "Message": shape(
        "What the bot says.",
        recipient_id=TEXT,
        text_=TEXT_OR_NULL,
        data_=ANYTHING,
        buttons_=array(_BUTTON),
        image_=ANYTHING,
        attachment_=ANYTHING,
        custom_=ANYTHING,
    ),
    "State": shape(
        "A conversation: its slots, its latest message, and its events if they were asked for.",
        sender_id=TEXT,
        slots=OBJECT,
        latest_message=OBJECT,
        latest_event_time=NUMBER_OR_NULL,
        paused=FLAG,
        events=or_null(array(ref("Logged"))),
    ),
    "Decision": shape(
        "The next action, and what there is to say before it.",
        next_action={**TEXT_OR_NULL, "description": "action_listen ends the turn; null if the bot is paused."},
        tracker=ref("State"),
        messages_=array(ref("Message")),
        confidence_=NUMBER_OR_NULL,
        policy_=TEXT_OR_NULL,
        understood_=NUMBER_OR_NULL,
        requested_slot_=TEXT_OR_NULL,
        version_=WHOLE,
        info_={**TEXT, "description": "What is odd about the request, for whoever reads the answer."},
    ),
    "Messages": array(ref("Message")),
    "Changed": shape("What one action led to.", tracker=ref("State"), messages=array(ref("Message"))),
    "Prediction": shape(
        "What comes next, and how probable each action is.",
        scores=array(shape(action=TEXT, score={"type": "number"})),
        policy=TEXT_OR_NULL,
        confidence=NUMBER_OR_NULL,
        tracker=ref("State"),
    ),
    "Parse": shape(
        "What a text means.",
        text_=TEXT_OR_NULL,
        intent=OBJECT,
        entities=array(OBJECT),
        intent_ranking_=array(OBJECT),
    ),
    "Explanation": shape(
        "Why one decision is as it is.",
        at=WHOLE,
        action=TEXT_OR_NULL,
        confidence=NUMBER_OR_NULL,
        policy=TEXT_OR_NULL,
        fixed_by={"enum": ["paused", "followup", "restart", None]},
        executed=TEXT_OR_NULL,
        understood=NUMBER_OR_NULL,
        failed=TEXT_OR_NULL,
        policies=array(
            shape(
                policy=TEXT,
                action=TEXT_OR_NULL,
                score={"type": "number"},
                scores=OBJECT,
                lessons=or_null(array(OBJECT)),
                note=TEXT_OR_NULL,
            )
        ),
        nearest_miss=or_null(OBJECT),
    ),
    "SenderIds": {**array(TEXT), "description": "The ids of conversations."},
    "Deleted": shape(deleted=FLAG),
    "Version": shape(version=TEXT, core_model=TEXT_OR_NULL, nlu_model=TEXT_OR_NULL),
    "Status": shape(model_file=TEXT_OR_NULL, model_id=TEXT_OR_NULL, num_active_training_jobs=WHOLE),
    "Ok": shape(status={"const": "ok"}),
    "Ready": shape(status={"const": "ready"}),
    "NotReady": shape(status={"const": "not ready"}, reason=TEXT),
    "Loaded": shape(success=WHOLE),
    "Tested": shape(
        "How well a model does what test stories say.",
        **{"report": OBJECT, "precision": _NUMBER, "f1": _NUMBER, "accuracy": _NUMBER},
        **{"actions": array(OBJECT), "in_training_data_fraction": _NUMBER, "is_end_to_end_evaluation": FLAG},
    ),
    "Understood": shape(
        "How well a model understands examples.",
        intent_evaluation=OBJECT,
        entity_evaluation={"type": ["object", "null"]},
        response_selection_evaluation={"type": "null"},
    ),
    "Trained": shape("What was trained, and how well it does.", name=TEXT),
    "Domain": {**OBJECT, "description": "The domain, as domain.yml has it."},
    "Document": shape("This document.", openapi=TEXT, info=OBJECT, paths=OBJECT, components=OBJECT),
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
