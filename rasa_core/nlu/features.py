"""What is known of a token by itself: the word, its character n-grams, and its shape."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import Any

MAX_PIECES = 16
MAX_WORD = 32
_ACCENTS = dict.fromkeys(range(0x300, 0x370))

SHAPES = (
    "lower",
    "upper",
    "title",
    "mixed",
    "initial",  # one upper-case letter
    "caseless",
    "digit",
    "digits2",
    "digits4",
    "digits",
    "sign",
)


def folded(key: str) -> str:
    """Return a token without case, compatibility forms and accents, cut to `MAX_WORD` characters."""
    if key.isascii():
        word = key.lower()
    else:
        bare = unicodedata.normalize("NFKD", key).casefold().translate(_ACCENTS)
        word = unicodedata.normalize("NFKC", bare)
    return word[:MAX_WORD]


def shape_of(key: str) -> int:
    """Return the index in `SHAPES` of how a token is written."""
    if key.isalpha() or "'" in key:
        if key.islower():
            return 0
        if key.isupper():
            return 4 if len(key) == 1 else 1
        if key.istitle():
            return 2
        return 3 if key.lower() != key.upper() else 5
    if key.isdigit():
        return {1: 6, 2: 7, 4: 8}.get(len(key), 9)
    return 5 if any(character.isalpha() for character in key) else 10


def pieces_of(key: str) -> list[str]:
    """Return the character n-grams of a token, none of them twice.

    A word gives its 3- and 4-grams, with ``<`` and ``>`` at its ends; a number its length and its n-grams; a
    character of a script without spaces itself and the bigrams and the trigram around it.
    """
    if key.count("\0") == 2:
        before, character, after = (folded(part) for part in key.split("\0"))
        grams = [character, f"{before}{character}\0", f"\0{character}{after}", f"{before}{character}{after}"]
        return list(dict.fromkeys(grams))
    word = folded(key)
    if not key.isalnum() and len(word) <= 1:
        return [word]
    framed = f"<{word}>"
    grams = [f"#{len(key)}"] if key.isdigit() else []
    for size in (3, 4):
        grams += [framed[at : at + size] for at in range(max(len(framed) - size + 1, 1 if size == 3 else 0))]
    return list(dict.fromkeys(grams))[:MAX_PIECES]


def word_of(key: str) -> str:
    """Return the word that a token is."""
    return folded(key.split("\0")[1] if key.count("\0") == 2 else key)


class Vocabulary:
    """The words, n-grams and pairs of words that a model knows.

    Index 0 stands for an unknown word or pair; n-grams count from 0.

    Parameters
    ----------
    words, pieces, pairs
        In the order of their indices, the first word and pair being those of index 1. A pair is two words, one after
        the other, with a line break between them: words may hold spaces, since some signs are folded to some.
    """

    def __init__(self, words: Iterable[str], pieces: Iterable[str], pairs: Iterable[str]) -> None:
        self.words: dict[str, int] = {word: index for index, word in enumerate(words, 1)}
        self.pieces: dict[str, int] = {piece: index for index, piece in enumerate(pieces)}
        self._pairs = list(pairs)
        both = (pair.partition("\n") for pair in self._pairs)
        self.pairs: dict[tuple[int, int], int] = {
            (self.words.get(before, 0), self.words.get(word, 0)): index
            for index, (before, _, word) in enumerate(both, 1)
        }

    @classmethod
    def of(cls, messages: Sequence[Sequence[str]], fewest: int) -> Vocabulary:
        """Return the vocabulary of messages, each as its tokens; what occurs less often than `fewest` is left out."""
        counts = Counter(chain.from_iterable(messages))
        word_by_key = {key: word_of(key) for key in counts}
        words: Counter[str] = Counter()
        pieces: Counter[str] = Counter()
        for key, count in counts.items():
            words[word_by_key[key]] += count
            for piece in pieces_of(key):
                pieces[piece] += count
        pairs = Counter(
            f"{word_by_key[before]}\n{word_by_key[key]}" for keys in messages for before, key in pairwise(keys)
        )
        return cls(
            *(sorted(part for part, count in each.items() if count >= fewest) for each in (words, pieces, pairs))
        )

    def word(self, key: str) -> int:
        """Return the index of a token's word; 0 if it is unknown."""
        return self.words.get(word_of(key), 0)

    def pieces_in(self, key: str) -> list[int]:
        """Return the indices of a token's known n-grams."""
        known = self.pieces
        return [known[piece] for piece in pieces_of(key) if piece in known]

    def as_json(self) -> dict[str, Any]:
        """Return words, n-grams and pairs of words in the order of their indices."""
        return {"words": list(self.words), "pieces": list(self.pieces), "pairs": self._pairs}
