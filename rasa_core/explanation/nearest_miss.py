"""The nearest miss: which single change of the latest turn would have led to the second-best action."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, Protocol

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.policies.policy import Prediction
from rasa_core.rasa3.slots import (
    OTHER_VALUE,
    RasaBooleanSlot,
    RasaCategoricalSlot,
    RasaFloatSlot,
    RasaListSlot,
    RasaTextSlot,
)
from rasa_core.slots import BooleanSlot, CategoricalSlot, FloatSlot, ListSlot, Slot, TextSlot
from rasa_core.trackers import DialogueStateTracker

Kind = Literal["slot", "entity", "intent", "action"]
Scored = tuple[str, Mapping[str, float]]

MOST_TRIED: Final = 400  # Each is a prediction; a domain of many intents and actions has thousands.
MOST_PLAYED: Final = 200_000
"""The most entities and ranked intents in all replayed messages; 10,000 of them take a fiftieth of a second."""
MOST_TOLD: Final = 3
ANYTHING = "..."
"""Stands for any value, if only the presence of a value matters."""

_LONGEST_VALUE = 80


@dataclass(frozen=True, slots=True)
class Change:
    """One possible change of the latest turn.

    Attributes
    ----------
    kind : str
        ``"slot"``, ``"entity"``, ``"intent"`` (of the latest message) or ``"action"`` (the latest one in this turn).
    name : str
        Name of the slot or the entity; for an intent or action, its name before the change.
    before, after : object
        The values; None for a slot that is not set, an entity that is missing, or an action that does not run.
    confidence : float
        The confidence of the second-best action after the change.
    """

    kind: Kind
    name: str
    before: Any
    after: Any
    confidence: float

    @property
    def text(self) -> str:
        """The change in words."""
        if self.kind == "slot":
            is_now = "is not set" if self.before is None else f"is {_short(self.before)}"
            would_be = "were not set" if self.after is None else f"were {_short(self.after)}"
            return f"if the slot {self.name!r} {would_be} (it {is_now})"
        if self.kind == "entity":
            return f"if the message had {'no' if self.after is None else 'an'} entity {self.name!r}"
        if self.kind == "intent":
            return f"if the intent were {self.after!r} (it is {self.before!r})"
        if self.before != self.name:
            return f"if {self.name!r} had not failed"
        return f"if {'nothing' if self.after is None else repr(self.after)} had run instead of {self.before!r}"

    def as_dict(self) -> dict[str, Any]:
        """Return the content as data for JSON, with the change in words."""
        return {**asdict(self), "text": self.text}


@dataclass(frozen=True, slots=True)
class NearestMiss:
    """The changes that would have led to the second-best action.

    Attributes
    ----------
    action : str
        The second-best action.
    policy : str
        The policy that decided, if the action is its second choice; otherwise the policy whose best choice it is.
    score : float
        The score of the action by `policy`.
    is_enough : bool
        Whether each of `changes` alone leads to the action.
    changes : tuple of Change
        The changes, the smallest first; if none is enough, the change that makes the action most probable, if any.
    tried : int
        How many changes were tried.
    """

    action: str
    policy: str
    score: float
    is_enough: bool
    changes: tuple[Change, ...]
    tried: int

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        return {**asdict(self), "changes": [change.as_dict() for change in self.changes]}


class Chooses(Protocol):
    """The part of `PolicyEnsemble` that is used here: it chooses the next action."""

    @property
    def longest_history(self) -> int | None: ...  # noqa: D102
    def predict(self, tracker: DialogueStateTracker, domain: Domain) -> Prediction: ...  # noqa: D102


class _Second(NamedTuple):
    action: str
    policy: str
    score: float


class _Outcome(NamedTuple):
    """The prediction after a change; `size` is the number of features of the present state that it alters."""

    size: int
    variant: Variant
    prediction: Prediction

    def as_change(self, action: str) -> Change:
        variant = self.variant
        return Change(
            variant.kind, variant.name, variant.before, variant.after, self.prediction.scores.get(action, 0.0)
        )


def find_nearest_miss(
    tracker: DialogueStateTracker,
    domain: Domain,
    ensemble: Chooses,
    prediction: Prediction,
    opinions: Sequence[Scored],
) -> NearestMiss | None:
    """Replay the latest turn with up to `MOST_TRIED` single changes; return None if there is no second-best action.

    For a very long message fewer changes are tried, so that no more than `MOST_PLAYED` entities are replayed.

    Parameters
    ----------
    tracker
        The conversation in which the decision was made.
    opinions
        The name of each policy, and its score for each action.
    """
    second = _second_of(prediction, opinions)
    if second is None:
        return None
    turn = LatestTurn(tracker, domain, ensemble.longest_history)
    present = set(tracker.active_state().items())
    outcomes = []
    parse = tracker.latest_message.parse_data
    length = len(parse["entities"]) + len(parse.get("intent_ranking") or ())
    for variant in islice(turn.variants(), min(MOST_TRIED, MOST_PLAYED // max(length, 1))):
        # The size is the number of altered features, the part of a change that policies see.
        played = turn.played(variant.events)
        size = len(present.symmetric_difference(played.active_state().items()))
        outcomes.append(_Outcome(size, variant, ensemble.predict(played, domain)))
    enough = _smallest((outcome for outcome in outcomes if outcome.prediction.action == second.action), second.action)
    told = enough or _most_helpful(outcomes, second.action, prediction.scores.get(second.action, 0.0))
    changes = tuple(outcome.as_change(second.action) for outcome in told)
    return NearestMiss(second.action, second.policy, second.score, bool(enough), changes, len(outcomes))


def _second_of(prediction: Prediction, opinions: Sequence[Scored]) -> _Second | None:
    """Return the second choice of the policy that decided, or, if it has none, the best choice of another policy."""
    deciding = [opinion for opinion in opinions if opinion[0] == prediction.policy]
    for asked in (deciding, opinions):
        choices = [
            _Second(action, policy, score)
            for policy, scores in asked
            for action, score in scores.items()
            if action != prediction.action and score > 0.0
        ]
        if choices and prediction.policy is not None:
            return max(choices, key=lambda choice: choice.score)
    return None


def _smallest(outcomes: Iterable[_Outcome], action: str) -> list[_Outcome]:
    """Return the smallest changes that lead to the action; of equally small changes, the highest confidence first."""
    ordered = sorted(outcomes, key=lambda outcome: (outcome.size, -outcome.prediction.scores.get(action, 0.0)))
    found: dict[object, _Outcome] = {}
    for outcome in ordered:
        variant = outcome.variant
        found.setdefault((variant.kind, variant.name, repr(variant.after)), outcome)
    return list(found.values())[:MOST_TOLD]


def _most_helpful(outcomes: Sequence[_Outcome], action: str, before: float) -> list[_Outcome]:
    """Return the change that gives the action the highest confidence, if that is higher than `before`."""
    best = max(outcomes, key=lambda outcome: outcome.prediction.scores.get(action, 0.0), default=None)
    return [best] if best is not None and best.prediction.scores.get(action, 0.0) > before else []


@dataclass(frozen=True, slots=True)
class Variant:
    """The latest turn with one change: the attributes of its `Change`, and the events of the changed turn."""

    kind: Kind
    name: str
    before: Any
    after: Any
    events: tuple[Event, ...]


class LatestTurn:
    """The latest turn of a conversation, which can be replayed with changes.

    Parameters
    ----------
    tracker
        The conversation; it is not changed.
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
        # The events before the turn are replayed once, and not for each variant.
        self._snapshot = DialogueStateTracker.from_events(self._sender_id, self._before, domain, window).snapshot()

    def played(self, events: Iterable[Event]) -> DialogueStateTracker:
        """Return the conversation with `events` in the place of the latest turn."""
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
            tracker.take(event)  # `take` does not check whether the event can be stored, as it is not stored.
        return tracker

    def variants(self) -> Iterator[Variant]:
        """Yield the turn with each single change: of a slot, an entity, the intent, or the latest action."""
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
                # Policies see earlier states, too, so a slot set before this turn's actions differs from one set now.
                if any(isinstance(one, ActionExecuted) for one in self.events):
                    since_message = self._with_slots_since_message([event])
                    yield Variant("slot", name, slot.value, value, since_message)

    def _with_slots_since_message(self, slots: Sequence[SlotSet]) -> tuple[Event, ...]:
        """Return the turn with the slots set just after the message, and not changed afterwards."""
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
                kept = _without_first_slots(rest, set_by_it)  # Without the entity, these slots would not be set.
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
        # Policies see the value of an entity by the slot of its name; without such a slot, only its presence.
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
        if present.error is not None:
            done = ActionExecuted(present.action_name)
            told = present.as_story_string()
            yield Variant("action", present.action_name, told, present.action_name, (*start, done, *end))
        for name in self._domain.action_names:
            if name not in (present.action_name, ACTION_LISTEN_NAME):
                yield Variant(
                    "action", present.action_name, present.action_name, name, (*start, ActionExecuted(name), *end)
                )


