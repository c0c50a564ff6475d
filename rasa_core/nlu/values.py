"""Recognizes values of entities from the examples, in whatever words around them.

A value is known if it is marked in at least two examples, and if hardly any example has its words with another entity
or unmarked. Where a known value stands in a message, the scores of its tags are raised; where an unknown word follows
it, the score of continuing the entity is lowered. So the genre is found in ``is there fado in Lisboa``, though no
example is like it, and the city in ``Lisbon, Alfama`` ends after ``Lisbon``. Synonyms of values in the examples are
known, too. A known value decides only the entity; its role and group depend on the words around it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from rasa_core.nlu.crf import spans_of
from rasa_core.nlu.spelling import skeleton
from rasa_core.nlu.tokens import TokenVocabulary, keys_of, tokenize, word_of
from rasa_core.support.arrays import Floats

Words = tuple[str, ...]

_FEWEST: Final = 2
"""Fewest examples in which a value is marked."""
_MOSTLY: Final = 0.9
"""Share of the examples with the words of a value in which they are marked as the value."""
_SHORTEST: Final = 4
"""Fewest characters of a synonym that no example has."""
_MOST_READ: Final = 4096  # The largest number of tokens for which the word is cached.
_LIFT: Final = 5.0
"""The amount by which the scores of the tags of a known value are raised."""
_ENDED: Final = 8.0
"""The amount by which the score of continuing the entity after a known value is lowered."""


def known_values(messages: Iterable[tuple[Sequence[str], Sequence[int]]]) -> dict[str, int]:
    """Return the known values, each as its words with spaces between them, with the index of its label.

    A message is given as the keys of its tokens and their tags; see `rasa_core.nlu.crf`.
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
            # Inside a longer value of the same entity, the words do not count as another meaning.
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
    """Return, as `known_values` does, the synonyms that no example has, of values that are marked as one entity.

    A synonym is left out if it consists of words from the examples, which may mean something else, or if it is short.
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
    """Raises the scores of the tags of known values in messages.

    Parameters
    ----------
    values
        The result of `known_values`.
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
        """Return the word of a token; for an unknown word, the similar word of a value or of the examples.

        The word of a value may be spelled with letters drawn out; the word of the examples may have a typing error, as
        `TokenVocabulary.guess` finds it.
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

    def inner(self, keys: Sequence[str]) -> set[int]:
        """Return the numbers of the tokens within known values, but for the first of each; the longest value counts."""
        words, found = tuple(map(self._word, keys)), set[int]()
        for at, size in _all_in(words, self._lengths):
            if words[at : at + size] in self._firsts:
                found.update(range(at + 1, at + size))
        return found

    def lifted(self, tags: Floats, keys: Sequence[str]) -> Floats:
        """Return the scores of the tags of a message, ``(tokens, tags)``, raised for the longest values in `keys`."""
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
            for first in firsts:  # There is mostly one, for which numbers are faster than arrays.
                tags[at, first] += _LIFT
                tags[at + 1 : done, first + 1] += _LIFT
                if ends:
                    tags[done, first + 1] -= _ENDED
        return tags


def _words_of(text: str) -> Words:
    return tuple(map(word_of, keys_of(text, tokenize(text))))


def _has_letters(words: Words) -> bool:
    return any(
        character.isalpha() for word in words for character in word
    )  # Tokens of digits are recognized by their shape.


def _label(tag: int) -> int:
    """Return the index of the label of a tag; -1 for the tag outside of entities."""
    return (tag - 1) // 2


def _lengths(values: Iterable[Words]) -> dict[str, list[int]]:
    """Return for each first word of values the numbers of words that these values have, the largest first."""
    found: dict[str, set[int]] = {}
    for words in values:
        found.setdefault(words[0], set()).add(len(words))
    return {word: sorted(sizes, reverse=True) for word, sizes in found.items()}


def _all_in(words: Words, lengths: Mapping[str, Sequence[int]]) -> Iterator[tuple[int, int]]:
    """Yield the index of each word of a message with which values begin, and each number of words they may have."""
    for at, word in enumerate(words):
        for size in lengths.get(word, ()):
            if at + size <= len(words):
                yield at, size
