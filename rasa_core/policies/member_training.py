"""Trains the members of the network of `KerasPolicy`, and finds how sure they may be.

Each member learns without one group of the stories; together they say more than one network that has learnt from all.
Their logits are divided by the temperature with which the members' probabilities fit the groups best that they have not
seen (Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017, arXiv:1706.04599).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.keras_training import distributed, import_keras, report
from rasa_core.policies.members import (
    MEMBERS,
    UNITS,
    as_network,
    build,
    initial_weights,
    label_parts,
    member_logits,
    set_weights,
    units_kept,
)
from rasa_core.policies.network import Network, softmax
from rasa_core.policies.training_rows import Block, TrainingRows
from rasa_core.support.progress import Progress

Floats = NDArray[np.float32]

INPUT_DROPOUT: Final = 0.2
VALUES_UNSEEN: Final = 0.3
"""Share of the rows that learn without any values, as if these were new."""
LEARNING_RATE, WEIGHT_DECAY = 5e-3, 0.05

PASSES: Final = 2500
"""How often each row is seen, times the square root of their number: few rows are seen often, and many seldom."""
MOST_ROWS_SEEN: Final = 600_000
EPOCHS_TOLD: Final = 20
"""About so often progress is told, unless `epochs` is given."""
BATCH_SIZES: Final = (16, 256)
BATCHES: Final = 16
"""In a pass over few rows."""
MANY_STEPS: Final = 2000
"""In an epoch; with more, progress is told by step."""
STEPS_BETWEEN_REPORTS: Final = 100

TEMPERATURES: Final = (0.5, 4.0)
FEWEST_HELD_OUT: Final = 50
MOST_HELD_OUT: Final = 50_000
"""Rows by which the temperature is found, or those of one block more."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train.

    Attributes
    ----------
    epochs : int
        How often each row is seen.
    repeats : int
        How often each row is seen before progress is told.
    batch_size : int
        How many rows make one step.
    """

    epochs: int
    repeats: int
    batch_size: int

    @classmethod
    def of(cls, num_rows: int, epochs: int | None, batch_size: int | None) -> Settings:
        """Return the settings for this many rows; `epochs` and `batch_size` only where they are not given."""
        least, most = BATCH_SIZES
        size = batch_size or min(most, least * math.ceil(num_rows / (BATCHES * least)))
        if epochs is not None:
            return cls(epochs, 1, size)
        passes = max(1, min(round(PASSES / math.sqrt(num_rows)), MOST_ROWS_SEEN // num_rows))
        repeats = max(1, passes // EPOCHS_TOLD)
        return cls(passes // repeats, repeats, size)


@dataclass(frozen=True, slots=True)
class Trained:
    """A network, and what it did with the rows that its members had not seen.

    Attributes
    ----------
    network : Network
        The mean of the members, with calibrated probabilities.
    calibration : dict of str to float
        ``temperature``; and of the rows that a member had not seen, ``examples``: how many there are, ``accuracy`` and
        ``calibration_error`` of its predictions. Empty where too few were held out.
    """

    network: Network
    calibration: dict[str, float]


def train(
    rows: TrainingRows,
    action_names: Sequence[str],
    settings: Settings,
    *,
    seed: int,
    silent: bool,
    title: str,
    validation_split: float = 0.0,
    start: Network | None = None,
) -> Trained:
    """Train a network on rows.

    Parameters
    ----------
    rows
        What to learn from.
    action_names
        Names of all actions, in the order of their indices.
    settings
        How often, and how many at a time.
    seed
        Decides the order of the rows; initial weights and dropout are the caller's (`keras_training.seeded`).
    validation_split
        Share of the rows, drawn at random, that no member learns from and whose loss and accuracy are told.
    start
        A network to go on from; its temperature stays in its weights.
    """
    with distributed() as devices:
        parts = label_parts(action_names) if start is None else None
        model = build(rows.num_features, len(action_names), parts)
        if start is None:
            initial_weights(model)
        else:
            set_weights(model, start)
        tested = _chosen(len(rows), validation_split)
        batches = _batches(rows, ~tested, len(action_names), settings, seed, devices, learning=True)
        validation = _batches(
            rows, tested, len(action_names), Settings(1, 1, settings.batch_size), seed, devices, learning=False
        )
        model.compile(
            optimizer=_optimizer(len(batches) * settings.epochs, start), loss=_cross_entropy, metrics=[_accuracy()]
        )
        by_step = len(batches) > MANY_STEPS
        total = settings.epochs * (len(batches) if by_step else 1)
        with Progress(f"{title}, {'step' if by_step else 'epoch'}", total, silent=silent) as progress:
            model.fit(
                batches,
                epochs=settings.epochs,
                validation_data=validation if tested.any() else None,
                verbose=0,
                shuffle=False,
                callbacks=[_report_steps(progress, len(batches)) if by_step else report(progress)],
            )
    plain = as_network(model, parts, 1.0)
    logits, actions, weights = _held_out(rows, plain)
    if start is not None or len(actions) < FEWEST_HELD_OUT:
        return Trained(plain, {})
    temperature = best_temperature(logits, actions, weights)
    calibration = _calibration(softmax(logits / np.float32(temperature)), actions, weights)
    return Trained(as_network(model, parts, temperature), {"temperature": temperature, **calibration})


def _report_steps(progress: Progress, steps: int) -> Any:
    """Return the Keras callback that tells every so many steps how far training is, where epochs take long."""
    done = [0]

    def on_train_batch_end(batch: int, logs: object = None) -> None:
        done[0] += 1
        if done[0] % STEPS_BETWEEN_REPORTS == 0 or batch == steps - 1:
            progress.step(done[0])

    return import_keras().callbacks.LambdaCallback(on_train_batch_end=on_train_batch_end)


def _chosen(count: int, share: float) -> NDArray[np.bool_]:
    """Return a random choice of a share of the rows, none if it would be all of them."""
    chosen = np.zeros(count, np.bool_)
    held_out = round(count * share)
    if 0 < held_out < count:
        # NumPy's random state is seeded by the caller, as Keras is.
        chosen[np.random.permutation(count)[:held_out]] = True
    return chosen


def _calibration(probabilities: Floats, actions: NDArray[np.int32], weights: Floats) -> dict[str, float]:
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == actions
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = np.bincount(bins, weights * (confidence - is_right), 10)
    return {
        "examples": len(actions),
        "accuracy": round(float(np.average(is_right, weights=weights)), 4),
        "calibration_error": round(float(np.abs(gaps).sum() / weights.sum()), 4),
    }


def _optimizer(steps: int, start: Network | None) -> Any:
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
    """Return the cross-entropy ``(batch,)`` of logits and wanted probabilities ``(batch, members, actions)``.

    Wanted probabilities carry the weight of the row; they are zeros where a member does not learn from it.
    """
    ops = import_keras().ops
    return -ops.sum(wanted * ops.log_softmax(logits, axis=-1), axis=(1, 2))


def _accuracy() -> Any:
    """Return the metric: the share of what the members learn from that they predict right."""
    keras = import_keras()

    def accuracy(wanted: Any, logits: Any) -> Any:
        ops = keras.ops
        learnt = ops.sum(wanted, axis=-1)
        is_right = ops.cast(ops.equal(ops.argmax(wanted, axis=-1), ops.argmax(logits, axis=-1)), "float32")
        return ops.sum(is_right * learnt) / ops.maximum(ops.sum(learnt), 1e-9)

    return accuracy


def _batches(
    rows: TrainingRows,
    used: NDArray[np.bool_],
    num_actions: int,
    settings: Settings,
    seed: int,
    devices: int,
    *,
    learning: bool,
) -> Any:
    """Return the Keras data set of batches of one size, `repeats` times the used rows in an order that changes.

    For learning, features are dropped here, not by a layer of the model, since nearly all of them are zero.
    """
    keras = import_keras()
    size = devices * math.ceil(settings.batch_size / devices)
    members = np.arange(MEMBERS)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc, name-defined]
        """Rows written out, batch by batch, only those of one block in memory."""

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
            self._plan = [batch for _ in range(settings.repeats) for batch in self._shuffled()]

        def _shuffled(self) -> list[tuple[int, NDArray[np.int64]]]:
            plan = []
            firsts = rows.block_starts()
            for position in self._random.permutation(len(firsts)):
                first, last = firsts[position]
                order = first + self._random.permutation(np.flatnonzero(used[first:last]))
                plan += [(first, order[begin : begin + size]) for begin in range(0, len(order), size)]
            return plan

        def __getitem__(self, index: int) -> tuple[dict[str, Floats], Floats]:
            first, chosen = self._plan[index]
            if self._block is None or self._block.first != first:
                self._block = rows.block(first)
            x = np.zeros((size, rows.num_features), np.float32)
            x[: len(chosen)] = rows.dense(self._block, chosen, INPUT_DROPOUT if learning else 0.0, self._random)
            kept = np.ones((size, UNITS), np.float32)
            if learning:
                kept = units_kept(size, self._random)
                unseen = np.flatnonzero(self._random.random(size, np.float32) < VALUES_UNSEEN)
                x[np.ix_(unseen, rows.value_columns)] = 0.0
            wanted = np.zeros((size, MEMBERS, num_actions), np.float32)
            learnt = rows.weights[chosen, None] * (rows.groups[chosen, None] != members)
            wanted[np.arange(len(chosen))[:, None], members, rows.actions[chosen, None]] = learnt
            return {"features": x, "kept": kept}, wanted

    return Batches()


def _held_out(rows: TrainingRows, network: Network) -> tuple[Floats, NDArray[np.int32], Floats]:
    """Return the logits for each row that was held out, by the member that has not seen it; its action and weight."""
    logits, numbers = [], []
    for block in rows.blocks():
        for member in range(MEMBERS):
            last = block.first + len(block.starts) - 1
            chosen = block.first + np.flatnonzero(rows.groups[block.first : last] == member)
            for part in np.array_split(chosen, math.ceil(len(chosen) / 4096) or 1):
                logits.append(member_logits(network, rows.dense(block, part), member))
            numbers.append(chosen)
        if sum(map(len, numbers)) >= MOST_HELD_OUT:
            break
    found = np.concatenate(numbers)
    return np.concatenate(logits), rows.actions[found], rows.weights[found]


def best_temperature(logits: Floats, actions: NDArray[np.int32], weights: Floats) -> float:
    """Return the temperature, within bounds, with which the actions are most probable.

    Parameters
    ----------
    logits
        ``(examples, actions)``.
    actions, weights
        The action of each example, and how much it counts, ``(examples,)``.
    """
    low, high = map(math.log, TEMPERATURES)
    rows = np.arange(len(actions))
    below = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)

    def surprise(log_temperature: float) -> float:
        scaled = below / math.exp(log_temperature)
        return float(np.average(np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, actions], weights=weights))

    # The surprise has one minimum: two thirds of the interval that holds it are kept in each round.
    for _ in range(20):
        third = (high - low) / 3
        if surprise(low + third) < surprise(high - third):
            high -= third
        else:
            low += third
    return math.exp((low + high) / 2)
