"""Training with Keras; the only place that imports it. JAX computes unless ``KERAS_BACKEND`` says else."""

from __future__ import annotations

import importlib
import logging
import os
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError
from rasa_core.support.progress import Progress

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]

_predicting = threading.Lock()  # Keras puts the state of a model aside while it predicts.


def import_keras() -> Any:
    """Return the keras module.

    Raises
    ------
    ModelError
        If Keras or its backend is not installed.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        raise ModelError(f"training needs Keras and JAX ({error}): pip install 'rasa-core[train]'") from error


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make everything that draws from a global random state repeatable, and put that state back."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    import_keras().utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


@contextmanager
def distributed() -> Iterator[int]:
    """Share the batches of a training out among all devices, if there are several; yield how many there are."""
    distribution = import_keras().distribution
    try:
        devices = distribution.list_devices()
    except (AttributeError, NotImplementedError):  # The backend knows of no distribution.
        devices = []
    if len(devices) < 2 or distribution.distribution() is not None:
        yield 1 if len(devices) < 2 else len(devices)
        return
    distribution.set_distribution(distribution.DataParallel(devices=devices))
    try:
        yield len(devices)
    finally:
        distribution.set_distribution(None)


def perceptron(num_features: int, num_actions: int, hidden: tuple[int, ...] = (128, 64)) -> Any:
    """Return a Keras perceptron with ReLU layers, dropout between them, and a softmax."""
    keras = import_keras()
    layers = [keras.Input((num_features,)), keras.layers.Dropout(0.1)]
    for units in hidden:
        layers += [keras.layers.Dense(units, activation="relu"), keras.layers.Dropout(0.3)]
    return keras.Sequential([*layers, keras.layers.Dense(num_actions, activation="softmax")])


def weights_of(model: Any) -> list[Floats]:
    """Return the weights of a Keras model or layer, in the order in which ``set_weights`` takes them."""
    as_array = import_keras().ops.convert_to_numpy
    return [as_array(variable.value) for variable in model.weights]


def fit(
    model: Any,
    x: Floats,
    y: Floats,
    *,
    weights: Floats | None = None,
    epochs: int,
    batch_size: int,
    validation_split: float = 0.0,
    learning_rate: float = 2e-3,
    silent: bool = False,
    title: str = "epoch",
) -> None:
    """Train a compiled or uncompiled model in place.

    Parameters
    ----------
    model
        A Keras model; if it is not compiled, it gets Adam and the cross-entropy.
    x, y
        Inputs ``(examples, ...)``, and one-hot actions ``(examples, ..., actions)``.
    weights
        How much each example counts, ``(examples,)``; all the same if not given.
    epochs, batch_size
        How often every example is seen, and how many make one step.
    validation_split
        Share of the examples, drawn at random, that is not learnt from and whose loss and accuracy are told.
    """
    if not model.compiled:
        optimizer = import_keras().optimizers.Adam(learning_rate)
        model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    held_out = round(len(x) * validation_split)
    validation_data = None
    if 0 < held_out < len(x):
        # NumPy's random state is seeded by the caller, as Keras is.
        order = np.random.permutation(len(x))
        kept, tested = order[:-held_out], order[-held_out:]
        validation_data = (x[tested], y[tested])
        x, y, weights = x[kept], y[kept], None if weights is None else weights[kept]
    with Progress(title, epochs, silent=silent) as progress:
        model.fit(
            x,
            y,
            sample_weight=weights,
            validation_data=validation_data,
            epochs=epochs,
            batch_size=batch_size,
            verbose=0,
            callbacks=[report(progress)],
        )


def predict(model: Any, x: Floats) -> Floats:
    """Return what a Keras model makes of inputs ``(examples, ...)``; compiled once for each shape of `x`."""
    with _predicting:
        outputs: Floats = np.asarray(model.predict_on_batch(x))
    return outputs


def report(progress: Progress) -> Any:
    """Return the Keras callback that tells loss and accuracy after each epoch."""

    def on_epoch_end(epoch: int, logs: Mapping[str, float] | None = None) -> None:
        figures = logs or {}
        told = ("loss", "accuracy", "acc", "val_loss", "val_accuracy", "val_acc")
        progress.step(
            epoch + 1,
            {name.replace("val_", "validation "): float(figures[name]) for name in told if name in figures},
        )

    return import_keras().callbacks.LambdaCallback(on_epoch_end=on_epoch_end)
