"""Perceptrons in NumPy: what serves the network that Keras has trained.

Notation: ``x`` is the input ``(features,)``; ``h_0 = x``, and layer `i` makes ``h_i = max(0, W_i h_(i-1) + b_i)``, the
last one without the maximum; the result of that goes through a softmax. A network may have members, perceptrons side
by side: the first layer then holds the units of all of them in a row, in the layers between each has a kernel of its
own, and the last layer reads the units of all, so that its result is the mean of what they say.
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
    """Perceptrons with ReLU layers and a softmax at the end.

    Parameters
    ----------
    layers
        Kernel and bias of each layer, float32, the first layer first: ``(inputs, units)`` and ``(units,)``, or, for
        a layer in which members are apart, ``(members, inputs, units)`` and ``(members, units)``.
    """

    def __init__(self, layers: Sequence[tuple[Floats, Floats]]) -> None:
        self.layers = [
            (np.ascontiguousarray(kernel, np.float32), np.asarray(bias, np.float32)) for kernel, bias in layers
        ]

    def predict(self, x: Floats) -> Floats:
        """Return probabilities ``(examples, actions)`` for inputs ``(examples, features)``."""
        kernel, bias = self.layers[0]
        h = x @ kernel + bias
        for kernel, bias in self.layers[1:]:
            h = np.maximum(h, 0.0, out=h)
            if kernel.ndim == 3:
                apart = h.reshape(len(h), *kernel.shape[:2]).swapaxes(0, 1) @ kernel + bias[:, None]
                h = apart.swapaxes(0, 1).reshape(len(h), bias.size)
            else:
                h = h @ kernel + bias
        return softmax(h)

    def predict_sparse(self, indices: Sequence[int], values: Sequence[float]) -> Floats:
        """Return probabilities ``(actions,)`` for one input that is zero except for `values` at `indices`."""
        kernel, bias = self.layers[0]
        h = bias
        if indices:
            h = np.array(values, np.float32).dot(kernel.take(indices, axis=0)) + bias
        for kernel, bias in self.layers[1:]:
            h = np.maximum(h, 0.0)
            if kernel.ndim == 3:
                h = (np.matmul(h.reshape(len(kernel), 1, -1), kernel)[:, 0] + bias).reshape(-1)
            else:
                h = h.dot(kernel) + bias
        return softmax(h)

    @property
    def input_size(self) -> int:
        """Number of features."""
        return len(self.layers[0][0])

    @property
    def num_actions(self) -> int:
        """Number of actions."""
        return len(self.layers[-1][1])

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
        if count is None or count.shape or count.dtype.kind != "i" or len(arrays) != 2 * count + 1 or count < 1:
            raise ModelError(f"{str(path)!r} does not hold a whole network. Train the model again.")
        layers: list[tuple[Floats, Floats]] = []
        for index in range(int(count)):
            kernel, bias = arrays.get(f"kernel_{index}"), arrays.get(f"bias_{index}")
            inputs = layers[-1][1].size if layers else None
            is_inside = 0 < index < int(count) - 1
            if kernel is None or bias is None or not _fits(kernel, bias, inputs, may_be_apart=is_inside):
                raise ModelError(f"layer {index} of the network {str(path)!r} is damaged. Train the model again.")
            layers.append((kernel, bias))
        return cls(layers)


def softmax(logits: Floats) -> Floats:
    """Return probabilities for logits, along the last axis."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = e / e.sum(axis=-1, keepdims=True)
    return probabilities


def _fits(kernel: NDArray[Any], bias: NDArray[Any], inputs: int | None, *, may_be_apart: bool) -> bool:
    has_axes = kernel.ndim == 2 or (kernel.ndim == 3 and may_be_apart)
    taken = kernel.size // kernel.shape[-1] if has_axes and kernel.shape[-1] else None
    return (
        taken is not None
        and kernel.dtype == bias.dtype == np.float32
        and bias.shape == (*kernel.shape[:-2], kernel.shape[-1])
        and inputs in (None, taken)
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
