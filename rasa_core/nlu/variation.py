"""The messages of a training as tags on tokens, and the variants and the noise that are generated from them.

A variant means the same as its message, but has other values of entities, another sign at its end, something said
before it, or a typing error. The name of each intent is a message of this intent, too. Noise means nothing; from it the
model learns to find no intent in such texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from random import Random
from typing import Final

import numpy as np

from rasa_core.nlu.courtesies import GREETINGS
from rasa_core.nlu.crf import spans_of
from rasa_core.nlu.patterns import Patterns
from rasa_core.nlu.tokens import MAX_CHARACTERS, MAX_TOKENS, EndSigns, is_sign, keys_of, tokenize, visible
from rasa_core.nlu.training_data import NLUExample
from rasa_core.support.arrays import Floats

_OTHER_VALUE, _ENDED, _GREETED, _SAID = 0.2, 0.4, 0.6, 0.3
"""The shares of variants with another value of an entity, and with another end; and of openings that are a greeting,
and that are a short message."""
_SHORT: Final = 3
"""The most tokens of a message that may stand before another message."""
MEANINGLESS: Final = "\0\0"
"""The prefix of the keys of tokens that have a shape, but no word and no n-grams."""
_SHAPES_OF_NOISE: Final = ("lower", "lower", "title", "caseless", "sign", "sign")
_LENGTHS_OF_NOISE: Final = (1, 1, 2, 2, 3, 4, 5, 6, 8, 10)
_WORD_IN_NAME: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")  # Where the second word of ``orderPizza`` begins.


@dataclass(frozen=True, slots=True)
class TaggedMessage:
    """A message as tokens.

    Attributes
    ----------
    keys, tags
        The key and the tag of each token.
    intent
        The number of the intent; -1 if the intent is unknown, and the number of intents for noise.
    extras
        The patterns that match each token, ``(tokens, patterns)``.
    kinds
        For each label, the number of the first label of the same entity, which may have another role or group.
    """

    keys: tuple[str, ...]
    tags: tuple[int, ...]
    intent: int
    extras: Floats
    kinds: tuple[int, ...] = ()

    def kind(self, tag: int) -> int:
        """Return the kind (see `kinds`) of the entity whose first token has this tag."""
        return self.kinds[tag // 2] if self.kinds else tag // 2


def tagged(
    example: NLUExample, intents: Sequence[str], labels: Sequence[tuple[str, str, str]], patterns: Patterns
) -> TaggedMessage | None:
    """Return an example as tags on tokens; None if it has no token.

    An entity covers every token that it touches. If two entities touch the same token, only the first is kept.
    """
    text, places = visible(example.text[:MAX_CHARACTERS])
    spans = tokenize(text)[:MAX_TOKENS]
    if not spans:
        return None
    tags = [0] * len(spans)
    written = [(places[start], places[end - 1] + 1) for start, end in spans]
    for entity in sorted(example.entities, key=lambda entity: (entity.start, -entity.end)):
        inside = [at for at, (start, end) in enumerate(written) if start < entity.end and end > entity.start]
        if inside and not any(tags[at] for at in inside):
            number = labels.index(entity.label)
            for at in inside:
                tags[at] = 2 + 2 * number
            tags[inside[0]] = 1 + 2 * number
    intent = -1 if example.intent is None else intents.index(example.intent)
    names = [entity for entity, _, _ in labels]
    kinds = tuple(map(names.index, names))
    return TaggedMessage(tuple(keys_of(text, spans)), tuple(tags), intent, patterns.extras(text, spans), kinds)


Value = tuple[tuple[str, ...], Floats]
"""The keys of the tokens of an entity, and their extras."""


def _values_of(messages: Sequence[TaggedMessage]) -> dict[int, list[Value]]:
    """Return the values of each entity by its kind, whatever their roles."""
    found: dict[int, dict[tuple[str, ...], Floats]] = {}
    for message in messages:
        for start, last in spans_of(message.tags):
            values = found.setdefault(message.kind(message.tags[start]), {})
            values.setdefault(message.keys[start : last + 1], message.extras[start : last + 1])
    return {kind: list(values.items()) for kind, values in found.items()}


def end_signs(messages: Sequence[TaggedMessage]) -> EndSigns:
    """Return the signs that begin or end messages, or entities anywhere in them."""
    first, last = set(), set()
    for message in messages:
        spans = [(0, -1), *spans_of(message.tags)]
        first |= {message.keys[begin] for begin, _ in spans}
        last |= {message.keys[end] for _, end in spans}
    return EndSigns(*(frozenset(filter(is_sign, keys)) for keys in (first, last)))


def final_signs(messages: Sequence[TaggedMessage]) -> list[str]:
    """Return the signs that end messages, except as a part of an entity, such as the bracket in ``hall (north)``."""
    return sorted({one.keys[-1] for one in messages if not one.tags[-1] and is_sign(one.keys[-1])})


class Variation:
    """Makes variants of messages, with other values of entities, other signs at the end, and something said before.

    No variant is longer than the longest message of the data.
    """

    def __init__(self, messages: Sequence[TaggedMessage], random: Random) -> None:
        self._random, self._values, self._ends = random, _values_of(messages), final_signs(messages)
        self._longest = max(len(message.keys) for message in messages)
        # Short messages without entities, which people put before what they want: "thanks", "one more thing".
        self._openings = [
            (message.intent, message.keys[: -1 if is_sign(message.keys[-1]) else None])
            for message in messages
            if len(message.keys) <= _SHORT and not any(message.tags) and not is_sign(message.keys[0])
        ]
        self._known = sorted({key for message in messages for key in message.keys})

    def __call__(self, message: TaggedMessage, *, is_opened: bool) -> TaggedMessage:
        """Return a variant of a message; if `is_opened`, with something before it, unless it is a single token."""
        draw = self._random.random
        keys, tags, extras = self._with_other_values(message)
        if draw() < _ENDED:
            if len(keys) > 1 and not tags[-1] and is_sign(keys[-1]):
                del keys[-1], tags[-1], extras[-1]
            if self._ends and (draw() < 0.5 or not is_sign(message.keys[-1])):
                _put(keys, tags, extras, len(keys), (self._random.choice(self._ends),), touches=draw() < 0.7)
        if is_opened and len(message.keys) > 1:
            if draw() < 0.7:
                _put(keys, tags, extras, 0, (self._random.choice((",", "!", ".")),), touches=True)
            _put(keys, tags, extras, 0, self._opening(message.intent))
        if len(keys) > self._longest:  # It would make all arrays longer, and the network compile anew.
            return message
        return TaggedMessage(tuple(keys), tuple(tags), message.intent, np.stack(extras))

    def _opening(self, intent: int) -> tuple[str, ...]:
        """Return a greeting, a short message of another intent, or pseudo-words, to stand before a message."""
        kind = self._random.random()
        if kind < _GREETED:
            greeting = self._random.choice(GREETINGS)
            return tuple(keys_of(greeting, tokenize(greeting)))
        for _ in range(3 if kind < _GREETED + _SAID else 0):
            other, keys = self._random.choice(self._openings) if self._openings else (intent, ())
            if other != intent:
                return keys
        return tuple(_pseudo_word(self._known, "aeinorst", self._random) for _ in range(self._random.choice((1, 1, 2))))

    def _with_other_values(self, message: TaggedMessage) -> tuple[list[str], list[int], list[Floats]]:
        """Return keys, tags and extras of a message in which some entities have other values."""
        values = {
            start: self._random.choice(self._values[message.kind(message.tags[start])])
            for start, _ in spans_of(message.tags)
            if self._random.random() < _OTHER_VALUE
        }
        return _with_values(message, values)


def exchanged(messages: Sequence[TaggedMessage]) -> list[TaggedMessage]:
    """Return the messages with values of the same entities in other roles or groups; messages without roles stay.

    So a model learns the role of a city, as in ``from Rome to Oslo``, from the words around it, and not from the city.
    """
    values: dict[int, dict[int, dict[tuple[str, ...], Floats]]] = {}
    for message in messages:
        for start, last in spans_of(message.tags):
            tag, inside = message.tags[start], slice(start, last + 1)
            own = values.setdefault(message.kind(tag), {}).setdefault(tag, {})
            own.setdefault(message.keys[inside], message.extras[inside])
    others = {
        tag: cycle([value for other in sorted(of_kind) if other != tag for value in of_kind[other].items()])
        for of_kind in values.values()
        for tag in of_kind
        if len(of_kind) > 1
    }
    made = []
    for message in messages:
        taken = {
            start: next(others[tag]) for start, _ in spans_of(message.tags) if (tag := message.tags[start]) in others
        }
        keys, tags, extras = _with_values(message, taken)
        other = replace(message, keys=tuple(keys), tags=tuple(tags), extras=np.stack(extras)) if taken else message
        made.append(other)
    return made


def _with_values(message: TaggedMessage, values: Mapping[int, Value]) -> tuple[list[str], list[int], list[Floats]]:
    """Return keys, tags and extras of a message with new values, each for the entity that begins at a token."""
    keys: list[str] = []
    tags: list[int] = []
    extras: list[Floats] = []
    done = 0
    for start, last in spans_of(message.tags):
        tag, end = message.tags[start], last + 1
        value, rows = values.get(start, (message.keys[start:end], message.extras[start:end]))
        keys += (*message.keys[done:start], *value)
        tags += (*message.tags[done:start], tag, *[tag + 1] * (len(value) - 1))
        extras += (*message.extras[done:start], *rows)
        done = end
    return [*keys, *message.keys[done:]], [*tags, *message.tags[done:]], [*extras, *message.extras[done:]]


def with_other_end(message: TaggedMessage, sign: str) -> TaggedMessage:
    """Return a message without the sign at its end; if no sign is there, or one of an entity, with `sign` added."""
    keys, tags, extras = list(message.keys), list(message.tags), list(message.extras)
    if len(keys) > 1 and not tags[-1] and is_sign(keys[-1]):
        del keys[-1], tags[-1], extras[-1]
    elif sign:
        _put(keys, tags, extras, len(keys), (sign,), touches=True)
    return TaggedMessage(tuple(keys), tuple(tags), message.intent, np.stack(extras))


def _put(
    keys: list[str], tags: list[int], extras: list[Floats], at: int, put: Sequence[str], *, touches: bool = False
) -> None:
    """Put tokens outside of entities into a message; if `touches`, no space is before the first of them."""
    for key in reversed(put):
        keys.insert(at, key)
        tags.insert(at, 0)
        extras.insert(at, _touching(np.zeros_like(extras[0]), False))
    extras[at] = _touching(extras[at], touches)


def _touching(row: Floats, touches: bool) -> Floats:
    row = row.copy()
    row[0] = touches
    return row


def misspelt(key: str, letters: str, random: Random) -> str:
    """Return a key with one typing error: two letters exchanged, one too few, another one, or one too many."""
    if len(key) < 3 or not key.isalpha():  # An error in a short word mostly makes another word.
        return key
    at = random.randrange(len(key) - 1)
    kind = random.randrange(4)
    if kind == 0:
        return key[:at] + key[at + 1] + key[at] + key[at + 2 :]
    if kind == 1:
        return key[:at] + key[at + 1 :]
    return key[:at] + random.choice(letters) + key[at + (kind == 2) :]


def named(intents: Sequence[str], extras: int) -> list[TaggedMessage]:
    """Return the name of each intent as a message of this intent, except for names without letters and digits.

    ``order_pizza`` and ``orderPizza`` are two words each; a token gets `extras` numbers for patterns.
    """
    found = []
    for number, name in enumerate(intents):
        text = _WORD_IN_NAME.sub(" ", name)
        keys = tuple(key for key in keys_of(text, tokenize(text)) if not is_sign(key))[:MAX_TOKENS]
        if keys:
            found.append(TaggedMessage(keys, (0,) * len(keys), number, np.zeros((len(keys), extras), np.float32)))
    return found


def letters_of(keys: Sequence[str]) -> str:
    """Return the letters in some keys, sorted."""
    return "".join(sorted({character for key in keys for character in key if character.isalpha()})) or "x"


def noise(keys: Sequence[str], count: int, intent: int, extras: int, random: Random) -> list[TaggedMessage]:
    """Return messages that mean nothing: words with their letters shuffled, halves of words put together, and so on.

    `keys` has the keys of the training data, each as often as it occurs; a token gets `extras` numbers for patterns.
    """
    letters = letters_of(keys)
    messages = []
    for _ in range(count):
        length = random.choice(_LENGTHS_OF_NOISE)
        # At most half of the words are known ones; a single known word is no noise, since it may mean something.
        known = set(random.sample(range(length), random.randint(0, length // 2)))
        made = tuple(
            random.choice(keys) if at in known else _pseudo_word(keys, letters, random) for at in range(length)
        )
        known_extras = np.zeros((length, extras), np.float32)
        known_extras[1:, 0] = random.random() < 0.3  # Without spaces between them.
        messages.append(TaggedMessage(made, (0,) * length, intent, known_extras))
    return messages


def _pseudo_word(keys: Sequence[str], letters: str, random: Random) -> str:
    """Return a made-up word, or a key that begins with `MEANINGLESS`."""
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
    return f"{MEANINGLESS}{random.choice(_SHAPES_OF_NOISE)}"
