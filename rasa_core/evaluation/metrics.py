"""Figures of predictions, computed from expected and predicted labels: actions, intents or entities.

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
    """The scores of one label.

    Attributes
    ----------
    label : str
        The name of an action, intent or entity.
    precision : float
        *TP / (TP + FP)*: the share of its predictions that are right.
    recall : float
        *TP / (TP + FN)*: the share of its expected occurrences that are predicted.
    f1 : float
        *2 TP / (2 TP + FP + FN)*, the harmonic mean of precision and recall.
    support : int
        *TP + FN*: how often the label is expected.
    predicted : int
        *TP + FP*: how often the label is predicted.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


def accuracy(pairs: Iterable[Pair], without: Container[str] = ()) -> float:
    """Return the share of pairs with equal labels, leaving out pairs whose expected label is in `without`."""
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
    expects a label in `without` and predicts *a* still counts as an error of *a*. Vlasov, Mosig and Nichol report
    this figure in "Dialogue Transformers" (arXiv:1910.00486), with `action_listen` left out.
    """
    kept = [one for one in scores if one.label not in without]
    return ratio(math.fsum(one.support * one.f1 for one in kept), sum(one.support for one in kept))


def ratio(part: float, whole: float) -> float:
    """Return `part` divided by `whole`; 0 if `whole` is 0."""
    return part / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """The mean, deviation and extremes of a figure over several runs.

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
    """The predictions whose confidence lies in an interval.

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
    """Sort predictions, given as confidence (0 to 1) and whether right, into ten bins of equal width."""
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
    """Return the mean difference between confidence and accuracy.

    *sum over the bins B of |B| / n * |acc(B) - conf(B)|*, with *n* predictions in all, *acc* the share of the
    right ones and *conf* the mean confidence in a bin (equation 3 of the source). 0 is perfect; 0 also if
    there are no predictions.
    """
    # |B| / n is left to the end, where it is divided once.
    gaps = math.fsum(one.count * abs(one.accuracy - one.confidence) for one in bins)
    return ratio(gaps, sum(one.count for one in bins))


# -- evaluations


class Evaluation(ABC):
    """The expected and predicted labels of stories or messages, and the figures computed from them."""

    @property
    @abstractmethod
    def predictions(self) -> list[tuple[str, str, float]]:
        """The expected label, the predicted label, and the confidence (0 to 1) of each prediction."""

    @property
    @abstractmethod
    def figures(self) -> dict[str, float]:
        """The figures, each from 0 to 1, by their names in reports."""

    @cached_property
    def pairs(self) -> list[Pair]:
        """The expected and the predicted label of each prediction."""
        return [(expected, predicted) for expected, predicted, _ in self.predictions]

    @cached_property
    def confidences(self) -> list[tuple[float, bool]]:
        """The confidence of each prediction, and whether it is right."""
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
        """The mean difference between confidence and accuracy: `expected_calibration_error`."""
        return expected_calibration_error(self.bins)

    @property
    def mistakes(self) -> list[tuple[Pair, int]]:
        """The pairs of different labels with their counts; the most frequent first, equally frequent ones by name."""
        counts = Counter(pair for pair in self.pairs if pair[0] != pair[1])
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def spreads_of(evaluations: Sequence[Evaluation]) -> dict[str, Spread]:
    """Return the spread of each figure over several evaluations, by its name."""
    return {name: Spread.of([one.figures[name] for one in evaluations]) for name in evaluations[0].figures}


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of a learning curve: evaluations after training on a part of the dialogues.

    Attributes
    ----------
    excluded : int
        The percentage of dialogues that were left out.
    learnt : float
        The mean number of training dialogues over the runs.
    runs : tuple of Evaluation
        The evaluations, each on other held-out dialogues.
    """

    excluded: int
    learnt: float
    runs: tuple[Evaluation, ...]
