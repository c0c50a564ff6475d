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

The least of *p_k* and all *e* is believed. Without a contradiction, *s* is 1, and every history is certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar

LONGEST_END: Final = 3
MOST_STORIES: Final = 16
"""Of more stories that agree, only so many are counted."""

Key = tuple[Hashable, ...]
K = TypeVar("K", bound=Key)
Stories = dict[str, set[Hashable]]
"""An action to the stories in which it follows."""


class Doubts(Generic[K]):
    """Counts in which stories which action follows a history, and says how certain each history is."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}  # States by number are compared much faster than as they are.
        self._histories: dict[tuple[int, ...], Stories] = {}
        self._ends: dict[tuple[int, ...], Stories] = {}

    def add(self, key: K, action: str, stories: Iterable[Hashable]) -> None:
        """Count that an action follows a history in some stories."""
        names = frozenset(stories)
        whole = self._numbered(key)
        _count(self._histories, whole, action, names)
        for end in _ends_of(whole):
            _count(self._ends, end, action, names)

    def _numbered(self, key: Key) -> tuple[int, ...]:
        numbers = self._numbers
        return tuple([numbers.setdefault(state, len(numbers)) for state in key])

    def share(self) -> float:
        """Return how often the other stories are right about a story, where they say anything; 1 if always."""
        right, wrong = self._left_out()
        return _share(right, wrong)

    def confidences(self, lookup: Mapping[K, str]) -> dict[K, float]:
        """Return the confidence of each history of a memory that is not certain."""
        right, wrong = self._left_out()
        share = _share(right, wrong)
        if share == 1.0:
            return {}
        found: dict[K, float] = {}
        for key, action in lookup.items():
            whole = self._numbered(key)
            count = max(1, len(self._histories.get(whole, {}).get(action, ())))
            said = right[count] + wrong[count]
            ends = self._shares_of_ends(whole, action, count, share)
            found[key] = round(share * min([(right[count] + share) / (said + 1), *ends]), 4)
        return found

    def _shares_of_ends(self, whole: tuple[int, ...], action: str, count: int, share: float) -> Iterator[float]:
        weight = 1.0 / (1.0 - share)
        for end in _ends_of(whole):
            counts = {name: len(stories) for name, stories in self._ends.get(end, {}).items()}
            same = max(0, counts.pop(action, 0) - count)
            yield (same + weight * share) / (same + sum(counts.values()) + weight)

    def _left_out(self) -> tuple[Counter[int], Counter[int]]:
        """Return how many turns of left out stories the others get right, and wrong, by how many others speak."""
        right: Counter[int] = Counter()
        wrong: Counter[int] = Counter()
        for follows in self._histories.values():
            counts = [len(stories) for stories in follows.values()]
            if len(counts) == 1 and counts[0] > 1:
                right[counts[0] - 1] += counts[0]
            elif len(counts) == 2:  # Where the only story of one action is left out, all others have the other.
                for one, other in (counts, counts[::-1]):
                    wrong[other] += one == 1
        return right, wrong


def _share(right: Counter[int], wrong: Counter[int]) -> float:
    hits, misses = right.total(), wrong.total()
    return (hits + 1) / (hits + misses + 1)


def _ends_of(whole: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return (tuple(whole[-length:]) for length in range(1, min(LONGEST_END, len(whole) - 1) + 1))


def _count(
    counted: dict[tuple[int, ...], Stories], key: tuple[int, ...], action: str, names: frozenset[Hashable]
) -> None:
    stories = counted.setdefault(key, {}).setdefault(action, set())
    if len(stories) < MOST_STORIES:
        stories.update(names)
