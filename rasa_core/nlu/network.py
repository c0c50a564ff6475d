"""The network that reads messages, in NumPy: it serves the weights that Keras has trained.

Notation: ``x_t`` is the embedding of token t, ``(units,)``, made of its word, its n-grams, its shape and the patterns
that match it. Each block adds its output to the state ``h_t``, which begins as ``x_t``, and reads
``n = h / sqrt(mean(h^2))`` (Zhang and Sennrich 2019; the weights of the next layer include the scale):

- a convolution ``relu(W [n_(t-1), n_t, n_(t+1)] + b)``;
- attention ``W [..., sum_s softmax_s(q_t k_s / sqrt(size)) v_s, ...] + b`` over heads, whose queries, keys and values
  are linear in n (Vaswani et al. 2017); there is no encoding of positions, since the convolution before gives it;
- the context ``relu(W [max_t n_t, mean_t n_t] + b)``, the same for all tokens.

The scores of tags are linear in the ``n_t`` of the last ``h_t``. The scores of intents read four vectors: the maximum
over t of this ``n_t``, its mean weighted by an attention, and of the bag of words ``max(0, x_t)``, which has no order,
the maximum and the sum divided by the square root of the number of tokens.

The scores of a linear classifier are added to the scores of intents ("wide and deep", Cheng et al. 2016): ``sum_i u_i /
sqrt(sum_i s_i^2) + sum_j v_j / sqrt(sum_j s_j^2) + b``, where i goes over the words, with their weights ``u_i`` for the
intents, and j over the known n-grams, letters and pairs of letters; see `rasa_core.nlu.linear`. The sums are divided by
``exp(d k)``, where k is the number of unknown words, except for the score of the intent "none", to which an offset is
added; see `rasa_core.nlu.calibration`. The scores of a linear tagger, if the model has one, are added to the scores of
tags: each token has three sets of them, for itself, for the token after it, and for the token before it; see
`rasa_core.nlu.linear_tags`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from rasa_core.support.arrays import Floats
from rasa_core.support.probabilities import softmax

Arrays = Mapping[str, Floats]

EPSILON = np.float32(1e-5)
# For one message, NumPy's checks take as long as its sums: so numbers are arrays already, and methods are avoided.
_ZERO, _EPSILON = np.zeros((), np.float32), np.array(EPSILON)
_top = np.maximum.reduce  # `max` without its checks; `np.add.reduce` stands for `sum` for the same reason.
CONVOLUTION, ATTENTION, CONTEXT = "convolution", "attention", "context"
BLOCKS = (CONVOLUTION, ATTENTION, CONVOLUTION, CONTEXT, CONVOLUTION)
HEADS = 4
INPUTS = {CONVOLUTION: 3, ATTENTION: 1, CONTEXT: 2}  # The width of the input of a block, in `units`.


class NLUNetwork:
    """Computes the scores of the tags and intents of messages.

    Parameters
    ----------
    arrays
        The weights by name, as `rasa_core.nlu.training_network` names them, float32.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self._blocks = [(kind, _part(arrays, f"block_{number}_")) for number, kind in enumerate(BLOCKS)]
        words, pieces = arrays["words"].shape[1], arrays["pieces"].shape[1]
        kernel = arrays["project_kernel"]
        # The first layer is linear: so each part of a token goes through it once, when `embed` sees the token first.
        self._word_part = kernel[:words]
        self._piece_part = kernel[words : words + pieces]
        self._shapes = arrays["shapes"] @ kernel[words + pieces :] + arrays["project_bias"]
        self._has_tagger = "word_tags" in arrays
        self._wide_end = len(arrays["project_bias"]) + 2 * len(arrays["wide_bias"]) + 3
        doubt, none = arrays["doubt"].tolist() if "doubt" in arrays else (0.0, 0.0)
        self._trust, self._none = np.full_like(arrays["wide_bias"], -doubt), np.zeros_like(arrays["wide_bias"])
        self._trust[-1], self._none[-1] = 0.0, none  # Unknown words are no reason to doubt that a message means none.

    def embed(self, word: int, pieces: Sequence[int], letters: Sequence[int], shape: int, *, guess: int = 0) -> Floats:
        """Return everything that the network computes of a token by itself, ``(units + 2 intents + 3,)``.

        These are, one after the other: ``x_t`` without patterns; ``u`` of its word; the sum of ``v`` of its n-grams and
        letters; ``s^2`` of its word; the sum of ``s^2`` of its n-grams and letters; 1 if its word is unknown, else 0;
        and, in a model with a linear tagger, its scores of tags, ``(3 tags,)``.

        If the word may be a misspelling of another one, `guess`, the result is the mean of both words, still unknown.
        """
        arrays = self.arrays
        known: Floats = arrays["words"][word] @ self._word_part + self._shapes[shape]
        numbers = list(pieces)
        if numbers:
            total = arrays["pieces"][numbers].sum(axis=0)
            known = known + (total / np.sqrt(np.float32(len(numbers)))) @ self._piece_part
        both = ("piece", numbers), ("letter", list(letters))
        grams = sum(arrays[f"{name}_intents"][own].sum(axis=0) for name, own in both)
        pieces_scale = sum(arrays[f"{name}_scales"][own].sum() for name, own in both)
        counted = arrays["word_scales"][word], pieces_scale, np.float32(word == 0)
        tags = [self._tags_of(word, both, shape)] if self._has_tagger else []
        row: Floats = np.concatenate((known, arrays["word_intents"][word], grams, counted, *tags), dtype=np.float32)
        if guess:
            row = np.float32(0.5) * (row + self.embed(guess, pieces, letters, shape))
            row[self._wide_end - 1] = word == 0
        return row

    def _tags_of(self, word: int, parts: Sequence[tuple[str, list[int]]], shape: int) -> Floats:
        """Return the linear tagger's scores of a token: for its own tag, the tag after it, and the tag before it."""
        arrays = self.arrays
        scores: Floats = arrays["word_tags"][word] + arrays["shape_tags"][shape]
        for name, own in parts:
            scores = scores + arrays[f"{name}_tags"][own].sum(axis=0) * np.float32(max(len(own), 1) ** -0.5)
        return scores

    def unknown(self, known: Floats) -> float:
        """Return the share of tokens whose words are unknown, of the rows that `embed` returns, ``(tokens, ...)``."""
        return float(known[:, self._wide_end - 1].mean())

    def read(self, known: Floats, extras: Floats) -> tuple[Floats, Floats]:
        """Return scores of tags ``(messages, tokens, tags)`` and of intents ``(messages, intents)``.

        Parameters
        ----------
        known
            The rows that `embed` returns, ``(messages, tokens, ...)``; all messages have the same number of tokens.
        extras
            1 for each pattern that matches a token, else 0, ``(messages, tokens, patterns)``.
        """
        arrays = self.arrays
        units = len(arrays["project_bias"])
        wide, unknown = self._wide(known)
        h = known[..., :units] + extras @ arrays["extra_kernel"]
        bag = np.maximum(h, _ZERO)
        for kind, weights in self._blocks:
            n = _norm(h)
            if kind == ATTENTION:
                h += _attention(n, weights) @ weights["kernel"] + weights["bias"]
                continue
            read = _neighbours(n) if kind == CONVOLUTION else _whole(n)
            y = read @ weights["kernel"] + weights["bias"]
            h += np.maximum(y, _ZERO, out=y)
        h = _norm(h)
        tags = h @ arrays["tags_kernel"] + arrays["tags_bias"]
        if self._has_tagger:
            _add_tags(tags, known[..., self._wide_end :])
            tags += extras @ arrays["extra_tags"]
        shares = softmax(h @ arrays["attention_kernel"], axis=1)
        # The sum of n independent numbers grows like the square root of n.
        total = np.add.reduce(bag, axis=1) * np.float32(h.shape[1] ** -0.5)
        pooled = np.concatenate((_top(h, axis=1), np.add.reduce(h * shares, axis=1), _top(bag, axis=1), total), axis=-1)
        hidden = np.maximum(pooled @ arrays["hidden_kernel"] + arrays["hidden_bias"], _ZERO)
        scores = hidden @ arrays["intents_kernel"] + arrays["intents_bias"] + wide
        scores *= np.exp(unknown * self._trust)
        scores += self._none
        return tags, scores

    def _wide(self, known: Floats) -> tuple[Floats, Floats]:
        """Return the scores of the linear classifier, ``(messages, intents)``, and how many words are unknown."""
        arrays = self.arrays
        intents = len(arrays["wide_bias"])
        total = np.add.reduce(known[..., len(arrays["project_bias"]) : self._wide_end], axis=1)
        least = np.float32(1.0)  # As a known feature weighs at least; so no message divides by 0.
        norms = np.sqrt(np.maximum(total[:, -3:-1], least))
        scores: Floats = total[:, :intents] / norms[:, :1]
        scores += total[:, intents:-3] / norms[:, 1:]
        scores += arrays["wide_bias"]
        return scores, total[:, -1:]


