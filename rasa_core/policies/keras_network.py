"""The network of `KerasPolicy` as Keras has it; turned into its NumPy twin, a `PolicyNetwork`.

- *Perceptrons apart.* Several perceptrons share nothing but their input; the mean of their logits decides.
- *Labels with parts.* An action is known by the parts of its name too: the last layer's weights for
  ``utter_ask_price`` are its own plus those of ``utter``, ``ask`` and ``price``. So actions that are rare learn from
  their relatives. In the trained network, the sum is all that is left.

To compile a step of learning takes as long as some hundred steps. What is here is made so that there is little to
compile: few variables, few changes of axes, and no initial values that are computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.keras_training import import_keras, weights_of
from rasa_core.policies.network import PERCEPTRONS, PolicyNetwork

Floats = NDArray[np.float32]

HIDDEN: Final = (128, 128)
UNITS: Final = PERCEPTRONS * sum(HIDDEN)
DROPOUT: Final = 0.4
LEARNING_RATE, WEIGHT_DECAY = 5e-3, 0.05


def build(num_features: int, num_actions: int, parts: Floats | None = None) -> Any:
    """Return the Keras model, which makes logits ``(batch, perceptrons, actions)``; of actions with parts, if given.

    Its inputs, float32, are `features` ``(batch, features)`` and `kept` ``(batch, units)``: what the units are
    multiplied with, zeros for those that are left out in this step, ones when nothing is learnt. First come those of
    the first layer, perceptron by perceptron, then those of the second, and so on. Keras's own dropout would take as
    long to compile as all the rest, and differ between backends. The weights are all zeros; see `initial_weights`.
    """
    keras = import_keras()
    layers, ops = keras.layers, keras.ops
    zeros = {"kernel_initializer": _zeros, "bias_initializer": _zeros}

    def by_perceptron(units: Any, count: int) -> Any:
        # The perceptrons come first, so that a product of matrices need not bring them there, and back.
        return ops.transpose(ops.reshape(units, (-1, PERCEPTRONS, count)), (1, 0, 2))

    def apart(units: int, name: str) -> Any:
        return layers.EinsumDense("mbi,mij->mbj", (None, units), bias_axes="mj", name=name, **zeros)

    features = keras.Input((num_features,), name="features")
    kept = keras.Input((UNITS,), name="kept")
    ends = [PERCEPTRONS * sum(HIDDEN[:number]) for number in range(len(HIDDEN) + 1)]
    first = ops.relu(layers.Dense(ends[1], name="first", **zeros)(features)) * kept[:, : ends[1]]
    h = by_perceptron(first, HIDDEN[0])
    for number, units in enumerate(HIDDEN[1:]):
        factors = by_perceptron(kept[:, ends[number + 1] : ends[number + 2]], units)
        h = ops.relu(apart(units, f"hidden_{number}")(h)) * factors
    if parts is None or not len(parts):
        logits = apart(num_actions, "actions")(h)
    else:
        both = apart(num_actions + len(parts), "actions")(h)
        logits = both[..., :num_actions] + ops.matmul(both[..., num_actions:], parts)
    return keras.Model({"features": features, "kept": kept}, ops.transpose(logits, (1, 0, 2)))


def _zeros(shape: Sequence[int], dtype: Any = None) -> Floats:
    # Those of Keras are compiled, for each shape.
    return np.zeros(shape, np.float32)


def units_kept(batch: int, random: np.random.Generator) -> Floats:
    """Return what the units are multiplied with in a step of learning, ``(batch, units)``; 1 on average."""
    # One byte a unit is drawn in a quarter of the time of a float.
    dropped = round(256 * DROPOUT)
    drawn = random.integers(256, size=(batch, UNITS), dtype=np.uint8)
    return (drawn >= dropped) * np.float32(256 / (256 - dropped))


def initial_weights(model: Any) -> None:
    """Give each kernel normally distributed weights, such that what it makes is as large as what it gets; and no bias.

    After He, Zhang, Ren and Sun, "Delving Deep into Rectifiers" (2015, arXiv:1502.01852). They are drawn with
    NumPy, whose random state the caller seeds, so that they are the same with every backend of Keras.
    """
    for layer in model.layers:
        if layer.weights:
            kernel, bias = weights_of(layer)
            gain = 1.0 if layer.name == "actions" else 2.0
            drawn = np.random.standard_normal(kernel.shape).astype(np.float32)
            layer.set_weights([drawn * np.float32(math.sqrt(gain / kernel.shape[-2])), np.zeros_like(bias)])


def as_network(model: Any, parts: Floats | None = None) -> PolicyNetwork:
    """Return the NumPy twin of a model of `build`, whose logits are the mean of those of its perceptrons."""
    weights = {layer.name: weights_of(layer) for layer in model.layers if layer.weights}
    layers: list[tuple[Floats, Floats]] = [(weights["first"][0], weights["first"][1])]
    for number in range(len(HIDDEN) - 1):
        kernel, bias = weights[f"hidden_{number}"]
        layers.append((kernel, bias[:, 0]))
    kernel, bias = weights["actions"]
    if parts is not None and len(parts):
        count = parts.shape[1]
        kernel, bias = (each[..., :count] + each[..., count:] @ parts for each in (kernel, bias))
    scale = np.float32(1.0 / len(kernel))
    layers.append((kernel.reshape(-1, kernel.shape[-1]) * scale, bias.sum(axis=(0, 1)) * scale))
    return PolicyNetwork(layers)


def set_weights(model: Any, network: PolicyNetwork) -> None:
    """Put the weights of a network into a model of `build` without label parts."""
    (kernel, bias), *between, (last, last_bias) = network.layers
    model.get_layer("first").set_weights([kernel, bias])
    for number, (kernel, bias) in enumerate(between):
        model.get_layer(f"hidden_{number}").set_weights([kernel, bias[:, None]])
    apart = (last * np.float32(PERCEPTRONS)).reshape(PERCEPTRONS, -1, last.shape[-1])
    model.get_layer("actions").set_weights([apart, np.tile(last_bias, (PERCEPTRONS, 1, 1))])


def is_trainable(network: PolicyNetwork) -> bool:
    """Tell whether a network has the shapes of `build`, so that it can be trained on."""
    shapes = [kernel.shape[-1] for kernel, _ in network.layers[:-1]]
    return shapes == [PERCEPTRONS * HIDDEN[0], *HIDDEN[1:]]


# -- how it learns


def compile_model(model: Any, peak: float) -> None:
    """Let a model of `build` learn with AdamW, whose rate is `peak` at most.

    The rate rises in the first tenth of the steps, and falls to nothing along a cosine. How many steps there are is
    told to `begin`, and so no part of what is compiled: one model may learn several times.
    """
    keras = import_keras()
    ops = keras.ops

    class Rate(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc, name-defined]
        steps: Any = None

        def __call__(self, step: Any) -> Any:
            step = ops.cast(step, "float32")
            warming = ops.maximum(1.0, ops.floor(self.steps / 10.0))
            part = (step - warming) / ops.maximum(1.0, self.steps - warming)
            falling = 0.5 + 0.5 * ops.cos(math.pi * ops.minimum(1.0, part))
            return peak * ops.where(step < warming, (1.0 + (warming - 1.0) * step / warming) / warming, falling)

        def get_config(self) -> dict[str, Any]:
            return {}

    class Optimizer(keras.optimizers.AdamW):  # type: ignore[misc, name-defined]
        def add_variable_from_reference(self, *arguments: Any, **options: Any) -> Any:
            return super().add_variable_from_reference(*arguments, **{**options, "initializer": _zeros})

    rate = Rate()
    optimizer = Optimizer(rate, weight_decay=WEIGHT_DECAY)
    # A variable of the optimizer, as what is no variable of any part of the model is compiled as a number.
    rate.steps = optimizer.steps = optimizer.add_variable((), initializer=_zeros, name="steps")
    # Decay holds back what multiplies the input; a bias only says how frequent an action is.
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer=optimizer, loss=_cross_entropy, metrics=[_accuracy()])


def begin(model: Any, steps: int) -> None:
    """Let the optimizer of a model begin, with nothing to go on from, to learn for so many steps."""
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape, variable.dtype))
    model.optimizer.steps.assign(np.float32(steps))


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
