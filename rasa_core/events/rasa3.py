"""Events that Rasa 2 and 3 added: loops (forms), sessions, rejected actions, and featurization.

Their `Event.apply_to` changes the active loop, which only a conversation of a Rasa 3 domain has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rasa_core.events.base import Event, JsonKey, event_class, parameter


@event_class
class ActiveLoop(Event):
    """A loop, such as a form, begins; None ends the active loop."""

    type_name: ClassVar[str] = "active_loop"
    _keys: ClassVar = {"name": JsonKey("loop_name", str)}
    loop_name: str | None
    timestamp: float = 0.0


@event_class
class LegacyForm(ActiveLoop):
    """`ActiveLoop` under the name that Rasa 1 gave it."""

    type_name: ClassVar[str] = "form"


@event_class
class LoopInterrupted(Event):
    """Whether the loop was interrupted by other talk, so that the next message answers none of its questions."""

    type_name: ClassVar[str] = "loop_interrupted"
    _keys: ClassVar = {"is_interrupted": JsonKey("is_interrupted", bool)}
    is_interrupted: bool
    timestamp: float = 0.0

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> LoopInterrupted:
        # Without the key, the loop is not interrupted, as in Rasa.
        is_interrupted = bool(parameter(cls, parameters, "is_interrupted"))
        fields: dict[str, Any] = {"is_interrupted": is_interrupted, "timestamp": None}
        return cls(**fields)


@event_class
class LegacyFormValidation(Event):
    """`LoopInterrupted` under the name, and with the opposite value, that Rasa 1 gave it."""

    type_name: ClassVar[str] = "form_validation"
    _keys: ClassVar = {"validate": JsonKey("validate", bool)}
    validate: bool | None = None
    timestamp: float = 0.0


@event_class
class ActionExecutionRejected(Event):
    """An action was predicted and refused to run; another one may run instead."""

    type_name: ClassVar[str] = "action_execution_rejected"
    _keys: ClassVar = {
        "name": JsonKey("action_name", str, is_required=True),
        "policy": JsonKey("policy", str),
        "confidence": JsonKey("confidence", float),
    }
    action_name: str
    policy: str | None = None
    confidence: float | None = None
    timestamp: float = 0.0

    # As in `ActionExecuted`, events that differ only in their policy are equal.
    def _content(self) -> object:
        return self.action_name


@event_class
class CallerAction(Event):
    """The caller's code has to run a part of an action, such as the validation of a form, or has run it."""

    type_name: ClassVar[str] = "caller_action"
    _is_told: ClassVar[bool] = False
    _keys: ClassVar = {
        "name": JsonKey("action_name", str, is_required=True),
        "is_done": JsonKey("is_done", bool, is_required=True),
    }
    action_name: str
    is_done: bool
    timestamp: float = 0.0


@event_class
class SessionStarted(Event):
    """A session begins: history and slots are reset; events after this one set slots that are carried over."""

    type_name: ClassVar[str] = "session_started"
    _is_told: ClassVar[bool] = False
    timestamp: float = 0.0


@event_class
class DefinePrevUserUtteredFeaturization(Event):
    """Whether policies see the text or the intent of the latest message; here, policies always see the intent."""

    type_name: ClassVar[str] = "user_featurization"
    _is_told: ClassVar[bool] = False
    _keys: ClassVar = {"use_text_for_featurization": JsonKey("use_text_for_featurization", bool)}
    use_text_for_featurization: bool | None
    timestamp: float = 0.0


@event_class
class EntitiesAdded(Event):
    """More entities were found in the latest message."""

    type_name: ClassVar[str] = "entities"
    _is_told: ClassVar[bool] = False
    _keys: ClassVar = {"entities": JsonKey("entities")}
    entities: Any
    timestamp: float = 0.0


@event_class
class ReminderCancelled(Event):
    """Cancels the reminders of a name, or all reminders."""

    type_name: ClassVar[str] = "cancel_reminder"
    _keys: ClassVar = {"name": JsonKey("name", str), "intent": JsonKey("intent", str), "entities": JsonKey("entities")}
    name: str | None = None
    intent: str | None = None
    entities: Any = None
    timestamp: float = 0.0

    def cancels(self, reminder: Mapping[str, Any]) -> bool:
        """Tell whether this event cancels a reminder, given in JSON."""
        # A field that is not given fits every reminder: without any field, all are cancelled, as in Rasa 3.
        wanted = ("name", self.name), ("intent", self.intent), ("entities", self.entities)
        return all(value in (None, reminder.get(key)) for key, value in wanted)


def under_its_name(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an event in JSON as Rasa 3 logs it: events of loops get their current names and values."""
    kind = told.get("event")
    if kind == LegacyForm.type_name:
        return {**told, "event": ActiveLoop.type_name}
    if kind == LegacyFormValidation.type_name:
        kept = {key: value for key, value in told.items() if key != "validate"}
        return {**kept, "event": LoopInterrupted.type_name, "is_interrupted": told.get("validate") is False}
    return told


def entities_in(given: object) -> list[dict[str, Any]]:
    """Return the entities in an object of names to values, or in a list; an empty list for anything else."""
    if isinstance(given, Mapping):
        return [{"entity": name, "value": value} for name, value in given.items()]
    items = given if isinstance(given, list) else []
    return [item for item in items if isinstance(item, dict) and isinstance(item.get("entity"), str)]
