"""Compiled rules: the features that the last states must have, and the action that follows.

A rule requires features with their values in each state; the value 0 means that the feature must be absent. Each action
of a rule becomes one entry, with all states of the rule before the action. Entries are indexed by the previous action
and the intent of the present state, so that the time of a prediction only depends on the number of entries for these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.events.rasa3 import ActiveLoop
from rasa_core.history import FAILED, RasaVocabulary, State
from rasa_core.rasa3.history import LISTENED, LOOP_PREFIX
from rasa_core.rasa3.rule import Rule
from rasa_core.support.places import Place
from rasa_core.trackers.event_log import is_listening

Asked = tuple[tuple[str, float], ...]
Key = tuple[Asked, ...]

UNSET: Final = "should_not_be_set"


@dataclass(frozen=True, slots=True)
class Entry:
    """One action of one rule.

    Attributes
    ----------
    key : tuple
        The required features of each state, oldest first; the last state is the one before the action.
    at_start : bool
        Whether the conversation must begin with the first of these states.
    weight : int
        How much the entry requires; of several entries that fit, the one with the greatest weight decides.
    places : tuple of str
        The places of the action in all rules that say the same.
    """

    key: Key
    action: str
    at_start: bool = False
    weight: int = 0
    places: tuple[str, ...] = ()

    @property
    def asks_for_loop(self) -> bool:
        """Tell whether the entry requires an active loop."""
        return any(value and name.startswith(LOOP_PREFIX) for name, value in self.key[-1])

    @property
    def bucket(self) -> tuple[str | None, str | None]:
        """The previous action and the intent of the present state."""
        names = [name for name, value in self.key[-1] if value]
        previous = next((name for name in names if name.startswith("prev_")), None)
        return previous, next((name for name in names if name.startswith("intent_")), None)

    def fits(self, states: Sequence[State], is_whole: bool) -> bool:
        """Tell whether the last states have the required features."""
        if len(self.key) > len(states):
            return False
        # A conversation has one more state than the rule: the state before its first ``action_listen``.
        if self.at_start and not (is_whole and len(states) == len(self.key) + 1):
            return False
        return all(map(has, reversed(states), reversed(self.key)))

    def as_json(self) -> list[Any]:
        """Return the content, JSON-able."""
        return [self.key, self.action, self.at_start, self.weight, self.places]

    @classmethod
    def from_json(cls, content: Sequence[Any]) -> Entry:
        """Return the entry from the data of `as_json`."""
        key, action, at_start, weight, places = content
        asked = tuple(tuple((name, float(value)) for name, value in state) for state in key)
        return cls(asked, action, at_start, weight, tuple(places))


def has(state: State, asked: Asked) -> bool:
    """Tell whether a state has the required features."""
    for name, value in asked:  # noqa: SIM110 - a generator takes twice as long, and this loop is most of a prediction
        if state.get(name, 0.0) != value:
            return False
    return True


class RuleTable:
    """Entries, indexed by the previous action and the intent of the present state.

    Attributes
    ----------
    knows_start : bool
        Whether an entry has the first action of a conversation.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = list(entries)
        self.knows_start = any(entry.at_start for entry in self.entries)
        self._buckets: dict[tuple[str | None, str | None], list[int]] = {}
        for number, entry in enumerate(self.entries):
            self._buckets.setdefault(entry.bucket, []).append(number)

    @property
    def longest(self) -> int:
        """The number of states in the longest entry."""
        return max((len(entry.key) + entry.at_start for entry in self.entries), default=1)

    def best(self, states: Sequence[State], is_whole: bool) -> int | None:
        """Return the number of the entry that decides, or None if no entry fits."""
        previous = intent = None
        for name in states[-1]:
            if previous is None and name.startswith("prev_"):
                previous = name
            elif intent is None and name.startswith("intent_"):
                intent = name
        best, heaviest, entries = None, -1, self.entries
        # A rule without an intent fits any message, and is compared with the rules for this intent.
        for bucket in ((previous, intent), (previous, None)) if intent is not None else ((previous, None),):
            for number in self._buckets.get(bucket, ()):
                entry = entries[number]
                if entry.weight > heaviest and entry.fits(states, is_whole):
                    best, heaviest = number, entry.weight
        return best


