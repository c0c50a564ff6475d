"""A multi-layer perceptron in NumPy: what serves a network that Keras has trained.

Notation: ``x`` is the input ``(features,)``; ``W_i`` and ``b_i`` are kernel ``(inputs, units)`` and bias
``(units,)`` of layer i; ``h_0 = x``, ``h_i = max(0, h_(i-1) W_i + b_i)`` except for the last layer, whose
result goes through a softmax.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError

Floats = NDArray[np.float32]

# What NumPy and the zip format below it raise for a file that is damaged or something else.
_READ_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


class Network:
    """A perceptron with ReLU layers and a softmax at the end.

    Parameters
    ----------
    layers
        Kernel ``(inputs, units)`` and bias ``(units,)`` of each layer, float32, the first layer first.
    """

    def __init__(self, layers: Sequence[tuple[Floats, Floats]]) -> None:
        self.layers = [
            (np.ascontiguousarray(kernel, np.float32), np.asarray(bias, np.float32)) for kernel, bias in layers
        ]

    def predict(self, x: Floats) -> Floats:
        """Return probabilities ``(examples, actions)`` for inputs ``(examples, features)``."""
        kernel, bias = self.layers[0]
        return _softmax(self._logits(x @ kernel + bias))

    def predict_sparse(self, indices: Sequence[int], values: Sequence[float]) -> Floats:
        """Return probabilities ``(actions,)`` for one input that is zero except for `values` at `indices`."""
        kernel, bias = self.layers[0]
        if not indices:
            return _softmax(self._logits(bias))
        return _softmax(self._logits(np.array(values, np.float32).dot(kernel.take(indices, axis=0)) + bias))

    def _logits(self, h: Floats) -> Floats:
        """Return what the layers after the first make of the first one's result."""
        for kernel, bias in self.layers[1:]:
            h = np.maximum(h, 0.0).dot(kernel) + bias
        return h

    @property
    def input_size(self) -> int:
        """Number of features."""
        return len(self.layers[0][0])

    def save(self, path: str | Path) -> None:
        """Write the weights as ``.npz``; the same weights give the same bytes."""
        arrays: dict[str, NDArray[Any]] = {"layers": np.array(len(self.layers))}
        for index, (kernel, bias) in enumerate(self.layers):
            arrays[f"kernel_{index}"], arrays[f"bias_{index}"] = kernel, bias
        write_arrays(path, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Network:
        """Read the weights from an ``.npz`` file; raise `ModelError` if they are not those of a network."""
        arrays = read_arrays(path)
        count = arrays.get("layers")
        if count is None or count.shape or len(arrays) != 2 * count + 1 or count < 1:
            raise ModelError(f"{str(path)!r} does not hold a whole network. Train the model again.")
        layers: list[tuple[Floats, Floats]] = []
        for index in range(int(count)):
            kernel, bias = arrays.get(f"kernel_{index}"), arrays.get(f"bias_{index}")
            inputs = layers[-1][1].size if layers else None
            if kernel is None or bias is None or not _fits(kernel, bias, inputs):
                raise ModelError(f"layer {index} of the network {str(path)!r} is damaged. Train the model again.")
            layers.append((kernel, bias))
        return cls(layers)


def _softmax(h: Floats) -> Floats:
    e = np.exp(h - h.max(axis=-1, keepdims=True))
    probabilities: Floats = e / e.sum(axis=-1, keepdims=True)
    return probabilities


def _fits(kernel: NDArray[Any], bias: NDArray[Any], inputs: int | None) -> bool:
    return (
        kernel.ndim == 2
        and kernel.dtype == bias.dtype == np.float32
        and bias.shape == kernel.shape[1:]
        and inputs in (None, len(kernel))
    )


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of numbers as ``.npz``; the same arrays give the same bytes."""
    options: dict[str, Any] = dict(arrays)
    np.savez(path, **options)


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file; raise `ModelError` if it is damaged, or holds objects."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except _READ_ERRORS as error:
        raise ModelError(f"cannot read the arrays in {str(path)!r}: {error}. Train the model again.") from error
