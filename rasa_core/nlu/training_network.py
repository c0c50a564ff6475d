"""The network as Keras trains it; `rasa_core.nlu.network` is its twin in NumPy, and explains the notation.

It works on any backend of Keras. The random numbers for dropout come with each batch, since Keras's own generator would
take longer to compile than all the rest, and differs between backends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np

from rasa_core.nlu.crf import first, forbidden
from rasa_core.nlu.network import ATTENTION, BLOCKS, CONTEXT, CONVOLUTION, EPSILON, HEADS
from rasa_core.policies.keras_training import import_keras, weights_of
from rasa_core.support.arrays import Floats


@dataclass(frozen=True, slots=True)
class NetworkSizes:
    """The sizes of the layers.

    `intents` includes the intent "none"; `tags` are the tags of `rasa_core.nlu.crf`; `pieces` is the number of n-grams
    in the vocabulary, and `grams` the largest number of n-grams of one token.
    """

    words: int
    pieces: int
    shapes: int
    extras: int
    tags: int
    intents: int
    grams: int
    word_units: int = 64
    piece_units: int = 64
    shape_units: int = 16
    units: int = 128


_LAST_RATE = 0.05  # The learning rate of the last step, as a share of the highest learning rate.
_BEGIN = np.float32(0.15)  # The root mean square of the initial embeddings of `begin_with`.


@dataclass(frozen=True, slots=True)
class LossRates:
    """The rates of dropout, the label smoothing, and the weights in the loss.

    Attributes
    ----------
    dropout, embedded
        Dropout of hidden units, and of the embedding of a token (probabilities).
    words, pieces, tokens
        The probabilities that a word is replaced by the unknown word, an n-gram is left out, and a token is left out.
    smoothing
        The probability that the target shares out among all intents.
    intents, noise
        The weight of the loss of intents beside that of entities, and of entities in messages without a meaning.
    """

    dropout: float = 0.2
    embedded: float = 0.1
    words: float = 0.1
    pieces: float = 0.1
    tokens: float = 0.05
    smoothing: float = 0.1
    intents: float = 3.0
    noise: float = 0.1


def numbers_to_draw(sizes: NetworkSizes, tokens: int) -> int:
    """Return how many random numbers a message needs that is padded to so many tokens."""
    embedded = sizes.word_units + sizes.piece_units + sizes.shape_units
    each = sizes.grams + 2 + embedded + sizes.units * (1 + len(BLOCKS) - BLOCKS.count(CONTEXT))
    return tokens * each + sizes.units * (5 + BLOCKS.count(CONTEXT))


def build(sizes: NetworkSizes, rates: LossRates) -> Any:
    """Return an uncompiled Keras model.

    Its input is a dictionary of arrays:

    - `words` and `shapes`, ``(messages, tokens)``, int32;
    - `pieces`, ``(messages, tokens, grams)``, int32, padded with ``sizes.pieces``;
    - `extras`, ``(messages, tokens, extras)``, and `mask`, ``(messages, tokens)``, float32;
    - `tags`, ``(messages, tokens)``, int32;
    - `intent`, ``(messages,)``, int32, -1 for a message whose intent is unknown;
    - `drawn`, ``(messages, numbers_to_draw)``, random numbers, uint8.

    Its outputs are the scores of tags and of intents.
    """
    keras: Any = import_keras()  # Keras is loaded only for training; so the class below is made here, too.
    ops, dense = keras.ops, partial(keras.layers.Dense, kernel_initializer=_initial_kernel)

    class KerasNetwork(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            entities = (sizes.tags - 1) // 2
            self.forbidden, self.first = forbidden(entities), first(entities)
            embedding = partial(keras.layers.Embedding, embeddings_initializer=_initial_embeddings)
            self.words = embedding(sizes.words, sizes.word_units)
            self.pieces = embedding(sizes.pieces + 1, sizes.piece_units)
            self.shapes = embedding(sizes.shapes, sizes.shape_units)
            self.project, self.extra = dense(sizes.units), dense(sizes.units, use_bias=False)
            self.blocks = [dense(sizes.units, None if kind == ATTENTION else "relu") for kind in BLOCKS]
            self.made = [dense(3 * sizes.units) for kind in BLOCKS if kind == ATTENTION]
            self.attention = dense(1, use_bias=False)
            self.hidden, self.intents = dense(sizes.units, "relu"), dense(sizes.intents)
            self.tags = dense(sizes.tags)
            self.transitions = self.add_weight(shape=(sizes.tags, sizes.tags), initializer="zeros", name="transitions")

        def call(self, x: Any, training: bool = False) -> Any:
            drop = _Dropout(ops, x["drawn"], training)
            rate, mask = rates.dropout, ops.cast(x["mask"], "float32")[..., None]
            h = self.embed(x, drop, mask) * mask
            bag = ops.relu(h)
            made = iter(self.made)
            for kind, layer in zip(BLOCKS, self.blocks, strict=True):
                n = _norm(ops, h)
                if kind == ATTENTION:
                    read = _attention(ops, next(made)(n), mask)
                else:
                    read = _neighbours(ops, n) if kind == CONVOLUTION else _whole(ops, n, mask)
                h = h + drop(layer(read), rate) * mask
            h = _norm(ops, h)
            weights = ops.softmax(self.attention(h) + (mask - 1.0) * 1e4, axis=1)
            top = ops.max(h + (mask - 1.0) * 1e4, axis=1)
            total = ops.sum(bag, axis=1) / ops.sqrt(ops.sum(mask, axis=1))
            pooled = ops.concatenate([top, ops.sum(h * weights, axis=1), ops.max(bag, axis=1), total], axis=-1)
            hidden = self.hidden(drop(pooled, rate))
            return self.tags(drop(h, rate)), self.intents(drop(hidden, rate))

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            return _loss(ops, x, y_pred, self.transitions + self.forbidden, self.first, rates)

        def embed(self, x: Any, drop: _Dropout, mask: Any) -> Any:
            words = x["words"] * ops.cast(drop.kept(x["words"].shape, rates.words), "int32")
            grams = ops.cast(x["pieces"] < sizes.pieces, "float32") * mask
            grams = grams * drop.kept(x["pieces"].shape, rates.pieces)
            count = ops.maximum(ops.sum(grams, axis=-1, keepdims=True), 1.0)
            pieces = ops.sum(self.pieces(x["pieces"]) * grams[..., None], axis=2) / ops.sqrt(count)
            e = ops.concatenate([self.words(words), pieces, self.shapes(x["shapes"])], axis=-1)
            e = drop(e * drop.kept((*words.shape, 1), rates.tokens), rates.embedded)
            return self.project(e) + self.extra(x["extras"])

    return KerasNetwork()


# Keras compiles its own initializers for every shape, which takes as long as a training from few messages.


def _initial_kernel(shape: tuple[int, int], dtype: Any = None) -> Floats:
    """Return initial weights (Glorot and Bengio 2010) from NumPy's random state, which the caller has seeded."""
    limit = math.sqrt(6.0 / sum(shape))
    return np.random.uniform(-limit, limit, shape).astype(np.float32)


