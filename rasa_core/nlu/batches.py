"""The messages of a training as batches of arrays of about the same length, varied anew in each epoch.

A message is a row of numbers of keys, and a table has the word, the shape and the n-grams of each key. So a typing
error, or another case, is just another number, and a batch is made without a loop over its messages. Generated messages
are added to the messages of the data: variants with other values of entities, other signs at their ends, something said
before them, typing errors, other case or no accents; and noise.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.spelling import plain
from rasa_core.nlu.tokens import SHAPES, TokenVocabulary, shape_of
from rasa_core.nlu.variation import (
    MEANINGLESS,
    TaggedMessage,
    Variation,
    end_signs,
    exchanged,
    letters_of,
    misspelt,
    noise,
)

Ints = NDArray[np.int32]
Batch = dict[str, NDArray[Any]]
Rows = NDArray[np.intp]

_VARIANTS: Final = 3
"""The number of variants of each message."""
_OPENED: Final = 1
"""The number of these variants that have something before them."""
_SPELLINGS: Final = 2
"""The number of wrong spellings of each key."""
_VARIED, _LOWER_CASE, _UPPER_CASE, _PLAIN, _NOISE, _LEAST_NOISE = 0.15, 0.05, 0.04, 0.1, 0.05, 24
"""The shares of variants, of messages in lower and upper case, without accents, and of noise; the least noise."""
_EXCHANGED: Final = 0.4
"""The share of messages with values of other roles. Without them, a network memorises which city is which role."""
_AGAIN: Final = 3
_TYPING_ERRORS: Final = 0.01
"""The share of misspelt tokens."""
FEW: Final = 2000
"""With fewer messages, padding all of them to one length costs less time than compiling the network for two."""

# -- tables


class KeyTable:
    """The word, the shape and the n-grams of each key; keys are numbered in the order in which they are added."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        self._vocabulary = vocabulary
        self._numbers: dict[str, int] = {}
        self._rows: list[tuple[int, int, list[int]]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def number(self, key: str) -> int:
        """Return the number of a key, and add the key if it is new."""
        number = self._numbers.get(key)
        if number is not None:
            return number
        number = self._numbers[key] = len(self._rows)
        if key.startswith(MEANINGLESS):
            self._rows.append((0, SHAPES.index(key.removeprefix(MEANINGLESS)), []))
        else:
            self._rows.append((self._vocabulary.word(key), shape_of(key), self._vocabulary.pieces_in(key)))
        return number

    def arrays(self) -> tuple[Ints, Ints, Ints]:
        """Return words ``(keys,)``, shapes ``(keys,)`` and padded n-grams ``(keys, most of a key)`` of all keys."""
        none = len(self._vocabulary.pieces)
        most = max(1, *(len(known) for _, _, known in self._rows))
        pieces = np.full((len(self._rows), most), none, np.int32)
        for number, (_, _, known) in enumerate(self._rows):
            pieces[number, : len(known)] = known
        words, shapes = (np.array([row[part] for row in self._rows], np.int32) for part in (0, 1))
        return words, shapes, pieces


# -- batches


class MessageBatches:
    """Makes the inputs of the network.

    Parameters
    ----------
    messages
        The messages of the training data.
    vocabulary
        The words, n-grams and letters that the network knows.
    intents
        The number of intents, which is the number of the intent of noise, too.
    settings
        The settings of the training: the size of a batch (smaller for few messages), and the seed.

    Attributes
    ----------
    grams : int
        The largest number of n-grams of a token.
    made : list of TaggedMessage
        The noise.
    variants : list of TaggedMessage
        `_VARIANTS` variants of each message, in the order of the messages.
    signs : EndSigns
        The signs that say something at the ends of messages.
    """

    def __init__(
        self,
        messages: Sequence[TaggedMessage],
        vocabulary: TokenVocabulary,
        intents: int,
        settings: NLUSettings,
    ) -> None:
        self._random, random = np.random.default_rng(settings.seed), Random(settings.seed)
        counts = Counter(key for message in messages for key in message.keys)
        extras = messages[0].extras.shape[1]
        made_up = max(math.ceil(_NOISE * len(messages)), _LEAST_NOISE)
        self.made = noise(sorted(counts.elements()), made_up, intents, extras, random)
        self.signs = end_signs(messages)
        vary = Variation(messages, random)
        self.variants = [
            vary(message, is_opened=number < _OPENED) for message in messages for number in range(_VARIANTS)
        ]
        self.count = len(messages)
        longest = max(len(message.keys) for message in messages)  # See `Variation`.
        others = [
            new if len(new.keys) <= longest else old for new, old in zip(exchanged(messages), messages, strict=True)
        ]
        self._is_exchanged = np.array([new is not old for new, old in zip(others, messages, strict=True)])
        self._varied = len(messages) + len(self.made)  # Where the variants begin, in the order of the messages.
        self._table = KeyTable(vocabulary)
        self._fill([*messages, *self.made, *self.variants, *(others if self._is_exchanged.any() else ())])
        self._spell(sorted(counts), random)
        self._words, self._shapes, self._pieces = self._table.arrays()
        self.grams = self._pieces.shape[1]
        self.size = min(settings.batch_size, max(8, self._varied // 8))
        self._limits = _limits(self._lengths, self.count)

    def _fill(self, messages: Sequence[TaggedMessage]) -> None:
        """Put messages into rows that are padded to the longest message."""
        self._lengths = np.array([len(message.keys) for message in messages])
        shape = len(messages), int(self._lengths.max())
        self._keys, self._tags = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        self._extras = np.zeros((*shape, messages[0].extras.shape[1]), np.float32)
        self._intents = np.array([message.intent for message in messages], np.int32)
        for row, message in enumerate(messages):
            length = len(message.keys)
            self._keys[row, :length] = [self._table.number(key) for key in message.keys]
            self._tags[row, :length] = message.tags
            self._extras[row, :length] = message.extras

    def _spell(self, keys: Sequence[str], random: Random) -> None:
        """Note the numbers of other spellings of each key; a key without another spelling has its own number."""
        letters, number = letters_of(keys), self._table.number
        own = [number(key) for key in keys]
        wrong = [[number(misspelt(key, letters, random)) for _ in range(_SPELLINGS)] for key in keys]
        others = [[number(change(key)) for key in keys] for change in (str.lower, str.upper, plain)]
        self._wrong = np.arange(len(self._table), dtype=np.int32)[:, None].repeat(_SPELLINGS, axis=1)
        self._lower, self._upper, self._plain = (self._wrong[:, 0].copy() for _ in others)
        self._wrong[own] = wrong
        self._lower[own], self._upper[own], self._plain[own] = others

    def plan(self, left_out: Rows, again: Rows) -> list[tuple[int, Rows]]:
        """Return, for each batch of an epoch, the number of tokens and the messages, in random order.

        The messages `left_out` are in no batch; the messages `again` are in `_AGAIN` batches more.
        """
        rows = np.arange(self._varied)
        draw = self._random.random(self.count)
        vary, exchange = draw < _VARIED, self._is_exchanged & (draw >= 1.0 - _EXCHANGED)
        variant = self._varied + rows[: self.count] * _VARIANTS + self._random.integers(_VARIANTS, size=self.count)
        other = np.where(exchange, rows[: self.count] + self._varied + len(self.variants), rows[: self.count])
        rows[: self.count] = np.where(vary, variant, other)
        rows = np.concatenate([np.delete(rows, left_out), np.repeat(again, _AGAIN)])
        bucket = np.searchsorted(self._limits, self._lengths[rows])
        batches = []
        for number, limit in enumerate(self._limits):
            inside = self._random.permutation(rows[bucket == number])
            if len(inside):
                inside = np.concatenate([inside, self._random.choice(inside, -len(inside) % self.size)])
                batches += [(limit, inside[at : at + self.size]) for at in range(0, len(inside), self.size)]
        return [batches[number] for number in self._random.permutation(len(batches))]

    def batch(self, tokens: int, rows: Rows, drawn: int) -> Batch:
        """Return the inputs of the network for messages, padded to so many tokens, with `drawn` random numbers each."""
        keys = self._misspelt(self._keys[rows, :tokens])
        mask = np.arange(tokens) < self._lengths[rows, None]
        return {
            "words": self._words[keys],
            "shapes": self._shapes[keys],
            "pieces": self._pieces[keys],
            "extras": self._extras[rows, :tokens],
            "tags": self._tags[rows, :tokens],
            "mask": mask.astype(np.float32),
            "intent": self._intents[rows],
            "drawn": self._random.integers(256, size=(len(rows), drawn), dtype=np.uint8),
        }

    def _misspelt(self, keys: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return keys with typing errors, and some messages in lower or upper case, or without accents."""
        draw = self._random
        wrong = self._wrong[keys, draw.integers(_SPELLINGS, size=keys.shape)]
        keys = np.where(draw.random(keys.shape) < _TYPING_ERRORS, wrong, keys)
        keys = np.where(draw.random((len(keys), 1)) < _PLAIN, self._plain[keys], keys)
        case = draw.random((len(keys), 1))
        keys = np.where(case < _LOWER_CASE, self._lower[keys], keys)
        return np.where(case > 1.0 - _UPPER_CASE, self._upper[keys], keys)


def _limits(lengths: NDArray[np.int_], count: int) -> list[int]:
    """Return the lengths to which messages are padded; compiling the network takes seconds for each of them."""
    longest, most = int(lengths.max()), int(np.quantile(lengths, 0.96))
    if count < FEW:
        return [longest] if longest < 2 * most else [most, longest]
    return sorted({int(np.quantile(lengths, 0.7)), most, longest})
