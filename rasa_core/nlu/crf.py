"""A linear-chain conditional random field over tags, in NumPy: the best path, and how sure it is.

Notation: ``e[t, k]`` is the score of tag k at token t; ``A[j, k]`` that of tag k after tag j; a path ``y`` scores
``sum_t e[t, y_t] + sum_t A[y_(t-1), y_t]``, and its probability is proportional to the exponential of that
(Lafferty et al. 2001). Tags are 0 for outside, and ``1 + 2 n`` and ``2 + 2 n`` for the first token and the other
tokens of entity n. The lift of an entity for an intent says how many times more often messages of this intent hold the
entity than all messages do; its logarithm is added to the score of the first token of the entity. So the same words can
be another entity under another intent, such as a date of departure in a flight booking, and a date of arrival in a room
booking.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rasa_core.support.arrays import Floats

IMPOSSIBLE = -1e4
_MARGIN = np.float32(1e-2)  # Far more than sums of scores are rounded.
_LEVEL = 11.0  # Entities whose first tag is nowhere within this of the best score are skipped: their chance is e^-11.


def tags_of(entity_count: int) -> int:
    """Return how many tags there are for so many entities."""
    return 1 + 2 * entity_count


def forbidden(entity_count: int) -> Floats:
    """Return `IMPOSSIBLE` where a tag may not follow another, else 0, ``(tags, tags)``."""
    count = tags_of(entity_count)
    scores = np.zeros((count, count), np.float32)
    scores[:, 2::2] = IMPOSSIBLE
    inside = np.arange(2, count, 2)
    scores[inside, inside] = scores[inside - 1, inside] = 0.0
    return scores


def first(entity_count: int) -> Floats:
    """Return `IMPOSSIBLE` where a tag may not be the first, else 0, ``(tags,)``."""
    scores = np.zeros(tags_of(entity_count), np.float32)
    scores[2::2] = IMPOSSIBLE
    return scores


class Tagger:
    """Finds entities in the scores of tags.

    Parameters
    ----------
    transitions
        Scores ``A``, ``(tags, tags)``, float32, with `forbidden` added.
    lifts
        How many times more often messages of each intent hold each entity, ``(intents, entities)``, float32; None for
        a model without lifts.
    """

    def __init__(self, transitions: Floats, lifts: Floats | None = None) -> None:
        self.transitions = transitions
        self._first, self._lifts = first((len(transitions) - 1) // 2), lifts
        # What a token gains at most by a tag, beside its score: by the tags around it, and by the intent.
        gains = transitions - transitions[0, 0]
        behind = np.full(len(transitions), np.maximum.reduce(gains[:, 0]), np.float32)
        if lifts is not None:
            behind[1::2] += _logarithms(np.maximum.reduce(lifts))
        self._first_gains, self._gains = behind[1:], (behind + np.maximum.reduce(gains))[1:]

    def entities(
        self, scores: Floats, intents: Floats, breaks: Sequence[int] = ()
    ) -> list[tuple[int, int, int, float]]:
        """Return first token, last token, entity and probability of each entity on the best path.

        Parameters
        ----------
        scores
            ``e``, ``(tokens, tags)``, float32.
        intents
            The probability of each intent, ``(intents,)``, float32.
        breaks
            The numbers of tokens that no entity may span together with the token before, as after a line break.
        """
        if self._has_none(scores):  # Most messages have no entity, and need no path.
            return []
        tags = self._plausible(scores)
        scores, transitions = scores.take(tags, axis=1), self.transitions[tags[:, None], tags]
        if self._lifts is not None:
            scores[:, 1::2] += _logarithms(intents @ self._lifts)[tags[1::2] // 2]
        if breaks:  # A token outside of all entities is inserted at each break, and is taken out again below.
            outside = np.full(scores.shape[1], IMPOSSIBLE, np.float32)
            outside[0] = 0.0
            scores = np.insert(scores, breaks, outside, axis=0)
        path = best_path(scores, transitions, self._first[tags])
        found = spans_of(path)
        if not found:
            return []
        chances = _chances(scores, transitions, self._first[tags], path, found)
        kinds = [(int(tags[path[start]]) - 1) // 2 for start, _ in found]
        if breaks:
            before = [at + number for number, at in enumerate(breaks)]
            found = [(start - bisect_left(before, start), end - bisect_left(before, end)) for start, end in found]
        return [(*span, kind, chance) for span, kind, chance in zip(found, kinds, chances, strict=True)]

    def _has_none(self, scores: Floats) -> bool:
        """Return whether every token loses by being in an entity, whatever else is said; if not, one may gain."""
        inside = scores[:, 1:] + self._gains
        inside[0] = scores[0, 1:] + self._first_gains  # There is no tag before the first one.
        return bool(np.logical_and.reduce(inside < scores[:, :1] - _MARGIN, axis=None))

    def _plausible(self, scores: Floats) -> NDArray[np.intp]:
        """Return the tags that may be on the best path; of each entity, both tags or none."""
        least = np.maximum.reduce(scores, axis=1, keepdims=True) - _LEVEL
        begins = np.logical_or.reduce(scores[:, 1::2] > least, axis=0)
        plausible = np.ones(scores.shape[1], np.bool_)
        plausible[1::2] = plausible[2::2] = begins
        tags: NDArray[np.intp] = plausible.nonzero()[0]
        return tags


def _logarithms(lifts: Floats) -> Floats:
    # A model may come from somebody else, and hold a lift of 0 or less, which has no logarithm.
    logarithms: Floats = np.log(np.maximum(lifts, np.float32(1e-6)))
    return logarithms


def best_path(scores: Floats, transitions: Floats, first_scores: Floats) -> list[int]:
    """Return the tags with the highest score (Viterbi)."""
    length, count = scores.shape
    into = np.ascontiguousarray(transitions.T)  # (tag, tag before), so that the maximum is taken along memory.
    reached = np.empty((length, count, count), np.float32)
    best = scores[0] + first_scores
    for at in range(1, length):
        np.add(into, best, out=reached[at])
        best = np.maximum.reduce(reached[at], axis=1)
        best += scores[at]
    path = [int(best.argmax())]
    before = reached[1:].argmax(axis=2).tolist()
    for at in range(length - 2, -1, -1):
        path.append(before[at][path[-1]])
    return path[::-1]


def spans_of(path: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last token of each entity; an odd tag begins an entity, and an even tag continues it."""
    spans: list[tuple[int, int]] = []
    for at, tag in enumerate(path):
        if tag % 2:
            spans.append((at, at))
        elif tag:
            spans[-1] = (spans[-1][0], at)
    return spans