def _initial_embeddings(shape: tuple[int, int], dtype: Any = None) -> Floats:
    return np.random.uniform(-0.05, 0.05, shape).astype(np.float32)


def begin_with(model: Any, points: Sequence[Floats]) -> None:
    """Initialise the embeddings of words and n-grams from `rasa_core.nlu.linear.LinearClassifier.directions`."""
    for layer, own in zip((model.words, model.pieces), points, strict=True):
        if not layer.built:
            layer.build(None)
        table = _initial_embeddings(tuple(layer.embeddings.shape))
        table[: len(own)] += _BEGIN * own
        layer.embeddings.assign(table)


def begin_again(model: Any) -> None:
    """Initialise the weights of a model anew, and set the moments of its optimizer to zero."""
    for variable in model.trainable_variables:
        kind = variable.path.rsplit("/", 1)[-1]
        initial = {"kernel": _initial_kernel, "embeddings": _initial_embeddings}.get(kind, np.zeros)
        variable.assign(np.asarray(initial(tuple(variable.shape)), np.float32))
    for variable in model.optimizer.variables:
        if variable is not model.optimizer.iterations:
            variable.assign(np.zeros(variable.shape, np.float32))


class _Dropout:
    """Dropout, scaled so that the mean stays the same; it does nothing outside of training."""

    def __init__(self, ops: Any, drawn: Any, training: bool) -> None:
        self._ops, self._drawn, self._training, self._used = ops, drawn, training, 0

    def __call__(self, h: Any, rate: float) -> Any:
        return h * (self.kept(h.shape, rate) / (1.0 - rate)) if self._training else h

    def kept(self, shape: tuple[int, ...], rate: float) -> Any:
        """Return an array of ones, with zeros at a share of `rate` of its places."""
        if not self._training or not rate:
            return np.float32(1.0)
        begin, self._used = self._used, self._used + math.prod(shape[1:])
        drawn = self._ops.cast(self._drawn[:, begin : self._used], "float32")
        return self._ops.reshape(self._ops.cast(drawn >= rate * 256.0, "float32"), shape)


