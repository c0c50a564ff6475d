"""What every event is, and how the JSON forms of events are checked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from rasa_core.exceptions import EventError, did_you_mean

if TYPE_CHECKING:
    from rasa_core.trackers import DialogueStateTracker

Json = dict[str, Any]


class Event:
    """Base of all events.

    Attributes
    ----------
    type_name : str
        The value of ``"event"`` in JSON, and the name in story lines.
    timestamp : float
        Unix time in seconds; 0 or None given to the constructor means now.
    """

    __slots__ = ()
    type_name: ClassVar[str] = "event"
    timestamp: float
    _subclasses: ClassVar[dict[str, type[Event]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class under its ``type_name``; the class defined last wins."""
        super().__init_subclass__(**kwargs)
        if "type_name" in cls.__dict__:
            Event._subclasses[cls.type_name] = cls

    def __init__(self, timestamp: float | None = None) -> None:
        object.__setattr__(self, "timestamp", timestamp or time.time())

    def __post_init__(self) -> None:
        """Stamp an event that was made without a time."""
        Event.__init__(self, self.timestamp)

    def as_dict(self) -> Json:
        """Return the JSON form: ``event``, ``timestamp`` and the parameters of the type."""
        return {"event": self.type_name, "timestamp": self.timestamp}

    def as_story_string(self) -> str | None:
        """Return the story line without its bullet, or None if the event is left out of stories."""
        return self.type_name

    def apply_to(self, tracker: DialogueStateTracker) -> None:
        """Change the state of `tracker`; called by `DialogueStateTracker.update` alone."""

    def _content(self) -> object:
        """Return what makes two events of one type equal."""
        return {key: value for key, value in self.as_dict().items() if key not in ("event", "timestamp")}

    def __eq__(self, other: object) -> bool:
        """Compare type and parameters, never the time."""
        if not isinstance(other, Event):
            return NotImplemented
        return type(self) is type(other) and self._content() == other._content()

    def __hash__(self) -> int:
        """Hash in line with `__eq__`, though parameters may hold lists and objects."""
        return hash((self.type_name, _hashable(self._content())))

    def __repr__(self) -> str:
        """Return the type and the parameters, without the time."""
        shown = {key: value for key, value in self.as_dict().items() if key not in ("event", "timestamp")}
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in shown.items())})"

    @staticmethod
    def resolve_by_type(type_name: str, default: type[Event] | None = None) -> type[Event]:
        """Return the class for `type_name`, or `default`; raise `EventError` if there is neither."""
        found = Event._subclasses.get(type_name) if isinstance(type_name, str) else None
        if found is not None:
            return found
        if default is not None:
            return default
        known = ", ".join(sorted(Event._subclasses))
        hint = did_you_mean(str(type_name), Event._subclasses)
        raise EventError(f"unknown event type {str(type_name)[:100]!r}.{hint} Known types: {known}.")

    @staticmethod
    def from_parameters(parameters: Mapping[str, Any], default: type[Event] | None = None) -> Event:
        """Build an event from its JSON form.

        Raises
        ------
        EventError
            If the type is unknown, or a parameter is missing or of the wrong type.
        """
        if not isinstance(parameters, Mapping):
            shown = f"{type(parameters).__name__}: {str(parameters)[:80]!r}"
            raise EventError(f"an event is a JSON object, not {shown}.")
        name = parameters.get("event")
        if not isinstance(name, str):
            raise EventError('an event needs the key "event" with the name of its type, such as {"event": "restart"}.')
        event_class = Event.resolve_by_type(name, default)
        stamp = parameters.get("timestamp")
        if stamp is not None and not is_number(stamp):
            raise EventError(f'"timestamp" of event "{name}" is Unix time in seconds, not {str(stamp)[:60]!r}.')
        try:
            event = event_class._from_parameters(parameters)
        except KeyError as error:
            raise EventError(f'"{error.args[0]}" of event "{name}" is missing.') from error
        if stamp:
            object.__setattr__(event, "timestamp", stamp)
        return event

    @staticmethod
    def from_story_string(
        event_name: str, parameters: Mapping[str, Any], default: type[Event] | None = None
    ) -> Event | list[Event] | None:
        """Build the event, or events, of the story line ``event_name{parameters}``."""
        event_class = Event.resolve_by_type(event_name, default)
        return event_class._from_story_line(event_name, parameters)

    @classmethod
    def _from_parameters(cls, parameters: Mapping[str, Any]) -> Event:
        """Build the event from its JSON form; override this where that differs from a story line."""
        made: Any = cls._from_story_string(parameters)
        event: Event = made[0] if isinstance(made, list) else made
        return event

    @classmethod
    def _from_story_line(cls, name: str, parameters: Mapping[str, Any]) -> Event | list[Event] | None:
        return cls._from_story_string(parameters)

    @classmethod
    def _from_story_string(cls, parameters: Mapping[str, Any]) -> Event | list[Event] | None:
        """Build the event, or events, from parameters; override this in events that have any."""
        return cls(timestamp=None)


