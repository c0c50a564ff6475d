"""The messages of a training as batches of arrays, of about the same length, varied anew each time.

Messages are rows of keys' numbers; what is known of a key stands in a table. So a typing error, or another case, is
another number, and a batch is made without a loop over its messages. To the messages that somebody wrote come some
that nobody did: with other values of entities, typing errors, other case, and noise.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.crf import spans_of
from rasa_core.nlu.patterns import Patterns
from rasa_core.nlu.tokens import MAX_PIECES, SHAPES, TokenVocabulary, keys_of, shape_of, tokenize
from rasa_core.nlu.training_data import NLUExample, NLUSettings

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Batch = dict[str, NDArray[Any]]
Rows = NDArray[np.intp]

MAX_TRAINING_TOKENS: Final = 64
_VARIANTS: Final = 3
"""How many messages with other values of entities are made of each."""
_SPELLINGS: Final = 2
"""How many wrong spellings are made of each key."""
_OTHER_VALUES, _LOWER_CASE, _UPPER_CASE, _NOISE, _LEAST_NOISE = 0.08, 0.05, 0.02, 0.05, 24
"""Shares of messages with other values of entities, in other case, and without meaning, and the fewest of these."""
_TYPING_ERRORS: Final = 0.01
"""Share of the tokens that are spelt wrongly."""
_FEW: Final = 2000
_MEANINGLESS: Final = "\0\0"
"""Begins the keys of tokens of which nothing is known but the shape."""
_SHAPES_OF_NOISE: Final = ("lower", "lower", "title", "caseless", "sign", "sign")
_LENGTHS_OF_NOISE: Final = (1, 1, 2, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class TaggedMessage:
    """A message as keys, one tag a key, the number of its intent (-1 if it is not known), and patterns that match."""

    keys: tuple[str, ...]
    tags: tuple[int, ...]
    intent: int
    extras: Floats


def tagged(
    example: NLUExample, intents: Sequence[str], entities: Sequence[str], patterns: Patterns
) -> TaggedMessage | None:
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
    return TaggedMessage(tuple(keys_of(example.text, spans)), tuple(tags), intent, patterns.extras(example.text, spans))


# -- tables


class KeyTable:
    """What is known of keys, by their numbers in the order of their coming."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        self._vocabulary = vocabulary
        self._numbers: dict[str, int] = {}
        self._rows: list[tuple[int, int, list[int]]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def number(self, key: str) -> int:
        """Return the number of a key: a new one if it is new, or of a token of which nothing but the shape is known."""
        number = self._numbers.get(key)
        if number is not None:
            return number
        number = len(self._rows)
        if key.startswith(_MEANINGLESS):
            self._rows.append((0, SHAPES.index(key.removeprefix(_MEANINGLESS)), []))
        else:
            self._numbers[key] = number
            self._rows.append((self._vocabulary.word(key), shape_of(key), self._vocabulary.pieces_in(key)))
        return number

    def arrays(self) -> tuple[Ints, Ints, Ints]:
        """Return words ``(keys,)``, shapes ``(keys,)`` and n-grams ``(keys, MAX_PIECES)`` of all keys."""
        none = len(self._vocabulary.pieces)
        pieces = np.full((len(self._rows), MAX_PIECES), none, np.int32)
        for number, (_, _, known) in enumerate(self._rows):
            pieces[number, : len(known)] = known
        words, shapes = (np.array([row[part] for row in self._rows], np.int32) for part in (0, 1))
        return words, shapes, pieces


class WordPairs:
    """Finds the pairs of words that a vocabulary has in many messages at once."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
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


# -- batches


class MessageBatches:
    """Makes the inputs of the network.

    Parameters
    ----------
    messages
        Those of the training data.
    vocabulary
        What the network will know of them.
    intents
        How many there are; the next number is that of noise.
    settings
        Tell how many messages a batch has, if they are not few, and the seed of all that is drawn.
    numbers_to_draw
        How many random numbers the network needs for a message filled up to some tokens.
    """

    def __init__(
        self,
        messages: Sequence[TaggedMessage],
        vocabulary: TokenVocabulary,
        intents: int,
        settings: NLUSettings,
        numbers_to_draw: Callable[[int], int],
    ) -> None:
        self._numbers_to_draw = numbers_to_draw
        self._random, random = np.random.default_rng(settings.seed), Random(settings.seed)
        counts = Counter(key for message in messages for key in message.keys)
        extras = messages[0].extras.shape[1]
        made_up = max(math.ceil(_NOISE * len(messages)), _LEAST_NOISE)
        made = noise(sorted(counts.elements()), made_up, intents, extras, random)
        values = _values_of(messages)
        variants = [_varied(message, values, random) for message in messages for _ in range(_VARIANTS)]
        self.count = len(messages)
        self._varied = len(messages) + len(made)  # Where the variants begin, in the order of the messages.
        self._table, self._pairs = KeyTable(vocabulary), WordPairs(vocabulary)
        self._fill([*messages, *made, *variants])
        self._spell(sorted(counts), random)
        self._words, self._shapes, self._pieces = self._table.arrays()
        self.size = min(settings.batch_size, max(8, self._varied // 8))
        self._limits = _limits(self._lengths, self.count)

    def _fill(self, messages: Sequence[TaggedMessage]) -> None:
        """Put messages into rows that are as long as the longest."""
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
        vary = self._random.random(self.count) < _OTHER_VALUES
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
        draw = self._random
        wrong = self._wrong[keys, draw.integers(_SPELLINGS, size=keys.shape)]
        keys = np.where(draw.random(keys.shape) < _TYPING_ERRORS, wrong, keys)
        case = draw.random((len(keys), 1))
        keys = np.where(case < _LOWER_CASE, self._lower[keys], keys)
        return np.where(case > 1.0 - _UPPER_CASE, self._upper[keys], keys)


def _limits(lengths: NDArray[np.int_], count: int) -> list[int]:
    """Return the lengths to which messages are filled up: each costs seconds to compile, so one for few messages."""
    longest = int(lengths.max())
    return [longest] if count < _FEW else sorted({*np.quantile(lengths, (0.7, 0.96)).astype(int).tolist(), longest})


# -- what nobody wrote


Values = dict[int, list[tuple[tuple[str, ...], Floats]]]


def _values_of(messages: Sequence[TaggedMessage]) -> Values:
    """Return the values of each entity, by the tag with which it begins, each with its keys and extras."""
    found: dict[int, dict[tuple[str, ...], Floats]] = {}
    for message in messages:
        for start, last in spans_of(message.tags):
            values = found.setdefault(message.tags[start], {})
            values.setdefault(message.keys[start : last + 1], message.extras[start : last + 1])
    return {tag: list(values.items()) for tag, values in found.items()}


def _varied(message: TaggedMessage, known: Values, random: Random) -> TaggedMessage:
    """Return the message with most of its entities replaced, and without the sign at its end, if there is one."""
    keys: list[str] = []
    tags: list[int] = []
    extras: list[Floats] = []
    done = 0
    for start, last in spans_of(message.tags):
        tag, end = message.tags[start], last + 1
        value, rows = message.keys[start:end], message.extras[start:end]
        if random.random() < 0.7:
            value, rows = random.choice(known[tag])
        keys += (*message.keys[done:start], *value)
        tags += (*message.tags[done:start], tag, *[tag + 1] * (len(value) - 1))
        extras += message.extras[done:start], rows
        done = end
    keys += message.keys[done:]
    tags += message.tags[done:]
    rows = np.concatenate([*extras, message.extras[done:]])[:MAX_TRAINING_TOKENS]
    if len(keys) > 1 and not tags[-1] and len(keys[-1]) == 1 and not keys[-1].isalnum():
        del keys[-1], tags[-1]
    longest = MAX_TRAINING_TOKENS
    return TaggedMessage(tuple(keys[:longest]), tuple(tags[:longest]), message.intent, rows[: len(keys)])


def misspelt(key: str, letters: str, random: Random) -> str:
    """Return a key with one typing error: two letters exchanged, one too few, another one, or one too many."""
    if len(key) < 3 or not key.isalpha():
        return key
    at = random.randrange(len(key) - 1)
    kind = random.randrange(4)
    if kind == 0:
        return key[:at] + key[at + 1] + key[at] + key[at + 2 :]
    if kind == 1:
        return key[:at] + key[at + 1 :]
    return key[:at] + random.choice(letters) + key[at + (kind == 2) :]


def letters_of(keys: Sequence[str]) -> str:
    """Return the letters in some keys, sorted."""
    return "".join(sorted({character for key in keys for character in key if character.isalpha()})) or "x"


def noise(keys: Sequence[str], count: int, intent: int, extras: int, random: Random) -> list[TaggedMessage]:
    """Return messages that mean nothing: words with their letters shuffled, halves of words put together, and so on.

    `keys` has those of the training data, each as often as it occurs; a token gets `extras` numbers for patterns.
    """
    letters = letters_of(keys)
    messages = []
    for _ in range(count):
        length = random.choice(_LENGTHS_OF_NOISE)
        # At most half of it is known, and never a message of one word, which may mean something.
        known = set(random.sample(range(length), random.randint(0, length // 2)))
        made = tuple(
            random.choice(keys) if at in known else _pseudo_word(keys, letters, random) for at in range(length)
        )
        known_extras = np.zeros((length, extras), np.float32)
        known_extras[1:, 0] = random.random() < 0.3  # Without spaces between them.
        messages.append(TaggedMessage(made, (0,) * length, intent, known_extras))
    return messages


def _pseudo_word(keys: Sequence[str], letters: str, random: Random) -> str:
    """Return a word that is none, or a key that says that nothing is known."""
    kind = random.randrange(5)
    one, other = random.choice(keys), random.choice(keys)
    if "\0" in one and kind < 3:
        return f"{other.replace(chr(0), '')[:1]}\0{one.split(chr(0))[1]}\0{random.choice(keys).replace(chr(0), '')[:1]}"
    one, other = one.replace("\0", ""), other.replace("\0", "")
    if kind == 0:
        return "".join(random.sample(one, len(one)))
    if kind == 1:
        return one[: (len(one) + 1) // 2] + other[len(other) // 2 :]
    if kind == 2:
        return "".join(random.choice(letters) for _ in range(random.randint(2, 9)))
    return f"{_MEANINGLESS}{random.choice(_SHAPES_OF_NOISE)}"