def _norm(ops: Any, h: Any) -> Any:
    """Return h scaled to a root mean square of 1; padding stays 0."""
    return h * ops.rsqrt(ops.mean(ops.square(h), axis=-1, keepdims=True) + EPSILON)


def _neighbours(ops: Any, n: Any) -> Any:
    """Return each token between its neighbours, side by side, ``(messages, tokens, 3 units)``."""
    tokens = n.shape[1]
    wide = ops.pad(n, [[0, 0], [1, 1], [0, 0]])
    return ops.concatenate([wide[:, at : at + tokens] for at in range(3)], axis=-1)


def _attention(ops: Any, made: Any, mask: Any) -> Any:
    """Return the outputs of all heads side by side, ``(messages, tokens, units)``, from queries, keys and values."""
    messages, tokens, units = made.shape[0], made.shape[1], made.shape[2] // 3
    size = units // HEADS
    parts = ops.transpose(ops.reshape(made, (messages, tokens, 3, HEADS, size)), (2, 0, 3, 1, 4))
    scores = ops.matmul(parts[0], ops.transpose(parts[1], (0, 1, 3, 2))) * size**-0.5
    shares = ops.softmax(scores + (ops.transpose(mask, (0, 2, 1))[:, None] - 1.0) * 1e4, axis=-1)
    return ops.reshape(ops.transpose(ops.matmul(shares, parts[2]), (0, 2, 1, 3)), (messages, tokens, units))


def _whole(ops: Any, n: Any, mask: Any) -> Any:
    """Return the maximum and the mean over the tokens, side by side, ``(messages, 1, 2 units)``."""
    top = ops.max(n + (mask - 1.0) * 1e4, axis=1)
    return ops.concatenate([top, ops.sum(n, axis=1) / ops.sum(mask, axis=1)], axis=-1)[:, None]


def adam(learning_rate: float, runs: Sequence[int]) -> Any:
    """Return an Adam optimizer for several trainings in a row; `runs` has the number of steps of each.

    In each of them, the learning rate rises for a tenth of the steps, but for 200 steps at most, and then falls along a
    cosine to `_LAST_RATE` of its highest value.
    """
    optimizers = import_keras().optimizers
    ops = import_keras().ops
    lengths = [(float(length), max(1.0, min(200.0, length / 10))) for length in runs]
    begins = [0.0, *accumulate(length for length, _ in lengths)]

    class Rate(optimizers.schedules.LearningRateSchedule):  # type: ignore[misc, name-defined]
        def __call__(self, step: Any) -> Any:
            rate = 0.0
            for begin, (length, warm) in zip(begins, lengths, strict=False):
                own = ops.cast(step, "float32") - begin
                fallen = 0.5 * (1.0 + ops.cos(math.pi * (own - warm) / max(1.0, length - warm)))
                part = ops.where(own < warm, 0.1 + 0.9 * own / warm, _LAST_RATE + (1.0 - _LAST_RATE) * fallen)
                rate = ops.where(own >= 0, part, rate)
            return learning_rate * rate

        def get_config(self) -> dict[str, Any]:
            return {"runs": list(runs)}

    return optimizers.Adam(Rate(), beta_2=0.99)


