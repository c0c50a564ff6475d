"""The confidence of memoization, estimated by leaving out each story and predicting it from the other stories.

Stories that people write do not contradict one another, so memoization of them is certain. Stories that are recorded
conversations do contradict one another: the same history is followed by different actions. So each story is left out in
turn (by counting, without training again), and its actions are compared with the predictions of the other stories.

Notation: a *turn* is a history (the last states) with the action that follows. *k* is the number of stories that have a
history and agree on the action. *H* and *M* are the numbers of turns of left-out stories that the other stories predict
right and wrong; *H_k* and *M_k* are the numbers of those turns that *k* other stories predict. The overall share is
*s = (H + 1) / (H + M + 1)*, and

- *p_k = (H_k + s) / (H_k + M_k + 1)* is the share of histories of *k* stories that are followed by the same action;
- for an *end* of a history, its last one, two or three states, *e = (c + m s) / (n + m)* is the share of the *n* other
  stories with this end in which the same action follows (*c* of them), with *m = 1 / (1 - s)*: the fewer whole
  histories are contradictory, the less weight the ends have.

The confidence is *s* times the least of *p_k* and all *e*. It is multiplied by *s* once more if only one story has the
history: in the steps where the network predicts another action with a lower confidence, a single story is right no more
often than the network. Without a contradiction, *s* is 1, and every history is certain.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rasa_core.support.arrays import Ints

LONGEST_END: Final = 3
MOST_STORIES: Final = 16
"""If more stories agree, only so many are counted, and the stories that were added in the same call as the last one."""

Key = tuple[Hashable, ...]
K = TypeVar("K", bound=Key)


class _Agreement(NamedTuple):
    """Pairs of a history and an action, each as one number, ascending; and the number of stories with each pair."""

    pairs: Ints
    counts: Ints

    def of(self, pairs: Ints) -> Ints:
        """Return the number of stories with each of the given pairs; 0 for an unknown pair."""
        places = np.searchsorted(self.pairs, pairs)
        known = np.append(self.pairs, -1)[places] == pairs
        found: Ints = np.where(known & (pairs >= 0), np.append(self.counts, 0)[places], 0)
        return found


class Doubts(Generic[K]):
    """Collects in which stories which action follows a history, and estimates the confidence of each history.

    `add` only stores numbers; everything is counted when the confidences are needed.
    """

    def __init__(self) -> None:
        self._histories: dict[K, int] = {}
        self._actions: dict[str, int] = {}
        self._stories: dict[Hashable, int] = {}
        self._told = array("q")  # Four numbers for each turn in each story: history, action, turn and story.
        self._turns = 0

    def add(self, key: K, action: str, stories: Iterable[Hashable]) -> None:
        """Add that an action follows a history in some stories."""
        history = self._histories.setdefault(key, len(self._histories))
        number = self._actions.setdefault(action, len(self._actions))
        for story in stories:
            self._told.extend((history, number, self._turns, self._stories.setdefault(story, len(self._stories))))
        self._turns += 1

    def share(self) -> float:
        """Return *s*, the share of turns of left-out stories that the other stories predict right; 1 if all."""
        right, wrong = (int(numbers.sum()) for numbers in self._left_out)
        return (right + 1) / (right + wrong + 1)

    def confidences(self, lookup: Mapping[K, str]) -> dict[K, float]:
        """Return the confidence of each history in `lookup` that is not certain."""
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

    def _shares_of_ends(self, length: int, keys: Sequence[K], actions: Ints, counts: Ints) -> NDArray[np.float64]:
        """Return *e* for the ends of `length` states; 1 for histories that are not longer."""
        ends: dict[Key, int] = {}
        of_histories = [_end(key, length) for key in self._histories]
        for end in filter(None, of_histories):
            ends.setdefault(end, len(ends))
        agreement = self._agreeing(_numbers_of(of_histories, ends))
        # One more element, at index -1, for ends that no story has.
        told = np.bincount(agreement.pairs // len(self._actions), agreement.counts, len(ends) + 1)
        of_keys = [_end(key, length) for key in keys]
        numbers = _numbers_of(of_keys, ends)
        agreeing = agreement.of(self._pairs(numbers, actions))
        share, same = self.share(), np.maximum(0, agreeing - counts)
        weight = 1.0 / (1.0 - share)
        shares = (same + weight * share) / (same + (told[numbers] - agreeing) + weight)
        found: NDArray[np.float64] = np.where([end is not None for end in of_keys], shares, 1.0)
        return found

    def _pairs(self, numbers: Ints, actions: Ints) -> Ints:
        """Return pairs of history and action as numbers; -1 if no story has the history or the action."""
        return np.where((numbers < 0) | (actions < 0), -1, numbers * len(self._actions) + actions)

    def _agreeing(self, numbers: Ints) -> _Agreement:
        """Return the agreement of stories on the action after each history, where equal `numbers` are one history."""
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
    def _left_out(self) -> tuple[Ints, Ints]:
        """How many turns of left out stories the others get right, and wrong, by how many others speak."""
        pairs, counts = self._agreement
        _, first, actions = np.unique(pairs // max(1, len(self._actions)), return_index=True, return_counts=True)
        most, alone = int(counts.max(initial=0)) + 1, counts[first[actions == 1]]
        right = np.bincount(alone, alone, most + 1).astype(np.int64)[1:]
        right[0] = 0  # If only one story has a history, no other story predicts it.
        # If the only story with one action is left out, all other stories predict the other action.
        one, other = (counts[first[actions == 2] + place] for place in (0, 1))
        wrong = np.bincount(np.append(other[one == 1], one[other == 1]), minlength=most)
        return right, wrong


def _end(key: K, length: int) -> Key | None:
    return key[-length:] if len(key) > length else None


def _numbers_of(keys: Iterable[Any], known: Mapping[Any, int]) -> Ints:
    return np.array([known.get(key, -1) for key in keys], np.int64)