@dataclass(slots=True)
class _Moment:
    """The requirements of a rule at the present step while it is compiled from its beginning."""

    previous: str | None = None
    failed: bool = False
    message: Mapping[str, float] = field(default_factory=dict)
    slots: dict[str, Any] = field(default_factory=dict)
    loop: str | None = None
    asks_for_loop: bool = False


class Compiler:
    """Turns rules into entries for the features of a domain."""

    def __init__(self, domain: Domain) -> None:
        self._vocabulary = domain.vocabulary
        self._slots = {slot.name: slot for slot in domain.slots}
        self._slots_for = domain.slots_in_story
        self._loops = sorted(self._vocabulary.loops) if isinstance(self._vocabulary, RasaVocabulary) else []

    def entries(self, rule: Rule) -> list[tuple[Entry, Place]]:
        """Return the entries of a rule, each with the place of its action."""
        found: list[tuple[Entry, Place]] = []
        moment, states, described = _Moment(), list[Asked](), list[Any]()
        predicts = rule.at_start

        def act(action: str, place: Place) -> None:
            if predicts:
                states.append(self._asked(moment))
                described.append(self._described(moment))
                # Rasa 3 chooses the rule with the longest description as text; the same rule has to win here.
                weight = len(json.dumps(described))
                found.append((Entry(tuple(states), action, rule.at_start, weight), place))
            moment.previous, moment.failed = action, False

        for event in rule.conditions:
            self._take(event, moment)
        if rule.at_start:  # The states include the first ``action_listen`` of a conversation, which no rule decides.
            described.append(self._described(moment))
        for event, place in rule.steps:
            if isinstance(event, UserUttered):
                # A message within a rule implies that the bot listened before it.
                if moment.previous not in (None, ACTION_LISTEN_NAME):
                    act(ACTION_LISTEN_NAME, place)
                moment.previous, moment.failed, predicts = ACTION_LISTEN_NAME, False, True
                moment.message = self._message(event)
                for filled in self._slots_for(event.entities):  # As in a story, entities set slots.
                    self._take(filled, moment)
            elif isinstance(event, ActionExecuted):
                act(event.action_name, place)
                moment.failed, predicts = event.error is not None, True
            else:
                self._take(event, moment)
        ends_listening = rule.steps and is_listening(rule.steps[-1][0])
        if rule.waits and moment.previous is not None and not ends_listening:
            act(ACTION_LISTEN_NAME, rule.steps[-1][1])
        return found

    def _take(self, event: Event, moment: _Moment) -> None:
        if isinstance(event, SlotSet):
            moment.slots[event.key] = event.value
        elif isinstance(event, ActiveLoop):
            moment.loop, moment.asks_for_loop = event.loop_name, True

    def _message(self, message: UserUttered) -> dict[str, float]:
        """Return the features that a message requires: its intent, and exactly its entities, with roles and groups."""
        assert isinstance(self._vocabulary, RasaVocabulary)
        asked = dict(self._vocabulary.features_of(message))
        if any(name.startswith("entity_") for name in asked):
            asked = {f"entity_{label}": 0.0 for label in self._vocabulary.entities} | asked
        return asked

    def _features(self, name: str, value: Any) -> tuple[float, ...]:
        """Return the features that a rule requires of a slot; none if the value requires nothing."""
        slot = self._slots[name].fresh()
        slot.value = value
        if slot.value is None:  # If the slot has to be unset, all its features must be absent.
            return (0.0,) * slot.feature_dimensionality()
        features = tuple(slot.as_feature())
        return features if any(features) else ()

    def _asked(self, moment: _Moment) -> Asked:
        asked = dict(moment.message)
        if moment.previous is not None:
            asked[f"prev_{moment.previous}"] = 1.0
            if moment.failed:
                asked[FAILED] = 1.0
        for name, value in moment.slots.items():
            if name in self._slots:
                features = self._features(name, value)
                asked.update({f"slot_{name}_{index}": feature for index, feature in enumerate(features)})
        if moment.asks_for_loop:
            # There is no feature for "no loop", so the features of all loops must be absent.
            known = self._loops if moment.loop is None else []
            asked.update({LOOP_PREFIX + loop: 0.0 for loop in known})
            if moment.loop is not None:
                asked[LOOP_PREFIX + moment.loop] = 1.0
        return tuple(sorted(asked.items()))

    def _described(self, moment: _Moment) -> dict[str, Any]:
        """Return the requirements in Rasa's format, whose length is the weight of the entry."""
        content: dict[str, Any] = {}
        if moment.previous is not None:
            content["prev_action"] = {"action_name": moment.previous, **({FAILED: True} if moment.failed else {})}
        if moment.message:
            content["user"] = sorted(name for name, value in moment.message.items() if value)
        slots = {name: value for name, value in moment.slots.items() if self._is_featurized(name)}
        if slots:
            found = {name: self._features(name, value) for name, value in slots.items()}
            asked = {name: list(value) if any(value) else UNSET for name, value in found.items() if value}
            content |= {"slots": asked} if asked else {}
        if moment.asks_for_loop:
            content["active_loop"] = {"name": UNSET if moment.loop is None else moment.loop}
        return content

    def _is_featurized(self, name: str) -> bool:
        return name in self._slots and self._slots[name].has_features()


