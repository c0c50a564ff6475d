"""Inference of the policy's network in NumPy, after it was trained with Keras.

Notation: ``x`` is the input ``(features,)``; ``h_0 = x``, and layer `i` computes ``h_i = max(0, W_i h_(i-1) + b_i)``,
the last layer without the maximum; its result goes through a softmax. A network may consist of several perceptrons side
by side: the first layer then has the units of all perceptrons in a row, in the layers between each perceptron has its
own kernel, and the last layer reads the units of all, so that its result is the mean of their logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError
from rasa_core.support.arrays import Floats, Ints
from rasa_core.support.probabilities import softmax
from rasa_core.support.stored_models import read_arrays, write_arrays

PERCEPTRONS: Final = 3
"""The number of perceptrons in a network that is trained here; each is trained without one group of the stories."""
ROWS_IN_PRODUCT: Final = 512
"""Rows in one product, few enough to stay in the processor's cache."""


class PolicyNetwork:
    """Perceptrons with ReLU layers and a softmax at the end.

    Parameters
    ----------
    layers
        Kernel and bias of each layer, float32, the first layer first: ``(inputs, units)`` and ``(units,)``, or, for
        a layer with a kernel for each perceptron, ``(perceptrons, inputs, units)`` and ``(perceptrons, units)``.
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
            # Only the kernel's rows for non-zero features are used, since nearly all of the input is zero.
            h = np.array(values, np.float32).dot(kernel.take(indices, axis=0)) + bias
        for kernel, bias in self.layers[1:]:
            h = np.maximum(h, 0.0)
            if kernel.ndim == 3:
                h = (np.matmul(h.reshape(len(kernel), 1, -1), kernel)[:, 0] + bias).reshape(-1)
            else:
                h = h.dot(kernel) + bias
        return softmax(h)

    def predict_matrix(self, starts: Ints, columns: NDArray[np.int32], values: Floats) -> Iterator[Floats]:
        """Yield probabilities ``(some examples, actions)`` for a sparse matrix, whose parts `written_out` describes."""
        (kernel, bias), *others = self.layers
        for used, x in written_out(starts, columns, values, len(kernel)):
            # Columns that are empty in all of these rows are not multiplied.
            yield PolicyNetwork([(kernel[used], bias), *others]).predict(x)

    def at_temperature(self, temperature: float) -> PolicyNetwork:
        """Return the network whose logits are those of this one, divided by `temperature`."""
        *layers, (kernel, bias) = self.layers
        scale = np.float32(1.0 / temperature)
        return PolicyNetwork([*layers, (kernel * scale, bias * scale)])

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
    def load(cls, path: str | Path) -> PolicyNetwork:
        """Read the weights from an ``.npz`` file; raise `ModelError` if they are not the weights of a network."""
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


def written_out(
    starts: Ints, columns: NDArray[np.int32], values: Floats, num_features: int, rows: int = ROWS_IN_PRODUCT
) -> Iterator[tuple[Ints, Floats]]:
    """Yield `rows` rows of a sparse matrix at a time as a dense matrix of the columns that are not empty in them.

    Parameters
    ----------
    starts
        The numbers of row `i` are at ``starts[i]`` to ``starts[i + 1]`` of `columns` and `values`, ``(rows + 1,)``.
    columns, values
        ``(numbers,)``.

    Yields
    ------
    used : NDArray of int64
        The columns, ascending.
    x : NDArray of float32
        ``(rows, used)``; it is overwritten when the next part is made.
    """
    # One array is used for all parts; after each part, only the numbers that were written into it are zeroed.
    flat = np.zeros(rows * num_features, np.float32)
    lengths = np.diff(starts)
    for first in range(0, len(lengths), rows):
        some = lengths[first : first + rows]
        part = slice(starts[first], starts[first + len(some)])
        is_used = np.zeros(num_features, np.bool_)
        is_used[columns[part]] = True
        used = np.flatnonzero(is_used)
        place_of = np.cumsum(is_used) - 1
        places = np.repeat(np.arange(len(some)) * len(used), some) + place_of[columns[part]]
        flat[places] = values[part]
        yield used, flat[: len(some) * len(used)].reshape(len(some), len(used))
        flat[places] = 0.0


def _fits(kernel: NDArray[Any], bias: NDArray[Any], inputs: int | None, *, may_be_apart: bool) -> bool:
    has_axes = kernel.ndim == 2 or (kernel.ndim == 3 and may_be_apart)
    taken = kernel.size // kernel.shape[-1] if has_axes and kernel.shape[-1] else None
    return (
        taken is not None
        and kernel.dtype == bias.dtype == np.float32
        and bool(np.isfinite(kernel).all() and np.isfinite(bias).all())
        and bias.shape == (*kernel.shape[:-2], kernel.shape[-1])
        and inputs in (None, taken)
    )
