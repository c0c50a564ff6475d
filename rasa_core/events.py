"""Everything that can happen in a conversation; the only way in which its state changes.

An event is immutable. It has a JSON form (`Event.as_dict`, `Event.from_parameters`), a line in a story
(`Event.as_story_string`, `Event.from_story_string`) and an effect on a tracker (`Event.apply_to`). A new kind
of event is a subclass of `Event` with a ``type_name`` of its own: defining the class registers it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from rasa_core.event_base import Event as Event
from rasa_core.event_base import Json, as_story, is_number, parameter
from rasa_core.event_base import check_parse_data as check_parse_data
from rasa_core.event_base import deserialise_events as deserialise_events
from rasa_core.exceptions import EventError

if TYPE_CHECKING:
    from rasa_core.trackers import DialogueStateTracker

ACTION_LISTEN_NAME = "action_listen"
ACTION_RESTART_NAME = "action_restart"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UserUttered(Event):
    """The user said something.

    Parameters
    ----------
    text
        The message as typed, or None.
    intent
        ``{"name": str | None, "confidence": float}``; empty if nothing was understood.
    entities
        Objects with at least ``"entity"`` and ``"value"``.
    parse_data
        Everything that the interpreter returned; its intent and entities win over the other arguments.
    """

    type_name: ClassVar[str] = "user"
    text: str | None
    intent: Json = field(default_factory=dict)
    entities: list[Json] = field(default_factory=list)
    parse_data: Json = field(default_factory=dict)
    timestamp: float = 0.0

    def __post_init__(self) -> None:
        """Fill what was not given, so that ``parse_data``, which alone is stored, is always whole."""
        given = self.parse_data or {"text": self.text}
        intent = given.get("intent", self.intent) or {}
        entities = given.get("entities", self.entities) or []
        parse_data = {**given, "intent": intent, "entities": entities}
        for name, value in (("intent", intent), ("entities", entities), ("parse_data", parse_data)):
            object.__setattr__(self, name, value)
        Event.__post_init__(self)

    @classmethod
    def empty(cls) -> UserUttered:
        """Return the message of a conversation in which nobody has spoken yet."""
        return cls(None)

    def as_dict(self) -> Json:  # noqa: D102
        return {**Event.as_dict(self), "text": self.text, "parse_data": self.parse_data}

    def _content(self) -> object:
        return (self.text, self.intent.get("name"), self.entities)

    def as_story_string(self) -> str:
        """Return ``intent{"entity": value}``; several values of one entity become a list."""
        values: dict[str, list[Any]] = {}
        for entity in self.entities:
            values.setdefault(str(entity.get("entity")), []).append(entity.get("value"))
        parameters = {
            name: found[0] if len(found) == 1 and not isinstance(found[0], list) else found
            for name, found in values.items()
        }
        return as_story(self.intent.get("name") or "", parameters)

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker._on_user(self)

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event:
        parse_data = parameter(cls, parameters, "parse_data", dict, required=True)
        check_parse_data(parse_data)
        return cls(parameter(cls, parameters, "text", str), parse_data=parse_data)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Said(Event):
    """What the bot, or somebody in its place, said."""

    text: str | None = None
    data: Json | None = None
    timestamp: float = 0.0

    def as_dict(self) -> Json:
        return {**Event.as_dict(self), "text": self.text, "data": self.data}

    def as_story_string(self) -> None:
        """Return None: what is said to the user is not part of a story."""

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event:
        return cls(parameter(cls, parameters, "text", str), parameter(cls, parameters, "data", dict))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BotUttered(_Said):
    """The bot said something; ``data`` may hold ``buttons``, ``elements`` or ``attachment``."""

    type_name: ClassVar[str] = "bot"

    @classmethod
    def empty(cls) -> BotUttered:
        """Return the utterance of a bot that has not spoken yet."""
        return cls()

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker.latest_bot_utterance = self


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AgentUttered(_Said):
    """A person said something in the bot's place; kept in the log, without effect on the state."""

    type_name: ClassVar[str] = "agent"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SlotSet(Event):
    """A slot got a value."""

    type_name: ClassVar[str] = "slot"
    key: str
    value: Any = None
    timestamp: float = 0.0

    def as_dict(self) -> Json:  # noqa: D102
        return {**Event.as_dict(self), "name": self.key, "value": self.value}

    def as_story_string(self) -> str:  # noqa: D102
        return as_story("slot", {self.key: self.value})

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker._on_slot(self.key, self.value)

    @classmethod
    def _from_parameters(cls, parameters: Mapping[str, Any]) -> Event:
        return cls(parameter(cls, parameters, "name", str, required=True), parameters.get("value"))

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> list[Event]:
        if not parameters:
            raise EventError('a slot line names at least one slot: - slot{"name": "value"}.')
        return [cls(key, value) for key, value in parameters.items()]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Restarted(Event):
    """The conversation starts anew: slots and history are reset, and the bot listens next."""

    type_name: ClassVar[str] = "restart"
    timestamp: float = 0.0

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker._on_restart()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AllSlotsReset(Event):
    """All slots go back to their initial values."""

    type_name: ClassVar[str] = "reset_slots"
    timestamp: float = 0.0

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker._on_reset_slots()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UserUtteranceReverted(Event):
    """The last user message, all that followed it, and the listening before it are undone."""

    type_name: ClassVar[str] = "rewind"
    timestamp: float = 0.0

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker.replay_events()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ActionReverted(Event):
    """The last action and all that followed it are undone."""

    type_name: ClassVar[str] = "undo"
    timestamp: float = 0.0

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker.replay_events()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ActionExecuted(Event):
    """The bot did something.

    Parameters
    ----------
    action_name
        Name of the action.
    policy, confidence
        Which policy chose the action, and its probability; None where no policy was asked.
    unpredictable
        True for an action that no policy should learn: the first of a story that starts with the bot.
    error
        What the action raised when it ran here; None if it did not fail.
    """

    type_name: ClassVar[str] = "action"
    action_name: str
    policy: str | None = None
    confidence: float | None = None
    timestamp: float = 0.0
    unpredictable: bool = False
    error: str | None = None

    def as_dict(self) -> Json:
        """Return the JSON form; ``policy``, ``confidence`` and ``error`` stand in it only where there are any."""
        known = {
            "name": self.action_name,
            "policy": self.policy,
            "confidence": self.confidence,
            "error": self.error,
        }
        return Event.as_dict(self) | {key: value for key, value in known.items() if value is not None}

    def _content(self) -> object:
        return self.action_name

    def as_story_string(self) -> str:  # noqa: D102
        return self.action_name

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker._on_action(self.action_name)

    @classmethod
    def _from_story_line(cls, name: str, parameters: Mapping[str, Any]) -> Event:
        return cls(name)

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event:
        name = parameter(cls, parameters, "name", str, required=True)
        confidence = parameters.get("confidence")
        if confidence is not None and not is_number(confidence):
            raise EventError('"confidence" of event "action" is a number.')
        error = parameter(cls, parameters, "error", str)
        return cls(name, parameter(cls, parameters, "policy", str), confidence, error=error)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FollowupAction(Event):
    """The next action is fixed, whatever the policies say; None lifts that again."""

    type_name: ClassVar[str] = "followup"
    action_name: str | None
    timestamp: float = 0.0

    def as_dict(self) -> Json:  # noqa: D102
        return {**Event.as_dict(self), "name": self.action_name}

    def as_story_string(self) -> str:  # noqa: D102
        return as_story("followup", {"name": self.action_name})

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker.follow_up_action = self.action_name

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event:
        return cls(parameter(cls, parameters, "name", str))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReminderScheduled(Event):
    """An action is to run at a later time.

    Parameters
    ----------
    action_name
        The action to run.
    trigger_date_time
        When, as a naive local `datetime.datetime`; kept to the second.
    name
        Identifies the reminder; made from the other parameters if not given.
    kill_on_user_message
        Whether a user message before that time cancels it.
    """

    type_name: ClassVar[str] = "reminder"
    action_name: str
    trigger_date_time: datetime
    name: str = ""
    kill_on_user_message: bool = True
    timestamp: float = 0.0

    def __post_init__(self) -> None:
        """Give the reminder a name that is the same in every process."""
        object.__setattr__(self, "name", self.name or f"{self.action_name}@{self._moment()}")
        Event.__post_init__(self)

    def _moment(self) -> str:
        return self.trigger_date_time.isoformat()[:19]

    def _parameters(self) -> Json:
        return {
            "action": self.action_name,
            "date_time": self._moment(),
            "name": self.name,
            "kill_on_user_msg": self.kill_on_user_message,
        }

    def as_dict(self) -> Json:  # noqa: D102
        return {**Event.as_dict(self), **self._parameters()}

    def as_story_string(self) -> str:  # noqa: D102
        return as_story("reminder", self._parameters())

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event:
        written = parameter(cls, parameters, "date_time", str, required=True)
        try:
            moment = datetime.fromisoformat(written[:19])
        except ValueError:
            example = '"2018-09-03T11:41:10"'
            raise EventError(f'"date_time" of event "reminder" is like {example}, not {written[:40]!r}.') from None
        action = parameter(cls, parameters, "action", str, required=True)
        kill = parameter(cls, parameters, "kill_on_user_msg", bool)
        return cls(action, moment, parameter(cls, parameters, "name", str), True if kill is None else kill)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ConversationPaused(Event):
    """The bot stops answering; somebody else has taken over."""

    type_name: ClassVar[str] = "pause"
    timestamp: float = 0.0

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker._paused = True


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ConversationResumed(Event):
    """The bot answers again."""

    type_name: ClassVar[str] = "resume"
    timestamp: float = 0.0

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        tracker._paused = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StoryExported(Event):
    """The conversation so far is appended to a story file, when a path is given; the path is not stored."""

    type_name: ClassVar[str] = "export"
    path: str | None = None
    timestamp: float = 0.0

    def apply_to(self, tracker: DialogueStateTracker) -> None:  # noqa: D102
        if self.path is not None:
            tracker._on_export(self.path)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TopicSet(Event):
    """Topics had no effect in the end and are gone; the event is kept in the log and does nothing."""

    type_name: ClassVar[str] = "topic"
    topic: Any = None
    timestamp: float = 0.0

    def __post_init__(self) -> None:
        """Tell that topics do nothing."""
        Event.__post_init__(self)
        warnings.warn("topics are ignored; remove TopicSet events.", DeprecationWarning, stacklevel=3)

    def as_dict(self) -> Json:  # noqa: D102
        return {**Event.as_dict(self), "topic": self.topic}

    def as_story_string(self) -> str:  # noqa: D102
        return f"topic[{self.topic}]"

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event:
        return cls(parameters.get("topic"))
