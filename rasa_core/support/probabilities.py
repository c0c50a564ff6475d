"""Softmax probabilities, and their calibration by a temperature (Guo et al. 2017).

Notation: ``z`` are logits, ``T`` is the temperature; ``p = softmax(z / T)``. A higher ``T`` makes ``p`` less certain.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.support.arrays import Floats

TEMPERATURES: Final = (0.05, 10.0)
"""The lowest and the highest temperature that `best_temperature` returns."""


def softmax(logits: Floats, axis: int = -1) -> Floats:
    """Return probabilities of the same shape as `logits`, which add up to 1 along `axis`."""
    # For a few numbers, `max` and `sum` of an array take as long for their checks as for the rest.
    e = np.exp(logits - np.maximum.reduce(logits, axis=axis, keepdims=True))
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    probabilities: Floats = e
    return probabilities


def log_loss(logits: Floats, *, labels: NDArray[Any], temperature: float, weights: Floats | None = None) -> float:
    """Return the mean over examples of minus the logarithm of the right label's probability.

    Parameters
    ----------
    logits
        ``(examples, labels)``.
    labels, weights
        The right label and the weight of each example (None: equal weights), ``(examples,)``.
    """
    scaled = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64) / temperature
    losses = np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels]
    return float(np.average(losses, weights=weights))


def best_temperature(
    logits: Floats, *, labels: NDArray[Any], weights: Floats | None = None, bounds: tuple[float, float] = TEMPERATURES
) -> float:
    """Return the temperature, within `bounds`, at which `log_loss` is least; it has the other parameters, too."""
    low, high = map(math.log, bounds)

    def loss(log_temperature: float) -> float:
        return log_loss(logits, labels=labels, temperature=math.exp(log_temperature), weights=weights)

    # Ternary search: the loss has one minimum, and each round keeps the two thirds of the interval that contain it.
    for _ in range(20):
        third = (high - low) / 3
        if loss(low + third) < loss(high - third):
            high -= third
        else:
            low += third
    return math.exp((low + high) / 2)
