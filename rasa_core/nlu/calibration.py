"""How sure a model may be: the temperature by which its confidences fit how often it is right (Guo et al. 2017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_TEMPERATURES = np.geomspace(0.3, 3.0, 93)


def temperature_for(scores: Floats, intents: NDArray[np.int_]) -> float:
    """Return the temperature with the least `loss`.

    Parameters
    ----------
    scores
        What a softmax makes confidences of, ``(messages, intents)``.
    intents
        The right ones, ``(messages,)``.
    """
    losses = [loss(scores, intents, float(temperature)) for temperature in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def loss(scores: Floats, intents: NDArray[np.int_], temperature: float) -> float:
    """Return the mean over messages of minus the logarithm of the right intent's confidence."""
    tempered = scores.astype(np.float64) / temperature
    tempered -= tempered.max(axis=1, keepdims=True)
    right = tempered[np.arange(len(intents)), intents]
    return float((np.log(np.exp(tempered).sum(axis=1)) - right).mean())
