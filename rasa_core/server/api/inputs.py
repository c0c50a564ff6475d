"""What the views of conversations take, from a URL or a body."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from rasa_core.events.base import END_OF_TIME
from rasa_core.server.api.fields import Body, Field, FieldError, Parameter

if TYPE_CHECKING:
    from rasa_core.domain import Domain

TEXT: Final = (str,)
TEXT_OR_NONE: Final = (str, NoneType)


def names(kind: str, *, or_none: bool = False) -> dict[str, Any]:
    """Return the schema of a name of the domain (``Action``, ``Intent``, ``Slot``), which the views check."""
    known = {"$ref": f"#/components/schemas/{kind}"}
    return {"anyOf": [known, {"type": "null"}]} if or_none else known


def any_name_in_logs(domain: Domain) -> bool:
    """Tell whether the log of a conversation may name slots and actions that the domain does not have, as in Rasa 3."""
    return domain.rasa is not None


class _Moment(Parameter):
    """A Unix time in seconds; values that look like milliseconds, a frequent mistake, are refused."""

    def _read(self, text: str) -> float | None:
        moment: float | None = super()._read(text)
        if moment is not None and END_OF_TIME <= abs(moment) < 1e15:
            raise FieldError(f'"{self.name}" is {self.what}, and {text[:40]!r} looks like milliseconds.')
        return moment


# -- in a URL

UNTIL: Final = _Moment(
    *("until", float, "Unix time in seconds, such as 1536000000.5"),
    "Unix time in seconds; later events are left out.",
    exclusiveMinimum=-END_OF_TIME,
    exclusiveMaximum=END_OF_TIME,
)
EVENTS: Final = Parameter(
    "events", bool, "true or false", "Whether the answer has the events of the conversation.", True
)
IGNORE_RESTARTS: Final = Parameter(
    "ignore_restarts", bool, "true or false", "Whether the events before the last restart are included.", False
)
INCLUDE_EVENTS: Final = Parameter(
    *("include_events", str, "one of ALL, APPLIED, AFTER_RESTART, NONE"),
    "The events in the answer: all, without the events that were taken back, since the last restart, or none.",
    enum=["ALL", "APPLIED", "AFTER_RESTART", "NONE"],
)
AFTER: Final = Parameter("after", str, "a sender_id", "The sender_id after which the list begins.")
LIMIT: Final = Parameter(
    *(
        "limit",
        int,
        "a whole number above 0",
        "The largest number of conversations in the list; without limit and after, all are listed.",
    ),
    minimum=1,
    maximum=10**9 - 1,
)
AT: Final = Parameter(
    *("at", int, "a number of events of this conversation, from 0 to {most}"),
    "The number of events before the decision; without it, the next decision is explained.",
)
STREAM: Final = Parameter(
    "stream", bool, "true or false", "Whether the answer has each message as a line of its own.", False
)
OUTPUT_CHANNEL: Final = Parameter(
    *("output_channel", str, "the name of a channel"),
    'The channel whose responses are chosen; "latest" stands for the channel of the latest message.',
)
ALL_SESSIONS: Final = Parameter(
    "all_sessions", bool, "true or false", "Whether the story has all sessions, not only the latest.", False
)
QUERY: Final = Parameter(
    "query", str, "the message", "The message of the user. The parameter q means the same.", is_required=True
)
MODEL: Final = Parameter(
    "model",
    str,
    "the name of a model",
    "The NLU model that reads the message; it was trained on this server.",
    **names("NLUModel"),
)
SAVES: Final = Parameter(
    *("save_to_default_model_directory", bool, "true or false"),
    "Whether the project keeps the model, so that it can be chosen.",
    True,
)
FORCES: Final = Parameter(
    "force_training", bool, "true or false", "Whether even what has not changed is trained again.", False
)
CALLBACK: Final = Parameter(
    *("callback_url", str, "an address that begins with http:// or https://"),
    "The address to which the answer is sent when it is there; the request is then answered at once.",
)
END_TO_END: Final = Parameter(
    "e2e", bool, "true or false", "Whether the texts in the stories must be understood, too.", False
)
FOLDS: Final = Parameter("cross_validation_folds", str, "nothing", "Refused; the command nlu evaluate has it.")
MODEL_TESTED: Final = Parameter(
    "model", str, "the name of a model", "A model of the project, in the place of the one that serves."
)

# -- in a body

_A_STRING: Final = "the message as a string"
_THE_MODEL: Final = "the name of a model as a string"
_TEXT_HERE: Final = {"properties": {"query": {"type": "string"}}, "required": ["query"]}
_Q_ALONE: Final = {"properties": {"query": False, "q": {"type": "string"}}, "required": ["q"]}

MESSAGE: Final = Body(
    Field(
        "query",
        TEXT,
        _A_STRING,
        "The message of the user; /intent{...} names the intent and the entities.",
        examples=["hello"],
    ),
    Field("q", TEXT, _A_STRING, "The message of the user, if query is not sent.", unless="query"),
    Field("model", TEXT_OR_NONE, _THE_MODEL, MODEL.text, **names("NLUModel", or_none=True)),
    one_of=("query", "q"),
    anyOf=[_TEXT_HERE, _Q_ALONE],
    or_else='the message is missing; send it as {"query": "..."}, or as {"q": "..."}.',
)
CONTINUE: Final = Body(
    Field(
        *("executed_action", TEXT_OR_NONE, "the name of an action or null", "The action that ran; null if none did."),
        **names("Action", or_none=True),
    ),
    # Checked by `events_in`, whose errors name the event.
    Field("events", (), "a list", "The events that the action caused.", **{"$ref": "#/components/schemas/Events"}),
    Field(
        *("error", TEXT_OR_NONE, "why the action failed, as a string"),
        "The reason why the action failed; it is sent only then.",
        examples=[None],
    ),
    anyOf=[
        {"properties": {"error": {"type": "null"}}},
        {"properties": {"executed_action": {"type": "string"}}, "required": ["executed_action"]},
    ],
)
TEXT_BODY: Final = Body(
    Field("text", TEXT, _A_STRING, "The message to be parsed.", missing=""), examples=[{"text": "hello"}]
)
MODEL_FILE: Final = Body(
    Field(
        *("model_file", TEXT_OR_NONE, "the name of a model of the project as a string"),
        "The model: its name, or its path in the project.",
        examples=["models/20261129-103508-3fa94c1e"],
    ),
    Field("model_server", (), "nothing", "Refused: models come from no server here."),
    Field("remote_storage", (), "nothing", "Refused: models come from no storage here."),
)
LOGGED: Final = Body(
    Field("text", TEXT, _A_STRING, "The message of the user.", missing=""),
    Field(
        *("sender", TEXT, '"user", since only messages of the user are taken here', "The sender of the message."),
        missing='only messages of the user are taken here: send {"text": ..., "sender": "user"}.',
        enum=["user"],
    ),
    Field(
        *(
            "parse_data",
            (dict, NoneType),
            "an object",
            "The intent and the entities, if they are known; otherwise, the message is parsed.",
        ),
        anyOf=[{"$ref": "#/components/schemas/ParseData"}, {"type": "null"}],
    ),
    examples=[{"text": "hello", "sender": "user"}],
)
EXECUTE: Final = Body(
    Field(
        *("name", TEXT, "the name of the action as a string", "The action to run."),
        missing='the name of the action is missing; send it as {"name": "utter_greet"}.',
        **names("Action"),
    ),
    Field("policy", TEXT_OR_NONE, "the name of a policy", "The policy that is logged as having predicted the action."),
    Field(
        *("confidence", (int, float, NoneType), "a number", "The probability that is logged with the action."),
        exclusiveMinimum=-1e15,
        exclusiveMaximum=1e15,
    ),
)
TRIGGER: Final = Body(
    Field(
        *("name", TEXT, "the name of the intent as a string", "The intent that is logged as if a message had it."),
        missing='the name of the intent is missing; send it as {"name": "greet"}.',
        **names("Intent"),
    ),
    Field(
        "entities",
        (),
        "an object or a list",
        "An object of names and values, or a list of objects with entity and value.",
        examples=[{}],
    ),
)
SAID_TO_CHANNEL: Final = Body(
    # The types are not checked, since Rasa's REST channel accepts any type, and answers with no messages.
    Field("sender", (), "a text", 'The id of the conversation; "default" if it is missing.', examples=["anna"]),
    Field(
        "message", (), "a text", "The message of the user; without it, the answer is an empty list.", examples=["hello"]
    ),
    Field("input_channel", (), "a text", 'The channel of the message; "rest" if it is missing.'),
    Field("metadata", (), "an object", "Data that is stored with the message."),
)
