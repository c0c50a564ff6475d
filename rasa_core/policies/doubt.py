"""How far a memory may be trusted: what it would have said of each story, had it not known that story.

Stories that people write do not contradict one another, and a memory of them may be certain. Stories that are a sample
of what people do, do: the same history goes on in one way here, and in another there. So each story is left out in
turn, by counting, and what the others say of its turns is compared with what it says itself.

Notation: a *turn* is a history, its last states, with the action that follows. *k* is how many stories have a history
and agree on the action. *H* and *M* are how many turns of left out stories the others get right and wrong, *H_k* and
*M_k* those for which *k* others speak. The share over all is *s = (H + 1) / (H + M + 1)*, and

- *p_k = (H_k + s) / (H_k + M_k + 1)* is how often a history of *k* stories goes on as these say;
- for an *end* of a history, its last one, two or three states: *e = (c + m s) / (n + m)* is how often that end goes on
  the same way in the *n* other stories with it, *c* of them, with *m = 1 / (1 - s)*: the fewer contradictions there
  are among whole histories, the less an end tells of them.

The least of *p_k* and all *e* is believed, times *s*; and once more times *s* where only one story has the history: of
the steps in which the network says something else, and is less certain, one story alone gets no more right than it.
Without a contradiction, *s* is 1, and every history is certain.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

LONGEST_END: Final = 3
MOST_STORIES: Final = 16
"""Of more stories that agree, only so many are counted, and those that were told of together with the last of them."""

Key = tuple[Hashable, ...]
K = TypeVar("K", bound=Key)
Numbers = NDArray[np.int64]


class _Agreement(NamedTuple):
    """Pairs of a history and an action, each as one number, ascending; and how many stories have each."""

    pairs: Numbers
    counts: Numbers

    def of(self, pairs: Numbers) -> Numbers:
        """Return how many stories have these pairs, 0 for one that none has."""
        places = np.searchsorted(self.pairs, pairs)
        known = np.append(self.pairs, -1)[places] == pairs
        found: Numbers = np.where(known & (pairs >= 0), np.append(self.counts, 0)[places], 0)
        return found


class Doubts(Generic[K]):
    """Counts in which stories which action follows a history, and says how certain each history is.

    What is told is noted in numbers, and counted at the end, all at once.
    """

    def __init__(self) -> None:
        self._histories: dict[K, int] = {}
        self._actions: dict[str, int] = {}
        self._stories: dict[Hashable, int] = {}
        self._told = array("q")  # Of each turn in each story the numbers of history, action, turn and story.
        self._turns = 0

    def add(self, key: K, action: str, stories: Iterable[Hashable]) -> None:
        """Count that an action follows a history in some stories."""
        history = self._histories.setdefault(key, len(self._histories))
        number = self._actions.setdefault(action, len(self._actions))
        for story in stories:
            self._told.extend((history, number, self._turns, self._stories.setdefault(story, len(self._stories))))
        self._turns += 1

    def share(self) -> float:
        """Return how often the other stories are right about a story, where they say anything; 1 if always."""
        right, wrong = (int(numbers.sum()) for numbers in self._left_out)
        return (right + 1) / (right + wrong + 1)

    def confidences(self, lookup: Mapping[K, str]) -> dict[K, float]:
        """Return the confidence of each history of a memory that is not certain."""
        share, (right, wrong) = self.share(), self._left_out
        if share == 1.0:
            return {}
        keys = list(lookup)
        actions = np.array([self._actions.get(action, -1) for action in lookup.values()], np.int64)
        counts = np.maximum(1, self._agreement.of(self._pairs(_numbers_of(keys, self._histories), actions)))
        least = (right[counts] + share) / (right[counts] + wrong[counts] + 1)
        for length in range(1, LONGEST_END + 1):
            least = np.minimum(least, self._shares_of_ends(length, keys, actions, counts))
        believed = np.where(counts > 1, share, share * share) * least
        return {key: round(sure, 4) for key, sure in zip(keys, believed.tolist(), strict=True)}

    def _shares_of_ends(self, length: int, keys: Sequence[K], actions: Numbers, counts: Numbers) -> NDArray[np.float64]:
        """Return how often the ends of so many states go on the same way in other stories; 1 for what is not longer."""
        ends: dict[Key, int] = {}
        of_histories = [_end(key, length) for key in self._histories]
        for end in filter(None, of_histories):
            ends.setdefault(end, len(ends))
        agreement = self._agreeing(_numbers_of(of_histories, ends))
        # One more, for the number -1 of ends that no story has.
        told = np.bincount(agreement.pairs // len(self._actions), agreement.counts, len(ends) + 1)
        of_keys = [_end(key, length) for key in keys]
        numbers = _numbers_of(of_keys, ends)
        agreeing = agreement.of(self._pairs(numbers, actions))
        share, same = self.share(), np.maximum(0, agreeing - counts)
        weight = 1.0 / (1.0 - share)
        shares = (same + weight * share) / (same + (told[numbers] - agreeing) + weight)
        found: NDArray[np.float64] = np.where([end is not None for end in of_keys], shares, 1.0)
        return found

    def _pairs(self, numbers: Numbers, actions: Numbers) -> Numbers:
        """Return pairs as numbers, -1 for those of what no story has."""
        return np.where((numbers < 0) | (actions < 0), -1, numbers * len(self._actions) + actions)

    def _agreeing(self, numbers: Numbers) -> _Agreement:
        """Return how many stories agree on what follows histories that are one where their numbers are the same."""
        histories, actions, turns, stories = np.array(self._told, np.int64).reshape(-1, 4).T
        pairs = self._pairs(numbers[histories], actions)
        known = pairs >= 0
        _, first = np.unique(pairs[known] * len(self._stories) + stories[known], return_index=True)
        told = np.sort(pairs[known][first] * self._turns + turns[known][first])
        pairs, start, counts = np.unique(told // max(1, self._turns), return_index=True, return_counts=True)
        last = told[start + np.minimum(counts, MOST_STORIES) - 1]
        return _Agreement(pairs, np.searchsorted(told, last, "right") - start)

    @cached_property
    def _agreement(self) -> _Agreement:
        return self._agreeing(np.arange(len(self._histories)))

    @cached_property
    def _left_out(self) -> tuple[Numbers, Numbers]:
        """How many turns of left out stories the others get right, and wrong, by how many others speak."""
        pairs, counts = self._agreement
        _, first, actions = np.unique(pairs // max(1, len(self._actions)), return_index=True, return_counts=True)
        most, alone = int(counts.max(initial=0)) + 1, counts[first[actions == 1]]
        right = np.bincount(alone, alone, most + 1).astype(np.int64)[1:]
        right[0] = 0  # Of a history that one story has, no other says anything.
        # Where the only story of one action is left out, all others have the other.
        one, other = (counts[first[actions == 2] + place] for place in (0, 1))
        wrong = np.bincount(np.append(other[one == 1], one[other == 1]), minlength=most)
        return right, wrong


def _end(key: K, length: int) -> Key | None:
    return key[-length:] if len(key) > length else None


def _numbers_of(keys: Iterable[Any], known: Mapping[Any, int]) -> Numbers:
    return np.array([known.get(key, -1) for key in keys], np.int64)