def _loss(ops: Any, x: Any, scores: Any, transitions: Any, first_scores: Any, rates: LossRates) -> Any:
    """Return the negative log-likelihoods of tags and intents, weighted and averaged over the messages."""
    tag_scores, intent_scores = scores
    nll = crf_loss(ops, tag_scores, x["tags"], ops.cast(x["mask"], "float32"), transitions, first_scores)
    count = intent_scores.shape[-1]
    target = ops.one_hot(ops.maximum(x["intent"], 0), count) * (1.0 - rates.smoothing) + rates.smoothing / count
    cross_entropy = -ops.sum(target * ops.log_softmax(intent_scores, axis=-1), axis=-1)
    # Noise has no entities. It counts little here, or the network would learn that unknown words are no entities.
    nll = nll * (1.0 - (1.0 - rates.noise) * ops.cast(x["intent"] == count - 1, "float32"))
    return ops.mean(nll) + rates.intents * ops.mean(cross_entropy * ops.cast(x["intent"] >= 0, "float32"))


def crf_loss(ops: Any, scores: Any, tags: Any, mask: Any, transitions: Any, first_scores: Any) -> Any:
    """Return the negative log-likelihood of each message's tags, ``(messages,)``; see `rasa_core.nlu.crf`."""
    gold = ops.one_hot(tags, scores.shape[-1])
    path = ops.sum(ops.sum(scores * gold, axis=-1) * mask, axis=-1) + ops.sum(gold[:, 0] * first_scores, axis=-1)
    moved = ops.sum(ops.matmul(gold[:, :-1], transitions) * gold[:, 1:], axis=-1)
    path = path + ops.sum(moved * mask[:, 1:], axis=-1)
    moves = ops.exp(transitions)

    def step(alpha: Any, inputs: Any) -> Any:
        emitted, kept = inputs
        top = ops.max(alpha, axis=-1, keepdims=True)
        reached = ops.log(ops.matmul(ops.exp(alpha - top), moves) + 1e-30) + top + emitted
        return kept[:, None] * reached + (1.0 - kept[:, None]) * alpha, None

    later = ops.moveaxis(scores[:, 1:], 1, 0), ops.moveaxis(mask[:, 1:], 1, 0)
    alpha, _ = ops.scan(step, scores[:, 0] + first_scores, later)
    return ops.logsumexp(alpha, axis=-1) - path


def arrays_of(model: Any) -> dict[str, Floats]:
    """Return the weights of a trained model, under the names that `rasa_core.nlu.network.NLUNetwork` reads."""
    transitions = import_keras().ops.convert_to_numpy(model.transitions.value)
    arrays: dict[str, Floats] = {"transitions": transitions + model.forbidden}
    for name in ("words", "pieces", "shapes"):
        arrays[name] = weights_of(getattr(model, name))[0]
    for name in ("project", "extra", "attention", "hidden", "intents", "tags"):
        arrays |= _named(name, ("kernel", "bias"), getattr(model, name))
    made = iter(model.made)
    for number, kind in enumerate(BLOCKS):
        arrays |= _named(f"block_{number}", ("kernel", "bias"), model.blocks[number])
        if kind == ATTENTION:
            arrays |= _named(f"block_{number}_made", ("kernel", "bias"), next(made))
    return {name: np.ascontiguousarray(array, np.float32) for name, array in sorted(arrays.items())}


def _named(name: str, parts: tuple[str, str], layer: Any) -> dict[str, Floats]:
    return {f"{name}_{part}": array for part, array in zip(parts, weights_of(layer), strict=False)}
