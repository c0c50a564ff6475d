"""Finds the known words in text with missing or additional spaces, or with digits or letters of another script.

An unknown word is divided into as few known words as possible: ``ineed`` into ``i need``. Each part has at least four
letters, or stands in at least one of fifty examples; with rare short words, half of all words could be divided. Two
adjacent words of which one is unknown are joined if the result is a known word: ``pass word``, ``e-mail``, ``don't``
where the examples have ``dont``. Digits within a word are read as letters if the result is a known word: ``h3llo``.
Letters that look alike in Latin, Cyrillic and Greek are read in the script of the other letters of the word, or in the
script in which the word is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.spelling import in_other_scripts, scripts_of
from rasa_core.nlu.tokens import Span, TokenVocabulary, is_sign, word_of

_SHORTEST: Final = 5
"""Fewest letters of a word that is divided; a word with digits for letters may have one less."""
_LONG_PART: Final = 4
"""Fewest letters of a part that may be a rare word."""
_COMMON: Final = 0.02
"""Share of the examples in which a word must stand to be a shorter part."""
_SHORTEST_END: Final = 3
"""Fewest letters of the last part; the last two of ``universidades`` are an ending, though ``es`` is a word, too."""
_LEAST_MEAN: Final = 2.5  # The fewest letters of the parts on average.
_ENDS: Final = ("ll", "re", "ve", "t")
"""Endings that may be typed without their apostrophe; ``s`` is none of them, since it ends other words as often."""
_SIGNS_FOR_LETTERS: Final = "@$"
_DIGITS: Final = tuple(str.maketrans(f"01345789{_SIGNS_FOR_LETTERS}", f"o{one}eastbgas") for one in "il")
_MOST_READ: Final = 10_000  # The largest number of tokens for which the result is cached.

Tokens = tuple[list[Span], list[str]]


class Spacing:
    """Replaces tokens by the known words that are meant.

    Parameters
    ----------
    vocabulary
        The words that are known.
    scales
        The square of the weight that each word has by the number of its examples, ``(words + 1,)``; see
        `rasa_core.nlu.linear`.
    """

    def __init__(self, vocabulary: TokenVocabulary, scales: NDArray[np.float32]) -> None:
        self._vocabulary, self._words = vocabulary, vocabulary.words
        common = np.sqrt(scales) < 1.0 - math.log(_COMMON)
        self._common = {word for word, number in self._words.items() if common[number]}
        self._longest = max(map(len, self._words), default=0)
        self._whole: set[str] = set()  # Keys that stay as they are.
        self._parts: dict[str, Sequence[str]] = {}  # Parts of the other keys; empty if a key may only be joined.

    def of(self, text: str, spans: list[Span], keys: list[str]) -> Tokens:
        """Return the spans and keys of the words that are meant by the tokens of a text."""
        if self._whole.issuperset(keys):  # Nearly always.
            return spans, keys
        if len(self._whole) + len(self._parts) >= _MOST_READ:
            self._whole.clear()
            self._parts.clear()
        # Kept here, since another thread may clear what is kept for all texts.
        odd = {at: parts for at, key in enumerate(keys) if (parts := self._parts_of(key)) is not None}
        # The last token comes first, so that the indices of the tokens before it stay valid.
        done = len(keys)
        for at in reversed(odd):
            if at >= done:
                continue
            found = self._with_letters(text, spans, keys, at, done) or self._joined(text, spans, keys, at, done)
            if found is not None:
                first, end, word = found
                spans = [*spans[:first], (spans[first][0], spans[end - 1][1]), *spans[end:]]
                keys = [*keys[:first], word, *keys[end:]]
                done = first
            elif parts := odd[at]:
                begin, places = spans[at][0], [0]
                for part in parts:
                    places.append(places[-1] + len(part.removeprefix("'")))
                own = [(begin + one, begin + other) for one, other in pairwise(places)]
                spans, keys = [*spans[:at], *own, *spans[at + 1 :]], [*keys[:at], *parts, *keys[at + 1 :]]
                done = at
        return spans, keys

    def _parts_of(self, key: str) -> Sequence[str] | None:
        """Return what is read in place of a token, nothing if it may be a part; None if nothing else is made of it."""
        if key in self._whole:
            return None
        parts = self._parts.get(key)
        if parts is not None:
            return parts
        word = word_of(key)
        if "\0" not in key and not is_sign(key) and not key.isdigit() and not self._vocabulary.word(key):
            parts = self._in_one_script(key)
            if not parts and len(word) == len(key) and word.isalpha():
                parts = self._divided(key, word)
            if parts or self._vocabulary.has_part(word):
                self._parts[key] = parts
                return parts
        self._whole.add(key)
        return None

    def _in_one_script(self, key: str) -> Sequence[str]:
        """Return the known word that looks the same in another script, or a word of one script in place of several."""
        words = in_other_scripts(key) if key.isalpha() else []
        known = [word for word in words if word_of(word) in self._words]
        return known[:1] if known or len(scripts_of(key)) < 2 else words[:1]

    def _divided(self, key: str, word: str) -> Sequence[str]:
        """Return the known words of which a word consists; an empty sequence if it does not consist of known words."""
        if len(word) >= _SHORTEST and (ends := self._best_ends(word)):
            return [key[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
        for end in _ENDS:
            first = word.removesuffix(end)
            if 2 < len(first) < len(word) and first in self._common and f"'{end}" in self._words:
                return [key[: len(first)], f"'{key[len(first) :]}"]
        return ()

    def _best_ends(self, word: str) -> list[int]:
        """Return the ends of the known words of which a word consists: as few words as possible, then the longest."""
        best: list[tuple[int, int, int] | None] = [(0, 0, 0)]
        for end in range(1, len(word) + 1):
            found = []
            for start in range(max(0, end - self._longest), end):
                part, before = word[start:end], best[start]
                is_part = part in self._words if end - start >= _LONG_PART else part in self._common
                is_part = is_part and (end < len(word) or end - start >= _SHORTEST_END)
                if before is not None and is_part:
                    found.append((before[0] + 1, before[1] - (end - start) ** 2, start))
            best.append(min(found, default=None))
        last = best[-1]
        if last is None or len(word) < _LEAST_MEAN * last[0]:
            return []
        ends = [len(word)]
        while (before := best[ends[0]]) is not None and before[2]:
            ends.insert(0, before[2])
        return ends

    def _with_letters(
        self, text: str, spans: Sequence[Span], keys: Sequence[str], at: int, limit: int
    ) -> tuple[int, int, str] | None:
        """Return the range of the tokens that are one known word typed with digits, and the word."""
        first, end = at, at + 1
        while first and spans[first - 1][1] == spans[first][0] and _may_be_letters(keys[first - 1]):
            first -= 1
        while end < limit and spans[end - 1][1] == spans[end][0] and _may_be_letters(keys[end]):
            end += 1
        if end - first == 1:
            return None
        run = text[spans[first][0] : spans[end - 1][1]]
        if len(run) < _SHORTEST - 1 or not run[0].isalpha() or run.isalpha():
            return None
        said = (run.translate(letters) for letters in _DIGITS)
        word = next((one for one in said if word_of(one) in self._words), None)
        return None if word is None else (first, end, word.upper() if run.isupper() else word)

    def _joined(
        self, text: str, spans: Sequence[Span], keys: Sequence[str], at: int, limit: int
    ) -> tuple[int, int, str] | None:
        """Return the range of two tokens, one of them at `at`, that make a known word together, and the word."""
        for first, step in ((at, 1), (at - 1, 1), (at, 2), (at - 2, 2)):
            end = first + step
            if first < 0 or end >= limit or "\0" in keys[first] + keys[end]:
                continue
            between = text[spans[first][1] : spans[end][0]]
            if between == "" and keys[end][0] == "'" and len(keys[end]) > 1:
                word = keys[first] + keys[end][1:]
            elif between == (" " if step == 1 else "-") and keys[first].isalpha() and keys[end].isalpha():
                word = keys[first] + keys[end]
            else:
                continue
            if word_of(word) in self._words:
                return first, end + 1, word
        return None


def _may_be_letters(key: str) -> bool:
    return "\0" not in key and (key.isalnum() or key in _SIGNS_FOR_LETTERS)
