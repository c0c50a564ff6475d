"""Trains the perceptrons of the network of `KerasPolicy`, and finds how sure they may be.

Each perceptron learns without one group of the stories; together they say more than one that has learnt from all.
Their logits are divided by the temperature with which their probabilities fit the groups best that they have not seen
(Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017, arXiv:1706.04599).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies import keras_training
from rasa_core.policies.features.history import words_of
from rasa_core.policies.keras_training import HIDDEN, UNITS, import_keras
from rasa_core.policies.network import PERCEPTRONS, PolicyNetwork
from rasa_core.policies.training_examples import Block, TrainingExamples
from rasa_core.support.probabilities import best_temperature, softmax
from rasa_core.support.progress import Progress

Floats = NDArray[np.float32]

INPUT_DROPOUT: Final = 0.2
VALUES_UNSEEN: Final = 0.3
"""Share of the examples that learn without any values, as if these were new."""
LEARNING_RATE, WEIGHT_DECAY = 5e-3, 0.05

PASSES: Final = 2500
"""How often each example is seen, times the square root of their number: few are seen often, many seldom."""
MOST_SEEN: Final = 600_000
EPOCHS_TOLD: Final = 20
"""About so often progress is told, unless `epochs` is given."""
BATCH_SIZES: Final = (16, 256)
BATCHES: Final = 16
"""In a pass over few examples."""
MANY_STEPS: Final = 2000
"""In an epoch; with more, progress is told by step."""
STEPS_BETWEEN_REPORTS: Final = 100

TEMPERATURES: Final = (0.5, 4.0)
FEWEST_HELD_OUT: Final = 50
MOST_HELD_OUT: Final = 50_000
"""Examples by which the temperature is found, or those of one block more."""


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
    def of(cls, num_examples: int, epochs: int | None, batch_size: int | None) -> Schedule:
        """Return the schedule for this many examples; `epochs` and `batch_size` only where they are not given."""
        least, most = BATCH_SIZES
        size = batch_size or min(most, least * math.ceil(num_examples / (BATCHES * least)))
        if epochs is not None:
            return cls(epochs, 1, size)
        passes = max(1, min(round(PASSES / math.sqrt(num_examples)), MOST_SEEN // num_examples))
        repeats = max(1, passes // EPOCHS_TOLD)
        return cls(passes // repeats, repeats, size)


@dataclass(frozen=True, slots=True)
class Trained:
    """A network, and what it did with the examples that its perceptrons had not seen.

    Attributes
    ----------
    network : PolicyNetwork
        The mean of the perceptrons, with calibrated probabilities.
    calibration : dict of str to float
        ``temperature``; and of what a perceptron had not seen, ``examples``: how many there are, ``accuracy`` and
        ``calibration_error`` of its predictions. Empty where too few were held out.
    """

    network: PolicyNetwork
    calibration: dict[str, float]


def train(
    examples: TrainingExamples,
    action_names: Sequence[str],
    schedule: Schedule,
    *,
    seed: int,
    silent: bool,
    title: str,
    validation_split: float = 0.0,
    start: PolicyNetwork | None = None,
) -> Trained:
    """Train a network.

    Parameters
    ----------
    examples
        What to learn from.
    action_names
        Names of all actions, in the order of their indices.
    schedule
        How often, and how many at a time.
    seed
        Decides the order of the examples; initial weights and dropout are the caller's (`keras_training.seeded`).
    validation_split
        Share of the examples, drawn at random, that no perceptron learns from and whose loss and accuracy are told.
    start
        A network to go on from; its temperature stays in its weights.
    """
    with keras_training.distributed() as devices:
        parts = label_parts(action_names) if start is None else None
        model = keras_training.build(examples.num_features, len(action_names), parts)
        if start is None:
            keras_training.initial_weights(model)
        else:
            keras_training.set_weights(model, start)
        tested = keras_training.held_out(len(examples), validation_split)
        batches = _batches(examples, ~tested, len(action_names), schedule, seed, devices, learning=True)
        once = Schedule(1, 1, schedule.batch_size)
        validation = _batches(examples, tested, len(action_names), once, seed, devices, learning=False)
        optimizer = _optimizer(len(batches) * schedule.epochs, start)
        model.compile(optimizer=optimizer, loss=_cross_entropy, metrics=[_accuracy()])
        by_step = len(batches) > MANY_STEPS
        total = schedule.epochs * (len(batches) if by_step else 1)
        with Progress(f"{title}, {'step' if by_step else 'epoch'}", total, silent=silent) as progress:
            model.fit(
                batches,
                epochs=schedule.epochs,
                validation_data=validation if tested.any() else None,
                verbose=0,
                shuffle=False,
                callbacks=[_report_steps(progress, len(batches)) if by_step else keras_training.report(progress)],
            )
    plain = keras_training.as_network(model, parts, 1.0)
    logits, actions, weights = _held_out(examples, plain)
    if start is not None or len(actions) < FEWEST_HELD_OUT:
        return Trained(plain, {})
    temperature = best_temperature(logits, labels=actions, weights=weights, bounds=TEMPERATURES)
    calibration = _calibration(softmax(logits / np.float32(temperature)), actions, weights)
    return Trained(keras_training.as_network(model, parts, temperature), {"temperature": temperature, **calibration})


def _report_steps(progress: Progress, steps: int) -> Any:
    """Return the Keras callback that tells every so many steps how far training is, where epochs take long."""
    done = [0]

    def on_train_batch_end(batch: int, logs: object = None) -> None:
        done[0] += 1
        if done[0] % STEPS_BETWEEN_REPORTS == 0 or batch == steps - 1:
            progress.step(done[0])

    return import_keras().callbacks.LambdaCallback(on_train_batch_end=on_train_batch_end)


def _calibration(probabilities: Floats, actions: NDArray[np.int32], weights: Floats) -> dict[str, float]:
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == actions
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = np.bincount(bins, weights * (confidence - is_right), 10)
    return {
        "examples": len(actions),
        "accuracy": round(float(np.average(is_right, weights=weights)), 4),
        "calibration_error": round(float(np.abs(gaps).sum() / weights.sum()), 4),
    }


def _optimizer(steps: int, start: PolicyNetwork | None) -> Any:
    """Return AdamW whose rate rises in the first tenth of the steps and falls to nothing along a cosine."""
    keras = import_keras()
    warming = max(1, steps // 10)
    peak = LEARNING_RATE if start is None else LEARNING_RATE / 4
    rate = keras.optimizers.schedules.CosineDecay(
        peak / warming, max(1, steps - warming), warmup_target=peak, warmup_steps=warming
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def _cross_entropy(wanted: Any, logits: Any) -> Any:
    """Return the cross-entropy ``(batch,)`` of logits and wanted probabilities ``(batch, perceptrons, actions)``.

    Wanted probabilities carry the weight of the example; they are zeros where a perceptron does not learn from it.
    """
    ops = import_keras().ops
    return -ops.sum(wanted * ops.log_softmax(logits, axis=-1), axis=(1, 2))


def _accuracy() -> Any:
    """Return the metric: the share of what the perceptrons learn from that they predict right."""
    keras = import_keras()

    def accuracy(wanted: Any, logits: Any) -> Any:
        ops = keras.ops
        learnt = ops.sum(wanted, axis=-1)
        is_right = ops.cast(ops.equal(ops.argmax(wanted, axis=-1), ops.argmax(logits, axis=-1)), "float32")
        return ops.sum(is_right * learnt) / ops.maximum(ops.sum(learnt), 1e-9)

    return accuracy


def _batches(
    examples: TrainingExamples,
    used: NDArray[np.bool_],
    num_actions: int,
    schedule: Schedule,
    seed: int,
    devices: int,
    *,
    learning: bool,
) -> Any:
    """Return the Keras data set of batches of one size, `repeats` times the used examples in an order that changes.

    For learning, features are dropped here, not by a layer of the model, since nearly all of them are zero.
    """
    keras = import_keras()
    size = devices * math.ceil(schedule.batch_size / devices)
    perceptrons = np.arange(PERCEPTRONS)

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
            x = np.zeros((size, examples.num_features), np.float32)
            x[: len(chosen)] = examples.dense(self._block, chosen, INPUT_DROPOUT if learning else 0.0, self._random)
            kept = np.ones((size, UNITS), np.float32)
            if learning:
                kept = keras_training.units_kept(size, self._random)
                unseen = np.flatnonzero(self._random.random(size, np.float32) < VALUES_UNSEEN)
                x[np.ix_(unseen, examples.value_columns)] = 0.0
            wanted = np.zeros((size, PERCEPTRONS, num_actions), np.float32)
            learnt = examples.weights[chosen, None] * (examples.groups[chosen, None] != perceptrons)
            wanted[np.arange(len(chosen))[:, None], perceptrons, examples.actions[chosen, None]] = learnt
            return {"features": x, "kept": kept}, wanted

    return Batches()


def _held_out(examples: TrainingExamples, network: PolicyNetwork) -> tuple[Floats, NDArray[np.int32], Floats]:
    """Return logits for each example that was held out, by the perceptron that has not seen it; action and weight."""
    logits, numbers = [], []
    for block in examples.blocks():
        for number in range(PERCEPTRONS):
            chosen = block.numbers[examples.groups[block.numbers] == number]
            for part in np.array_split(chosen, math.ceil(len(chosen) / 4096) or 1):
                logits.append(perceptron_logits(network, examples.dense(block, part), number))
            numbers.append(chosen)
        if sum(map(len, numbers)) >= MOST_HELD_OUT:
            break
    found = np.concatenate(numbers)
    return np.concatenate(logits), examples.actions[found], examples.weights[found]


def label_parts(names: Sequence[str]) -> Floats:
    """Return which parts of names the names have, ``(parts, names)``; only parts that several have."""
    counts = Counter(word for name in names for word in words_of(name))
    parts = {word: index for index, word in enumerate(sorted(word for word, count in counts.items() if count > 1))}
    matrix = np.zeros((len(parts), len(names)), np.float32)
    for column, name in enumerate(names):
        for word in words_of(name):
            if word in parts:
                matrix[parts[word], column] = 1.0
    return matrix


def is_trainable(network: PolicyNetwork) -> bool:
    """Tell whether a network has the shapes of `build`, so that it can be trained on."""
    shapes = [kernel.shape[-1] for kernel, _ in network.layers[:-1]]
    return shapes == [PERCEPTRONS * HIDDEN[0], *HIDDEN[1:]]


def perceptron_logits(network: PolicyNetwork, x: Floats, number: int) -> Floats:
    """Return the logits ``(examples, actions)`` of one of the perceptrons, for inputs ``(examples, features)``."""
    (kernel, bias), *between, (last, last_bias) = network.layers
    units = slice(number * HIDDEN[0], (number + 1) * HIDDEN[0])
    h = np.maximum(x @ kernel[:, units] + bias[units], 0.0)
    for kernel, bias in between:
        h = np.maximum(h @ kernel[number] + bias[number], 0.0)
    own = last.reshape(PERCEPTRONS, -1, last.shape[-1])[number]
    logits: Floats = (h @ own) * np.float32(PERCEPTRONS) + last_bias
    return logits
