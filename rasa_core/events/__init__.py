"""The events of a conversation; only an event changes its state.

An event is immutable, except for its time until it is in a tracker. It has a JSON form (`Event.as_dict`,
`Event.from_parameters`), a line in a story (`Event.as_story_string`, `Event.from_story_string`) and an effect on a
tracker (`Event.apply_to`). A new kind of event is a subclass of `Event` with a ``type_name`` of its own.
"""

from __future__ import annotations

import datetime  # The module, as in 0.9: actions have it from here by ``import *``.
import warnings
from collections.abc import Mapping
from dataclasses import KW_ONLY, InitVar, field
from typing import Any, ClassVar

from rasa_core.events.base import ACTION_LISTEN_NAME as ACTION_LISTEN_NAME
from rasa_core.events.base import FAILED_IN_STORY as FAILED_IN_STORY
from rasa_core.events.base import Event as Event
from rasa_core.events.base import Json, JsonKey, as_story, but_none, event_class, parameter, reminder_of_rasa3
from rasa_core.events.base import check_parse_data as check_parse_data
from rasa_core.events.base import deserialise_events as deserialise_events
from rasa_core.exceptions import EventError
from rasa_core.support.moments import moment_as_text, moment_in

ACTION_RESTART_NAME = "action_restart"


@event_class
class UserUttered(Event):
    """The user said something.

    Parameters
    ----------
    text
        The message as typed, or None.
    intent, entities
        The intent, ``{"name": str | None, "confidence": float}``, empty if nothing was understood; and a list of
        entities, objects with at least ``"entity"`` and ``"value"``.
    parse_data
        The whole result of the interpreter; its intent and entities win over the other arguments.
    input_channel, metadata
        The channel of the message, and its metadata; None if they are not known.
    interpreter
        The short fingerprint of an NLU model, or the name of a class; None if the message came with ``parse_data``.
    """

    type_name: ClassVar[str] = "user"
    _keys: ClassVar = {
        "text": JsonKey("text", str),
        "interpreter": JsonKey("interpreter", str),
        "parse_data": JsonKey("parse_data", dict, is_required=True),
        "input_channel": JsonKey("input_channel", str),
        "metadata": JsonKey("metadata", dict),
    }
    text: str | None
    intent: Json = field(default_factory=dict)
    entities: list[Json] = field(default_factory=list)
    parse_data: Json = field(default_factory=dict)
    timestamp: float = 0.0
    input_channel: str | None = None
    metadata: Json | None = None
    interpreter: str | None = None

    def __post_init__(self) -> None:
        """Complete ``parse_data``, since only it is stored, and the fields that were not given."""
        given = self.parse_data or {"text": self.text}
        intent = given.get("intent", self.intent) or {}
        entities = given.get("entities", self.entities) or []
        parse_data = {**given, "intent": intent, "entities": entities}
        if parse_data.get("text") is None:
            parse_data["text"] = self.text
        elif self.text is None:
            object.__setattr__(self, "text", parse_data["text"])
        for name, value in (("intent", intent), ("entities", entities), ("parse_data", parse_data)):
            object.__setattr__(self, name, value)
        Event.__post_init__(self)

    @classmethod
    def empty(cls) -> UserUttered:
        """Return the message of a conversation in which nobody has spoken yet."""
        return cls(None)

    def _content(self) -> object:
        return (self.text, self.intent.get("name"), self.entities)

    def as_story_string(self) -> str:
        """Return ``intent{"entity": value}``, with a list for several values; without an intent, the text."""
        values: dict[str, list[Any]] = {}
        for entity in self.entities:
            values.setdefault(str(entity.get("entity")), []).append(entity.get("value"))
        parameters = {
            name: found[0] if len(found) == 1 and not isinstance(found[0], list) else found
            for name, found in values.items()
        }
        return as_story(name, parameters) if (name := self.intent.get("name")) else self.text or ""

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event:
        given = {described.field: parameter(cls, parameters, key) for key, described in cls._keys.items()}
        check_parse_data(given["parse_data"])
        if given["metadata"]:  # Code of the user's own looks for them there.
            given["parse_data"] = {"metadata": given["metadata"], **given["parse_data"]}
        return cls(**given)

    def _parameters(self) -> Json:
        """Return the text and ``parse_data``, and the other fields that are not None."""
        return but_none(Event._parameters(self), "interpreter", "input_channel", "metadata")


