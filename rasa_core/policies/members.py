"""The network of `KerasPolicy`: several perceptrons side by side, in Keras and in NumPy.

- *Members.* The perceptrons share nothing but their input; the mean of their logits decides.
- *Labels with parts.* An action is known by the parts of its name too: the last layer's weights for
  ``utter_ask_price`` are its own plus those of ``utter``, ``ask`` and ``price``. So actions that are rare learn from
  their relatives. In the trained network, the sum is all that is left.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.features.history_features import words_of
from rasa_core.policies.keras_training import import_keras, weights_of
from rasa_core.policies.network import Network
from rasa_core.policies.training_rows import HELD_OUT_GROUPS

Floats = NDArray[np.float32]

MEMBERS: Final = HELD_OUT_GROUPS
HIDDEN: Final = (128, 128)
UNITS: Final = MEMBERS * sum(HIDDEN)
DROPOUT: Final = 0.4


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


def build(num_features: int, num_actions: int, parts: Floats | None = None) -> Any:
    """Return the Keras model, which makes logits ``(batch, members, actions)``.

    Its inputs, float32, are `features` ``(batch, features)`` and `kept` ``(batch, UNITS)``: what the units are
    multiplied with, zeros for those that are left out in this step, ones when nothing is learnt. Keras's own dropout
    would take as long to compile as all the rest, and differ between backends. The weights are all zeros; see
    `initial_weights`.
    """
    keras = import_keras()
    layers = keras.layers

    def apart(units: int, name: str, bias_axes: str | None = "mj") -> Any:
        return layers.EinsumDense(
            "bmi,mij->bmj", (MEMBERS, units), bias_axes=bias_axes, kernel_initializer="zeros", name=name
        )

    features = keras.Input((num_features,), name="features")
    kept = keras.Input((UNITS,), name="kept")
    factors = keras.ops.reshape(kept, (-1, MEMBERS, sum(HIDDEN)))
    h = layers.Dense(MEMBERS * HIDDEN[0], kernel_initializer="zeros", name="first")(features)
    h = keras.ops.reshape(h, (-1, MEMBERS, HIDDEN[0]))
    h = keras.ops.relu(h) * factors[..., : HIDDEN[0]]
    for number, units in enumerate(HIDDEN[1:]):
        before = sum(HIDDEN[: number + 1])
        h = keras.ops.relu(apart(units, f"hidden_{number}")(h)) * factors[..., before : before + units]
    logits = apart(num_actions, "actions")(h)
    if parts is not None and len(parts):
        logits = logits + keras.ops.matmul(apart(len(parts), "parts", bias_axes=None)(h), parts)
    return keras.Model({"features": features, "kept": kept}, logits)


def units_kept(batch: int, random: np.random.Generator) -> Floats:
    """Return what the units are multiplied with in a step of learning, ``(batch, UNITS)``; 1 on average."""
    # One byte a unit is drawn in a quarter of the time of a float.
    dropped = round(256 * DROPOUT)
    drawn = random.integers(256, size=(batch, UNITS), dtype=np.uint8)
    return (drawn >= dropped) * np.float32(256 / (256 - dropped))


def initial_weights(model: Any) -> None:
    """Give each kernel normally distributed weights, such that what it makes is as large as what it gets.

    After He, Zhang, Ren and Sun, "Delving Deep into Rectifiers" (2015, arXiv:1502.01852). They are drawn with
    NumPy, whose random state the caller seeds, so that they are the same with every backend of Keras.
    """
    for layer in model.layers:
        weights = weights_of(layer)
        if weights:
            gain = 1.0 if layer.name in ("actions", "parts") else 2.0
            shape = weights[0].shape
            weights[0] = np.random.standard_normal(shape).astype(np.float32) * np.float32(math.sqrt(gain / shape[-2]))
            layer.set_weights(weights)


def as_network(model: Any, parts: Floats | None, temperature: float) -> Network:
    """Return the NumPy twin of a model of `build`: the mean of its members' logits, divided by `temperature`."""
    weights = {layer.name: weights_of(layer) for layer in model.layers if layer.weights}
    layers: list[tuple[Floats, Floats]] = [(weights["first"][0], weights["first"][1])]
    layers += [(weights[f"hidden_{number}"][0], weights[f"hidden_{number}"][1]) for number in range(len(HIDDEN) - 1)]
    kernel, bias = weights["actions"]
    if "parts" in weights and parts is not None:
        kernel = kernel + weights["parts"][0] @ parts
    scale = np.float32(1.0 / (MEMBERS * temperature))
    layers.append((kernel.reshape(-1, kernel.shape[-1]) * scale, bias.sum(axis=0) * scale))
    return Network(layers)


def set_weights(model: Any, network: Network) -> None:
    """Put the weights of a network into a model of `build` without label parts."""
    names = ["first", *(f"hidden_{number}" for number in range(len(HIDDEN) - 1))]
    for name, (kernel, bias) in zip(names, network.layers, strict=False):
        model.get_layer(name).set_weights([kernel, bias])
    kernel, bias = network.layers[-1]
    apart = (kernel * np.float32(MEMBERS)).reshape(MEMBERS, -1, kernel.shape[-1])
    model.get_layer("actions").set_weights([apart, np.tile(bias, (MEMBERS, 1))])


def is_of_members(network: Network) -> bool:
    """Tell whether a network has the shapes of `build`, so that it can be trained on."""
    shapes = [kernel.shape[-1] for kernel, _ in network.layers[:-1]]
    return shapes == [MEMBERS * HIDDEN[0], *HIDDEN[1:]]


def member_logits(network: Network, x: Floats, member: int) -> Floats:
    """Return the logits ``(examples, actions)`` of one member, for inputs ``(examples, features)``."""
    (kernel, bias), *between, (last, last_bias) = network.layers
    units = slice(member * HIDDEN[0], (member + 1) * HIDDEN[0])
    h = np.maximum(x @ kernel[:, units] + bias[units], 0.0)
    for kernel, bias in between:
        h = np.maximum(h @ kernel[member] + bias[member], 0.0)
    own = last.reshape(MEMBERS, -1, last.shape[-1])[member]
    logits: Floats = (h @ own) * np.float32(MEMBERS) + last_bias
    return logits
