"""Trains the perceptrons of the network of `KerasPolicy`, and finds how sure they may be.

Each perceptron learns without one group of the stories; together they say more than one that has learnt from all. Of
few stories, all learn from all; the same model then learns anew, for a fifth of the time, each perceptron without a
third of these stories, to find what it knows of stories that it has not seen. To compile a model of another shape, with
more perceptrons for smaller parts, would take longer than that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies import keras_network, keras_training
from rasa_core.policies.example_rows import TrainingExamples
from rasa_core.policies.features.history import words_of
from rasa_core.policies.keras_network import LEARNING_RATE, as_network
from rasa_core.policies.keras_training import import_keras
from rasa_core.policies.network import PolicyNetwork
from rasa_core.policies.network_batches import Schedule, batches
from rasa_core.policies.network_calibration import HeldOut
from rasa_core.support.progress import Progress

Floats = NDArray[np.float32]

MANY_STEPS: Final = 2000
"""In an epoch; with more, progress is told by step."""
STEPS_BETWEEN_REPORTS: Final = 100

FEWEST_HELD_OUT: Final = 50
DOUBT: Final = 40
"""How far the temperature is doubted that the examples of few stories give; see `HeldOut.calibration`."""
FOLD_SHARE: Final = 0.2
"""Of the epochs, for the networks by which the confidence of few stories is found."""


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
    with keras_training.distributed() as devices:
        model = keras_network.build(examples.num_features, len(action_names), parts)
        fit = _Fit(model, examples, len(action_names), devices, seed, silent)
        if start is not None:
            keras_network.set_weights(model, start)
            # A network that has learnt already would lose what it knows in large steps.
            keras_network.compile_model(model, LEARNING_RATE / 4)
            fit(schedule, examples.unseen, title, tested)
            return Trained(as_network(model), {})
        keras_network.initial_weights(model)
        keras_network.compile_model(model, LEARNING_RATE)
        fit(schedule, examples.unseen, title, tested)
        network = as_network(model, parts)
        held_out, fewest, doubt = HeldOut.of(examples, network, examples.unseen), FEWEST_HELD_OUT, 0
        if examples.folds is not None:
            # What this one learns only tells how sure to be, and is thrown away afterwards.
            keras_network.initial_weights(model)
            short = replace(schedule, epochs=max(1, round(schedule.epochs * FOLD_SHARE)))
            fit(short, examples.folds, f"confidence, {title}")
            held_out, fewest, doubt = HeldOut.of(examples, as_network(model, parts), examples.folds), 1, DOUBT
    if len(held_out.actions) < fewest:
        return Trained(network, {})
    calibration = held_out.calibration(doubt)
    return Trained(network.at_temperature(calibration["temperature"]), calibration)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Lets a Keras model learn from examples, as often as it is called; what it does is compiled once."""

    model: Any
    examples: TrainingExamples
    num_actions: int
    devices: int
    seed: int
    silent: bool

    def __call__(
        self, schedule: Schedule, left_out: Floats, title: str, tested: NDArray[np.bool_] | None = None
    ) -> None:
        """Learn all examples but the `tested` ones, each perceptron without what is left out for it."""
        tested = np.zeros(len(self.examples), np.bool_) if tested is None else tested
        learnt = self._batches(~tested, schedule, left_out, learning=True)
        validation = self._batches(tested, replace(schedule, epochs=1, repeats=1), left_out, learning=False)
        keras_network.begin(self.model, len(learnt) * schedule.epochs)
        by_step = len(learnt) > MANY_STEPS
        epochs, steps = schedule.epochs, len(learnt)
        total = epochs * (steps if by_step else 1)
        with Progress(f"{title}, {'step' if by_step else 'epoch'}", total, silent=self.silent) as progress:
            self.model.fit(
                learnt,
                epochs=epochs,
                validation_data=validation if tested.any() else None,
                verbose=0,
                # The batches are in random order already, with a seed of ours, the same on every backend.
                shuffle=False,
                callbacks=_callbacks(self.model, progress, epochs, steps, by_step=by_step),
            )

    def _batches(self, used: NDArray[np.bool_], schedule: Schedule, left_out: Floats, *, learning: bool) -> Any:
        options: dict[str, Any] = {"seed": self.seed, "devices": self.devices, "learning": learning}
        return batches(self.examples, used, self.num_actions, schedule, left_out=left_out, **options)


def _callbacks(model: Any, progress: Progress, epochs: int, steps: int, *, by_step: bool) -> Any:
    """Return the Keras callbacks that tell how far training is: by epoch, or by step where epochs take long.

    They ask nothing of a single step. Keras's own list of callbacks waits for the figures of each, in another thread,
    which takes a tenth of a training on few stories.
    """
    callbacks = import_keras().callbacks
    done = [0]

    class Callbacks(callbacks.CallbackList):  # type: ignore[misc, name-defined]
        def on_train_batch_begin(self, batch: int, logs: object = None) -> None: ...

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            done[0] += 1
            if by_step and (done[0] % STEPS_BETWEEN_REPORTS == 0 or batch == steps - 1):
                progress.step(done[0])

    told = [] if by_step else [keras_training.report(progress)]
    return Callbacks(told, add_history=True, model=model, epochs=epochs, steps=steps, verbose=0)


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