@event_class
class _Said(Event):
    """Base of messages to the user; positional arguments may have the order of Rasa 3, metadata before the time."""

    _keys: ClassVar = {"text": JsonKey("text", str), "data": JsonKey("data"), "metadata": JsonKey("metadata", dict)}
    _is_told: ClassVar[bool] = False
    text: str | None = None
    data: Any = None
    timestamp: float = 0.0
    metadata: Json | None = None

    def __post_init__(self) -> None:
        """Correct arguments in the order of Rasa 3: an object cannot be the time, nor a number the metadata."""
        moment, metadata = self.timestamp, self.metadata
        if isinstance(moment, dict) or isinstance(metadata, float | int):
            object.__setattr__(self, "metadata", moment or None)
            moment = metadata
        Event.__init__(self, moment)

    def _parameters(self) -> Json:
        """Return text and data, and metadata if there are any."""
        return but_none(Event._parameters(self), "metadata")


@event_class
class BotUttered(_Said):
    """The bot said something; ``data`` may hold ``buttons``, ``elements`` or ``attachment``."""

    type_name: ClassVar[str] = "bot"

    @classmethod
    def empty(cls) -> BotUttered:
        """Return the utterance of a bot that has not spoken yet."""
        return cls()


@event_class
class AgentUttered(_Said):
    """A person said something in the bot's place; kept in the log, without effect on the state."""

    type_name: ClassVar[str] = "agent"


@event_class
class SlotSet(Event):
    """A slot got a value."""

    type_name: ClassVar[str] = "slot"
    _keys: ClassVar = {"name": JsonKey("key", str, is_required=True), "value": JsonKey("value")}
    key: str
    value: Any = None
    timestamp: float = 0.0

    def as_story_string(self) -> str:  # noqa: D102
        return as_story("slot", {self.key: self.value})

    @classmethod
    def _from_parameters(cls, parameters: Mapping[str, Any]) -> Event:
        return cls(parameter(cls, parameters, "name"), parameters.get("value"))

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> list[Event]:
        if not parameters:
            raise EventError('a slot line names at least one slot: - slot{"name": "value"}.')
        return [cls(key, value) for key, value in parameters.items()]


@event_class
class Restarted(Event):
    """The conversation starts anew: slots and history are reset, and the bot listens next."""

    type_name: ClassVar[str] = "restart"
    timestamp: float = 0.0


@event_class
class AllSlotsReset(Event):
    """All slots go back to their initial values."""

    type_name: ClassVar[str] = "reset_slots"
    timestamp: float = 0.0


@event_class
class UserUtteranceReverted(Event):
    """A rewind: takes back the last user message, all events after it, and the ``action_listen`` before it."""

    type_name: ClassVar[str] = "rewind"
    timestamp: float = 0.0


@event_class
class ActionReverted(Event):
    """An undo: takes back the last action and all events after it."""

    type_name: ClassVar[str] = "undo"
    timestamp: float = 0.0


@event_class
class ConversationPaused(Event):
    """The bot stops answering; somebody else has taken over."""

    type_name: ClassVar[str] = "pause"
    timestamp: float = 0.0


@event_class
class ConversationResumed(Event):
    """The bot answers again."""

    type_name: ClassVar[str] = "resume"
    timestamp: float = 0.0


@event_class
class StoryExported(Event):
    """The conversation so far is appended to a story file, when a path is given; the path is not stored."""

    type_name: ClassVar[str] = "export"
    path: str | None = None
    timestamp: float = 0.0


@event_class
class ActionExecuted(Event):
    """The bot did something.

    Parameters
    ----------
    action_name
        Name of the action.
    policy, confidence
        The policy that chose the action, and its probability; None if no policy was asked. These positional arguments
        may have the order of Rasa 3.
    model, predicted
        The short fingerprint of the loaded model; the action that the model predicted, if it was another one.
    unpredictable
        True for an action that no policy should learn: the first of a story that starts with the bot.
    error
        Why the action failed: the exception that it raised, or the text that the caller reports; None if it succeeded.
    hide_rule_turn
        Whether only a rule, and no story, chose the action, so that other policies do not see the turn.
    action_text
        The text of an action that is a text of a story; as in Rasa 3, the JSON form has this text and no name.
    """

    type_name: ClassVar[str] = "action"
    _keys: ClassVar = {
        "name": JsonKey("action_name", str, is_required=True),
        **{key: JsonKey(key, str) for key in ("policy", "model", "predicted", "error", "action_text")},
        "confidence": JsonKey("confidence", float),
        "hide_rule_turn": JsonKey("hide_rule_turn", bool),
    }
    action_name: str
    timestamp: float = 0.0
    confidence: float | None = None
    moment: InitVar[float | None] = None
    _: KW_ONLY
    policy: str | None = None
    model: str | None = None
    predicted: str | None = None
    unpredictable: bool = False
    error: str | None = None
    hide_rule_turn: bool | None = None
    action_text: str | None = None

    def __post_init__(self, moment: float | None = None, metadata: Json | None = None) -> None:
        """Correct arguments in the order of Rasa 3."""
        if self.action_name is None:
            object.__setattr__(self, "action_name", self.action_text)
        is_policy = isinstance(self.timestamp, str)
        if is_policy:
            object.__setattr__(self, "policy", self.timestamp)
        Event.__init__(self, moment if is_policy or moment is not None else self.timestamp, metadata)

    def _parameters(self) -> Json:
        """Return the name, and the other fields that are not None."""
        told = {key: found for key, to in self._keys.items() if (found := getattr(self, to.field)) is not None}
        return told if self.action_text is None else {**told, "name": None}

    def _content(self) -> object:
        return self.action_name, self.error is not None

    def as_story_string(self) -> str:
        """Return the name, and whether it failed."""
        return as_story(self.action_name, {} if self.error is None else {"failed": True})

    @classmethod
    def _from_story_line(cls, name: str, parameters: Mapping[str, Any]) -> Event:
        failed = parameters.get("failed", False)
        if not isinstance(failed, bool):
            raise EventError(f'"failed" of an action is true or false, not {failed!r:.40}: - {name}{{"failed": true}}.')
        return cls(name, error=FAILED_IN_STORY if failed else None)


