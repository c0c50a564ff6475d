"""Whether the confidence of predictions means what it says: of those made with 0.7, seven in ten should be right.

After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017, arXiv:1706.04599).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rasa_core.evaluation.metrics import ratio

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
        Their mean confidence; 0 if there are none.
    accuracy : float
        The share of them that is right; 0 if there are none.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float

    @property
    def gap(self) -> float:
        """How far confidence and accuracy are apart."""
        return abs(self.accuracy - self.confidence)


def confidence_bins(predictions: Iterable[tuple[float, bool]]) -> list[ConfidenceBin]:
    """Sort predictions into ten bins of equal width.

    Parameters
    ----------
    predictions
        Confidence, 0 to 1, and whether the prediction is right.
    """
    sorted_in: list[list[tuple[float, bool]]] = [[] for _ in _UPPER_ENDS]
    for confidence, is_right in predictions:
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
    return ratio(math.fsum(one.count * one.gap for one in bins), sum(one.count for one in bins))
