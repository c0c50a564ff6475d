"""The linear classifier of intents beside the network: a logistic regression on words and what they consist of.

A message has two bags: its words; and their n-grams, letters and pairs of letters. What occurs in many messages counts
less: feature i, of the ``d_i`` messages of n that hold it, weighs ``s_i = log((1 + n) / (1 + d_i)) + 1``, and a bag is
divided by the square root of the sum of the ``s_i^2`` of all that stands in it. The second bag is multiplied by g, or
the words, which are few, would outweigh it. Words that are not known are one feature, which says how likely a message
means nothing, and nothing else. The weights W are those with the least ``|W|^2 / 2 + C sum of losses``; so few messages
teach it as well as many, and it is trained in a second.
"""

from __future__ import annotations

import importlib
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError
from rasa_core.nlu.tokens import TokenVocabulary
from rasa_core.support.probabilities import softmax

Floats = NDArray[np.float32]

_STRENGTH: Final = 20.0  # The C above.
_GAINS: Final = (1.0, 1.3)  # What the bags are multiplied by, the second by the g above.
_ROUNDS: Final = 60
_REMEMBERED: Final = 6
_TOLERANCE: Final = 1e-4
_DIGITS_OF_POINTS: Final = 3  # After the point; those behind depend on how many threads have computed them.


@dataclass(frozen=True, slots=True)
class Taught:
    """Messages that the classifier learns from: their `counts`, the numbers of their intents, and how much they count.

    `counts` is sparse, ``(messages, words + n-grams + letters)``; the other two are ``(messages,)``.
    """

    counts: Any
    intents: NDArray[np.int_]
    weights: NDArray[np.float64]


def scipy(part: str) -> Any:
    """Return a part of SciPy, which comes with what trains, and is not loaded by what serves."""
    try:
        return importlib.import_module(f"scipy.{part}")
    except ImportError as error:
        raise ModelError(f"training needs SciPy ({error}): pip install 'rasa-core[train]'") from error


class LinearClassifier:
    """Fits a classifier on what a vocabulary knows of messages."""

    def __init__(self, vocabulary: TokenVocabulary, intents: int) -> None:
        self._vocabulary, self._intents = vocabulary, intents
        self._words, self._pieces = len(vocabulary.words) + 1, len(vocabulary.pieces)
        self._known: dict[str, list[int]] = {}
        self._sparse = scipy("sparse")

    def counts(self, messages: Sequence[Sequence[str]]) -> Any:
        """Return how often each word, n-gram and letter occurs in messages, each as its keys, as a sparse matrix."""
        columns: list[int] = []
        ends = [0]
        for keys in messages:
            for key in keys:
                columns += self._known.get(key) or self._learn(key)
            ends.append(len(columns))
        shape = len(messages), self._words + self._pieces + len(self._vocabulary.letters)
        counts = self._sparse.csr_matrix((np.ones(len(columns)), columns, ends), shape=shape)
        counts.sum_duplicates()
        return counts

    def _learn(self, key: str) -> list[int]:
        last = self._words + self._pieces
        known = [self._vocabulary.word(key)]
        known += (self._words + piece for piece in self._vocabulary.pieces_in(key))
        known += (last + letter for letter in self._vocabulary.letters_in(key))
        self._known[key] = known
        return known

    def fit(self, taught: Taught, written: int) -> None:
        """Learn from messages; the first `written` say how common a feature is."""
        held = np.asarray((taught.counts[:written] > 0).sum(axis=0)).ravel()
        own = np.arange(len(held))
        is_known = (held > 0) | (own == 0)
        self._scales = np.where(is_known, np.log((1 + written) / (1 + held)) + 1.0, 0.0)
        column = np.where(is_known | (own >= self._words), own, 0)  # Words that no message has are not known.
        self._seen = self._sparse.csr_matrix((np.ones(len(own), np.float32), (own, column)))
        self._weights = _least_loss(self._weighed(taught.counts), taught, self._intents)

    def scores(self, counts: Any) -> Floats:
        """Return the scores of intents of messages, ``(messages, intents)``."""
        found: Floats = (self._weighed(counts) @ self._weights).astype(np.float32)
        return found

    def arrays(self) -> Mapping[str, Floats]:
        """Return what was learnt, as `rasa_core.nlu.network` names it."""
        table = self._seen @ self._table()
        cuts = [self._words, self._words + self._pieces]
        parts, scales = np.split(table, cuts), np.split((self._seen @ self._scales**2).astype(np.float32), cuts)
        names = ("word", "piece", "letter")
        found = {f"{name}_intents": part for name, part in zip(names, parts, strict=True)}
        found |= {f"{name}_scales": part for name, part in zip(names, scales, strict=True)}
        return {**found, "wide_bias": self._weights[-1].astype(np.float32)}

    def directions(self, units: int) -> tuple[Floats, Floats]:
        """Return words and n-grams as points, ``(words, units)`` and ``(n-grams, units)``, at a mean square of 1.

        Those are near each other that speak for the same intents. Of more intents than units, the points are what the
        main directions of all scores tell of them (Eckart and Young 1936).
        """
        table = self._table()[: self._words + self._pieces].astype(np.float64)
        table -= table.mean(axis=1, keepdims=True)
        if table.shape[1] > units:
            _, vectors = np.linalg.eigh(table.T @ table)
            vectors = vectors[:, : -units - 1 : -1]
            most = np.abs(vectors).argmax(axis=0)
            table = table @ (vectors * np.sign(vectors[most, np.arange(units)]))  # The way of a direction is chance.
        points = np.zeros((len(table), units), np.float32)
        points[:, : table.shape[1]] = table / max(math.sqrt((table**2).sum() / points.size), 1e-12)
        points = points.round(_DIGITS_OF_POINTS)
        return points[: self._words], points[self._words :]

    def _table(self) -> Floats:
        """Return the scores of intents of each word, n-gram and letter."""
        gains = np.repeat(_GAINS, [self._words, len(self._scales) - self._words])
        found: Floats = (self._weights[:-1] * (self._scales * gains)[:, None]).astype(np.float32)
        return found

    def _weighed(self, counts: Any) -> Any:
        """Return the features: scaled counts, each bag divided by its norm and with its gain, and a 1 for the bias."""
        split, scale, counts = self._words, self._scales, counts @ self._seen
        bags = []
        both = (counts[:, :split], scale[:split]), (counts[:, split:], scale[split:])
        for gain, (bag, own) in zip(_GAINS, both, strict=True):
            norms = np.sqrt(np.maximum(bag @ own**2, 1.0))
            bags.append(self._sparse.diags(gain / norms) @ bag @ self._sparse.diags(own))
        return self._sparse.hstack([*bags, np.ones((counts.shape[0], 1))]).tocsr()


