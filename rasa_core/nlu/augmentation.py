"""Messages and spellings that nobody wrote: other values of entities, typing errors, other case, and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from rasa_core.nlu.corpus import Floats, Message, Table
from rasa_core.nlu.features import SHAPES

_MEANINGLESS = "\0\0"  # Begins the keys of tokens of which nothing is known but the shape.
_SHAPES_OF_NOISE = ("lower", "lower", "title", "caseless", "sign", "sign")
_LENGTHS_OF_NOISE = (1, 1, 2, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Rates:
    """How often what is made up; shares of messages, but for `typing_errors`, a share of tokens."""

    varied: float = 0.08
    typing_errors: float = 0.01
    lower_case: float = 0.05
    upper_case: float = 0.02
    noise: float = 0.05


class Values:
    """The values that each entity has in messages, each with its keys and extras.

    Parameters
    ----------
    messages
        Those of the training data.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        self._values: dict[int, dict[tuple[str, ...], Floats]] = {}
        for message in messages:
            for start, end in spans_of(message.tags):
                values = self._values.setdefault(message.tags[start], {})
                values.setdefault(message.keys[start:end], message.extras[start:end])
        self._lists = {tag: list(values.items()) for tag, values in self._values.items()}

    def varied(self, message: Message, longest: int, random: Random) -> Message:
        """Return the message with most of its entities replaced, and without the sign at its end, if there is one."""
        keys: list[str] = []
        tags: list[int] = []
        extras: list[Floats] = []
        done = 0
        for start, end in [*spans_of(message.tags), (len(message.keys), len(message.keys))]:
            keys += message.keys[done:start]
            tags += message.tags[done:start]
            extras.append(message.extras[done:start])
            value, rows = message.keys[start:end], message.extras[start:end]
            if value and random.random() < 0.7:
                value, rows = random.choice(self._lists[message.tags[start]])
            keys += value
            tags += [message.tags[start], *[message.tags[start] + 1] * (len(value) - 1)] if value else []
            extras.append(rows)
            done = end
        if len(keys) > 1 and not tags[-1] and len(keys[-1]) == 1 and not keys[-1].isalnum():
            del keys[-1], tags[-1]
        rows = np.concatenate(extras)[:longest]
        return Message(tuple(keys[:longest]), tuple(tags[:longest]), message.intent, rows[: len(keys)])


def spans_of(tags: Sequence[int]) -> list[tuple[int, int]]:
    """Return start and end of each entity; odd tags begin one, even ones go on."""
    starts = [at for at, tag in enumerate(tags) if tag % 2]
    spans = []
    for start in starts:
        end = start + 1
        while end < len(tags) and tags[end] == tags[start] + 1:
            end += 1
        spans.append((start, end))
    return spans


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


def noise(keys: Sequence[str], count: int, intent: int, extras: int, random: Random) -> list[Message]:
    """Return messages that mean nothing: words with their letters shuffled, halves of words put together, and so on.

    Parameters
    ----------
    keys
        Those of the training data, each as often as it occurs.
    count
        How many messages.
    intent, extras
        The number of the intent that they get, and how many extras a token has.
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
        messages.append(Message(made, (0,) * length, intent, known_extras))
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


def number_of(key: str, table: Table) -> int:
    """Return the number of a key in a table; also of one of which nothing is known."""
    if key.startswith(_MEANINGLESS):
        return table.unknown(SHAPES.index(key.removeprefix(_MEANINGLESS)))
    return table.number(key)
