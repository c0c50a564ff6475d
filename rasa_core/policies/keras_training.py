"""Training with Keras; the only place that imports it. JAX computes unless ``KERAS_BACKEND`` says else."""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.support.arrays import Floats
from rasa_core.support.extras import installing
from rasa_core.support.progress import Progress

THREADS: Final = 4
"""With how many threads JAX computes on a processor, however many it has: so the same input gives the same bytes."""

_OF_KERAS = re.compile(r"keras(\.src)?(\.(layers|models|initializers|regularizers|constraints)(\.\w+)*)?")

_REMEDY: Final = "build it in model_architecture of a subclass of KerasPolicy."

_predicting = threading.Lock()  # Keras puts the state of a model aside while it predicts.


_OPTIONS: Final = (
    *("epochs", "most_epochs", "batch_size", "validation_split", "max_training_samples"),
    *("seed", "random_seed", "verbose", "rnn_size"),
)


def options_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of training that were given to a policy; raise `TypeError` for what is none."""
    for name in given:
        if name not in _OPTIONS:
            raise TypeError(f"KerasPolicy has no option {name!r}.{did_you_mean(name, _OPTIONS)}")
    return {"seed" if name == "random_seed" else name: value for name, value in given.items() if value is not None}


def import_keras() -> Any:
    """Return the keras module.

    Raises
    ------
    ModelError
        If Keras or its backend is not installed.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")
    # XLA shares sums out among as many threads as there are processors, and rounding depends on that, unless told so.
    os.environ.setdefault("NPROC", str(THREADS))
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        raise ModelError(f"training needs Keras and JAX ({error}): {installing('train')}.") from error


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


def perceptron(input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Any:
    """Return a Keras perceptron with ReLU layers, dropout between them, and a softmax.

    States in a row, ``(time, features)``, are one input, unless each has an output, ``(time, actions)``.
    """
    keras = import_keras()
    layers = [keras.Input(input_shape), *([keras.layers.Flatten()] if len(input_shape) > len(output_shape) else [])]
    layers.append(keras.layers.Dropout(0.1))
    for units in (128, 64):
        layers += [keras.layers.Dense(units, activation="relu"), keras.layers.Dropout(0.3)]
    return keras.Sequential([*layers, keras.layers.Dense(output_shape[-1], activation="softmax")])


def architecture_of(model: Any) -> str:
    """Return as JSON what `model_of` makes a model of, without its weights and without its training.

    Raises
    ------
    ModelError
        If it does not consist of layers alone.
    """
    keras = import_keras()
    kind = "Sequential" if isinstance(model, keras.Sequential) else "Model"
    try:
        text = json.dumps({"class_name": kind, "config": model.get_config()})
        _check_parts(text)
    except (NotImplementedError, TypeError) as error:
        raise ModelError(f"the Keras model cannot be written ({error}): {_REMEDY}") from error
    return text


def model_of(architecture: str) -> Any:
    """Return an untrained Keras model of what `architecture_of` gave.

    Raises
    ------
    ModelError
        If it names anything but Keras's own layers and what belongs to them: models hold no code.
    """
    _check_parts(architecture)
    described = json.loads(architecture)
    return getattr(import_keras(), described["class_name"]).from_config(described["config"])


def _check_parts(architecture: str) -> None:
    for part in _parts_of(json.loads(architecture)):
        module, name = part.get("module"), part.get("class_name")
        if not _OF_KERAS.fullmatch(str(module or "keras")) or name in ("function", "Lambda"):
            raise ModelError(f"the Keras model holds {name!r} of {module!r}, which would run code: {_REMEDY}")


def _parts_of(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all objects of a configuration that name a class or a module."""
    waiting = [config]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if "module" in one or "class_name" in one:
                yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


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
    tested = held_out(len(x), validation_split)
    validation_data = (x[tested], y[tested]) if tested.any() else None
    x, y, weights = x[~tested], y[~tested], None if weights is None else weights[~tested]
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


def held_out(count: int, share: float) -> NDArray[np.bool_]:
    """Return a random choice of a share of the examples, ``(count,)``, none if it would be all of them."""
    chosen = np.zeros(count, np.bool_)
    size = round(count * share)
    if 0 < size < count:
        # NumPy's random state is seeded by the caller, as Keras is.
        chosen[np.random.permutation(count)[:size]] = True
    return chosen


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
            epoch + 1, {name.replace("val_", "validation "): float(figures[name]) for name in told if name in figures}
        )

    return import_keras().callbacks.LambdaCallback(on_epoch_end=on_epoch_end)