class LoopInterruptions:
    """How rules and stories go on in a loop that was interrupted by another message.

    Attributes
    ----------
    resumed : list of (str or None, Asked)
        Situations (the action before the previous one, and the present state) in which the loop goes on after an
        interruption, without taking an answer.
    left_alone : list of (str or None, Asked)
        Situations in which another action than the loop follows.
    """

    def __init__(self, resumed: Iterable[Any] = (), left_alone: Iterable[Any] = ()) -> None:
        self.resumed: dict[tuple[str | None, Asked], None] = dict.fromkeys(map(_as_pair, resumed))
        self.left_alone: dict[tuple[str | None, Asked], None] = dict.fromkeys(map(_as_pair, left_alone))

    def learn(self, states: Sequence[Asked], action: str, *, always: bool = False) -> None:
        """Record the action after these states; with `always`, any action after a message resumes the loop."""
        present = dict(states[-1])
        loop = next((name.removeprefix(LOOP_PREFIX) for name, on in present.items() if on and _is_loop(name)), None)
        if loop is None:
            return
        before = previous_of(states[-2]) if len(states) > 1 else None
        if LISTENED in present and (always or action == loop):
            self.resumed[before, states[-1]] = None
        elif LISTENED not in present and action != loop:
            self.left_alone[before, states[-1]] = None

    def is_resumed(self, states: Sequence[State], *, exactly: bool = False) -> bool:
        """Tell whether the loop goes on without taking an answer; with `exactly`, states have no other features."""
        return _any_fits(self.resumed, states, exactly=exactly)

    def is_left_alone(self, states: Sequence[State]) -> bool:
        """Tell whether another action than the loop follows."""
        return _any_fits(self.left_alone, states)

    def as_json(self) -> list[Any]:
        """Return the content, JSON-able."""
        return [list(self.resumed), list(self.left_alone)]


def _as_pair(content: Any) -> tuple[str | None, Asked]:
    before, asked = content
    return before, tuple((name, float(value)) for name, value in asked)


def _any_fits(known: Iterable[tuple[str | None, Asked]], states: Sequence[State], *, exactly: bool = False) -> bool:
    before = previous_of(tuple(states[-2].items())) if len(states) > 1 else None
    if exactly:
        present = _shown(states[-1])
        return any(asked_before == before and _shown(dict(asked)) == present for asked_before, asked in known)
    return any((asked_before in (None, before)) and has(states[-1], asked) for asked_before, asked in known)


def _shown(state: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in state.items() if value}


def previous_of(asked: Asked) -> str | None:
    """Return the feature of the previous action in a state; None if there was no action."""
    return next((name for name, value in asked if value and name.startswith("prev_")), None)


def _is_loop(name: str) -> bool:
    return name.startswith(LOOP_PREFIX)
