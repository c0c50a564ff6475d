"""The descriptions of the inspector's routes for /openapi.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rasa_core.server.api.fields import Parameter
from rasa_core.server.api.operations import Operation, answers
from rasa_core.server.api.schemas import Schema, array, shape
from rasa_core.server.inspector import inputs

PREFIX: Final = "/inspector/"

_SIDE: Final = shape("slots: object, paused: flag, active_loop: text|null, intent: text|null")
_WAITS: Final = shape(
    "for: text, action?: text|null, policy?: text|null, confidence?: number|null", "What the conversation waits for."
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Bot": shape(
        "version: text, model: text|null, project: text|null, understands_text: flag, intents: [text], "
        "entities: [text], slots, actions",
        "What the bot understands and does.",
        slots=array(shape("name: text, type: text, values: [any]|null, initial: any")),
        actions=array(shape("name: text, kind: text, sets: [text]")),
    ),
    "Timeline": shape(
        "from: whole, sender_id: text, version: whole, origin: any, count: whole, events: [Logged], "
        "taken_back: [whole], slots: object, paused: flag, waits",
        "A conversation as the page shows it.",
        waits=_WAITS,
    ),
    "Step": shape(
        "at: whole, end: whole, before, after, changed, why?: Explanation",
        "What led to one event, why, and what it changed.",
        before=_SIDE,
        after=_SIDE,
        changed=array(shape("slot: text, before: any, after: any")),
    ),
    "Next": shape("next_action: text|null, info?: text", "The action that runs elsewhere, null if the bot listens."),
    "Forked": shape("sender_id: text"),
    "Draft": shape("sender_id: text, next_action: text|null", "A conversation that goes on rightly."),
    "Proposal": shape(
        "kinds: [text], proposed: [text], files: object, title: text, stories: object",
        "As what a conversation may be saved, and where.",
    ),
    "Saved": shape(
        "edits, findings: [object], written: flag",
        "What changes in which files, and what check says of it.",
        edits=array(shape("file: text, diff: text, stamp: any")),
    ),
    "Mark": shape(
        "reviewed: flag, note: text, tags: [text], version: whole, at: number, is_current: flag",
        "What somebody noted about a conversation.",
    ),
    "Queue": shape(
        "conversations: [object], count: whole, offset: whole, indexed: whole, total: whole",
        "Conversations; the first ones need a person most.",
    ),
    "Map": shape(
        "width: whole, height: whole, grouped: flag, left_out: whole, nodes: [object], edges: [object], way?: any, "
        "coverage?: any",
        "The stories as a graph.",
    ),
    "Snippet": shape(
        "place: text, file: text|null, line: whole|null, story: text|null, lines: [any], note: text|null",
        "The lines of a story.",
    ),
    "Models": shape(
        "models, serves: text|null",
        models=array(shape("name: text, made: any, current: flag, figures: object, changed: any")),
    ),
    "Serves": shape("serves: text|null"),
    "Candidate": shape(
        "state, log: [text], lines: whole, seconds: number|null, comparison: object|null",
        "How far a training is.",
        state={"enum": ["none", "training", "failed", "trained"]},
    ),
    "Discarded": shape("state", state={"const": "none"}),
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
