"""Values of entities that examples have, found again wherever they stand.

A value is known if at least two messages have it, and hardly any has it as something else, or as nothing. Where one
stands in a message, the scores of its tags are lifted; and where a word that is not known stands behind it, going on
with the entity there costs more: ``is there fado in Lisboa`` has the genre though no example is like it, and in
``Lisbon, Alfama`` the city ends where it is known to end. Synonyms of a value that messages have are known, too. Only
the entity is known by a value: which role and group it has there, the words around it say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.crf import spans_of
from rasa_core.nlu.spelling import skeleton
from rasa_core.nlu.tokens import TokenVocabulary, keys_of, tokenize, word_of

Floats = NDArray[np.float32]
Words = tuple[str, ...]

_FEWEST: Final = 2
"""Messages that have a known value."""
_MOSTLY: Final = 0.9
"""Share of the messages with the words of a value in which they are that."""
_SHORTEST: Final = 4
"""Characters of a synonym that is found though no message has it."""
_MOST_READ: Final = 4096  # Tokens; messages have few.
_LIFT: Final = 5.0
_ENDED: Final = 8.0
"""What each tag of a known value scores more, and what going on behind it scores less."""


def known_values(messages: Iterable[tuple[Sequence[str], Sequence[int]]]) -> dict[str, int]:
    """Return the words of known values, each value as one text, and the numbers of their labels.

    Each message is told as its keys and their tags; see `rasa_core.nlu.crf`.
    """
    tagged = [(tuple(map(word_of, keys)), tags) for keys, tags in messages]
    found: Counter[tuple[Words, int]] = Counter()
    for words, tags in tagged:
        found.update({(words[begin : end + 1], _label(tags[begin])) for begin, end in spans_of(tags)})
    labels: dict[Words, set[int]] = {}
    for (value, label), count in found.items():
        if count >= _FEWEST and _has_letters(value):
            labels.setdefault(value, set()).add(label)
    lengths, others = _lengths(labels), Counter[tuple[Words, int]]()
    for words, tags in tagged:
        for at, size in _all_in(words, lengths):
            value = words[at : at + size]
            # Inside of a longer value of the same entity, it is nothing else.
            inside = {_label(tag) for tag in tags[at : at + size]}
            others.update((value, label) for label in labels.get(value, set()) - inside)
    return {
        " ".join(value): label
        for value, own in sorted(labels.items())
        for label in own
        if found[value, label] >= _MOSTLY * (found[value, label] + others[value, label])
    }


def known_synonyms(
    synonyms: Mapping[str, str],
    messages: Iterable[tuple[Sequence[str], Sequence[int]]],
    labels: Sequence[Sequence[str]],
) -> dict[str, int]:
    """Return, as `known_values` does, the synonyms that no message has, of values that messages have as one entity.

    A synonym of nothing but words of messages is left out, since these words may mean anything else as well, and so is
    a short one.
    """
    found: dict[Words, set[int]] = {}
    said: set[str] = set()
    for keys, tags in messages:
        words = tuple(map(word_of, keys))
        said.update(words)
        for begin, end in spans_of(tags):
            found.setdefault(words[begin : end + 1], set()).add(_label(tags[begin]))
    meaning: dict[str, set[Words]] = {}
    for text, value in synonyms.items():
        meaning.setdefault(value, {_words_of(value)}).add(_words_of(text))
    known: dict[str, int] = {}
    for _, texts in sorted(meaning.items()):
        own = sorted(set[int]().union(*(found.get(text, ()) for text in texts)))
        if len({labels[label][0] for label in own}) == 1:
            new = (text for text in texts if _has_letters(text) and sum(map(len, text)) >= _SHORTEST)
            known.update({" ".join(text): own[0] for text in sorted(new) if not said.issuperset(text)})
    return known


class KnownValues:
    """Lifts the scores of tags where known values stand in messages.

    Parameters
    ----------
    values
        What `known_values` returns.
    labels
        Entity, role and group of each label.
    vocabulary
        The words that are known.
    """

    def __init__(self, values: Mapping[str, int], labels: Sequence[Sequence[str]], vocabulary: TokenVocabulary) -> None:
        alike: dict[str, list[int]] = {}
        for number, (entity, *_) in enumerate(labels):
            alike.setdefault(entity, []).append(number)
        firsts = {entity: [1 + 2 * number for number in numbers] for entity, numbers in alike.items()}
        self._firsts = {tuple(words.split(" ")): firsts[labels[label][0]] for words, label in values.items()}
        self._lengths = _lengths(self._firsts)
        self._vocabulary, self._known = vocabulary, vocabulary.words
        self._read: dict[str, str] = {}
        self._parts = {word for words in self._firsts for word in words}
        skeletons = Counter(map(skeleton, self._parts))
        self._drawn_out = {form: word for word in self._parts if skeletons[form := skeleton(word)] == 1}

    def _word(self, key: str) -> str:
        """Return the word of a token; of one that is not known, that of a value that is the same but for its spelling.

        Or else, the word that it may be with a typing error.

        What that may be, `TokenVocabulary` says of words of examples.
        """
        word = self._read.get(key)
        if word is None:
            word = word_of(key)
            if word not in self._parts and word not in self._known and len(word) > 1:
                word = self._drawn_out.get(skeleton(word)) or self._vocabulary.guess(key) or word
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            self._read[key] = word
        return word

    def lifted(self, tags: Floats, keys: Sequence[str]) -> Floats:
        """Return the scores of tags, ``(tokens, tags)``, of a message of these keys; the longest value counts."""
        words = tuple(map(self._word, keys)) if self._lengths else ()
        if self._lengths.keys().isdisjoint(words):
            return tags
        tags, done = tags.copy(), 0
        for at, size in _all_in(words, self._lengths):
            firsts = self._firsts.get(words[at : at + size]) if at >= done else None
            if firsts is None:
                continue
            done = at + size
            ends = done < len(words) and words[done] not in self._known
            for first in firsts:  # Mostly one: numbers are quicker here than arrays of them.
                tags[at, first] += _LIFT
                tags[at + 1 : done, first + 1] += _LIFT
                if ends:
                    tags[done, first + 1] -= _ENDED
        return tags


def _words_of(text: str) -> Words:
    return tuple(map(word_of, keys_of(text, tokenize(text))))


def _has_letters(words: Words) -> bool:
    return any(character.isalpha() for word in words for character in word)  # Numbers are known by their shape.


def _label(tag: int) -> int:
    """Return the label of a tag; -1 of that for outside of entities."""
    return (tag - 1) // 2


def _lengths(values: Iterable[Words]) -> dict[str, list[int]]:
    """Return how many words the values have that begin with a word, the most first."""
    found: dict[str, set[int]] = {}
    for words in values:
        found.setdefault(words[0], set()).add(len(words))
    return {word: sorted(sizes, reverse=True) for word, sizes in found.items()}


def _all_in(words: Words, lengths: Mapping[str, Sequence[int]]) -> Iterator[tuple[int, int]]:
    """Yield where values may begin in a message, and how many words they may have."""
    for at, word in enumerate(words):
        for size in lengths.get(word, ()):
            if at + size <= len(words):
                yield at, size
