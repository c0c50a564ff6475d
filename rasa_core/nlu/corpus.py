"""Training data as arrays: what the network sees of each message, and messages made up from them.

Messages are rows of keys' numbers; what is known of a key stands in a table. So a typing error, or another case, is
another number, and a batch is made without a loop over its messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.data import Example
from rasa_core.nlu.features import MAX_PIECES, Vocabulary, shape_of
from rasa_core.nlu.model import extras_of
from rasa_core.nlu.patterns import Patterns
from rasa_core.nlu.tokenizer import keys_of, tokenize

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]

MAX_TRAINING_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Message:
    """A message as keys, one tag a key, the number of its intent (-1 if it is not known), and patterns that match."""

    keys: tuple[str, ...]
    tags: tuple[int, ...]
    intent: int
    extras: Floats


class Table:
    """What is known of keys, by their numbers in the order of their coming."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._numbers: dict[str, int] = {}
        self._rows: list[tuple[int, int, list[int]]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def number(self, key: str) -> int:
        """Return the number of a key, a new one if it is new."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._rows)
            self._rows.append((self._vocabulary.word(key), shape_of(key), self._vocabulary.pieces_in(key)))
        return number

    def unknown(self, shape: int) -> int:
        """Return the number of a token of which nothing but its shape is known."""
        self._rows.append((0, shape, []))
        return len(self._rows) - 1

    def arrays(self) -> tuple[Ints, Ints, Ints]:
        """Return words ``(keys,)``, shapes ``(keys,)`` and n-grams ``(keys, MAX_PIECES)`` of all keys."""
        none = len(self._vocabulary.pieces)
        pieces = np.full((len(self._rows), MAX_PIECES), none, np.int32)
        for number, (_, _, known) in enumerate(self._rows):
            pieces[number, : len(known)] = known
        words, shapes = (np.array([row[part] for row in self._rows], np.int32) for part in (0, 1))
        return words, shapes, pieces


class Pairs:
    """Finds pairs of words in many messages at once.

    Parameters
    ----------
    vocabulary
        That of the network.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._words = len(vocabulary.words) + 1
        codes = [-1, *(before * self._words + word for before, word in vocabulary.pairs)]  # -1 for those unknown.
        self._numbers = np.argsort(codes).astype(np.int32)
        self._codes = np.array(codes)[self._numbers]

    def numbers(self, words: Ints) -> Ints:
        """Return the pair that each word makes with the one before it; both are ``(messages, tokens)``."""
        codes = np.zeros(words.shape, np.int64)
        codes[:, 1:] = words[:, :-1] * np.int64(self._words) + words[:, 1:]
        at = np.searchsorted(self._codes, codes, side="right") - 1
        return np.where(self._codes[at] == codes, self._numbers[at], np.int32(0))


def message_of(example: Example, intents: Sequence[str], entities: Sequence[str], patterns: Patterns) -> Message | None:
    """Return an example as tags on tokens; None if it has no token.

    An entity takes in every token that it touches; of two that touch one token, the first has it.
    """
    spans = tokenize(example.text)[:MAX_TRAINING_TOKENS]
    if not spans:
        return None
    tags = [0] * len(spans)
    for entity in sorted(example.entities, key=lambda entity: (entity.start, -entity.end)):
        inside = [at for at, (start, end) in enumerate(spans) if start < entity.end and end > entity.start]
        if inside and not any(tags[at] for at in inside):
            number = entities.index(entity.entity)
            for at in inside:
                tags[at] = 2 + 2 * number
            tags[inside[0]] = 1 + 2 * number
    intent = -1 if example.intent is None else intents.index(example.intent)
    return Message(tuple(keys_of(example.text, spans)), tuple(tags), intent, extras_of(example.text, spans, patterns))


def count_keys(messages: Iterable[Message]) -> Counter[str]:
    """Return how often each key occurs."""
    return Counter(key for message in messages for key in message.keys)
