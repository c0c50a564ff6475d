"""Figures of predictions, from what was expected and what was predicted; of actions, intents and entities alike.

Notation, for a list of pairs *(expected, predicted)* and a label *a*, the name of an action, intent or entity:

- *TP(a)*: number of pairs in which both are *a*;
- *FP(a)*: number of pairs in which only the predicted one is *a*;
- *FN(a)*: number of pairs in which only the expected one is *a*.

Where a formula divides by zero, the figure is 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from rasa_core.events import ACTION_LISTEN_NAME

Pair = tuple[str, str]
LISTENING: Final = frozenset({ACTION_LISTEN_NAME})


@dataclass(frozen=True, slots=True)
class LabelScores:
    """How well one label is predicted.

    Attributes
    ----------
    label : str
        The name of an action, intent or entity.
    precision : float
        *TP / (TP + FP)*: how often it is right to predict it.
    recall : float
        *TP / (TP + FN)*: how often it is predicted where it is expected.
    f1 : float
        *2 TP / (2 TP + FP + FN)*, the harmonic mean of both.
    support : int
        *TP + FN*: how often it is expected.
    predicted : int
        *TP + FP*: how often it is predicted.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


def accuracy(pairs: Iterable[Pair], without: Container[str] = ()) -> float:
    """Return in which share of the pairs both labels are the same, but for pairs that expect a label in `without`."""
    hits = [expected == predicted for expected, predicted in pairs if expected not in without]
    return ratio(sum(hits), len(hits))


def scores_by_label(pairs: Sequence[Pair]) -> list[LabelScores]:
    """Return the scores of each label that is expected or predicted.

    The most often expected come first, equals by name; `action_listen` is the last.
    """
    expected = Counter(pair[0] for pair in pairs)
    predicted = Counter(pair[1] for pair in pairs)
    hits = Counter(pair[0] for pair in pairs if pair[0] == pair[1])
    names = sorted(expected | predicted, key=lambda name: (name in LISTENING, -expected[name], name))
    return [
        LabelScores(
            name,
            precision=ratio(hits[name], predicted[name]),
            recall=ratio(hits[name], expected[name]),
            f1=ratio(2 * hits[name], expected[name] + predicted[name]),  # 2 TP + FP + FN is the sum of these two.
            support=expected[name],
            predicted=predicted[name],
        )
        for name in names
    ]


def weighted_f1(scores: Iterable[LabelScores], without: Container[str] = LISTENING) -> float:
    """Return the mean F1 of the labels, each weighted by how often it is expected.

    *sum of support(a) F1(a) / sum of support(a)*, over all labels *a* that are not in `without`. A pair that
    expects one of those and predicts *a* still counts as an error of *a*. So is the figure defined that Vlasov,
    Mosig and Nichol report in "Dialogue Transformers" (arXiv:1910.00486), with `action_listen` left out.
    """
    kept = [one for one in scores if one.label not in without]
    return ratio(math.fsum(one.support * one.f1 for one in kept), sum(one.support for one in kept))


