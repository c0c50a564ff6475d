"""Finds the known word that a user means by a mistyped or abbreviated word."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_SHORTEST: Final = 4
"""Number of letters that the typed word and the known word need. A shorter word with an error is mostly another word; a
word of just this length is another word if one of its letters is exchanged for another."""
_FEWEST_CONSONANTS: Final = 3
_VOWELS: Final = frozenset("aeiou")


class Misspellings:
    """Finds a known word that is typed with an error, or without its vowels.

    Parameters
    ----------
    words
        The known words, folded.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._forward = sorted(words)
        self._backward = sorted(word[::-1] for word in self._forward)
        self._consonants: dict[str, str | None] = {}
        for word in self._forward:
            bare = _without_vowels(word)
            if _FEWEST_CONSONANTS <= len(bare) < len(word):
                self._consonants[bare] = (
                    None if bare in self._consonants else word
                )  # Two words have these consonants, so neither is taken.

    def near(self, word: str) -> str | None:
        """Return the known word that is one typing error away from `word`; None if no word is, or several are."""
        if len(word) < _SHORTEST or not word.isalpha():
            return None
        # An error changes two adjacent letters at most, so half of the others are before it, or half are behind it.
        half = (len(word) - 1) // 2
        found = {one for one in _beginning(self._forward, word[:half]) if _are_near(word, one)}
        back = word[::-1]
        found |= {one[::-1] for one in _beginning(self._backward, back[:half]) if _are_near(back, one)}
        return found.pop() if len(found) == 1 else None

    def with_vowels(self, word: str) -> str | None:
        """Return the known word whose consonants are typed, as in ``bkng`` for ``booking``; None if several fit."""
        return self._consonants.get(word) if _VOWELS.isdisjoint(word[1:]) else None

    def has_part(self, word: str) -> bool:
        """Tell whether a known word begins or ends with `word`."""
        parts = (self._forward, word), (self._backward, word[::-1])
        return any(next(_beginning(known, part), None) is not None for known, part in parts)


def _without_vowels(word: str) -> str:
    return word[:1] + "".join(letter for letter in word[1:] if letter not in _VOWELS)


def _beginning(known: Sequence[str], start: str) -> Iterator[str]:
    """Yield the words of a sorted list that begin with `start`."""
    for at in range(bisect_left(known, start), len(known)):
        if not known[at].startswith(start):
            return
        yield known[at]


def _are_near(word: str, other: str) -> bool:
    """Tell whether two words differ by one letter that is added or replaced, or by two letters that are swapped."""
    more = len(word) - len(other)
    if more not in (-1, 0, 1) or len(other) < _SHORTEST:
        return False
    at = next(
        (at for at, (one, two) in enumerate(zip(word, other, strict=False)) if one != two), min(len(word), len(other))
    )
    if more:
        return word[at + 1 :] == other[at:] if more > 0 else word[at:] == other[at + 1 :]
    if word[at + 1 :] == other[at + 1 :]:
        return len(word) > _SHORTEST
    return word[at : at + 2] == other[at : at + 2][::-1] and word[at + 2 :] == other[at + 2 :]
