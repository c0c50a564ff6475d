"""Chooses the conversations that continue at a checkpoint, so that their number stays bounded.

Every path through checkpoints is a conversation of its own: with `n` stories between each two of `m` checkpoints,
there are ``n ** m`` paths. So not all conversations continue at a checkpoint:

- Of conversations with the same continuations, one continues (`first_of_each`).
- If more than a limit would still continue, the choice depends on whether the number of last states that policies
  see is known. If it is, enough conversations continue that each history of so many states leads into each story
  (`share_histories`): their number grows with the different histories, not with the paths. If it is not, each story
  that begins there continues an equal share of the conversations, in an order that a seed decides (`share_evenly`). So
  no story is left without a beginning, and as many beginnings as possible continue.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import cycle
from typing import Final, Generic, TypeVar

CONTINUATIONS_PER_CHECKPOINT: Final = 1000
CONTINUATIONS_PER_ROUND: Final = 300
"""Limit of continuations in another round of a cycle, whose histories grow as powers of its number of stories."""
HISTORIES_PER_CHECKPOINT: Final = 200_000
"""Limit of continuations of a checkpoint that are to show all histories; each takes about 3 KB."""

T = TypeVar("T", bound=Hashable)
Aspect = Callable[[T], Hashable]


def sample(items: Sequence[T], count: int, rng: random.Random) -> list[T]:
    """Return at most `count` of the items, in their order."""
    if len(items) <= count:
        return list(items)
    # Positions are drawn and sorted, not items, so that the sample keeps the order of the stories.
    return [items[index] for index in sorted(rng.sample(range(len(items)), count))]


def sample_unlike(items: Sequence[T], count: int, view: Aspect[T], seen: set[Hashable], rng: random.Random) -> list[T]:
    """Return at most `count` items in their order, first those whose `view` is not in `seen`; add their views to it."""
    fresh = [item for item in first_of_each(items, view)[0] if view(item) not in seen]
    chosen = set(sample(fresh, count, rng))
    rest = [item for item in items if item not in chosen]
    chosen.update(sample(rest, count - len(chosen), rng))
    seen.update(map(view, chosen))
    return [item for item in items if item in chosen]


def first_of_each(items: Iterable[T], key: Aspect[T]) -> tuple[list[T], list[T]]:
    """Return the first item of each `key`, and the others."""
    first: dict[Hashable, T] = {}
    others = [item for item in items if first.setdefault(key(item), item) is not item]
    return list(first.values()), others


class _Rotation(Generic[T]):
    """Yields the same items over and over, in the same order."""

    def __init__(self, items: list[T]) -> None:
        self._items = items
        self._next = 0

    def take(self, count: int) -> list[T]:
        count = min(count, len(self._items))
        taken = [self._items[(self._next + index) % len(self._items)] for index in range(count)]
        self._next += count
        return taken


def share_evenly(accepted: Sequence[Sequence[T]], limit: int, rng: random.Random) -> list[Sequence[T]]:
    """Return, for each step, the conversations that continue in it: all that it accepts, if the limit allows.

    Parameters
    ----------
    accepted
        For each step, the conversations that it accepts; one object for steps that accept the same.
    limit
        The largest number of continuations; if there are more steps, the number of steps.
    """
    if sum(map(len, accepted)) <= limit:
        return list(accepted)
    # One at least, so that no story is left without a beginning.
    share = max(1, limit // len(accepted))
    rotations: dict[int, _Rotation[T]] = {}
    for trackers in accepted:
        # Steps that accept the same take turns in one list, so that together they go on from as many as possible.
        if id(trackers) not in rotations:
            rotations[id(trackers)] = _Rotation(rng.sample(trackers, len(trackers)))
    return [rotations[id(trackers)].take(share) for trackers in accepted]


def share_histories(
    accepted: Sequence[Sequence[T]], waits: Sequence[bool], whole: Aspect[T], shorter: Aspect[T], rng: random.Random
) -> list[list[T]]:
    """Return, for each step, the conversations that continue in it, so that policies see every turn of every step.

    Conversations that look alike divide the steps among them, so that few continue in several steps, and few do not
    continue. The division is random: otherwise turns of long ago would seem to decide the next action.

    Parameters
    ----------
    accepted
        For each step, the conversations that it accepts; one object for steps that accept the same.
    waits
        For each step, whether it begins with ``action_listen``. All such steps begin alike, so a history that leads
        into one of them need not lead into the others, and their turns see one state less of the history.
    whole, shorter
        Keys of what policies see of a conversation, with and without its oldest state.
    """
    rotations: dict[tuple[int, bool], list[_Rotation[T]]] = {}
    shares: list[list[T]] = []
    for trackers, waiting in zip(accepted, waits, strict=True):
        key = id(trackers), waiting
        if key not in rotations:
            shuffled = rng.sample(trackers, len(trackers))
            rotations[key] = _rotations_of(shuffled, shorter if waiting else whole, whole)
        shares.append([tracker for rotation in rotations[key] for tracker in rotation.take(1)])
    # Only steps that begin with listening may have left a whole history behind: the others were shared out by `whole`.
    pairs = [pair for pair, waiting in zip(zip(accepted, shares, strict=True), waits, strict=True) if waiting]
    _add_missing(pairs, whole)
    return shares


def _rotations_of(trackers: Iterable[T], view: Aspect[T], whole: Aspect[T]) -> list[_Rotation[T]]:
    """Return a rotation for each view, in which conversations that differ as a whole come first."""
    alike: dict[Hashable, list[T]] = {}
    for tracker in trackers:
        alike.setdefault(view(tracker), []).append(tracker)
    return [_Rotation([item for part in first_of_each(members, whole) for item in part]) for members in alike.values()]


def _add_missing(shares: Sequence[tuple[Sequence[T], list[T]]], view: Aspect[T]) -> None:
    """Let each view continue in at least one step; the steps take turns.

    `shares` has, for each step, the conversations that it accepts, and a list of those that continue, which grows here.
    """
    gone = {view(tracker) for _, share in shares for tracker in share}
    steps: dict[int, tuple[Sequence[T], list[list[T]]]] = {}
    for trackers, share in shares:
        steps.setdefault(id(trackers), (trackers, []))[1].append(share)
    for trackers, onward in steps.values():
        turns = cycle(onward)
        for tracker in trackers:
            if view(tracker) not in gone:
                gone.add(view(tracker))
                next(turns).append(tracker)
