"""The latest turn of a conversation, played otherwise: each time one thing is different."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.explanation.answers import Kind
from rasa_core.slots import BooleanSlot, CategoricalSlot, FloatSlot, ListSlot, Slot, TextSlot
from rasa_core.trackers import DialogueStateTracker

if TYPE_CHECKING:
    from rasa_core.domain import Domain

ANYTHING = "..."
"""Stands for a value of which only the presence matters."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The latest turn with one difference: what it is, as of `Change`, and the events of the turn then."""

    kind: Kind
    name: str
    before: Any
    after: Any
    events: tuple[Event, ...]


class LatestTurn:
    """A conversation that can go on from its latest user message in other ways.

    Parameters
    ----------
    tracker
        The conversation; it is not changed.
    domain
        Whose it is.
    window
        How many states policies look at; None for all.
    """

    def __init__(self, tracker: DialogueStateTracker, domain: Domain, window: int | None) -> None:
        self._domain = domain
        self._window = window
        self._sender_id = tracker.sender_id
        self._slots = tracker.slots
        events = tracker.applied_events()
        messages = [index for index, event in enumerate(events) if isinstance(event, UserUttered)]
        start = messages[-1] if messages else len(events)
        self._before, self.events = events[:start], tuple(events[start:])
        self._snapshot = DialogueStateTracker.from_events(self._sender_id, self._before, domain, window).snapshot()

    def played(self, events: Iterable[Event]) -> DialogueStateTracker:
        """Return the conversation with other events in the place of the latest turn."""
        tracker = DialogueStateTracker.from_snapshot(
            self._sender_id,
            self._domain,
            self._snapshot,
            version=len(self._before),
            origin=0,
            window=self._window,
            read_events=lambda start, stop: self._before[start:stop],
        )
        for event in events:
            tracker.update(event)
        return tracker

    def variants(self) -> Iterator[Variant]:
        """Yield the turn with each single difference: in a slot, an entity, the intent, or the latest action."""
        yield from self._other_slots()
        if self.events:
            yield from self._other_entities()
            yield from self._other_intents()
            yield from self._other_actions()

    # -- slots

    def _other_slots(self) -> Iterator[Variant]:
        for name, slot in self._slots.items():
            for value in other_values(slot):
                event = SlotSet(name, value)
                yield Variant("slot", name, slot.value, value, (*self.events, event))
                if any(isinstance(one, ActionExecuted) for one in self.events):
                    since_message = self._with_slots_since_message([event])
                    yield Variant("slot", name, slot.value, value, since_message)

    def _with_slots_since_message(self, slots: Sequence[SlotSet]) -> tuple[Event, ...]:
        """Return the turn with slots that were set with the message and not changed any more."""
        message, *rest = self.events
        names = {event.key for event in slots}
        return (message, *slots, *(one for one in rest if not (isinstance(one, SlotSet) and one.key in names)))

    # -- the message

    def _message_with(self, **parts: Any) -> UserUttered:
        message = self.events[0]
        assert isinstance(message, UserUttered)
        return UserUttered(message.text, parse_data={**message.parse_data, **parts}, timestamp=message.timestamp)

    def _other_entities(self) -> Iterator[Variant]:
        message, *rest = self.events
        assert isinstance(message, UserUttered)
        for name in self._domain.entities:
            present = [entity for entity in message.entities if entity.get("entity") == name]
            if present:
                others = [entity for entity in message.entities if entity.get("entity") != name]
                set_by_it = {event.key for event in self._slots_set_by(present)}
                kept = _without_first_slots(rest, set_by_it)
                events = (self._message_with(entities=others), *kept)
                yield Variant("entity", name, present[0].get("value"), None, events)
                continue
            for value in self._values_of(name):
                entity = {"entity": name, "value": value}
                said = self._message_with(entities=[*message.entities, entity])
                rest_then = self._with_slots_since_message(self._slots_set_by([entity]))[1:]
                yield Variant("entity", name, None, value, (said, *rest_then))

    def _slots_set_by(self, entities: Iterable[dict[str, Any]]) -> list[SlotSet]:
        return [event for event in self._domain.slots_for_entities(entities) if isinstance(event, SlotSet)]

    def _values_of(self, entity: str) -> list[Any]:
        slot = self._slots.get(entity) if self._domain.store_entities_as_slots else None
        values = [value for value in other_values(slot) if value is not None] if slot is not None else []
        return [value[0] if isinstance(value, list) and value else value for value in values] or [ANYTHING]

    def _other_intents(self) -> Iterator[Variant]:
        message, *rest = self.events
        assert isinstance(message, UserUttered)
        present = message.intent.get("name")
        for name in self._domain.intents:
            if name not in (present, self._domain.restart_intent):
                intent = {"name": name, "confidence": 1.0}
                said = self._message_with(intent=intent, intent_ranking=[intent])
                yield Variant("intent", present or "", present, name, (said, *rest))

    # -- the latest action

    def _other_actions(self) -> Iterator[Variant]:
        positions = [index for index, event in enumerate(self.events) if isinstance(event, ActionExecuted)]
        if not positions:
            return
        start, end = self.events[: positions[-1]], self.events[positions[-1] + 1 :]
        present = self.events[positions[-1]]
        assert isinstance(present, ActionExecuted)
        yield Variant("action", present.action_name, present.action_name, None, (*start, *end))
        for name in self._domain.action_names:
            if name not in (present.action_name, ACTION_LISTEN_NAME):
                yield Variant(
                    "action", present.action_name, present.action_name, name, (*start, ActionExecuted(name), *end)
                )


def other_values(slot: Slot) -> list[Any]:
    """Return values that look different to policies than the present one, and different from each other."""
    values: list[Any]
    if isinstance(slot, CategoricalSlot):
        values = [*slot.values, None]
    elif isinstance(slot, BooleanSlot):
        values = [True, False]
    elif isinstance(slot, FloatSlot):
        values = [slot.max_value, slot.min_value]
    elif isinstance(slot, ListSlot):
        values = [[ANYTHING], None]
    elif isinstance(slot, TextSlot):
        values = [ANYTHING, None]
    else:
        values = [None, slot.initial()]
    found = {_features(slot, slot.value): slot.value}
    for value in values:
        found.setdefault(_features(slot, value), value)
    return list(found.values())[1:]


def _features(slot: Slot, value: Any) -> tuple[float, ...]:
    """Return what policies see of a value: nothing of one that is not set."""
    twin = slot.fresh()
    twin.value = value
    features = tuple(map(float, twin.as_feature())) if value is not None else ()
    return features if any(features) else ()


def _without_first_slots(events: Sequence[Event], names: set[str]) -> list[Event]:
    """Return the events without the setting of some slots that comes first, as that of entities does."""
    count = next((index for index, event in enumerate(events) if not isinstance(event, SlotSet)), len(events))
    return [event for event in events[:count] if getattr(event, "key", None) not in names] + list(events[count:])
