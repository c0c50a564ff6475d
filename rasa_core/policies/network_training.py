"""Trains the perceptrons of the network of `KerasPolicy`, and calibrates their confidence.

Each perceptron learns without one group of the stories, so that this group can tell how sure it may be. If there are
few stories, every perceptron learns from all of them; the same compiled model is then trained again, for a fifth
of the epochs, each perceptron without a third of the stories, and only the second network tells how sure the first may
be. A model with more perceptrons and smaller parts would have another shape, and compiling it would take longer.
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
from rasa_core.support.arrays import Floats
from rasa_core.support.progress import Progress

MANY_STEPS: Final = 2000
"""Number of steps in an epoch above which progress is told by step, not by epoch."""
STEPS_BETWEEN_REPORTS: Final = 100

FEWEST_HELD_OUT: Final = 50
"""Number of examples that are needed for a calibration."""
DOUBT: Final = 40
"""How much the temperature from the examples of few stories is drawn towards 1; see `HeldOut.calibration`."""
FOLD_SHARE: Final = 0.2
"""Share of the epochs in the second training on few stories, which only calibrates."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A network, and figures about its predictions for examples that its perceptrons had not seen.

    Attributes
    ----------
    network : PolicyNetwork
        The mean of the perceptrons, with calibrated probabilities.
    calibration : dict of str to float
        ``temperature``; the number of unseen ``examples``; ``accuracy`` and ``calibration_error`` of the predictions
        for them; and ``threshold``, the confidence that at most a share `LOST` of the right predictions is below.
        Empty if nothing was held out.
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
        The number of epochs, and the size of a batch.
    seed
        Seed of the order of the examples; the caller seeds initial weights and dropout (`keras_training.seeded`).
    validation_split
        Share of the examples, drawn at random, that no perceptron learns from; their loss and accuracy are told.
    start
        A network whose training continues; its temperature stays in its weights.
    """
    # The weights of `start` are sums that include the parts of names already (`as_network`).
    parts = label_parts(action_names) if start is None else None
    tested = keras_training.held_out(len(examples), validation_split)
    with keras_training.distributed() as devices:
        model = keras_network.build(examples.num_features, len(action_names), parts)
        fit = _Fit(model, examples, len(action_names), devices, seed, silent)
        if start is not None:
            keras_network.set_weights(model, start)
            # A trained network would lose in large steps what it has learnt.
            keras_network.compile_model(model, LEARNING_RATE / 4)
            fit(schedule, examples.unseen, title, tested)
            return Trained(as_network(model), {})
        keras_network.initial_weights(model)
        keras_network.compile_model(model, LEARNING_RATE)
        fit(schedule, examples.unseen, title, tested)
        network = as_network(model, parts)
        held_out, fewest, doubt = HeldOut.of(examples, network, examples.unseen), FEWEST_HELD_OUT, 0
        if examples.folds is not None:
            # This network serves only the calibration, and is thrown away afterwards.
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
    """Trains a Keras model on examples, once for each call; the step of learning is compiled at the first call only."""

    model: Any
    examples: TrainingExamples
    num_actions: int
    devices: int
    seed: int
    silent: bool

    def __call__(
        self, schedule: Schedule, left_out: Floats, title: str, tested: NDArray[np.bool_] | None = None
    ) -> None:
        """Train on all examples but the `tested` ones; `left_out` is the weight that each perceptron skips."""
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
                # The batches are shuffled already, with a seed that gives the same order on every backend.
                shuffle=False,
                callbacks=_callbacks(self.model, progress, epochs, steps, by_step=by_step),
            )

    def _batches(self, used: NDArray[np.bool_], schedule: Schedule, left_out: Floats, *, learning: bool) -> Any:
        options: dict[str, Any] = {"seed": self.seed, "devices": self.devices, "learning": learning}
        return batches(self.examples, used, self.num_actions, schedule, left_out=left_out, **options)


def _callbacks(model: Any, progress: Progress, epochs: int, steps: int, *, by_step: bool) -> Any:
    """Return the Keras callbacks that show the progress of a training: by epoch, or by step where epochs take long.

    They do not read the loss of each step. Keras's own list of callbacks waits for it in another thread, which takes a
    tenth of the time of a training on few stories.
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
    """Return 1 where a name has a part, 0 elsewhere, ``(parts, names)``; a part is a word that several names have."""
    counts = Counter(word for name in names for word in words_of(name))
    parts = {word: index for index, word in enumerate(sorted(word for word, count in counts.items() if count > 1))}
    matrix = np.zeros((len(parts), len(names)), np.float32)
    for column, name in enumerate(names):
        for word in words_of(name):
            if word in parts:
                matrix[parts[word], column] = 1.0
    return matrix
