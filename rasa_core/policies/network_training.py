"""Trains the perceptrons of the network of `KerasPolicy`, and finds how sure they may be.

Each perceptron learns without one group of the stories; together they say more than one that has learnt from all. Of
few stories, all learn from all, and as many perceptrons more as there are parts of these tell what each is worth.
Their logits are divided by the temperature with which their probabilities fit the groups best that they have not seen
(Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017, arXiv:1706.04599).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies import keras_training
from rasa_core.policies.features.history import words_of
from rasa_core.policies.keras_training import HIDDEN, import_keras
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
DOUBT: Final = 40
"""The logarithm of the temperature that n examples of few stories give is multiplied by n / (n + 40)."""
FOLD_SHARE: Final = 0.2
"""Of the epochs, for the networks by which the confidence of few stories is found."""
LOST: Final = 0.01
"""Share of what would be right that a threshold on the confidence hands over, at most."""
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


@dataclass(frozen=True, slots=True)
class Trained:
    """A network, and what it did with the examples that its perceptrons had not seen.

    Attributes
    ----------
    network : PolicyNetwork
        The mean of the perceptrons, with calibrated probabilities.
    calibration : dict of str to float
        ``temperature``; and of what a perceptron had not seen, ``examples``: how many there are, ``accuracy`` and
        ``calibration_error`` of its predictions, and ``threshold``, the confidence below which at most `LOST` of the
        right ones are. Empty where nothing was held out.
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
    # A network to go on from has the parts of names in its sums already (`as_network`).
    parts = label_parts(action_names) if start is None else None
    tested = keras_training.held_out(len(examples), validation_split)
    run = _Run(examples, len(action_names), schedule, seed, silent, title)
    model = run.fit(parts, start, tested)
    plain = keras_training.as_network(model, parts, 1.0)
    if start is not None:
        return Trained(plain, {})
    held_out = _held_out(examples, plain)
    doubt = 0
    if examples.folds is not None:
        # They only tell how sure to be, and are thrown away afterwards.
        halved = replace(schedule, epochs=max(1, round(schedule.epochs * FOLD_SHARE)))
        apart = replace(run, schedule=halved, title=f"confidence, {title}", by_fold=True).fit(parts)
        held_out = _held_out(examples, keras_training.as_network(apart, parts, 1.0), examples.folds)
        doubt = DOUBT
    logits, actions, weights = held_out
    if len(actions) < (1 if doubt else FEWEST_HELD_OUT):
        return Trained(plain, {})
    temperature = best_temperature(logits, labels=actions, weights=weights, bounds=TEMPERATURES)
    # In the logarithm, towards 0: few examples say little, and without any the temperature would be 1.
    temperature **= len(actions) / (len(actions) + doubt)
    calibration = _calibration(softmax(logits / np.float32(temperature)), actions, weights)
    return Trained(keras_training.as_network(model, parts, temperature), {"temperature": temperature, **calibration})


@dataclass(frozen=True, slots=True)
class _Run:
    """How a network is fitted, whatever number of perceptrons it has."""

    examples: TrainingExamples
    num_actions: int
    schedule: Schedule
    seed: int
    silent: bool
    title: str
    by_fold: bool = False

    def fit(
        self, parts: Floats | None, start: PolicyNetwork | None = None, tested: NDArray[np.bool_] | None = None
    ) -> Any:
        """Return a Keras model that has learnt all examples but the `tested` ones."""
        examples, schedule = self.examples, self.schedule
        unseen = examples.held_out(by_fold=self.by_fold)
        with keras_training.distributed() as devices:
            model = keras_training.build(examples.num_features, self.num_actions, parts, unseen.shape[1])
            if start is None:
                keras_training.initial_weights(model)
            else:
                keras_training.set_weights(model, start)
            tested = np.zeros(len(examples), np.bool_) if tested is None else tested
            options: dict[str, Any] = {"devices": devices, "left_out": unseen}
            batches = _batches(examples, ~tested, self.num_actions, schedule, self.seed, learning=True, **options)
            once = Schedule(1, 1, schedule.batch_size)
            validation = _batches(examples, tested, self.num_actions, once, self.seed, learning=False, **options)
            optimizer = _optimizer(len(batches) * schedule.epochs, start)
            model.compile(optimizer=optimizer, loss=_cross_entropy, metrics=[_accuracy()])
            by_step = len(batches) > MANY_STEPS
            total = schedule.epochs * (len(batches) if by_step else 1)
            with Progress(f"{self.title}, {'step' if by_step else 'epoch'}", total, silent=self.silent) as progress:
                model.fit(
                    batches,
                    epochs=schedule.epochs,
                    validation_data=validation if tested.any() else None,
                    verbose=0,
                    # The batches are in random order already, with a seed of ours, the same on every backend.
                    shuffle=False,
                    callbacks=[_report_steps(progress, len(batches)) if by_step else keras_training.report(progress)],
                )
        return model


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
        "threshold": _threshold(confidence[is_right], weights[is_right]),
    }