def other_values(slot: Slot) -> list[Any]:
    """Return values of a slot whose features differ from the present features and from each other."""
    values: list[Any]
    if isinstance(slot, CategoricalSlot | RasaCategoricalSlot):
        values = [*(value for value in slot.values if value != OTHER_VALUE), None]
    elif isinstance(slot, BooleanSlot | RasaBooleanSlot):
        values = [True, False, None]
    elif isinstance(slot, FloatSlot | RasaFloatSlot):
        values = [slot.max_value, slot.min_value, None]
    elif isinstance(slot, ListSlot | RasaListSlot):
        values = [[ANYTHING], None]
    elif isinstance(slot, TextSlot | RasaTextSlot):
        values = [ANYTHING, None]
    else:
        values = [None, slot.initial()]
    found = {_features(slot, slot.value): slot.value}  # First, so that no value with the same features is added.
    for value in values:
        found.setdefault(_features(slot, value), value)
    return list(found.values())[1:]


def _features(slot: Slot, value: Any) -> tuple[float, ...]:
    """Return the features of a value; none if the value is None."""
    twin = slot.fresh()
    twin.value = value
    features = tuple(map(float, twin.as_feature())) if value is not None else ()
    return features if any(features) else ()


def _without_first_slots(events: Sequence[Event], names: set[str]) -> list[Event]:
    """Return the events without those `SlotSet` events for `names` that come first, where entities set slots."""
    count = next((index for index, event in enumerate(events) if not isinstance(event, SlotSet)), len(events))
    return [event for event in events[:count] if getattr(event, "key", None) not in names] + list(events[count:])


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
