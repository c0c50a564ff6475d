"""The batches of examples from which the network of `KerasPolicy` learns, and how many batches there are.

A part of the features and of the units is left out of each batch at random (dropout).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.example_rows import Block, TrainingExamples
from rasa_core.policies.keras_network import UNITS, units_kept
from rasa_core.policies.keras_training import import_keras
from rasa_core.policies.network import PERCEPTRONS
from rasa_core.support.arrays import Floats

INPUT_DROPOUT: Final = 0.2
VALUES_UNSEEN: Final = 0.3
"""Share of the examples of a batch whose values are left out, as if no story had had them before."""

PASSES: Final = 2500
"""Number of passes over the examples, times the square root of the number of examples: few are seen often."""
MOST_SEEN: Final = 600_000
"""Largest number of examples seen in all passes together."""
EPOCHS_TOLD: Final = 20
"""About how often progress is told, unless the user gives a number of epochs."""
BATCH_SIZES: Final = (16, 256)
"""The smallest and the largest number of examples in a batch."""
BATCHES: Final = 16
"""Number of batches in one pass over few examples."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The number of passes over the examples, and the size of a batch.

    Attributes
    ----------
    epochs : int
        Number of epochs; progress is told after each.
    repeats : int
        Number of passes over all examples in one epoch.
    batch_size : int
        Number of examples in one step of learning.
    """

    epochs: int
    repeats: int
    batch_size: int

    @classmethod
    def of(cls, num_examples: int, epochs: int | None, batch_size: int | None, bound: int | None = None) -> Schedule:
        """Return the schedule for this many examples; None leaves a number to this method.

        `bound` is the largest number of passes, if `epochs` is None.
        """
        least, most = BATCH_SIZES
        # Batches are small if there are few examples, so that one pass has enough steps.
        size = batch_size or min(most, least * math.ceil(num_examples / (BATCHES * least)))
        if epochs is not None:
            return cls(epochs, 1, size)
        passes = max(1, min(round(PASSES / math.sqrt(num_examples)), MOST_SEEN // num_examples, bound or MOST_SEEN))
        repeats = max(1, passes // EPOCHS_TOLD)
        return cls(passes // repeats, repeats, size)


def batches(
    examples: TrainingExamples,
    used: NDArray[np.bool_],
    num_actions: int,
    schedule: Schedule,
    *,
    left_out: Floats,
    seed: int,
    devices: int,
    learning: bool,
) -> Any:
    """Return a Keras data set whose batches all have one size.

    One epoch has each used example as often as `schedule.repeats` says, in an order that changes from pass to pass.

    Parameters
    ----------
    used
        Whether an example is used, ``(examples,)``.
    left_out
        The part of an example's weight that a perceptron does not learn from, ``(examples, perceptrons)``.
    devices
        Number of devices that share a batch.
    learning
        Whether to drop features and units. Features are dropped here, not by a layer of the model, since nearly all of
        them are zero.
    """
    keras = import_keras()
    size = devices * math.ceil(schedule.batch_size / devices)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        """Batches of dense rows; only one block of the examples is in memory at a time."""

        def __init__(self) -> None:
            super().__init__()
            self._random = np.random.default_rng(seed)
            self._block: Block | None = None
            self._plan: list[tuple[int, NDArray[np.int64]]] = []
            self.on_epoch_end()
            self._length = len(self._plan)

        def __len__(self) -> int:
            return self._length

        def on_epoch_end(self) -> None:
            self._plan = [batch for _ in range(schedule.repeats) for batch in self._shuffled()]

        def _shuffled(self) -> list[tuple[int, NDArray[np.int64]]]:
            plan = []
            firsts = examples.block_ends()
            for position in self._random.permutation(len(firsts)):
                first, last = firsts[position]
                order = first + self._random.permutation(np.flatnonzero(used[first:last]))
                plan += [(first, order[begin : begin + size]) for begin in range(0, len(order), size)]
            return plan

        def __getitem__(self, index: int) -> tuple[dict[str, Floats], Floats]:
            first, chosen = self._plan[index]
            if self._block is None or self._block.first != first:
                self._block = examples.block(first)
            # The last batch is filled with zeros, which have no weight, since Keras would compile another shape anew.
            x = np.zeros((size, examples.num_features), np.float32)
            x[: len(chosen)] = examples.dense(self._block, chosen, INPUT_DROPOUT if learning else 0.0, self._random)
            kept = np.ones((size, UNITS), np.float32)
            if learning:
                kept = units_kept(size, self._random)
                unseen = np.flatnonzero(self._random.random(size, np.float32) < VALUES_UNSEEN)
                x[np.ix_(unseen, examples.value_columns)] = 0.0
            wanted = np.zeros((size, PERCEPTRONS, num_actions), np.float32)
            learnt = np.maximum(examples.weights[chosen, None] - left_out[chosen], 0.0)
            wanted[np.arange(len(chosen))[:, None], np.arange(PERCEPTRONS), examples.actions[chosen, None]] = learnt
            return {"features": x, "kept": kept}, wanted

    return Batches()
