"""Calibrates the confidence of the network of `KerasPolicy` with examples that its perceptrons have not seen.

The logits are divided by the temperature for which the probabilities fit these examples best (Guo, Pleiss, Sun and
Weinberger, "On Calibration of Modern Neural Networks", 2017, arXiv:1706.04599).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.example_rows import TrainingExamples
from rasa_core.policies.keras_network import HIDDEN
from rasa_core.policies.network import PolicyNetwork
from rasa_core.support.arrays import Floats
from rasa_core.support.probabilities import best_temperature, softmax

TEMPERATURES: Final = (0.5, 4.0)
LOST: Final = 0.01
"""Largest share of the right predictions whose confidence may be below the threshold."""
MOST_HELD_OUT: Final = 50_000
"""Number of examples after which no further block of them is read."""


class HeldOut(NamedTuple):
    """Logits for examples by perceptrons that have not seen them, the action of each, and how much it counts."""

    logits: Floats
    actions: NDArray[np.int32]
    weights: Floats

    @classmethod
    def of(cls, examples: TrainingExamples, network: PolicyNetwork, unseen: Floats) -> HeldOut:
        """Return the logits of perceptrons for examples that they have not seen.

        `unseen` is the part of an example's weight that a perceptron has not learnt from, ``(examples, perceptrons)``.
        """
        logits, numbers, weights = [], [], []
        for block in examples.blocks():
            for number, weight in enumerate(unseen.T):
                chosen = block.numbers[weight[block.numbers] > 0]
                for part in np.array_split(chosen, math.ceil(len(chosen) / 4096) or 1):
                    logits.append(perceptron_logits(network, examples.dense(block, part), number))
                numbers.append(chosen)
                weights.append(weight[chosen])
            if sum(map(len, numbers)) >= MOST_HELD_OUT:
                break
        return cls(np.concatenate(logits), examples.actions[np.concatenate(numbers)], np.concatenate(weights))

    def calibration(self, doubt: int = 0) -> dict[str, float]:
        """Return the temperature, and figures about the predictions at that temperature.

        The logarithm of the temperature that fits `n` examples is multiplied by ``n / (n + doubt)``, since few examples
        are weak evidence; without any, the temperature would be 1.
        """
        count = len(self.actions)
        found = best_temperature(self.logits, labels=self.actions, weights=self.weights, bounds=TEMPERATURES)
        temperature = found ** (count / (count + doubt))
        probabilities = softmax(self.logits / np.float32(temperature))
        return {"temperature": temperature, **figures(probabilities, self.actions, self.weights)}


def perceptron_logits(network: PolicyNetwork, x: Floats, number: int) -> Floats:
    """Return the logits ``(examples, actions)`` of one of the perceptrons, for inputs ``(examples, features)``."""
    (kernel, bias), *between, (last, last_bias) = network.layers
    units = slice(number * HIDDEN[0], (number + 1) * HIDDEN[0])
    h = np.maximum(x @ kernel[:, units] + bias[units], 0.0)
    for kernel, bias in between:
        h = np.maximum(h @ kernel[number] + bias[number], 0.0)
    count = len(network.layers[0][1]) // HIDDEN[0]
    own = last.reshape(count, -1, last.shape[-1])[number]
    # The last layer takes the mean of all perceptrons, so the weights of one are divided by the number of them.
    logits: Floats = (h @ own) * np.float32(count) + last_bias
    return logits


def figures(probabilities: Floats, actions: NDArray[np.int32], weights: Floats) -> dict[str, float]:
    """Return figures about predictions ``(examples, actions)``; see `rasa_core.policies.network_training.Trained`."""
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == actions
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = np.bincount(bins, weights * (confidence - is_right), 10)
    return {
        "examples": len(actions),
        "accuracy": round(float(np.average(is_right, weights=weights)), 4),
        "calibration_error": round(float(np.abs(gaps).sum() / weights.sum()), 4),
        "threshold": threshold(confidence[is_right], weights[is_right]),
    }


def threshold(confidences: Floats, weights: Floats) -> float:
    """Return the confidence, rounded down to hundredths, that at most a share `LOST` of right predictions is below."""
    if not len(confidences):
        return 0.0
    order = confidences.argsort(kind="stable")
    above = np.cumsum(weights[order]) > LOST * weights.sum()
    return math.floor(float(confidences[order][above.argmax()]) * 100) / 100
