"""The linear classifier of intents beside the network: a logistic regression on words and parts of words.

A message has two bags of features: the first has its words, and the second the n-grams, letters and pairs of letters
of these words. Features that occur in many messages count less (inverse document frequency): feature i, which
``d_i`` of n messages hold, weighs ``s_i = log((1 + n) / (1 + d_i)) + 1``. Each bag is divided by the square root of the
sum of the ``s_i^2`` of its features. The second bag is multiplied by a gain g; without it, the words, which are few,
would outweigh the n-grams. All unknown words share one feature, which has a weight for the intent "none" alone. The
weights W minimise ``|W|^2 / 2 + C sum of losses``. This regularisation makes the classifier reliable for few messages,
and training takes about a second.
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
from rasa_core.support.arrays import Floats
from rasa_core.support.extras import installing
from rasa_core.support.probabilities import softmax

_STRENGTH: Final = 20.0  # The C above.
_GAINS: Final = (1.0, 1.3)  # The factors of both bags; the second is the g above.
_ROUNDS: Final = 60
_REMEMBERED: Final = 6
_TOLERANCE: Final = 1e-4
_DIGITS_OF_POINTS: Final = 3  # After the point; further digits depend on the number of threads that computed them.


@dataclass(frozen=True, slots=True)
class Taught:
    """The messages that the classifier learns from.

    Attributes
    ----------
    counts
        How often each message holds each feature, sparse, ``(messages, words + n-grams + letters)``.
    intents
        The number of the intent of each message, ``(messages,)``.
    weights
        How much the loss of each message counts, ``(messages,)``.
    """

    counts: Any
    intents: NDArray[np.int_]
    weights: NDArray[np.float64]


def scipy(part: str) -> Any:
    """Return a part of SciPy, which is installed for training, and which a serving process never loads."""
    try:
        return importlib.import_module(f"scipy.{part}")
    except ImportError as error:
        raise ModelError(f"training needs SciPy ({error}): {installing('train')}.") from error


class LinearClassifier:
    """Fits a classifier on what a vocabulary knows of messages."""

    def __init__(self, vocabulary: TokenVocabulary, intents: int) -> None:
        self._vocabulary, self._intents = vocabulary, intents
        self._words, self._pieces = len(vocabulary.words) + 1, len(vocabulary.pieces)
        self._known: dict[str, list[int]] = {}
        self._sparse = scipy("sparse")

    def counts(self, messages: Sequence[Sequence[str]]) -> Any:
        """Return how often each word, n-gram and letter occurs in each message, as a sparse matrix.

        Each message is given as the keys of its tokens.
        """
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
        """Learn from messages; document frequencies are counted in the first `written` of these messages."""
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
        """Return the learnt weights, under the names that `rasa_core.nlu.network` reads."""
        table = self._seen @ self._table()
        cuts = [self._words, self._words + self._pieces]
        parts, scales = np.split(table, cuts), np.split((self._seen @ self._scales**2).astype(np.float32), cuts)
        names = ("word", "piece", "letter")
        found = {f"{name}_intents": part for name, part in zip(names, parts, strict=True)}
        found |= {f"{name}_scales": part for name, part in zip(names, scales, strict=True)}
        return {**found, "wide_bias": self._weights[-1].astype(np.float32)}

    def directions(self, units: int) -> tuple[Floats, Floats]:
        """Return embeddings of words ``(words, units)`` and n-grams ``(n-grams, units)``, with a mean square of 1.

        The embedding of a word is its row of weights of the intents, so that words of the same intents are near each
        other. If there are more intents than units, the rows are projected on their principal directions (Eckart and
        Young 1936).
        """
        table = self._table()[: self._words + self._pieces].astype(np.float64)
        table -= table.mean(axis=1, keepdims=True)
        if table.shape[1] > units:
            _, vectors = np.linalg.eigh(table.T @ table)
            vectors = vectors[:, : -units - 1 : -1]
            most = np.abs(vectors).argmax(axis=0)
            table = table @ (vectors * np.sign(vectors[most, np.arange(units)]))  # Its sign is arbitrary.
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
        """Return the features: the scaled and normalised counts of both bags, and a column of ones for the bias."""
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
        right = np.maximum(chances[rows, taught.intents], 1e-12)  # One may be rounded to 0, which has no log.
        value = 0.5 * _product(weights[:-1], weights[:-1]) - _product(strength, np.log(right))
        chances[rows, taught.intents] -= 1.0
        slope: Floats = turned @ (chances * strength[:, None])
        slope[:-1] += weights[:-1]
        slope[0, :-1] = 0.0  # Unknown words have a weight for the last intent alone (none).
        return value, slope

    return minimum(loss, np.zeros((features.shape[1], intents), np.float32))


def minimum(loss: Callable[[Floats], tuple[float, Floats]], x: Floats) -> Floats:
    """Return the x at which a convex function is least (L-BFGS, Liu and Nocedal 1989).

    `loss` returns the value of the function and its gradient; the search begins at the given x.
    """
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
    """Return the search direction, from the gradient and its changes over the last steps (two-loop recursion)."""
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
    """Return the inner product of two arrays; unlike that of BLAS, its rounding depends on no number of threads."""
    return float((one * other).sum(dtype=np.float32))