def _chances(
    scores: Floats, transitions: Floats, first_scores: Floats, path: list[int], spans: list[tuple[int, int]]
) -> list[float]:
    """Return the probability that each span is an entity of the path's kind, and no longer (forward-backward).

    Scores are taken relative to the scores of the path, so that every part of the path weighs 1 and nothing overflows.
    """
    length = len(scores)
    own = scores[range(length), path]
    own[1:] += transitions[path[:-1], path[1:]]
    emitted = np.exp((scores - own[:, None]).astype(np.float64))
    moves = np.exp(transitions.astype(np.float64))
    forward, backward = np.empty(emitted.shape), np.ones(emitted.shape)
    forward[0] = emitted[0] * np.exp(first_scores)
    for at in range(1, length):
        np.dot(forward[at - 1], moves, out=forward[at])
        forward[at] *= emitted[at]
    for at in range(length - 1, 0, -1):
        np.dot(moves, backward[at] * emitted[at], out=backward[at - 1])
    total = forward[-1].sum()
    chances = []
    for start, end in spans:
        after = backward[end, path[end]]
        if end + 1 < length:  # Any tag may follow, except for the one that continues this entity.
            more = path[start] + 1
            after -= moves[path[end], more] * emitted[end + 1, more] * backward[end + 1, more]
        # Differences of rounded sums may lie beyond 0 and 1.
        chances.append(float(min(max(forward[start, path[start]] * after / total, 0.0), 1.0)))
    return chances
