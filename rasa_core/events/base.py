"""The base of all events: a named type, parameters with a JSON form, a story line, and an effect on a tracker."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import FrozenInstanceError, InitVar, dataclass, field, fields
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeVar, dataclass_transform

from rasa_core.exceptions import EventError, did_you_mean
from rasa_core.support.strict_json import MAX_DEPTH, hashable, is_number, is_plain, plain

Json = dict[str, Any]

ACTION_LISTEN_NAME = "action_listen"
SESSION_START: Final = "action_session_start"
FAILED_IN_STORY = "failed"
"""The error of an action that fails in a story, since stories do not say why."""
SHORT_FINGERPRINT = 8
"""Characters of the hash of a model in a log, enough to tell models apart."""

OWN_MODULES: Final = frozenset({__name__.removesuffix(".base"), __name__.removesuffix("base") + "rasa3"})
EVENT_DEPTH: Final = MAX_DEPTH - 2
"""Largest depth of an event in JSON: the state, which contains the list of events, has two levels more."""
END_OF_TIME: Final = 95_617_584_000.0
"""The year 5000 as Unix time in seconds; a later time must be in milliseconds."""
MOST_IN_A_MESSAGE: Final = 10_000
"""Largest number of entities of a message, and of intents of its ranking, since each use of it reads all of them."""

_UNSAFE_IN_STORIES = re.compile("[`\ud800-\udfff]|<(?=!--)")


class Folds(Protocol):
    """The state of a conversation that an event changes; `DialogueStateTracker` implements it."""

    def fold(self, event: Event) -> None:
        """Change the state as the type of `event` requires, if the type has an effect."""


class JsonKey(NamedTuple):
    """A key of an event in JSON: its field, its type (None: any), and whether it is required."""

    field: str
    kind: type | None = None
    is_required: bool = False


class Event:
    """Base of all events.

    Attributes
    ----------
    type_name : str
        The value of ``"event"`` in JSON, and the name in story lines.
    timestamp : float
        Unix time in seconds; 0 or None means now. It may be set until the event is in a tracker.
    """

    __slots__ = ("_beside", "_is_logged")
    type_name: ClassVar[str] = "event"
    timestamp: float
    _keys: ClassVar[Mapping[str, JsonKey]] = {}
    _is_told: ClassVar[bool] = True  # Whether stories have events of this type.
    _subclasses: ClassVar[dict[str, type[Event]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class under its ``type_name``; the class defined last wins."""
        super().__init_subclass__(**kwargs)
        if "type_name" in cls.__dict__:
            Event._subclasses[cls.type_name] = cls

    def __init__(self, timestamp: float | None = None, metadata: Json | None = None) -> None:
        if timestamp == 0.0 or timestamp is None:  # The most frequent case.
            timestamp = time.time()
        elif type(timestamp) is not float or not -END_OF_TIME < timestamp < END_OF_TIME:
            timestamp = checked_time(timestamp)
        object.__setattr__(self, "timestamp", timestamp)
        # A slot that is not set takes much longer to read than one that is.
        object.__setattr__(self, "_beside", metadata if metadata and isinstance(metadata, dict) else None)

    def __post_init__(self, metadata: Json | None = None) -> None:
        """Stamp an event that was made without a time."""
        Event.__init__(self, self.timestamp, metadata)

    def as_dict(self) -> Json:
        """Return the JSON form: ``event``, ``timestamp``, the parameters of the type, and metadata if there are any."""
        told = {"event": self.type_name, "timestamp": self.timestamp, **self._parameters()}
        beside = getattr(self, "_beside", None)
        return told if beside is None else {**told, "metadata": beside}

    def as_story_string(self) -> str | None:
        """Return the story line without its bullet, or None if the event is left out of stories."""
        return as_story(self.type_name, self._parameters()) if self._is_told else None

    def storable(self) -> Event:
        """Return the event itself, or an equal event whose values are all JSON, so that a log can hold it.

        Raises
        ------
        EventError
            If a value has no form in JSON, or the event could not be read back.
        """
        if "parse_data" in self._keys:
            check_length_of(getattr(self, "parse_data"))  # noqa: B009 - only messages have it.
        if self._is_simple():
            return self
        try:
            given = self.as_dict()
            form = plain(given, EVENT_DEPTH)
        except (ValueError, RecursionError) as error:
            raise EventError(
                f'the event "{self.type_name}" cannot be stored as JSON: {error}. Use text, finite numbers, true, '
                "false, null, lists and objects, or what has one obvious form of these, such as a date."
            ) from error
        # Read back in any case: an event that cannot be read must be refused before it is in a log for good.
        read = Event.from_log(form)
        return self if form is given else read

    def _is_simple(self) -> bool:
        """Tell whether the event is a class of this package, and all its values are JSON of the right types."""
        # Classes of users' own may hold more than their keys say.
        if type(self).__module__ not in OWN_MODULES or getattr(self, "_beside", None) is not None:
            return False
        for name, kind, is_required in self._keys.values():
            value = getattr(self, name)
            if value is None and not is_required:
                continue
            found = type(value)
            if (kind is not None and found is not kind) or not (found is str or is_plain(value, EVENT_DEPTH - 1)):
                return False
        if "parse_data" in self._keys:  # User messages have checks of their own.
            check_parse_data(getattr(self, "parse_data", {}))
        return True

    def apply_to(self, tracker: Folds) -> None:
        """Change the state of `tracker`; only `update` of the tracker calls this method."""
        tracker.fold(self)

    def _parameters(self) -> Json:
        return {key: getattr(self, described.field) for key, described in self._keys.items()}

    def _content(self) -> object:
        """Return the values by which two events of one type are equal; metadata is not among them."""
        told = _without_time(self.as_dict())
        return told if getattr(self, "_beside", None) is None else but_none({**told, "metadata": None}, "metadata")

    def __eq__(self, other: object) -> bool:
        """Compare type and parameters, never the time."""
        if not isinstance(other, Event):
            return NotImplemented
        # Not the time: stories, training and tests compare what happened, whenever it did.
        return type(self) is type(other) and self._content() == other._content()

    def __hash__(self) -> int:
        """Hash in line with `__eq__`, though parameters may hold lists and objects."""
        return hash((self.type_name, hashable(self._content())))

    def __repr__(self) -> str:
        """Return the type and the parameters, without the time."""
        shown = _without_time(self.as_dict()).items()
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in shown)})"

    @classmethod
    def json_keys(cls) -> Mapping[str, JsonKey]:
        """Return the JSON keys of the type's parameters."""
        return cls._keys

    @staticmethod
    def known_types() -> list[str]:
        """Return the names of all types of events, in order."""
        return sorted(Event._subclasses)

    @staticmethod
    def resolve_by_type(type_name: str, default: type[Event] | None = None) -> type[Event]:
        """Return the class for `type_name`, or `default`; raise `EventError` if there is neither."""
        found = Event._subclasses.get(type_name, default) if isinstance(type_name, str) else default
        if found is not None:
            return found
        hint = did_you_mean(str(type_name), known := Event.known_types())
        raise EventError(f"unknown event type {str(type_name)[:100]!r}.{hint} Known types: {', '.join(known)}.")

    @staticmethod
    def from_parameters(parameters: Mapping[str, Any], default: type[Event] | None = None) -> Event:
        """Build an event from its JSON form.

        Raises
        ------
        EventError
            If the type is unknown, or a parameter is missing or of the wrong type.
        """
        event = Event.from_log(parameters, default)
        # Not in `from_log`: what older versions have stored must stay readable.
        checked_time(event.timestamp, event.type_name)
        return event

    @staticmethod
    def from_log(parameters: Mapping[str, Any], default: type[Event] | None = None) -> Event:
        """Build an event from its JSON form, as `from_parameters` does, but accept every time that a log has."""
        if not isinstance(parameters, Mapping):
            raise EventError(f"an event is a JSON object, not {type(parameters).__name__}: {str(parameters)[:80]!r}.")
        name = parameters.get("event")
        if not isinstance(name, str):
            raise EventError('an event needs the key "event" with the name of its type, such as {"event": "restart"}.')
        event_class = Event.resolve_by_type(name, default)
        if name == "action" and parameters.get("name") is None and "action_text" in parameters:
            parameters = {**parameters, "name": parameters["action_text"]}  # The name of such an action is its text.
        stamp = parameters.get("timestamp")
        if stamp is not None and not is_number(stamp):
            raise EventError(f'"timestamp" of event "{name}" is Unix time in seconds, not {str(stamp)[:60]!r}.')
        try:
            event = event_class._from_parameters(parameters)
        except KeyError as error:
            raise EventError(f'"{error.args[0]}" of event "{name}" is missing.') from error
        if stamp:
            object.__setattr__(event, "timestamp", stamp)
        beside = parameters.get("metadata")  # Events of all types may have metadata.
        if beside and isinstance(beside, dict) and "metadata" not in event_class._keys:
            object.__setattr__(event, "_beside", beside)
        return event

    @staticmethod
    def from_story_string(
        event_name: str, parameters: Mapping[str, Any], default: type[Event] | None = None
    ) -> Event | list[Event] | None:
        """Build the event, or events, of the story line ``event_name{parameters}``."""
        return Event.resolve_by_type(event_name, default)._from_story_line(event_name, parameters)

    @classmethod
    def _from_parameters(cls, parameters: Mapping[str, Any]) -> Event:
        """Build the event from its JSON form; override this where that differs from a story line."""
        made: Any = cls._from_story_string(parameters)
        return made[0] if isinstance(made, list) else made  # type: ignore[no-any-return]

    @classmethod
    def _from_story_line(cls, name: str, parameters: Mapping[str, Any]) -> Event | list[Event] | None:
        return cls._from_story_string(parameters)

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event | list[Event] | None:
        """Build the event, or events, from parameters; override this in events of your own that have any."""
        return cls(timestamp=None, **{key.field: parameter(cls, parameters, name) for name, key in cls._keys.items()})