def _least_loss(features: Any, taught: Taught, intents: int) -> Floats:
    """Return the weights of the features and the bias, ``(features + 1, intents)``."""
    features = features.astype(np.float32)
    rows, turned = np.arange(features.shape[0]), features.T.tocsr()
    strength = (_STRENGTH * taught.weights).astype(np.float32)

    def loss(weights: Floats) -> tuple[float, Floats]:
        chances = softmax(features @ weights)
        right = np.maximum(chances[rows, taught.intents], 1e-12)  # A chance may be rounded to 0, which has no log.
        value = 0.5 * _product(weights[:-1], weights[:-1]) - _product(strength, np.log(right))
        chances[rows, taught.intents] -= 1.0
        slope: Floats = turned @ (chances * strength[:, None])
        slope[:-1] += weights[:-1]
        slope[0, :-1] = 0.0  # An unknown word speaks for the last intent alone, which is none.
        return value, slope

    return minimum(loss, np.zeros((features.shape[1], intents), np.float32))


def minimum(loss: Callable[[Floats], tuple[float, Floats]], x: Floats) -> Floats:
    """Return where a convex function of x, which is told with its slope, is least (L-BFGS, Liu and Nocedal 1989)."""
    value, slope = loss(x)
    steps: deque[tuple[Floats, Floats, float]] = deque(maxlen=_REMEMBERED)
    for _ in range(_ROUNDS):
        way = _direction(slope, steps)
        fall = _product(slope, way)
        # The first step has no curvature to go by, and is one unit long.
        length = 1.0 if steps else 1.0 / max(math.sqrt(-fall), 1e-12)
        new, new_slope = loss(x + np.float32(length) * way)
        while new > value + 1e-4 * length * fall and length > 1e-6:
            length *= 0.5
            new, new_slope = loss(x + np.float32(length) * way)
        if new >= value:
            break
        step, bend = np.float32(length) * way, new_slope - slope
        if (curvature := _product(step, bend)) > 0:  # Rounding may make it 0, by which nothing can be divided.
            steps.append((step, bend, curvature))
        is_done = value - new < _TOLERANCE * value
        x, value, slope = x + step, new, new_slope
        if is_done:
            break
    return x


def _direction(slope: Floats, steps: Sequence[tuple[Floats, Floats, float]]) -> Floats:
    """Return where to go, by the slope and how it changed in the last steps."""
    way, shares = -slope, []
    for step, bend, curvature in reversed(steps):
        shares.append(_product(step, way) / curvature)
        way -= np.float32(shares[-1]) * bend
    if steps:
        _, bend, curvature = steps[-1]
        way *= np.float32(curvature / _product(bend, bend))
    for (step, bend, curvature), share in zip(steps, reversed(shares), strict=True):
        way += np.float32(share - _product(bend, way) / curvature) * step
    return way


def _product(one: Floats, other: Floats) -> float:
    """Return the sum of the products of two arrays, whose rounding depends on no number of threads, as BLAS's does."""
    return float((one * other).sum(dtype=np.float32))
