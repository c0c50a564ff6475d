"""The descriptions of the inspector's routes for /openapi.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rasa_core.server.api.fields import Parameter
from rasa_core.server.api.operations import Operation, answers
from rasa_core.server.api.schemas import (
    ANYTHING,
    FLAG,
    NUMBER_OR_NULL,
    OBJECT,
    TEXT,
    TEXT_OR_NULL,
    WHOLE,
    Schema,
    array,
    or_null,
    ref,
    shape,
)
from rasa_core.server.inspector import inputs

PREFIX: Final = "/inspector/"

_SIDE: Final = shape(slots=OBJECT, paused=FLAG, active_loop=TEXT_OR_NULL, intent=TEXT_OR_NULL)
_WAITS: Final = shape(
    "What the conversation waits for.", **{"for": TEXT, "action_": TEXT_OR_NULL, "policy_": TEXT_OR_NULL},
    confidence_=NUMBER_OR_NULL,
)  # fmt: skip

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Bot": shape(
        "What the bot understands and does.",
        version=TEXT,
        model=TEXT_OR_NULL,
        project=TEXT_OR_NULL,
        understands_text=FLAG,
        intents=array(TEXT),
        entities=array(TEXT),
        slots=array(shape(name=TEXT, type=TEXT, values=or_null(array(ANYTHING)), initial=ANYTHING)),
        actions=array(shape(name=TEXT, kind=TEXT, sets=array(TEXT))),
    ),
    "Timeline": shape(
        "A conversation as the page shows it.",
        **{"from": WHOLE},
        sender_id=TEXT,
        version=WHOLE,
        origin=ANYTHING,
        count=WHOLE,
        events=array(ref("Logged")),
        taken_back=array(WHOLE),
        slots=OBJECT,
        paused=FLAG,
        waits=_WAITS,
    ),
    "Step": shape(
        "What led to one event, why, and what it changed.",
        at=WHOLE,
        end=WHOLE,
        before=_SIDE,
        after=_SIDE,
        changed=array(shape(slot=TEXT, before=ANYTHING, after=ANYTHING)),
        why_=ref("Explanation"),
    ),
    "Next": shape("The action that runs elsewhere, null if the bot listens.", next_action=TEXT_OR_NULL, info_=TEXT),
    "Forked": shape(sender_id=TEXT),
    "Draft": shape("A conversation that goes on rightly.", sender_id=TEXT, next_action=TEXT_OR_NULL),
    "Proposal": shape(
        "As what a conversation may be saved, and where.",
        kinds=array(TEXT),
        proposed=array(TEXT),
        files=OBJECT,
        title=TEXT,
        stories=OBJECT,
    ),
    "Saved": shape(
        "What changes in which files, and what check says of it.",
        edits=array(shape(file=TEXT, diff=TEXT, stamp=ANYTHING)),
        findings=array(OBJECT),
        written=FLAG,
    ),
    "Mark": shape(
        "What somebody noted about a conversation.",
        reviewed=FLAG,
        note=TEXT,
        tags=array(TEXT),
        version=WHOLE,
        at={"type": "number"},
        is_current=FLAG,
    ),
    "Queue": shape(
        "Conversations; the first ones need a person most.",
        conversations=array(OBJECT),
        count=WHOLE,
        offset=WHOLE,
        indexed=WHOLE,
        total=WHOLE,
    ),
    "Map": shape(
        "The stories as a graph.",
        width=WHOLE,
        height=WHOLE,
        grouped=FLAG,
        left_out=WHOLE,
        nodes=array(OBJECT),
        edges=array(OBJECT),
        way_=ANYTHING,
        coverage_=ANYTHING,
    ),
    "Snippet": shape(
        "The lines of a story.",
        place=TEXT,
        file=TEXT_OR_NULL,
        line={"type": ["integer", "null"]},
        story=TEXT_OR_NULL,
        lines=array(ANYTHING),
        note=TEXT_OR_NULL,
    ),
    "Models": shape(
        models=array(shape(name=TEXT, made=ANYTHING, current=FLAG, figures=OBJECT, changed=ANYTHING)),
        serves=TEXT_OR_NULL,
    ),
    "Serves": shape(serves=TEXT_OR_NULL),
    "Candidate": shape(
        "How far a training is.",
        state={"enum": ["none", "training", "failed", "trained"]},
        log=array(TEXT),
        lines=WHOLE,
        seconds=NUMBER_OR_NULL,
        comparison=or_null(OBJECT),
    ),
    "Discarded": shape(state={"const": "none"}),
}


def _route(shape_: str, *parameters: Parameter, status: int = 200, **more: Any) -> Operation:
    return Operation("inspector", answers(shape_, status), parameters, **more)


def _of_project(shape_: str, *parameters: Parameter, status: int = 200, **more: Any) -> Operation:
    """Return the description of a route that needs the files of a project, but no model."""
    return _route(shape_, *parameters, status=status, errors=(409, 503), needs_model=False, **more)


_TALK: Final[dict[str, Any]] = {"is_change": True, "has_version": True, "errors": (409,)}

OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    (f"{PREFIX}bot", "GET"): _route("Bot"),
    (f"{PREFIX}queue", "GET"): _route("Queue", inputs.SEARCH, inputs.BELOW, inputs.LIMIT, inputs.OFFSET),
    (f"{PREFIX}map", "GET"): _route("Map", inputs.CONVERSATION, inputs.LAST, errors=(409,)),
    (f"{PREFIX}map/lines", "GET"): _route("Snippet", inputs.PLACE, errors=(409,)),
    (f"{PREFIX}models", "GET"): _of_project("Models"),
    (f"{PREFIX}models", "POST"): _of_project("Serves", body=inputs.USE),
    (f"{PREFIX}candidate", "GET"): _of_project("Candidate", inputs.FROM),
    (f"{PREFIX}candidate", "POST"): _of_project("Candidate", status=202),
    (f"{PREFIX}candidate", "DELETE"): _of_project("Discarded"),
    (f"{PREFIX}candidate/serve", "POST"): _of_project("Serves"),
    (f"{PREFIX}candidate/compare", "POST"): _of_project("Candidate", status=202, body=inputs.COMPARE),
    ("/timeline", "GET"): _route("Timeline", inputs.FROM, inputs.AFTER, inputs.WAIT, has_version=True),
    ("/step", "GET"): _route("Step", inputs.AT, has_version=True),
    ("/say", "POST"): _route("Next", body=inputs.SAY, **_TALK),
    ("/act", "POST"): _route("Next", body=inputs.ACT, **_TALK),
    ("/fork", "POST"): _route("Forked", body=inputs.FORK, has_version=True, errors=(409,)),
    ("/correct", "POST"): _route("Draft", body=inputs.CORRECT, has_version=True, errors=(409,)),
    ("/save", "GET"): _route("Proposal", errors=(409,)),
    ("/save", "POST"): _route("Saved", body=inputs.SAVE, errors=(409, 422)),
    ("/review", "GET"): _route("Mark"),
    ("/review", "PUT"): _route("Mark", body=inputs.MARK, errors=(404,)),
}