def _add_tags(tags: Floats, known: Floats) -> None:
    """Add the linear tagger's scores: each token's own, and the scores that its neighbours give it."""
    count = tags.shape[-1]
    tags += known[..., :count]
    tags[:, 1:] += known[:, :-1, count : 2 * count]
    tags[:, :-1] += known[:, 1:, 2 * count :]


def _part(arrays: Arrays, prefix: str) -> dict[str, Floats]:
    """Return the weights of the layer whose names begin with `prefix`, without this prefix."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _norm(h: Floats) -> Floats:
    # `mean` returns the same, but takes three times as long for one message.
    square: Floats = np.add.reduce(h * h, axis=-1, keepdims=True)
    square *= _share(h.shape[-1])
    square += _EPSILON
    np.sqrt(square, out=square)
    normal: Floats = h / square
    return normal


@cache
def _share(count: int) -> Floats:
    return np.array(1.0 / count, np.float32)


def _attention(n: Floats, weights: Arrays) -> Floats:
    """Return the outputs of all heads side by side, ``(messages, tokens, units)``."""
    messages, tokens, units = n.shape
    size = units // HEADS
    made = n @ weights["made_kernel"] + weights["made_bias"]
    query, key, value = made.reshape(messages, tokens, 3, HEADS, size).transpose(2, 0, 3, 1, 4)
    shares = softmax(query @ key.transpose(0, 1, 3, 2) * np.float32(size**-0.5))
    read: Floats = (shares @ value).transpose(0, 2, 1, 3).reshape(messages, tokens, units)
    return read


def _whole(n: Floats) -> Floats:
    """Return the maximum and the mean over the tokens, side by side, ``(messages, 1, 2 units)``."""
    return np.concatenate((_top(n, axis=1), np.add.reduce(n, axis=1) / np.float32(n.shape[1])), axis=-1)[:, None]


def _neighbours(n: Floats) -> Floats:
    """Return each token between its neighbours, side by side, ``(messages, tokens, 3 units)``; zeros at the ends."""
    messages, tokens, units = n.shape
    wide = np.zeros((messages, tokens, 3 * units), np.float32)
    wide[:, 1:, :units] = n[:, :-1]
    wide[:, :, units : 2 * units] = n
    wide[:, :-1, 2 * units :] = n[:, 1:]
    return wide
