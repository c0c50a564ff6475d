"""The parameters, bodies and answers of each route; this module is only imported for /openapi.json.

The parameters and bodies are the objects by which the views check requests. `document` adds the common errors: 401 and
403 if the server checks tokens, 408, 413 and 415 if there is a body, 503 if there may be no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import PurePath
from typing import Any, Final

from rasa_core.nlu.settings import NLUSettings
from rasa_core.server.api import inputs, schemas
from rasa_core.server.api.fields import Body, Parameter
from rasa_core.server.api.routes import FILES
from rasa_core.server.api.schemas import TEXT, Schema, ref
from rasa_core.server.assets import TYPES

JSON: Final = "application/json"
HTML: Final = "text/html"
PLAIN: Final = "text/plain"

TAGS: Final = {
    "conversation": "Talking to the bot, and what is kept of a conversation.",
    "rasa": "What clients of Rasa 2 and 3 ask for.",
    "model": "The model that serves.",
    "operation": "Whether the server is alive, what it has counted, and what it answers.",
    "inspector": "What the page of the inspector asks for; scripts can, too.",
}


@dataclass(frozen=True)
class Operation:
    """The description of one method at one path.

    Attributes
    ----------
    tag
        One of `TAGS`.
    answers
        The schema of each answer, by status and content type.
    parameters
        The query parameters.
    body
        The body, None for no body; it is JSON unless `body_type` says otherwise.
    errors
        Statuses of errors, besides the common errors that `document` adds.
    is_change
        Whether the headers ``Idempotency-Key`` and ``If-Match`` have an effect.
    has_version
        Whether the answer has the version of the conversation as ``ETag``.
    needs_model
        Whether the answer is 503 without a model.
    summary
        One line; if it is empty, the first line of the view's docstring is used.
    """

    tag: str
    answers: Mapping[int, Mapping[str, Schema]]
    parameters: tuple[Parameter, ...] = ()
    body: Body | Schema | None = None
    body_type: str = JSON
    errors: tuple[int, ...] = ()
    is_change: bool = False
    has_version: bool = False
    needs_model: bool = True
    summary: str = ""


def answers(name: str, status: int = 200) -> dict[int, dict[str, Schema]]:
    """Return an answer in JSON with a named schema."""
    return {status: {JSON: ref(name)}}


def _conversation(shape: str, *parameters: Parameter, **more: Any) -> Operation:
    return Operation("conversation", answers(shape), parameters, has_version=True, **more)


def _operation(found: Mapping[int, Mapping[str, Schema]], **more: Any) -> Operation:
    return Operation("operation", found, needs_model=False, **more)


def of_file(tag: str, suffix: str) -> Operation:
    """Return the description of a route that answers with a file of a page."""
    summary = "" if suffix == ".html" else "Return a file of a page."
    return Operation(tag, {200: {TYPES[suffix].partition(";")[0]: TEXT}}, needs_model=False, summary=summary)


_CHANGE: Final[dict[str, Any]] = {"is_change": True, "errors": (409,)}
_LOG: Final = ref("Log")
_SETTINGS: Final = tuple(
    Parameter(name, float, "a number", "A setting of the training.", **schema)
    for name, schema in schemas.settings(fields(NLUSettings))
)
_NAME: Final = Parameter("name", str, "the name of the model", "What the model is to be called.")

OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    # -- a conversation
    ("/parse", "POST"): _conversation("Decision", inputs.MODEL, body=inputs.MESSAGE, **_CHANGE),
    ("/parse", "GET"): _conversation("Decision", inputs.QUERY, inputs.MODEL, **_CHANGE),
    ("/continue", "POST"): _conversation("Decision", body=inputs.CONTINUE, **_CHANGE),
    ("/respond", "POST"): _conversation("Messages", inputs.MODEL, body=inputs.MESSAGE, **_CHANGE),
    ("/respond", "GET"): _conversation("Messages", inputs.QUERY, inputs.MODEL, **_CHANGE),
    ("/tracker", "GET"): _conversation(
        "State", inputs.EVENTS, inputs.IGNORE_RESTARTS, inputs.INCLUDE_EVENTS, inputs.UNTIL
    ),
    ("/tracker", "PUT"): _conversation("State", inputs.INCLUDE_EVENTS, body=_LOG, **_CHANGE),
    ("/tracker/events", "PUT"): _conversation("State", inputs.INCLUDE_EVENTS, body=_LOG, **_CHANGE),
    ("/tracker/events", "POST"): _conversation(
        "State", inputs.INCLUDE_EVENTS, body=schemas.one_of(_LOG, ref("LogEvent")), **_CHANGE
    ),
    ("/explain", "GET"): _conversation("Explanation", inputs.AT),
    ("", "DELETE"): Operation("conversation", answers("Deleted"), is_change=True, errors=(409, 501)),
    ("/conversations", "GET"): Operation(
        "conversation", answers("SenderIds"), (inputs.AFTER, inputs.LIMIT), errors=(501,)
    ),
    # -- what clients of Rasa ask for
    ("/webhooks/rest/", "GET"): Operation("rasa", answers("Ok")),
    ("/webhooks/rest/webhook", "POST"): Operation(
        "rasa",
        {200: {JSON: ref("Messages"), "text/event-stream": TEXT}},
        (inputs.STREAM,),
        inputs.SAID_TO_CHANNEL,
        **_CHANGE,
    ),
    ("/messages", "POST"): Operation(
        "rasa", answers("State"), (inputs.INCLUDE_EVENTS,), inputs.LOGGED, has_version=True, **_CHANGE
    ),
    ("/predict", "POST"): Operation("rasa", answers("Prediction"), errors=(404,)),
    ("/execute", "POST"): Operation(
        *("rasa", answers("Changed"), (inputs.OUTPUT_CHANNEL, inputs.INCLUDE_EVENTS), inputs.EXECUTE),
        has_version=True,
        is_change=True,
        errors=(404, 409),
    ),
    ("/trigger_intent", "POST"): Operation(
        *("rasa", answers("Changed"), (inputs.OUTPUT_CHANNEL, inputs.INCLUDE_EVENTS), inputs.TRIGGER),
        has_version=True,
        is_change=True,
        errors=(404, 409),
    ),
    ("/story", "GET"): Operation("rasa", {200: {PLAIN: TEXT}}, (inputs.UNTIL, inputs.ALL_SESSIONS), errors=(404,)),
    ("/status", "GET"): Operation("rasa", answers("Status")),
    ("/domain", "GET"): Operation("rasa", {200: {JSON: ref("Domain"), "application/x-yaml": TEXT}}, errors=(406,)),
    ("/model/parse", "POST"): Operation("rasa", answers("Parse"), body=inputs.TEXT_BODY),
    ("/model/predict", "POST"): Operation("rasa", answers("Prediction"), body=_LOG),
    # -- the model
    ("/version", "GET"): Operation("model", answers("Version"), needs_model=False),
    ("/load", "POST"): Operation(
        "model",
        answers("Loaded"),
        body={
            "type": "object",
            "properties": {"model": {"type": "string", "format": "binary", "description": "The zip of a model."}},
            "required": ["model"],
        },
        body_type="multipart/form-data",
        needs_model=False,
    ),
    ("/train", "POST"): Operation(
        "model",
        answers("Trained"),
        (_NAME, *_SETTINGS),
        {**TEXT, "minLength": 1, "description": "Training data, as docs/nlu.rst tells."},
        PLAIN,
        errors=(409, 501, 503),
        needs_model=False,
    ),
    ("/model", "PUT"): Operation("model", {204: {}}, body=inputs.MODEL_FILE, errors=(409,), needs_model=False),
    ("/model/train", "POST"): Operation(
        "model",
        {200: {"application/x-tar": {**TEXT, "format": "binary"}}, 204: {}},
        (inputs.SAVES, inputs.FORCES, inputs.CALLBACK),
        {**TEXT, "minLength": 1, "description": "The files of a bot in one document, as docs/http.rst tells."},
        "application/x-yaml",
        errors=(409, 501, 503),
        needs_model=False,
    ),
    ("/model/test/stories", "POST"): Operation(
        "model",
        {**answers("Tested"), 204: {}},
        (inputs.END_TO_END, inputs.MODEL_TESTED, inputs.CALLBACK),
        {**TEXT, "minLength": 1, "description": "Test stories."},
        "application/x-yaml",
        errors=(409, 501, 503),
    ),
    ("/model/test/intents", "POST"): Operation(
        "model",
        {**answers("Understood"), 204: {}},
        (inputs.FOLDS, inputs.MODEL_TESTED, inputs.CALLBACK),
        {**TEXT, "minLength": 1, "description": "Training data, as docs/nlu.rst tells."},
        "application/x-yaml",
        errors=(409, 501, 503),
    ),
    # -- operation
    ("/", "GET"): _operation({200: {HTML: TEXT}}),
    ("/health", "GET"): _operation(answers("Ok")),
    ("/ready", "GET"): _operation(answers("Ready") | answers("NotReady", 503)),
    ("/metrics", "GET"): _operation({200: {PLAIN: TEXT}}, errors=(501,)),
    ("/openapi.json", "GET"): _operation(answers("Document")),
    **{(path, "GET"): of_file("operation", PurePath(name).suffix) for path, name in FILES.items()},
}
"""Descriptions by path (the full path, or the ending after a sender_id) and method."""
