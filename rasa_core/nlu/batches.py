"""The messages of a training in batches of about the same length, varied anew each time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.augmentation import Rates, Values, letters_of, misspelt, noise, number_of
from rasa_core.nlu.corpus import MAX_TRAINING_TOKENS, Message, Pairs, Table, count_keys
from rasa_core.nlu.features import Vocabulary

Batch = dict[str, NDArray[Any]]
Rows = NDArray[np.intp]

_VARIANTS = 3
_SPELLINGS = 2
_LEAST_NOISE = 24
_FEW = 2000


class Batches:
    """Makes the inputs of the network.

    Parameters
    ----------
    messages
        Those of the training data.
    vocabulary
        What the network will know of them.
    intents
        How many there are; the next number is that of noise.
    size
        Messages in a batch; fewer if there are few messages.
    seed
        Of all that is drawn.
    rates
        How often what is made up.
    numbers_to_draw
        How many random numbers the network needs for a message filled up to some tokens.
    """

    def __init__(
        self,
        messages: Sequence[Message],
        vocabulary: Vocabulary,
        intents: int,
        size: int,
        seed: int,
        rates: Rates,
        numbers_to_draw: Callable[[int], int],
    ) -> None:
        self._numbers_to_draw = numbers_to_draw
        self._random, self._rates = np.random.default_rng(seed), rates
        random = Random(seed)
        counts = count_keys(messages)
        extras = messages[0].extras.shape[1]
        made_up = max(math.ceil(rates.noise * len(messages)), _LEAST_NOISE) if rates.noise else 0
        made = noise(sorted(counts.elements()), made_up, intents, extras, random)
        values = Values(messages)
        variants = [values.varied(m, MAX_TRAINING_TOKENS, random) for m in messages for _ in range(_VARIANTS)]
        self.count = len(messages)
        self._varied = len(messages) + len(made)  # Where the variants begin, in the order of the messages.
        self._table, self._pairs = Table(vocabulary), Pairs(vocabulary)
        self._fill([*messages, *made, *variants])
        self._spell(sorted(counts), random)
        self._words, self._shapes, self._pieces = self._table.arrays()
        self.size = min(size, max(8, self._varied // 8))
        self._limits = _limits(self._lengths, self.count)

    def _fill(self, messages: Sequence[Message]) -> None:
        """Put messages into rows that are as long as the longest."""
        self._lengths = np.array([len(message.keys) for message in messages])
        shape = len(messages), int(self._lengths.max())
        self._keys, self._tags = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        self._extras = np.zeros((*shape, messages[0].extras.shape[1]), np.float32)
        self._intents = np.array([message.intent for message in messages], np.int32)
        for row, message in enumerate(messages):
            length = len(message.keys)
            self._keys[row, :length] = [number_of(key, self._table) for key in message.keys]
            self._tags[row, :length] = message.tags
            self._extras[row, :length] = message.extras

    def _spell(self, keys: Sequence[str], random: Random) -> None:
        """Note other spellings of keys by their numbers; a key without any is its own."""
        letters, number = letters_of(keys), self._table.number
        own = [number(key) for key in keys]
        wrong = [[number(misspelt(key, letters, random)) for _ in range(_SPELLINGS)] for key in keys]
        lower, upper = [number(key.lower()) for key in keys], [number(key.upper()) for key in keys]
        self._wrong = np.arange(len(self._table), dtype=np.int32)[:, None].repeat(_SPELLINGS, axis=1)
        self._lower, self._upper = self._wrong[:, 0].copy(), self._wrong[:, 0].copy()
        self._wrong[own], self._lower[own], self._upper[own] = wrong, lower, upper

    def plan(self, left_out: Rows) -> list[tuple[int, Rows]]:
        """Return number of tokens and messages of each batch of one epoch, in random order, without some messages."""
        rows = np.arange(self._varied)
        vary = self._random.random(self.count) < self._rates.varied
        variant = self._varied + rows[: self.count] * _VARIANTS + self._random.integers(_VARIANTS, size=self.count)
        rows[: self.count] = np.where(vary, variant, rows[: self.count])
        rows = np.delete(rows, left_out)
        bucket = np.searchsorted(self._limits, self._lengths[rows])
        batches = []
        for number, limit in enumerate(self._limits):
            inside = self._random.permutation(rows[bucket == number])
            if len(inside):
                inside = np.concatenate([inside, self._random.choice(inside, -len(inside) % self.size)])
                batches += [(limit, inside[at : at + self.size]) for at in range(0, len(inside), self.size)]
        return [batches[number] for number in self._random.permutation(len(batches))]

    def batch(self, tokens: int, rows: Rows) -> Batch:
        """Return the inputs of the network for messages, filled up to a number of tokens."""
        keys = self._misspelt(self._keys[rows, :tokens])
        mask = np.arange(tokens) < self._lengths[rows, None]
        words = self._words[keys]
        return {
            "words": words,
            "pairs": self._pairs.numbers(words * mask),
            "shapes": self._shapes[keys],
            "pieces": self._pieces[keys],
            "extras": self._extras[rows, :tokens],
            "tags": self._tags[rows, :tokens],
            "mask": mask.astype(np.float32),
            "intent": self._intents[rows],
            "drawn": self._random.integers(256, size=(len(rows), self._numbers_to_draw(tokens)), dtype=np.uint8),
        }

    def _misspelt(self, keys: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return keys with typing errors, and some messages in lower or upper case."""
        rates, draw = self._rates, self._random
        wrong = self._wrong[keys, draw.integers(_SPELLINGS, size=keys.shape)]
        keys = np.where(draw.random(keys.shape) < rates.typing_errors, wrong, keys)
        case = draw.random((len(keys), 1))
        keys = np.where(case < rates.lower_case, self._lower[keys], keys)
        return np.where(case > 1.0 - rates.upper_case, self._upper[keys], keys)


def _limits(lengths: NDArray[np.int_], count: int) -> list[int]:
    """Return the lengths to which messages are filled up: each costs seconds to compile, so one for few messages."""
    longest = int(lengths.max())
    return [longest] if count < _FEW else sorted({*np.quantile(lengths, (0.7, 0.96)).astype(int).tolist(), longest})
