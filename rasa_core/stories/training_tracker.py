"""Training conversations: steps with the events that they imply, and trackers that know the places of their events."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self, TypeVar

from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    ActionReverted,
    Event,
    Restarted,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.history import State
from rasa_core.slots import Slot
from rasa_core.stories.steps import StoryStep
from rasa_core.support.places import Place
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.event_log import applied_positions
from rasa_core.trackers.rasa_log import rasa_positions

T = TypeVar("T")
EventAndPlace = tuple[Event, Place | None]
Features = tuple[float, ...]
TurnKey = tuple[int | str, ...]
"""A key for an example of training: the states before an action, and the action."""

# One object for all conversations, since no conversation changes it.
_LISTEN = ActionExecuted(ACTION_LISTEN_NAME)


@dataclass(frozen=True, slots=True)
class ExpandedStep:
    """All events of a step, including the events that the story only implies.

    Attributes
    ----------
    events : sequence of (Event, Place or None)
        An event that is implied has the place of the line that implies it.
    opening_listen : int or None
        Position of the ``action_listen`` that is left out if the bot already listens when the step begins.
    opens_story : bool
        Whether the step is entered at the start of a story.
    """

    events: Sequence[EventAndPlace]
    opening_listen: int | None
    opens_story: bool


def expand_step(
    step: StoryStep,
    slot_sets: Callable[[UserUttered], Sequence[Event]],
    opens_story: bool,
    *,
    keeps_listening: bool = False,
) -> ExpandedStep:
    """Return a step with the events that its story only implies.

    The bot listens before every user message and at the end of a story, and entities set their slots, by the events
    that `slot_sets` returns for a message. If the step opens a story with an action, that action is unpredictable:
    no message came before it. An ``action_listen`` elsewhere in the story is left out, as in 0.9, unless
    `keeps_listening`, as in Rasa 2 and 3.
    """
    events: list[EventAndPlace] = []
    opening_listen: int | None = None
    # None: that depends on where the conversation comes from.
    listening: bool | None = None
    unpredictable = opens_story
    for event, place in zip(step.events, step.sources, strict=True):
        if isinstance(event, UserUttered):
            unpredictable = False
            if not listening:
                opening_listen = len(events) if listening is None else opening_listen
                events.append((_LISTEN, place))
            events.append((event, place))
            events.extend((slot_set, place) for slot_set in slot_sets(event))
        elif event == _LISTEN and (listening or not keeps_listening):
            continue
        elif unpredictable and isinstance(event, ActionExecuted):
            unpredictable = False
            events.append((replace(event, unpredictable=True), place))
        else:
            events.append((event, place))
        listening = _listens_after(event, listening)
    if not step.end_checkpoints and not listening:
        opening_listen = len(events) if listening is None else opening_listen
        events.append((_LISTEN, step.sources[-1] if step.sources else step.source))
    return ExpandedStep(events, opening_listen, opens_story)


def _listens_after(event: Event, before: bool | None) -> bool | None:
    """Tell whether the bot listens after `event`; None if that depends on the conversation before the step."""
    if isinstance(event, ActionExecuted):
        return event.action_name == ACTION_LISTEN_NAME
    if isinstance(event, UserUttered | Restarted | UserUtteranceReverted | ActionReverted):
        return False
    return before


class _Shared:
    """A cache of slots and states for trackers that were copied from one tracker, with one object for equal ones.

    There are far fewer different slots and states than moments in conversations. Keys contain the identity of objects,
    so the cache keeps these objects alive.
    """

    def __init__(self) -> None:
        self._made: dict[Hashable, tuple[object, Any]] = {}
        self._states: dict[frozenset[tuple[str, float]], State] = {}

    def get(self, key: Hashable, alive: object, make: Callable[[], T]) -> T:
        """Return the cached result of `make` for `key`, which contains the identity of `alive`."""
        known = self._made.get(key)
        if known is None:
            known = self._made[key] = (alive, make())
        found: T = known[1]
        return found

    def features(self, slot: Slot) -> Features:
        """Return the features of a slot."""
        known = self._made.get(id(slot))
        if known is None:
            known = self._made[id(slot)] = (slot, () if slot.value is None else tuple(slot.as_feature()))
        found: Features = known[1]
        return found

    def same(self, state: State) -> State:
        """Return the first state that was like this one."""
        return self._states.setdefault(frozenset(state.items()), state)


def _with_value(slot: Slot, value: Any) -> Slot:
    twin = copy.copy(slot)
    twin.value = value
    return twin


class TrainingTracker(DialogueStateTracker):
    """A training conversation from stories. Only events may change its slots.

    Attributes
    ----------
    sources : list of Place or None
        The place of each event.
    is_augmented : bool
        Whether augmentation joined the conversation from several stories.
    elsewhere : dict of int to dict of Place
        For the number of an action: its other places, after the same states, in conversations that were left out
        because they would teach policies nothing else.
    """

    def __init__(self, sender_id: str, slots: Iterable[Slot], *args: Any, **options: Any) -> None:
        self.is_augmented = False
        self.elsewhere: dict[int, dict[Place, None]] = {}
        self._story: str | None = None
        self._shared = _Shared()
        self._slot_features: tuple[Features, ...] | None = None
        super().__init__(sender_id, slots, *args, **options)
        self._initial_slots = dict(self.slots)

    def _forget(self) -> None:
        super()._forget()
        self.sources: list[Place | None] = []

    def take(self, event: Event, source: Place | None = None) -> None:  # noqa: D102
        # Inlined as in the base class: a call for each event of each conversation would take long.
        self._pending.append(event)
        self.latest_event_time = event.timestamp
        event.apply_to(self)
        self.sources.append(source)

    def follow(self, step: StoryStep, expanded: ExpandedStep) -> tuple[Self, list[Self]]:
        """Return the conversation at the end of a step, and copies that end within the step; change nothing here.

        The copies have what a restart or rewind in the step makes the conversation forget, so that it is learnt too.
        """
        onward = self.copy()
        if expanded.opens_story or self._story != step.block_name:
            onward._story = step.block_name
            onward.sender_id = f"{self.sender_id} > {step.block_name}" if self.sources else step.block_name
        ended = []
        acted = False
        skipped = expanded.opening_listen if self.is_listening() else None
        for index, (event, place) in enumerate(expanded.events):
            if index == skipped:
                continue
            if isinstance(event, ActionExecuted):
                acted = True
            # The event removes earlier actions from the history, so that policies learn them from a copy.
            elif acted and isinstance(event, Restarted | UserUtteranceReverted):
                ended.append(onward.copy())
                acted = False
            onward.take(event, place)
        return onward, ended

    def copy(self) -> Self:
        """Return an independent tracker of the same conversation, without replaying it."""
        # Slots and states are shared; a change of a slot puts another object in its place (`_set_value`).
        twin = copy.copy(self)
        twin.slots = dict(self.slots)
        twin.history = self.history.copy()
        twin._stored = list(self._stored or ())
        twin._pending = list(self._pending)
        twin.sources = list(self.sources)
        twin.elsewhere = {}
        return twin

    def augmented(self) -> Self:
        """Return an independent tracker of the same conversation, which another story then continues."""
        twin = self.copy()
        twin.is_augmented = True
        return twin

    def _set_value(self, slot: Slot, value: Any) -> None:
        # Not `slot.value = value`: the slot belongs to all copies of this conversation.
        self.slots[slot.name] = self._shared.get((slot.name, id(value)), value, partial(_with_value, slot, value))
        self._slot_features = None

    def _on_reset_slots(self) -> None:
        self.slots = dict(self._initial_slots)
        self._slot_features = self._state = None

    def _compute_state(self) -> State:
        if self._loops is not None:
            return self._shared.same(super()._compute_state())
        if self._slot_features is None:
            self._slot_features = tuple(map(self._shared.features, self.slots.values()))
        key = (id(self.latest_message), self.latest_action_name, self.latest_action_failed, self._slot_features)
        compute = super()._compute_state
        return self._shared.get(key, self.latest_message, lambda: self._shared.same(compute()))

    def actions_with_sources(self) -> list[tuple[ActionExecuted, Place | None]]:
        """Return the actions since the latest restart that were not rewound or undone, with their places."""
        start = self.idx_after_latest_restart()
        events, sources = list(self.events)[start:], self.sources[start:]
        left = applied_positions(events) if self._loops is None else rasa_positions(events, self._loops)
        applied = [(events[position], sources[position]) for position in left]
        return [(event, place) for event, place in applied if isinstance(event, ActionExecuted)]

    def action_sources(self) -> list[list[Place]]:
        """Return all places of each action since the latest restart that was not rewound or undone."""
        return [
            [*([] if source is None else [source]), *self.elsewhere.get(number, ())]
            for number, (_, source) in enumerate(self.actions_with_sources())
        ]

    def add_place(self, number: int, own: Place | None, other: Place | None) -> None:
        """Note that the action with this number, whose place is `own`, also has the place `other`."""
        if other is not None and other != own:
            self.elsewhere.setdefault(number, {})[other] = None

    def add_places_of(self, other: Self) -> None:
        """Note the places of `other`, a tracker whose actions follow the same states as the actions here."""
        pairs = zip(self.actions_with_sources(), other.actions_with_sources(), strict=True)
        for number, ((_, own), (_, source)) in enumerate(pairs):
            self.add_place(number, own, source)

    def path(self, count: int | None = None) -> tuple[int, ...]:
        """Return a key for the last `count` states (None: all), including the current one.

        Only keys of trackers that were copied from one tracker can be compared.
        """
        states = self.history.recorded_states()
        if self._loops is not None:
            # Histories of Rasa 3 make their states anew; `path` compares identities.
            states = list(map(self._shared.same, states))
        start = 0 if count is None else max(0, len(states) + 1 - count)
        recent = states if start == 0 else list(states)[start:]
        return (*map(id, recent), id(self.active_state()))

    def turns(self, count: int) -> list[tuple[TurnKey | None, Place | None]]:
        """Return, for each action, a key of it and the `count` states before it (None if not learnt), and its place."""
        path = self.path()
        return [
            (None if action.unpredictable else (*path[max(0, index - count) : index], action.action_name), source)
            for index, (action, source) in enumerate(self.actions_with_sources(), 1)
        ]

    def values_of(self, slots: Iterable[str]) -> tuple[Any, ...]:
        """Return the values of some slots in a hashable form; None for a slot that does not exist."""
        return tuple(repr(self.slots[name].value) if name in self.slots else "None" for name in slots)