@event_class
class FollowupAction(Event):
    """Fixes the next action, whatever the policies predict; None cancels this."""

    type_name: ClassVar[str] = "followup"
    _keys: ClassVar = {"name": JsonKey("action_name", str)}
    action_name: str | None
    timestamp: float = 0.0


@event_class
class ReminderScheduled(Event):
    """A reminder: an action is to run at a later time.

    Parameters
    ----------
    action_name
        The action to run; None for a reminder of Rasa 3, which acts as if the user had said something.
    trigger_date_time
        The time, as a `datetime.datetime` or ISO text, to the second. A time with an offset is stored in UTC; a time
        without one is local time on the machine that runs the action, and stays unchanged.
    name, kill_on_user_message
        The name, made from the other fields if not given; whether a user message before the time cancels the reminder.
    intent, entities
        For a reminder of Rasa 3: the intent and entities of the message that the reminder stands for. They may be
        positional arguments, if there are more of them than an intent and a time.
    """

    type_name: ClassVar[str] = "reminder"
    _keys: ClassVar = {
        "action": JsonKey("action_name", str),
        "intent": JsonKey("intent", str),
        "entities": JsonKey("entities"),
        "date_time": JsonKey("trigger_date_time", str, is_required=True),
        "name": JsonKey("name", str),
        "kill_on_user_msg": JsonKey("kill_on_user_message", bool),
    }
    action_name: str | None
    trigger_date_time: datetime.datetime
    name: str = ""
    kill_on_user_message: bool = True
    timestamp: float = 0.0
    intent: str | None = None
    entities: Any = None

    def __post_init__(self, metadata: Json | None = None) -> None:
        """Read a time that is text, and give the reminder a name that is the same in every process."""
        for field_name, value in reminder_of_rasa3(self).items():
            object.__setattr__(self, field_name, value)
        if not isinstance(self.trigger_date_time, datetime.datetime):
            object.__setattr__(self, "trigger_date_time", moment_in(self.trigger_date_time))
        written = moment_as_text(self.trigger_date_time)
        object.__setattr__(self, "name", self.name or f"{self.action_name or self.intent}@{written}")
        Event.__post_init__(self, metadata)

    def _parameters(self) -> Json:
        parameters = {**Event._parameters(self), "date_time": moment_as_text(self.trigger_date_time)}
        others = ("action",) if self.action_name is None else ("intent", "entities")
        return {key: value for key, value in parameters.items() if key not in others}

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event:
        given = {described.field: parameter(cls, parameters, key) for key, described in cls._keys.items()}
        if given["action_name"] is not None:  # As a log has it, an action is one, whatever stands beside it.
            given |= {"intent": None, "entities": None}
        elif given["intent"] is None:
            raise EventError('"action" of event "reminder" is missing; it is a string.')
        return cls(**given)


@event_class
class TopicSet(Event):
    """A topic of an old Rasa Core; the event is kept in the log, and has no effect."""

    type_name: ClassVar[str] = "topic"
    _keys: ClassVar = {"topic": JsonKey("topic")}
    topic: Any = None
    timestamp: float = 0.0

    def __post_init__(self, metadata: Json | None = None) -> None:
        """Warn that topics have no effect."""
        Event.__post_init__(self, metadata)
        warnings.warn("topics are ignored; remove TopicSet events.", DeprecationWarning, stacklevel=3)

    def as_story_string(self) -> str:  # noqa: D102
        return f"topic[{self.topic}]"

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event:
        event = object.__new__(cls)  # No warning for an event that is read from a log.
        object.__setattr__(event, "topic", parameters.get("topic"))
        Event.__init__(event)
        return event
