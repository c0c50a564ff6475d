"""What keeps the number of conversations in bounds where stories meet.

Every path through checkpoints is a conversation of its own, and with `n` stories between each of `m` of them
there are ``n ** m``. Two things happen at a checkpoint instead of listing them all:

- Of conversations from which everything that can follow looks the same, one goes on (`merge_equal`).
- If still more than a limit would go on, each story that begins there continues an equal share of the
  arrivals, dealt out in an order that a seed decides (`deal`). So no story is left without a beginning, and
  as many beginnings as possible are continued.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final, TypeVar

from rasa_core.training.structures import Checkpoint
from rasa_core.training.tracker import TrainingTracker

CONTINUATIONS_PER_CHECKPOINT: Final = 1000

T = TypeVar("T")


def merge_equal(
    arrivals: Iterable[TrainingTracker], key: Callable[[TrainingTracker], Hashable]
) -> tuple[list[TrainingTracker], list[TrainingTracker]]:
    """Return the first conversation of each `key`, and the others."""
    first: dict[Hashable, TrainingTracker] = {}
    others = []
    for tracker in arrivals:
        if first.setdefault(key(tracker), tracker) is not tracker:
            others.append(tracker)
    return list(first.values()), others


def deal(
    arrivals: Sequence[TrainingTracker], entries: Sequence[Checkpoint], limit: int, rng: random.Random
) -> list[list[TrainingTracker]]:
    """Decide which conversations go on through which step.

    Parameters
    ----------
    arrivals
        The conversations that have reached a checkpoint.
    entries
        The checkpoint as each of the steps that begin there has it, with its conditions.
    limit
        How many continuations there are at most, or as many as there are steps if that is more.

    Returns
    -------
    list of list
        For each step, the conversations that go on there: all that it accepts, if the limit allows.
    """
    kinds = [json.dumps(entry.conditions, sort_keys=True, default=repr) for entry in entries]
    accepted: dict[str, list[TrainingTracker]] = {}
    for kind, entry in zip(kinds, entries, strict=True):
        if kind not in accepted:
            accepted[kind] = [tracker for tracker in arrivals if entry.accepts(tracker)]
    if sum(len(accepted[kind]) for kind in kinds) <= limit:
        return [accepted[kind] for kind in kinds]
    share = max(1, limit // len(entries))
    decks = {kind: _Deck(rng.sample(trackers, len(trackers))) for kind, trackers in accepted.items()}
    return [decks[kind].take(share) for kind in kinds]


class _Deck:
    """Deals the same cards over and over, in one order."""

    def __init__(self, cards: list[TrainingTracker]) -> None:
        self._cards = cards
        self._next = 0

    def take(self, count: int) -> list[TrainingTracker]:
        count = min(count, len(self._cards))
        taken = [self._cards[(self._next + index) % len(self._cards)] for index in range(count)]
        self._next += count
        return taken


def sample(items: Sequence[T], count: int, rng: random.Random) -> list[T]:
    """Return at most `count` of the items, in their order."""
    if len(items) <= count:
        return list(items)
    return [items[index] for index in sorted(rng.sample(range(len(items)), count))]


def set_apart(items: Iterable[T], others: Iterable[T]) -> list[T]:
    """Return the items that are not among `others`, in their order."""
    excluded = set(others)
    return [item for item in items if item not in excluded]
