"""The query parameters and bodies of the inspector's routes; a body with an unknown key is refused."""

from __future__ import annotations

from types import NoneType
from typing import Final

from rasa_core.server.api.fields import Body, Field, Parameter
from rasa_core.server.api.inputs import TEXT, TEXT_OR_NONE, names
from rasa_core.server.paths import MAX_SENDER_ID, SENDER_ID
from rasa_core.tracker_store.reviews import LONGEST_NOTE, LONGEST_TAG, MOST_TAGS
from rasa_core.tracker_store.search import UNSURE_BELOW

KINDS: Final = ("story", "rule", "test", "nlu")
PAGE: Final = 50
DEFAULT_LAST: Final = 1000
MOST_LAST: Final = 100_000
MOST_ON_MAP: Final = 10_000

_A_NUMBER: Final = "a whole number"
_EVENTS: Final = {"$ref": "#/components/schemas/Events"}
_STAYS: Final = "the number of events that stay"

# -- in a URL

SEARCH: Final = Parameter(
    "search", str, "a search", "Words to find in conversations, and fields such as intent:greet or only:unsure.", ""
)
BELOW: Final = Parameter(
    *("below", float, "a confidence from 0 to 1", "The confidence below which the bot counts as unsure.", UNSURE_BELOW),
    minimum=0,
    maximum=1,
)
LIMIT: Final = Parameter(
    "limit", int, _A_NUMBER, "The largest number of conversations in the list.", PAGE, maximum=10**9 - 1
)
OFFSET: Final = Parameter(
    "offset", int, _A_NUMBER, "The number of conversations before the list begins.", 0, maximum=10**9 - 1
)
FROM: Final = Parameter("from", int, _A_NUMBER, "The number of entries that are left out at the beginning.", 0)
AFTER: Final = Parameter("after", int, _A_NUMBER, "The version that the caller has.")
WAIT: Final = Parameter("wait", int, _A_NUMBER, "Seconds, at most 20, to wait for a version other than after.", 0)
AT: Final = Parameter(
    *("at", int, "a number of events of this conversation, from 0 to {most}", "The number of events before the step."),
    is_required=True,
)
CONVERSATION: Final = Parameter(
    "conversation", str, "a sender_id", "The conversation whose path on the map is returned."
)
LAST: Final = Parameter(
    *(
        "last",
        int,
        "a number of conversations",
        "The number of newest conversations whose paths are counted on the map.",
    ),
    maximum=MOST_ON_MAP,
)
PLACE: Final = Parameter("place", str, "a place", "The place of a step, as the map names it.", "")

# -- in a body

SAY: Final = Body(
    Field("text", TEXT, "the message as a string", "The message of the user.", missing=""),
    is_closed=True,
    examples=[{"text": "hello"}],
)
ACT: Final = Body(
    Field(
        *(
            "action",
            TEXT_OR_NONE,
            "the name of an action",
            "An action that ran elsewhere; without it, the bot continues.",
        ),
        **names("Action", or_none=True),
    ),
    Field("events", (), "a list", "The events that the action caused.", **_EVENTS),
    Field("error", TEXT_OR_NONE, "a text", "The reason why the action failed; it is sent only then."),
    Field(
        "only_if_sure", (bool,), "true or false", "Whether the bot stops at the first prediction of which it is unsure."
    ),
    is_closed=True,
)
FORK: Final = Body(
    Field("at", (int,), "a number of events", _STAYS, missing="", minimum=0),
    Field(
        *("to", TEXT, f"the name of the new conversation, with 1 to {MAX_SENDER_ID} characters, none for control"),
        *("The sender_id of the new conversation.",),
        missing="",
        minLength=1,
        maxLength=MAX_SENDER_ID,
        pattern=SENDER_ID,
    ),
    is_closed=True,
)
CORRECT: Final = Body(
    Field("at", (int,), _STAYS, "The number of events that stay.", missing="", minimum=0),
    Field(
        *("action", TEXT_OR_NONE, "the right action", "The right action of a step."), **names("Action", or_none=True)
    ),
    Field(
        *("intent", TEXT_OR_NONE, "the right intent", "The right intent of a message."), **names("Intent", or_none=True)
    ),
    Field(
        *("entities", (list, NoneType), "a list", "The right entities of the message."),
        items={"$ref": "#/components/schemas/Entity"},
    ),
    is_closed=True,
    anyOf=[
        {"properties": {"action": {"type": "string"}, "intent": {"type": "null"}}, "required": ["action"]},
        {"properties": {"intent": {"type": "string"}, "action": {"type": "null"}}, "required": ["intent"]},
    ],
)
SAVE: Final = Body(
    Field(
        *(
            "save",
            (list,),
            'a list such as [{"as": "story"}]',
            "The forms in which the conversation is saved, and their files.",
        ),
        missing="",
        minItems=1,
        items={
            "type": "object",
            "properties": {
                "as": {"type": "string", "enum": list(KINDS)},
                "file": {"type": "string"},
                "title": {"type": "string"},
                "replace": {"type": ["string", "null"]},
            },
            "required": ["as"],
        },
    ),
    Field(
        "stamps",
        (dict, NoneType),
        "an object of file names and stamps",
        "The files with the stamps that they had when the caller read them.",
    ),
    Field(
        "write", (bool,), "true or false", "Whether the files are written; otherwise, the answer only shows the change."
    ),
    Field("despite_errors", (bool,), "true or false", "Whether the files are written even if check finds a mistake."),
    is_closed=True,
)
MARK: Final = Body(
    Field("reviewed", (bool,), "true or false", "Whether the conversation is done with, until it continues."),
    Field("note", TEXT, "a text", "A note on the conversation.", maxLength=LONGEST_NOTE),
    Field(
        *("tags", (list,), "a list of texts", "Tags by which the conversation can be found."),
        maxItems=MOST_TAGS,
        items={"type": "string", "minLength": 1, "maxLength": LONGEST_TAG, "pattern": SENDER_ID},
    ),
    is_closed=True,
)
USE: Final = Body(
    Field(
        *("name", TEXT, "the name of a model", "The model that will serve."),
        missing='send the name of a model as {"name": ...}; GET this path lists them.',
    ),
    is_closed=True,
)
COMPARE: Final = Body(
    Field(
        *(
            "last",
            (int,),
            f"a number of conversations from 0 to {MOST_LAST}",
            "The number of newest conversations that are compared.",
        ),
        minimum=0,
        maximum=MOST_LAST,
    ),
    is_closed=True,
)