def _threshold(confidences: Floats, weights: Floats) -> float:
    """Return the confidence, rounded down to hundredths, below which are at most `LOST` of all that are right."""
    if not len(confidences):
        return 0.0
    order = confidences.argsort(kind="stable")
    above = np.cumsum(weights[order]) > LOST * weights.sum()
    return math.floor(float(confidences[order][above.argmax()]) * 100) / 100


def _optimizer(steps: int, start: PolicyNetwork | None) -> Any:
    """Return AdamW whose rate rises in the first tenth of the steps and falls to nothing along a cosine."""
    keras = import_keras()
    warming = max(1, steps // 10)
    # A network that has learnt already would lose what it knows in large steps.
    peak = LEARNING_RATE if start is None else LEARNING_RATE / 4
    rate = keras.optimizers.schedules.CosineDecay(
        peak / warming, max(1, steps - warming), warmup_target=peak, warmup_steps=warming
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
    # Decay holds back what multiplies the input; a bias only says how frequent an action is.
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
        # Not by `argmax`, which took a tenth of a training with a thousand actions.
        own = ops.max(ops.where(wanted > 0.0, logits, -np.inf), axis=-1)
        is_right = ops.cast(ops.equal(own, ops.max(logits, axis=-1)), "float32")
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
    left_out: Floats | None = None,
) -> Any:
    """Return the Keras data set of batches of one size, `repeats` times the used examples in an order that changes.

    For learning, features are dropped here, not by a layer of the model, since nearly all of them are zero.
    """
    keras = import_keras()
    size = devices * math.ceil(schedule.batch_size / devices)
    unlearnt = examples.held_out(by_fold=False) if left_out is None else left_out
    perceptrons = unlearnt.shape[1]
    units = perceptrons * sum(HIDDEN)

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
            kept = np.ones((size, units), np.float32)
            if learning:
                kept = keras_training.units_kept(size, self._random, units)
                unseen = np.flatnonzero(self._random.random(size, np.float32) < VALUES_UNSEEN)
                x[np.ix_(unseen, examples.value_columns)] = 0.0
            wanted = np.zeros((size, perceptrons, num_actions), np.float32)
            learnt = np.maximum(examples.weights[chosen, None] - unlearnt[chosen], 0.0)
            wanted[np.arange(len(chosen))[:, None], np.arange(perceptrons), examples.actions[chosen, None]] = learnt
            return {"features": x, "kept": kept}, wanted

    return Batches()


def _held_out(
    examples: TrainingExamples, network: PolicyNetwork, unseen: Floats | None = None
) -> tuple[Floats, NDArray[np.int32], Floats]:
    """Return logits for each example that was held out, by the perceptron that has not seen it; action and weight.

    `unseen` is how much of each example each perceptron has not seen, ``(examples, perceptrons)``; its group if not
    given.
    """
    unseen = examples.held_out(by_fold=False) if unseen is None else unseen
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
    return np.concatenate(logits), examples.actions[np.concatenate(numbers)], np.concatenate(weights)


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
    count = len(network.layers[0][1]) // HIDDEN[0]
    own = last.reshape(count, -1, last.shape[-1])[number]
    # The last layer holds the mean of all perceptrons: one of them alone is as many times as large.
    logits: Floats = (h @ own) * np.float32(count) + last_bias
    return logits