def deserialise_events(serialized_events: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Build events from their JSON forms; objects without the key ``"event"`` are skipped."""
    return [
        Event.from_parameters(parameters)
        for parameters in serialized_events
        if not isinstance(parameters, Mapping) or "event" in parameters
    ]


def _hashable(value: object) -> object:
    """Return something hashable that is equal for equal values."""
    if isinstance(value, Mapping):
        return frozenset((key, _hashable(part)) for key, part in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    try:
        hash(value)
    except TypeError:
        return None
    return value


def independent(value: Any) -> Any:
    """Return `value` as it comes back from JSON: equal data that shares no dict and no list with it."""
    kind = type(value)
    if kind is str or kind is float or value is None or kind is bool or kind is int:
        return value
    if kind is dict and all(type(key) is str for key in value):
        return {key: independent(part) for key, part in value.items()}
    if kind is list or kind is tuple:
        return [independent(part) for part in value]
    return json.loads(json.dumps(value))


def is_number(value: object) -> bool:
    """Tell whether `value` is a number that a float holds; false for NaN and infinity."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def parameter(
    event: type[Event], parameters: Mapping[str, Any], key: str, kind: type, *, required: bool = False
) -> Any:
    """Return a parameter of the JSON form: of a `kind`, or None where it is not `required`."""
    value = parameters.get(key)
    if isinstance(value, kind) or (value is None and not required):
        return value
    wanted = {str: "a string", dict: "an object", bool: "true or false"}[kind]
    problem = f"is missing; it is {wanted}" if value is None else f"must be {wanted}, not {type(value).__name__}"
    raise EventError(f'"{key}" of event "{event.type_name}" {problem}.')


def as_story(name: str, parameters: Mapping[str, Any]) -> str:
    """Return ``name{parameters}`` as it stands in a story line; text outside ASCII stays readable."""
    if not parameters:
        return name
    # Only strings hold these two, which mean a template variable and a comment in a story file.
    text = json.dumps(parameters, ensure_ascii=False)
    return name + text.replace("`", r"\u0060").replace("<!--", r"\u003c!--")


def check_parse_data(parse_data: Mapping[str, Any]) -> None:
    """Raise `EventError` unless `parse_data` has an intent object or null, and a list of entity objects."""
    intent, entities = parse_data.get("intent", ""), parse_data.get("entities")
    if not _is_ranked({} if intent is None else intent):
        raise EventError('"parse_data" needs "intent": {"name": ..., "confidence": ...}.')
    if not isinstance(entities, list) or not all(_is_entity(entity) for entity in entities):
        raise EventError('"parse_data" needs "entities": a list of objects with "entity" and "value".')
    ranking = parse_data.get("intent_ranking") or []
    if not isinstance(ranking, list) or not all(map(_is_ranked, ranking)):
        raise EventError('"intent_ranking" of "parse_data" is a list of {"name": ..., "confidence": number}.')


def _is_entity(entity: object) -> bool:
    return isinstance(entity, dict) and isinstance(entity.get("entity"), str)


def _is_ranked(intent: object) -> bool:
    if not isinstance(intent, dict) or not isinstance(intent.get("name"), str | None):
        return False
    confidence = intent.get("confidence")
    return confidence is None or is_number(confidence)
