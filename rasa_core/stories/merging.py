"""What keeps the number of conversations in bounds where stories meet.

Every path through checkpoints is a conversation of its own, and with `n` stories between each of `m` of them
there are ``n ** m``. Two things happen at a checkpoint instead of listing them all:

- Of conversations from which everything that can follow looks the same, one goes on (`merge_equal`).
- If still more than a limit would go on, it depends on whether it is known how many of the last states
  policies look at. If so, so many go on that each history of so many states leads into each story (`cover`):
  their number grows with the different histories, not with the paths. If not, each story that begins there
  continues an equal share of the arrivals, in an order that a seed decides (`deal`). So no story is left
  without a beginning, and as many beginnings as possible are continued.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import cycle
from typing import Final, NamedTuple, TypeVar

from rasa_core.stories.steps import Checkpoint
from rasa_core.stories.tracker import TrainingTracker

CONTINUATIONS_PER_CHECKPOINT: Final = 1000
COVERING_PER_CHECKPOINT: Final = 200_000
"""How many continuations a checkpoint has at most where they are to show all histories; each takes about 3 KB."""

T = TypeVar("T")
Look = Callable[[TrainingTracker], Hashable]


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


def accepted_by(entries: Sequence[Checkpoint], arrivals: Sequence[TrainingTracker]) -> list[list[TrainingTracker]]:
    """Return, for each step, the conversations that it accepts.

    Parameters
    ----------
    entries
        The checkpoint as each of the steps that begin there has it, with its conditions.
    arrivals
        The conversations that have reached it.
    """
    kinds = [json.dumps(entry.conditions, sort_keys=True, default=repr) for entry in entries]
    accepted: dict[str, list[TrainingTracker]] = {}
    for kind, entry in zip(kinds, entries, strict=True):
        if kind not in accepted:
            accepted[kind] = [tracker for tracker in arrivals if entry.accepts(tracker)]
    return [accepted[kind] for kind in kinds]


def deal(
    accepted: Sequence[Sequence[TrainingTracker]], limit: int, rng: random.Random
) -> list[Sequence[TrainingTracker]]:
    """Decide which conversations go on through which step.

    Parameters
    ----------
    accepted
        For each step, the conversations that it accepts; one object for steps that accept the same.
    limit
        How many continuations there are at most, or as many as there are steps if that is more.

    Returns
    -------
    list of sequence
        For each step, the conversations that go on there: all that it accepts, if the limit allows.
    """
    if sum(map(len, accepted)) <= limit:
        return list(accepted)
    share = max(1, limit // len(accepted))
    decks: dict[int, _Deck] = {}
    for trackers in accepted:
        if id(trackers) not in decks:
            decks[id(trackers)] = _Deck(rng.sample(trackers, len(trackers)))
    return [decks[id(trackers)].take(share) for trackers in accepted]


class Looks(NamedTuple):
    """What conversations look like; equal for those of which policies see the same."""

    whole: Look
    shorter: Look


def cover(
    accepted: Sequence[Sequence[TrainingTracker]], waits: Sequence[bool], looks: Looks, rng: random.Random
) -> list[list[TrainingTracker]]:
    """Decide which conversations go on through which step, so that every turn of every step is shown.

    Conversations that look alike share the steps out among them, so that few go through several, and few are
    left behind. Which takes which is drawn: else what was long ago would seem to decide what comes next.

    Parameters
    ----------
    accepted
        For each step, the conversations that it accepts; one object for steps that accept the same.
    waits
        For each step, whether the first that happens there is that the bot listens. All such steps begin
        alike, so a look that leads into one of them need not lead into the others; what is in them sees
        one state less of what was before.
    looks
        What policies see of a conversation, with and without its oldest state.

    Returns
    -------
    list of list
        For each step, the conversations that go on there.
    """
    groups: dict[tuple[int, bool], list[_Deck]] = {}
    shares = []
    for trackers, waiting in zip(accepted, waits, strict=True):
        key = id(trackers), waiting
        if key not in groups:
            shuffled = rng.sample(trackers, len(trackers))
            groups[key] = _decks_of(shuffled, looks.shorter if waiting else looks.whole, looks.whole)
        shares.append([tracker for deck in groups[key] for tracker in deck.take(1)])
    waiting_shares = [pair for pair, waiting in zip(zip(accepted, shares, strict=True), waits, strict=True) if waiting]
    _add_missing(waiting_shares, looks.whole)
    return shares


def _decks_of(trackers: Iterable[TrainingTracker], look: Look, whole: Look) -> list[_Deck]:
    """Return a deck for each look, in which those that differ as a whole come first."""
    alike: dict[Hashable, list[TrainingTracker]] = {}
    for tracker in trackers:
        alike.setdefault(look(tracker), []).append(tracker)
    return [_Deck([tracker for part in merge_equal(members, whole) for tracker in part]) for members in alike.values()]


def _add_missing(shares: Sequence[tuple[Sequence[TrainingTracker], list[TrainingTracker]]], look: Look) -> None:
    """Let each look go on in one step at least; the steps take turns.

    Parameters
    ----------
    shares
        For each step, the conversations that it accepts, and those that go on there; the latter get more.
    """
    gone = {look(tracker) for _, share in shares for tracker in share}
    steps: dict[int, list[list[TrainingTracker]]] = {}
    for trackers, share in shares:
        steps.setdefault(id(trackers), []).append(share)
    for trackers in {id(trackers): trackers for trackers, _ in shares}.values():
        turns = cycle(steps[id(trackers)])
        for tracker in trackers:
            if look(tracker) not in gone:
                gone.add(look(tracker))
                next(turns).append(tracker)


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