def ratio(part: float, whole: float) -> float:
    """Return `part` divided by `whole`, 0 if that cannot be divided by."""
    return part / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure differs from run to run.

    Attributes
    ----------
    mean : float
        Arithmetic mean.
    deviation : float
        Sample standard deviation, *sqrt(sum of (x - mean)^2 / (n - 1))*; 0 for a single value.
    lowest, highest : float
        The extremes.
    """

    mean: float
    deviation: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        mean = math.fsum(values) / len(values)  # `fsum` does not depend on the order of the runs.
        squares = math.fsum((value - mean) ** 2 for value in values)
        return cls(mean, math.sqrt(squares / max(1, len(values) - 1)), min(values), max(values))


# -- calibration: of the predictions made with a confidence of 0.7, seven in ten should be right
#
# After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017, arXiv:1706.04599).

BINS: Final = 10
_UPPER_ENDS: Final = tuple(number / BINS for number in range(1, BINS + 1))


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """The predictions whose confidence lies between two figures.

    Attributes
    ----------
    low, high : float
        Confidences above `low` and up to `high` belong here; 0 belongs to the first bin.
    count : int
        Number of predictions.
    confidence : float
        Mean confidence of these predictions; 0 if there are none.
    accuracy : float
        The share of them that is right; 0 if there are none.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def confidence_bins(predictions: Iterable[tuple[float, bool]]) -> list[ConfidenceBin]:
    """Sort predictions, confidence from 0 to 1 and whether it is right, into ten bins of equal width."""
    sorted_in: list[list[tuple[float, bool]]] = [[] for _ in _UPPER_ENDS]
    for confidence, is_right in predictions:
        # A confidence may be rounded to a little more than 1.
        sorted_in[min(bisect_left(_UPPER_ENDS, confidence), BINS - 1)].append((confidence, is_right))
    return [
        ConfidenceBin(
            low=number / BINS,
            high=high,
            count=len(members),
            confidence=ratio(math.fsum(confidence for confidence, _ in members), len(members)),
            accuracy=ratio(sum(is_right for _, is_right in members), len(members)),
        )
        for number, (high, members) in enumerate(zip(_UPPER_ENDS, sorted_in, strict=True))
    ]


def expected_calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """Return how far confidence and accuracy are apart, on average.

    *sum over the bins B of |B| / n * |acc(B) - conf(B)|*, with *n* predictions in all, *acc* the share of the
    right ones and *conf* the mean confidence in a bin (equation 3 of the source). 0 is perfect; 0 also if
    there are no predictions.
    """
    # |B| / n is left to the end, where it is divided once.
    gaps = math.fsum(one.count * abs(one.accuracy - one.confidence) for one in bins)
    return ratio(gaps, sum(one.count for one in bins))


# -- evaluations


class Evaluation(ABC):
    """What was expected and what was predicted, for stories or for messages, and what follows from that."""

    @property
    @abstractmethod
    def predictions(self) -> list[tuple[str, str, float]]:
        """What was expected, what was predicted, and how sure that was, from 0 to 1; each time."""

    @property
    @abstractmethod
    def figures(self) -> dict[str, float]:
        """What is measured, each from 0 to 1, by the names that reports have."""

    @cached_property
    def pairs(self) -> list[Pair]:
        """What was expected and what was predicted, each time."""
        return [(expected, predicted) for expected, predicted, _ in self.predictions]

    @cached_property
    def confidences(self) -> list[tuple[float, bool]]:
        """How sure each prediction was, and whether it is right."""
        return [(confidence, expected == predicted) for expected, predicted, confidence in self.predictions]

    @property
    def accuracy(self) -> float:
        """Share of the pairs that was predicted right; 0 if there are none."""
        return accuracy(self.pairs)

    @cached_property
    def scores(self) -> list[LabelScores]:
        """Scores of each label that is expected or predicted."""
        return scores_by_label(self.pairs)

    @cached_property
    def bins(self) -> list[ConfidenceBin]:
        """The predictions in bins of their confidence."""
        return confidence_bins(self.confidences)

    @property
    def calibration_error(self) -> float:
        """How far confidence and accuracy are apart: `expected_calibration_error`."""
        return expected_calibration_error(self.bins)

    @property
    def mistakes(self) -> list[tuple[Pair, int]]:
        """What was expected and predicted instead, and how often; the most frequent first, equals by name."""
        counts = Counter(pair for pair in self.pairs if pair[0] != pair[1])
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def spreads_of(evaluations: Sequence[Evaluation]) -> dict[str, Spread]:
    """Return for each figure, by its name, how it differs between evaluations."""
    return {name: Spread.of([one.figures[name] for one in evaluations]) for name in evaluations[0].figures}


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """How well it goes after learning from a part of the dialogues.

    Attributes
    ----------
    excluded : int
        How many of a hundred dialogues were left out.
    learnt : float
        How many were learnt from, on average over the runs.
    runs : tuple of Evaluation
        Each on other held-out dialogues.
    """

    excluded: int
    learnt: float
    runs: tuple[Evaluation, ...]
