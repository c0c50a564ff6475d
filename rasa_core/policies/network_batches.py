"""What the network of `KerasPolicy` learns from in each step: batches of examples, of which much is left out."""

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

Floats = NDArray[np.float32]

INPUT_DROPOUT: Final = 0.2
VALUES_UNSEEN: Final = 0.3
"""Share of the examples that learn without any values, as if these were new."""

PASSES: Final = 2500
"""How often each example is seen, times the square root of their number: few are seen often, many seldom."""
MOST_SEEN: Final = 600_000
EPOCHS_TOLD: Final = 20
"""About so often progress is told, unless `epochs` is given."""
BATCH_SIZES: Final = (16, 256)
BATCHES: Final = 16
"""In a pass over few examples."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often to see what is to be learnt, and how much of it at a time.

    Attributes
    ----------
    epochs : int
        How often each example is seen.
    repeats : int
        How often each example is seen before progress is told.
    batch_size : int
        How many examples make one step.
    """

    epochs: int
    repeats: int
    batch_size: int

    @classmethod
    def of(cls, num_examples: int, epochs: int | None, batch_size: int | None, bound: int | None = None) -> Schedule:
        """Return the schedule for this many examples, as far as it is not given; `bound` is of epochs that are not."""
        least, most = BATCH_SIZES
        # Small batches for few examples, so that there are steps enough to learn from.
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
    """Return the Keras data set of batches of one size, `repeats` times the used examples in an order that changes.

    For learning, features are dropped here, not by a layer of the model, since nearly all of them are zero. How much
    of each example each perceptron does not learn is `left_out`, ``(examples, perceptrons)``.
    """
    keras = import_keras()
    size = devices * math.ceil(schedule.batch_size / devices)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        """Examples written out, batch by batch, only those of one block in memory."""

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
            # Always of one size, the last batch filled with zeros that count nothing: another shape would be compiled
            # anew.
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
