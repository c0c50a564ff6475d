"""Memoization that also recognises a story in the middle of a longer conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rasa_core.events import UserUttered
from rasa_core.history import State, compute_state
from rasa_core.policies.memoization import MemoizationPolicy

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker


class AugmentedMemoizationPolicy(MemoizationPolicy):
    """Where the last states are new, forgets what was before the story that they may belong to.

    First the slots that were set before the last ``max_history`` states are forgotten, then more and more of
    the oldest states, with the slots that were set in them, until the rest is the beginning of a story.
    Parameters are those of `MemoizationPolicy`.
    """

    _slots: _Slots | None = None

    def recall(self, states: Sequence[State], tracker: DialogueStateTracker, domain: Domain) -> str | None:
        """Return the action for the longest remembered end of these states, None if there is none."""
        for ending in self._endings(states, domain):
            found = super().recall(ending, tracker, domain)
            if found is not None:
                return found
        return None

    def _endings(self, states: Sequence[State], domain: Domain) -> Iterator[Sequence[State]]:
        yield states
        slots = self._slots_of(domain)
        for start in range(len(states)):
            rest = _with_old_slots_reset(states[start:], states[max(0, start - 1)], slots)
            yield [slots.initial, *rest] if start else rest

    def _slots_of(self, domain: Domain) -> _Slots:
        slots = self._slots
        if slots is None or slots.domain is not domain:
            slots = self._slots = _slots_of(domain)
        return slots


class _Slots(NamedTuple):
    """The features of each slot, and the state of a conversation in which nothing has happened yet."""

    domain: Domain
    features: list[list[str]]
    initial: State


def _slots_of(domain: Domain) -> _Slots:
    features = [
        [f"slot_{slot.name}_{index}" for index in range(slot.feature_dimensionality())] for slot in domain.slots
    ]
    initial = compute_state(UserUttered.empty(), [slot.fresh() for slot in domain.slots], None, None)
    return _Slots(domain, [names for names in features if names], initial)


def _with_old_slots_reset(states: Sequence[State], before: State, slots: _Slots) -> list[State]:
    """Return the states with initial values for the slots that are still as they were `before`."""
    old = slots.features
    reset = []
    for state in states:
        old = [names for names in old if _same(names, state, before)]
        forgotten = {name for names in old for name in names}
        kept = {name: value for name, value in state.items() if name not in forgotten}
        kept.update({name: value for name, value in slots.initial.items() if name in forgotten})
        reset.append(kept)
    return reset


def _same(names: Sequence[str], one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return all(one.get(name) == other.get(name) for name in names)
