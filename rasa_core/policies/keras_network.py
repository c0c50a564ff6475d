"""The network of `KerasPolicy` as a Keras model, and its conversion into a `PolicyNetwork`, which needs only NumPy.

- *Separate perceptrons.* Several perceptrons share only their input; the mean of their logits decides.
- *Labels with parts.* The weights of an action in the last layer are a sum: its own weights, and the weights of the
  parts of its name, such as ``utter``, ``ask`` and ``price`` for ``utter_ask_price``. So a rare action learns from
  actions with similar names. The trained network keeps only the sum.

Compiling one step of learning takes as long as some hundred steps. So the model has few variables and few
transpositions, and its initial values are not computed by Keras.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from rasa_core.policies.keras_training import import_keras, weights_of
from rasa_core.policies.network import PERCEPTRONS, PolicyNetwork
from rasa_core.support.arrays import Floats

HIDDEN: Final = (128, 128)
UNITS: Final = PERCEPTRONS * sum(HIDDEN)
DROPOUT: Final = 0.4
LEARNING_RATE, WEIGHT_DECAY = 5e-3, 0.05


def build(num_features: int, num_actions: int, parts: Floats | None = None) -> Any:
    """Return the Keras model, whose output are logits ``(batch, perceptrons, actions)``.

    Its inputs, float32, are `features` ``(batch, features)`` and `kept` ``(batch, units)``: the factor of each unit,
    which is zero for a unit that is dropped in this step, and one in prediction. The units of the first layer come
    first, perceptron by perceptron, then the units of the second layer. Keras's own dropout would take as long to
    compile as the rest of the model, and would differ between backends. `parts` says which parts the names of actions
    have, ``(parts, actions)``; see `label_parts`. All weights are zero; see `initial_weights`.
    """
    keras = import_keras()
    layers, ops = keras.layers, keras.ops
    zeros = {"kernel_initializer": _zeros, "bias_initializer": _zeros}

    def by_perceptron(units: Any, count: int) -> Any:
        # The axis of the perceptrons comes first, as the product of matrices needs it.
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
    # Keras's own zeros are compiled, once for each shape.
    return np.zeros(shape, np.float32)


def units_kept(batch: int, random: np.random.Generator) -> Floats:
    """Return the factors of the units in a step of learning, ``(batch, units)``; their mean is 1."""
    # Drawing one byte for each unit takes a quarter of the time of drawing a float.
    dropped = round(256 * DROPOUT)
    drawn = random.integers(256, size=(batch, UNITS), dtype=np.uint8)
    return (drawn >= dropped) * np.float32(256 / (256 - dropped))


def initial_weights(model: Any) -> None:
    """Set the kernels to normally distributed weights, for which output and input have the same variance; biases to 0.

    The method is that of He, Zhang, Ren and Sun, "Delving Deep into Rectifiers" (2015, arXiv:1502.01852). The
    weights are drawn with NumPy, whose random state the caller seeds, so that all backends of Keras get the same.
    """
    for layer in model.layers:
        if layer.weights:
            kernel, bias = weights_of(layer)
            gain = 1.0 if layer.name == "actions" else 2.0
            drawn = np.random.standard_normal(kernel.shape).astype(np.float32)
            layer.set_weights([drawn * np.float32(math.sqrt(gain / kernel.shape[-2])), np.zeros_like(bias)])


def as_network(model: Any, parts: Floats | None = None) -> PolicyNetwork:
    """Return a `PolicyNetwork` with the weights of a model of `build`; its logits are the mean over the perceptrons."""
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
    """Compile a model of `build` for AdamW, with a learning rate of at most `peak`.

    The rate rises in the first tenth of the steps, then falls to zero along a cosine. The number of steps is given to
    `begin`, and is not compiled, so that one compiled model can be trained several times.
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
    # This is a variable of the optimizer, since Keras compiles any other value as a constant.
    rate.steps = optimizer.steps = optimizer.add_variable((), initializer=_zeros, name="steps")
    # Biases do not decay: they only say how frequent an action is.
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer=optimizer, loss=_cross_entropy, metrics=[_accuracy()])


def begin(model: Any, steps: int) -> None:
    """Reset the optimizer of a model for a training of this many steps."""
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
    """Return the metric: the share of the training weight on which the perceptrons predict the right action."""
    keras = import_keras()

    def accuracy(wanted: Any, logits: Any) -> Any:
        ops = keras.ops
        learnt = ops.sum(wanted, axis=-1)
        # `argmax` would take a tenth of the time of a training with a thousand actions.
        own = ops.max(ops.where(wanted > 0.0, logits, -np.inf), axis=-1)
        is_right = ops.cast(ops.equal(own, ops.max(logits, axis=-1)), "float32")
        return ops.sum(is_right * learnt) / ops.maximum(ops.sum(learnt), 1e-9)

    return accuracy
