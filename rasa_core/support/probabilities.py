"""Probabilities of logits, and the temperature that makes them as sure as they are right (Guo et al. 2017).

Notation: ``z`` are logits, ``T`` is the temperature; ``p = softmax(z / T)``. A higher ``T`` makes ``p`` less sure.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TEMPERATURES: Final = (0.05, 10.0)
"""Least and greatest temperature that `best_temperature` returns."""


def softmax(logits: Floats, axis: int = -1) -> Floats:
    """Return probabilities of the same shape as `logits`, which add up to 1 along `axis`."""
    e = np.exp(logits - logits.max(axis=axis, keepdims=True))
    probabilities: Floats = e / e.sum(axis=axis, keepdims=True)
    return probabilities


def log_loss(logits: Floats, *, labels: NDArray[Any], temperature: float, weights: Floats | None = None) -> float:
    """Return the mean over examples of minus the logarithm of the right label's probability.

    Parameters
    ----------
    logits
        ``(examples, labels)``.
    labels, weights
        The right label of each example, and how much the example counts (None: all the same), ``(examples,)``.
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

    # The loss has one minimum: two thirds of the interval that holds it are kept in each round.
    for _ in range(20):
        third = (high - low) / 3
        if loss(low + third) < loss(high - third):
            high -= third
        else:
            low += third
    return math.exp((low + high) / 2)