def checked_time(stamp: Any, event: str | None = None) -> Any:
    """Return the time of an event, None for now; raise `EventError` if it is no Unix time in seconds."""
    if stamp is None:
        return None
    is_seconds = hasattr(stamp, "__float__") and not isinstance(stamp, str | bool)
    seconds = float(stamp) if is_seconds and type(stamp) is not int else stamp
    if is_seconds and -END_OF_TIME < seconds < END_OF_TIME:
        return seconds
    subject = "a timestamp" if event is None else f'"timestamp" of event "{event}"'
    if is_seconds and END_OF_TIME <= abs(seconds) < 1e15:
        raise EventError(
            f"{subject} is Unix time in seconds, and {seconds:.15g} is after the year 5000. It looks like "
            "milliseconds: divide it by 1000."
        )
    shown = "a number of such a size" if isinstance(stamp, int) and is_seconds else f"{stamp!r:.60}"
    raise EventError(f"{subject} is Unix time in seconds, not {shown}.")


def deserialise_events(serialized_events: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Build events from their JSON forms; objects without the key ``"event"`` are skipped."""
    return [
        Event.from_parameters(parameters)
        for parameters in serialized_events
        if not isinstance(parameters, Mapping) or "event" in parameters  # As in 0.9; an item of another type is wrong.
    ]


_WANTED: Mapping[type, str] = {str: "a string", dict: "an object", bool: "true or false", float: "a number"}


def parameter(event: type[Event], parameters: Mapping[str, Any], key: str) -> Any:
    """Return a parameter of the JSON form, after a check of its type; None for a missing optional parameter."""
    value, (_, kind, is_required) = parameters.get(key), event._keys[key]
    if kind is None or (value is None and not is_required):
        return value
    if is_number(value) if kind is float else isinstance(value, kind):
        return value
    wanted = _WANTED[kind]
    problem = f"is missing; it is {wanted}" if value is None else f"must be {wanted}, not {type(value).__name__}"
    raise EventError(f'"{key}" of event "{event.type_name}" {problem}.')


def _without_time(parameters: Json) -> Json:
    return {key: value for key, value in parameters.items() if key not in ("event", "timestamp")}


def but_none(parameters: Json, *optional: str) -> Json:
    """Return the parameters without the `optional` ones that are None."""
    for name in optional:
        if parameters[name] is None:
            del parameters[name]
    return parameters


def reminder_of_rasa3(given: Any) -> dict[str, Any]:
    """Return the fields of a reminder whose arguments have the order of Rasa 3; an empty dict for the order of 0.9.

    In Rasa 3 the order is intent, time, entities, name, whether a message cancels the reminder, time stamp. `given` has
    these values as action, time, name, whether a message cancels the reminder, time stamp, intent.
    """
    third, fourth, fifth, sixth = given.name, given.kill_on_user_message, given.timestamp, given.intent
    if isinstance(third, list | Mapping) or isinstance(fourth, str) or isinstance(fifth, bool):
        return {
            "action_name": None,
            "intent": given.action_name,
            "entities": third or None,
            "name": fourth if isinstance(fourth, str) else "",
            "kill_on_user_message": next((value for value in (fifth, fourth) if isinstance(value, bool)), True),
            "timestamp": sixth if isinstance(fifth, bool) else fifth,
        }
    if given.action_name is not None and given.entities is not None:
        return {"action_name": None, "intent": given.action_name}
    return {"kill_on_user_message": True} if fourth is None else {}


def as_story(name: str, parameters: Mapping[str, Any]) -> str:
    """Return ``name{parameters}`` as it stands in a story line; text outside ASCII stays readable."""
    if not parameters:
        return name
    # Only strings hold these: a template variable, a comment of a story file, half a character that no file can hold.
    text = json.dumps(parameters, ensure_ascii=False)
    return name + _UNSAFE_IN_STORIES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def check_parse_data(parse_data: Mapping[str, Any]) -> None:
    """Raise `EventError` unless `parse_data` has an intent object or null, and a list of entity objects."""
    intent, entities = parse_data.get("intent", ""), parse_data.get("entities")
    if not _is_ranked({} if intent is None else intent):
        raise EventError('"parse_data" needs "intent": {"name": ..., "confidence": ...}.')
    if not isinstance(entities, list) or not all(_is_entity(entity) for entity in entities):
        raise EventError('"parse_data" needs "entities": a list of objects with "entity" and "value".')
    if not isinstance(parse_data.get("text"), str | None):
        raise EventError('"text" of "parse_data" is the message as a string.')
    ranking = parse_data.get("intent_ranking")
    if ranking is not None and not (isinstance(ranking, list) and all(map(_is_ranked, ranking))):
        raise EventError('"intent_ranking" of "parse_data" is a list of {"name": ..., "confidence": number}.')


def check_length_of(parse_data: Mapping[str, Any]) -> None:
    """Raise `EventError` for a message with too many entities or intents; a message in a log is read all the same."""
    for part in "entities", "intent_ranking":
        found = parse_data.get(part)
        if isinstance(found, Sized) and len(found) > MOST_IN_A_MESSAGE:
            raise EventError(f'"{part}" of a message has at most {MOST_IN_A_MESSAGE} items, not {len(found)}.')


def _is_entity(entity: object) -> bool:
    return isinstance(entity, dict) and isinstance(entity.get("entity"), str)


def _is_ranked(intent: object) -> bool:
    if not isinstance(intent, dict):
        return False
    name, confidence = intent.get("name"), intent.get("confidence")
    return (name is None or isinstance(name, str)) and (confidence is None or is_number(confidence))


_E = TypeVar("_E", bound=Event)


@dataclass_transform(frozen_default=True, eq_default=False)
def event_class(declared: type[_E]) -> type[_E]:
    """Make a frozen dataclass of an event, whose ``==`` and ``repr`` use its JSON form.

    The time can be set until the event is in a tracker. Every event has ``metadata``, a field or an argument by name.
    """
    has_field = hasattr(declared, "metadata")
    if not has_field:
        declared.__annotations__["metadata"] = InitVar[Any]
        setattr(declared, "metadata", field(default=None, kw_only=True))  # noqa: B010 - no type checker knows of it.
    made = dataclass(frozen=True, slots=True, eq=False, repr=False)(declared)
    if not has_field:
        setattr(made, "metadata", property(lambda event: getattr(event, "_beside", None)))  # noqa: B010
    fields_of, set_fields = getattr(made, "__getstate__"), getattr(made, "__setstate__")  # noqa: B009 - of dataclasses
    names = {one.name for one in fields(made)}  # type: ignore[arg-type]

    def set_attribute(event: Event, name: str, value: Any) -> None:
        if name == "timestamp" and not getattr(event, "_is_logged", False):
            Event.__init__(event, value, getattr(event, "_beside", None))
        elif name in names or type(event) is made:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        else:  # An attribute of a derived class, for which the method of a dataclass with slots fails.
            object.__setattr__(event, "_beside" if name == "metadata" else name, value)

    def state_of(event: Event) -> list[Any]:
        return [*fields_of(event), {"_beside": getattr(event, "_beside", None), **getattr(event, "__dict__", {})}]

    def set_state(event: Event, state: Sequence[Any]) -> None:
        set_fields(event, state)  # A pickle of an earlier version has the fields alone.
        for name, value in {"_beside": None, **dict(*state[len(names) :])}.items():
            object.__setattr__(event, name, value)

    for name, method in (("__setattr__", set_attribute), ("__getstate__", state_of), ("__setstate__", set_state)):
        setattr(made, name, method)  # A frozen class has these methods, and no type checker lets them be replaced.
    return made
