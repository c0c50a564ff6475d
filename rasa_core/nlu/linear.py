"""The linear classifier of intents beside the network: a logistic regression on words, pairs of words and n-grams.

A message has two bags: its words and their pairs, and its n-grams. What occurs in many messages counts less: feature i,
of the ``d_i`` messages of n that hold it, weighs ``s_i = log((1 + n) / (1 + d_i)) + 1``, and a bag is divided by the
square root of the sum of the ``s_i^2`` of all that stands in it. Its weights W are those with the least ``|W|^2 / 2 + C
sum of losses``; so few messages teach it as well as many, and it is trained in a second.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError
from rasa_core.nlu.tokens import TokenVocabulary
from rasa_core.support.probabilities import softmax

Floats = NDArray[np.float32]

_STRENGTH: Final = 20.0  # The C above.
_ROUNDS: Final = 60
_CORRECTIONS: Final = 50
_MARGIN: Final = 0.2


@dataclass(frozen=True, slots=True)
class Taught:
    """Messages that the classifier learns from: their `counts`, the numbers of their intents, and how much they count.

    `counts` is sparse, ``(messages, words + pairs + n-grams)``; the other two are ``(messages,)``.
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
        self._words, self._pairs = len(vocabulary.words) + 1, len(vocabulary.pairs) + 1
        self._pieces = len(vocabulary.pieces)
        self._known: dict[str, tuple[int, list[int]]] = {}
        self._sparse = scipy("sparse")

    def counts(self, messages: Sequence[Sequence[str]]) -> Any:
        """Return how often each word, pair and n-gram occurs in messages, each as its keys, as a sparse matrix."""
        columns: list[int] = []
        ends = [0]
        for keys in messages:
            found = [self._known.get(key) or self._learn(key) for key in keys]
            columns += (word for word, _ in found if word)
            pairs = (self._vocabulary.pairs.get((one[0], two[0]), 0) for one, two in pairwise(found))
            columns += (self._words + pair for pair in pairs if pair)
            columns += (piece for _, pieces in found for piece in pieces)
            ends.append(len(columns))
        shape = len(messages), self._words + self._pairs + self._pieces
        counts = self._sparse.csr_matrix((np.ones(len(columns)), columns, ends), shape=shape)
        counts.sum_duplicates()
        return counts

    def _learn(self, key: str) -> tuple[int, list[int]]:
        first = self._words + self._pairs
        known = self._vocabulary.word(key), [first + piece for piece in self._vocabulary.pieces_in(key)]
        self._known[key] = known
        return known

    def fit(self, taught: Taught, written: int) -> None:
        """Learn from messages; the first `written` say how common a feature is."""
        held = np.asarray((taught.counts[:written] > 0).sum(axis=0)).ravel()
        self._scales = np.where(held > 0, np.log((1 + written) / (1 + held)) + 1.0, 0.0)
        self._weights = _least_loss(self._weighed(taught.counts), taught, self._intents)

    def correct(self, counts: Any, intents: NDArray[np.int_], others: Floats) -> None:
        """Change the weights as little as makes each message's intent the best of the sum with some other scores.

        Each message that is wrong moves its intent and the one taken for it apart ("passive-aggressive", Crammer et al.
        2006), until none is, or `_CORRECTIONS` rounds are over.

        Parameters
        ----------
        counts, intents
            Of messages that do not contradict each other, as in `Taught`.
        others
            Scores that come to those of this classifier, ``(messages, intents)``.
        """
        features = self._weighed(counts)
        rows = np.arange(len(intents))
        for _ in range(_CORRECTIONS):
            scores = features @ self._weights + others
            right = scores[rows, intents]
            scores[rows, intents] = -np.inf
            wrong = np.flatnonzero(scores.max(axis=1) + _MARGIN > right)
            if not len(wrong):
                return
            for row in wrong:
                self._correct(features[row], int(intents[row]), others[row])

    def _correct(self, own: Any, intent: int, others: Floats) -> None:
        """Change the weights for one message; one after the other, since what one has changed may be enough for all."""
        scores = others + own.data @ self._weights[own.indices]
        right, scores[intent] = scores[intent], -np.inf
        rival = int(scores.argmax())
        gap = scores[rival] + _MARGIN - right
        if gap > 0:
            step = gap / (2.0 * float(own.data @ own.data)) * own.data
            self._weights[own.indices, intent] += step
            self._weights[own.indices, rival] -= step

    def scores(self, counts: Any) -> Floats:
        """Return the scores of intents of messages, ``(messages, intents)``."""
        found: Floats = (self._weighed(counts) @ self._weights).astype(np.float32)
        return found

    def arrays(self) -> Mapping[str, Floats]:
        """Return what was learnt, as `rasa_core.nlu.network` names it."""
        table = (self._weights[:-1] * self._scales[:, None]).astype(np.float32)
        cuts = [self._words, self._words + self._pairs]
        parts, scales = np.split(table, cuts), np.split((self._scales**2).astype(np.float32), cuts)
        names = ("word", "pair", "piece")
        found = {f"{name}_intents": part for name, part in zip(names, parts, strict=True)}
        found |= {f"{name}_scales": part for name, part in zip(names, scales, strict=True)}
        return {**found, "wide_bias": self._weights[-1].astype(np.float32)}

    def _weighed(self, counts: Any) -> Any:
        """Return the features: counts times their scales, each bag divided by its norm, and a 1 for the bias."""
        split, scale = self._words + self._pairs, self._scales
        bags = []
        for bag, own in ((counts[:, :split], scale[:split]), (counts[:, split:], scale[split:])):
            norms = np.sqrt(np.maximum(bag @ own**2, 1.0))
            bags.append(self._sparse.diags(1.0 / norms) @ bag @ self._sparse.diags(own))
        return self._sparse.hstack([*bags, np.ones((counts.shape[0], 1))]).tocsr()


def _least_loss(features: Any, taught: Taught, intents: int) -> NDArray[np.float64]:
    """Return the weights of the features and the bias, ``(features + 1, intents)``."""
    rows, shape = np.arange(features.shape[0]), (features.shape[1], intents)
    turned = features.T.tocsr()
    strength = _STRENGTH * taught.weights

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape)
        chances = softmax(features @ weights)
        right = chances[rows, taught.intents]
        value = float(strength @ -np.log(np.maximum(right, 1e-12)) + 0.5 * (weights[:-1] ** 2).sum())
        chances[rows, taught.intents] -= 1.0
        slope = turned @ (chances * strength[:, None])
        slope[:-1] += weights[:-1]
        return value, np.asarray(slope).ravel()

    options = {"maxiter": _ROUNDS, "maxcor": 5}
    found = scipy("optimize").minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options)
    weights: NDArray[np.float64] = found.x.reshape(shape)
    return weights
