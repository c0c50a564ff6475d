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

SEARCH: Final = Parameter("search", str, "a search", "Words, and fields such as intent:greet or only:unsure.", "")
BELOW: Final = Parameter(
    *("below", float, "a confidence from 0 to 1", "Below which confidence the bot counts as unsure.", UNSURE_BELOW),
    minimum=0,
    maximum=1,
)
LIMIT: Final = Parameter("limit", int, _A_NUMBER, "How many are listed.", PAGE, maximum=10**9 - 1)
OFFSET: Final = Parameter("offset", int, _A_NUMBER, "How many are left out.", 0, maximum=10**9 - 1)
FROM: Final = Parameter("from", int, _A_NUMBER, "How many of the beginning are left out.", 0)
AFTER: Final = Parameter("after", int, _A_NUMBER, "The version that is known.")
WAIT: Final = Parameter("wait", int, _A_NUMBER, "Seconds, at most 20, to wait for another version than that.", 0)
AT: Final = Parameter(
    *("at", int, "a number of events of this conversation, from 0 to {most}", "How many events came before."),
    is_required=True,
)
CONVERSATION: Final = Parameter("conversation", str, "a sender_id", "Whose way on the map is told.")
LAST: Final = Parameter(
    *("last", int, "a number of conversations", "Which ways so many conversations take, the newest, is told, too."),
    maximum=MOST_ON_MAP,
)
PLACE: Final = Parameter("place", str, "a place", "A place that the map names.", "")

# -- in a body

SAY: Final = Body(
    Field("text", TEXT, "the message as a string", "What the user says.", missing=""),
    is_closed=True,
    examples=[{"text": "hello"}],
)
ACT: Final = Body(
    Field(
        *("action", TEXT_OR_NONE, "the name of an action", "What ran elsewhere; without it, the bot just goes on."),
        **names("Action", or_none=True),
    ),
    Field("events", (), "a list", "What came of it.", **_EVENTS),
    Field("error", TEXT_OR_NONE, "a text", "Why it failed, if it did."),
    Field("only_if_sure", (bool,), "true or false", "Whether to stop where the bot is unsure."),
    is_closed=True,
)
FORK: Final = Body(
    Field("at", (int,), "a number of events", _STAYS, missing="", minimum=0),
    Field(
        *("to", TEXT, f"the name of the new conversation, with 1 to {MAX_SENDER_ID} characters, none for control"),
        *("What the new conversation is called.",),
        missing="",
        minLength=1,
        maxLength=MAX_SENDER_ID,
        pattern=SENDER_ID,
    ),
    is_closed=True,
)
CORRECT: Final = Body(
    Field("at", (int,), _STAYS, "How many events stay.", missing="", minimum=0),
    Field(
        *("action", TEXT_OR_NONE, "the right action", "The right action of a step."), **names("Action", or_none=True)
    ),
    Field(
        *("intent", TEXT_OR_NONE, "the right intent", "The right intent of a message."), **names("Intent", or_none=True)
    ),
    Field(
        *("entities", (list, NoneType), "a list", "The right entities of it."),
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
        *("save", (list,), 'a list such as [{"as": "story"}]', "As what to save the conversation."),
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
    Field("stamps", (dict, NoneType), "an object of file names and stamps", "What the files were when looked at."),
    Field("write", (bool,), "true or false", "Whether to write it; otherwise the change is shown."),
    Field("despite_errors", (bool,), "true or false", "Whether to write it even if check finds a mistake."),
    is_closed=True,
)
MARK: Final = Body(
    Field("reviewed", (bool,), "true or false", "Whether nobody else needs to look at it, until it goes on."),
    Field("note", TEXT, "a text", "What somebody thought of it.", maxLength=LONGEST_NOTE),
    Field(
        *("tags", (list,), "a list of texts", "By which to find it again."),
        maxItems=MOST_TAGS,
        items={"type": "string", "minLength": 1, "maxLength": LONGEST_TAG, "pattern": SENDER_ID},
    ),
    is_closed=True,
)
USE: Final = Body(
    Field(
        *("name", TEXT, "the name of a model", "The model that is to serve."),
        missing='send the name of a model as {"name": ...}; GET this path lists them.',
    ),
    is_closed=True,
)
COMPARE: Final = Body(
    Field(
        *("last", (int,), f"a number of conversations from 0 to {MOST_LAST}", "How many conversations, the newest."),
        minimum=0,
        maximum=MOST_LAST,
    ),
    is_closed=True,
)
