"""Divides text into tokens, and finds the features of a single token: its word, character n-grams and shape.

Tokens are words, numbers and signs; in scripts without spaces between words, each character is a token.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from rasa_core.nlu.markup import markup_in
from rasa_core.nlu.misspellings import Misspellings
from rasa_core.nlu.spelling import INVISIBLE, folded, in_two_letters, plain, skeleton, with_common_signs

MAX_CHARACTERS: Final = 1000
MAX_TOKENS: Final = 200
"""The longest part of a message that is read, in training and in serving."""
MAX_PIECES: Final = 24
"""Largest number of n-grams of one token."""

# Letters of scripts that are written without spaces between words, and Hangul, whose particles hang on words:
# Thai, Lao, Myanmar, Khmer, Hangul, kana, and the Chinese characters.
_UNSPACED = (
    "\u0e00-\u0e30\u0e32\u0e33\u0e3f-\u0e46\u0e50-\u0e5b\u0e80-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec7\u0ed0-\u0edf"
    "\u1000-\u102a\u1050-\u1055\u1780-\u17b3\u1100-\u11ff\u3040-\u3098\u309b-\u30ff\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
# Characters that combine with the character before them: accents, vowel signs, joiners. `\w` does not match them.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u07a6-\u07b0\u0816-\u082d\u08d3-\u0903"
    "\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09d7\u09e2\u09e3\u0a01-\u0a03\u0a3c-\u0a51"
    "\u0a70\u0a71\u0a75\u0a81-\u0a83\u0abc-\u0acd\u0ae2\u0ae3\u0b01-\u0b03\u0b3c-\u0b57\u0b62\u0b63\u0b82"
    "\u0bbe-\u0bcd\u0bd7\u0c00-\u0c04\u0c3c-\u0c56\u0c62\u0c63\u0c81-\u0c83\u0cbc-\u0cd6\u0ce2\u0ce3\u0d00-\u0d03"
    "\u0d3b-\u0d4d\u0d57\u0d62\u0d63\u0d82\u0d83\u0dca-\u0ddf\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc"
    "\u0ec8-\u0ecd\u0f71-\u0f84\u0f8d-\u0fbc\u102b-\u103e\u1056-\u1059\u17b4-\u17d3\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u200c\u200d\u20d0-\u20ff\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f\U0001f3fb-\U0001f3ff"
)
# Invisible characters, and joiners at the end of a word, which join it to nothing.
_INVISIBLE = re.compile(rf"[{INVISIBLE}]+|(?<=\w)[\u200c\u200d]+(?!\w)")
_CONTRACTION = r"['`\u00b4\u02bc\u2018\u2019\u201b\u2032\uff07](?:s|t|m|d|ll|re|ve)(?![^\W_])"
_ASCII = re.compile(r"[a-z]+|[0-9]+|['`](?:s|t|m|d|ll|re|ve)(?![a-z0-9])|(\S)\1*", re.IGNORECASE)
_SYLLABLE = "(?:[\u1100-\u115e\ua960-\ua97c]+[\u1161-\u11a7\ud7b0-\ud7c6]*[\u11a8-\u11ff\ud7cb-\ud7fb]*)"
"""A syllable of Hangul whose letters are characters of their own, as in names of files of a Mac."""
_ANY = re.compile(
    rf"(?!\d)([{_UNSPACED}])\1\1+|{_SYLLABLE}|[{_UNSPACED}][{_MARKS}]*"
    rf"|(?:(?![{_UNSPACED}\u02bc])[^\W\d_]|(?<=\w)[{_MARKS}])(?:(?![{_UNSPACED}\u02bc])[^\W\d_]|[{_MARKS}])*"
    rf"|\d+|{_CONTRACTION}|(\S)(?:\2|[{_MARKS}])*",
    re.IGNORECASE,
)
_CLUSTER = re.compile(rf"\s+|{_SYLLABLE}|.[{_MARKS}]*", re.DOTALL)
_STANDING_ON = re.compile(rf"[{_MARKS}\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]|\s\s")
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
_WITHIN_WORD = re.compile(rf"[\w{_MARKS}]")
_REPEATED = re.compile(rf"(?!\d)([{_UNSPACED}])\1+")

Span = tuple[int, int]


def clusters(text: str) -> list[str]:
    """Return the characters of a text with their combining marks, syllables of Hangul, and runs of spaces."""
    return _CLUSTER.findall(text) if _STANDING_ON.search(text) else list(text)


def tokenize(text: str) -> list[Span]:
    """Return start and end of each token, in characters; whitespace belongs to no token.

    A token is a run of letters, a run of digits, the end of an English contraction (``'s``), or another character,
    once or several times. Letters of scripts without spaces between words are tokens of their own, three or more of
    the same one. Marks such as accents and vowel signs belong to the character that they stand on.

    Examples
    --------
    >>> [("Gate B12's").__getitem__(slice(*span)) for span in tokenize("Gate B12's")]
    ['Gate', 'B', '12', "'s"]
    """
    pattern = _ASCII if text.isascii() else _ANY  # For ASCII, both find the same, the first in a quarter of the time.
    return [match.span() for match in pattern.finditer(text)]


def visible(text: str) -> tuple[str, Sequence[int]]:
    """Return a text without invisible characters, and the original index of each character and of the end.

    A tag of HTML is a space, and a character reference, such as ``&amp;``, the character.
    """
    markup = list(markup_in(text)) if "<" in text or "&" in text else ()
    if not markup and (text.isascii() or not _INVISIBLE.search(text)):
        return text, range(len(text) + 1)
    hidden = {at for match in _INVISIBLE.finditer(text) for at in range(*match.span())}
    seen = list(text)
    for start, end, character in markup:
        seen[start] = character
        hidden.update(range(start + 1, end))
    places = [at for at in range(len(text)) if at not in hidden]
    return "".join(seen[at] for at in places), [*places, len(text)]


def divides(before: str, after: str) -> bool:
    """Tell whether a word may end between two characters; in scripts with spaces, it does not end between letters."""
    pair = (before, after)
    return not all(map(_WITHIN_WORD.match, pair)) or any(map(_UNSPACED_CHARACTER.match, pair))


def keys_of(text: str, spans: list[Span]) -> list[str]:
    r"""Return the key of each token: its text; in scripts without spaces, together with the characters beside it.

    The key of such a character holds a zero byte before and after it: ``"東\0京\0都"``. A sign that is repeated is
    known by itself, as is a letter of these scripts; and so are signs that mean the same, as question marks of two
    scripts.
    """
    text = with_common_signs(text)
    keys = [text[start:end] for start, end in spans]
    if text.isascii():
        return [key if len(key) == 1 or key[0].isalnum() or key[0] != key[1] else key[0] for key in keys]
    keys = [key if key[0].isalnum() and not _REPEATED.fullmatch(key) else _sign(key) for key in keys]
    return [
        _in_context(keys, spans, number) if _UNSPACED_CHARACTER.match(key) else key for number, key in enumerate(keys)
    ]


def _sign(key: str) -> str:
    return key[0] if key.count(key[0]) == len(key) else key


def is_sign(key: str) -> bool:
    """Tell whether a token is neither a word nor a number."""
    return not key.isalnum() and not any(map(str.isalnum, key))  # Most tokens are words from end to end.


@dataclass(frozen=True, slots=True)
class EndSigns:
    """The signs that may begin and end a message; all other signs are left out there.

    So a message in quotes, or with an emoji or a full stop at its end, is understood as it is without them by a model
    that has never seen them there.
    """

    first: frozenset[str]
    last: frozenset[str]

    def without_others(self, spans: list[Span], keys: list[str]) -> tuple[list[Span], list[str]]:
        """Return the tokens of a message without other signs at its ends; all tokens if it has only such signs."""
        begin, end = 0, len(keys)
        while end and keys[end - 1] not in self.last and is_sign(keys[end - 1]):
            end -= 1
        while begin < end and keys[begin] not in self.first and is_sign(keys[begin]):
            begin += 1
        return (spans[begin:end], keys[begin:end]) if begin < end else (spans, keys)


def phrase_of(keys: Sequence[str]) -> str:
    """Return the text by which equal messages are found: without case and spaces, in one encoding of letters."""
    said = " ".join(keys)
    return said.lower() if said.isascii() else " ".join(map(_folded_once, keys))


_folded_once = lru_cache(maxsize=1024)(folded)  # Messages have few words, and each costs a microsecond.


def _in_context(keys: list[str], spans: list[Span], number: int) -> str:
    start, end = spans[number]
    before = keys[number - 1] if number and spans[number - 1][1] == start else ""
    after = keys[number + 1] if number + 1 < len(keys) and spans[number + 1][0] == end else ""
    # The token beside it may be a long run of letters of another script; its nearest letters are enough.
    return "\0".join(part.replace("\0", "") for part in (before[-8:], keys[number], after[:8]))


# -- features of a token

_LENGTHENED = re.compile(rf"([^\W\d_]|[{_MARKS}])\1\1")

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


def shape_of(key: str) -> int:
    """Return the index in `SHAPES` of the shape of a token."""
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
    """Return the character n-grams of a token, each once, at most `MAX_PIECES`.

    A word gives its 3- and 4-grams, with ``<`` and ``>`` at its ends, with its accents and without; a number its length
    and its n-grams; a character of a script without spaces itself and the bigrams and the trigram around it. Of a long
    word, these are the n-grams at both ends, and some between them.
    """
    if key.count("\0") == 2:
        before, character, after = (folded(part) for part in key.split("\0"))
        grams = [character, f"{before}{character}\0", f"\0{character}{after}", f"{before}{character}{after}"]
        return list(dict.fromkeys(grams))
    word = folded(key)
    if not key.isalnum() and len(word) <= 1:
        return [word]
    words = dict.fromkeys([word] if word.isascii() else [plain(word), word])
    runs = [_grams(f"<{one}>", size) for size in (3, 4) for one in words]
    if key.isdigit():
        runs.insert(0, [f"#{len(key)}"])
    found = list(dict.fromkeys(chain.from_iterable(runs)))
    return found if len(found) <= MAX_PIECES else _some(found, runs)


def letters_in(key: str) -> list[str]:
    """Return the letters of a word and its pairs of letters, with ``<`` and ``>`` at its ends, each once.

    A sign, and a character of a script without spaces, has none, since `pieces_of` has all that is in it.
    """
    word = folded(key)
    if key.count("\0") == 2 or (not key.isalnum() and len(word) <= 1):
        return []
    words = dict.fromkeys([word] if word.isascii() else [plain(word), word])
    return list(dict.fromkeys(gram for one in words for gram in (*one, *_grams(f"<{one}>", 2))))


def _grams(framed: str, size: int) -> list[str]:
    return [framed[at : at + size] for at in range(max(len(framed) - size + 1, 1 if size == 3 else 0))]


def _some(grams: Iterable[str], runs: Iterable[Sequence[str]]) -> list[str]:
    """Return `MAX_PIECES` n-grams: those at both ends of each run, and others at even distances."""
    ends = dict.fromkeys(gram for run in runs for gram in (*run[:2], *run[-2:]))
    others = [gram for gram in grams if gram not in ends]
    room = MAX_PIECES - len(ends)
    return [*ends, *(others[at * len(others) // room] for at in range(room))]


def word_of(key: str) -> str:
    """Return the word of a token, folded."""
    return folded(key.split("\0")[1] if key.count("\0") == 2 else key)


class TokenVocabulary:
    """The words, n-grams, letters and pairs of letters that a model knows.

    Index 0 stands for an unknown word; n-grams and letters count from 0. A word that is not known is taken for the one
    that is the same but for its accents, for how often its letters stand, for two letters in place of an umlaut, or for
    its vowels, if there is just one.

    Parameters
    ----------
    words, pieces, letters
        In the order of their indices, the first word being that of index 1.
    """

    def __init__(self, words: Iterable[str], pieces: Iterable[str], letters: Iterable[str]) -> None:
        self.words: dict[str, int] = {word: index for index, word in enumerate(words, 1)}
        self.pieces: dict[str, int] = {piece: index for index, piece in enumerate(pieces)}
        self.letters: dict[str, int] = {letter: index for index, letter in enumerate(letters)}
        self._skeletons: dict[str, str | None] = {}
        self._in_two: dict[str, str | None] = {}
        for word in self.words:
            self._note(self._skeletons, skeleton(word), word)
            if (typed := in_two_letters(word)) is not None:
                self._note(self._in_two, typed, word)
        self._misspellings = Misspellings(self.words)

    @staticmethod
    def _note(known: dict[str, str | None], form: str, word: str) -> None:
        known[form] = None if form in known else word  # Two words have this form, so neither is taken.

    @classmethod
    def of(cls, messages: Sequence[Sequence[str]], fewest: int) -> TokenVocabulary:
        """Return the vocabulary of messages, each given as its keys, without what occurs less often than `fewest`."""
        counts = Counter(chain.from_iterable(messages))
        words: Counter[str] = Counter()
        pieces: Counter[str] = Counter()
        letters: Counter[str] = Counter()
        for key, count in counts.items():
            words[word_of(key)] += count
            for kind, found in ((pieces, pieces_of(key)), (letters, letters_in(key))):
                for part in found:
                    kind[part] += count
        return cls(
            *(sorted(part for part, count in each.items() if count >= fewest) for each in (words, pieces, letters))
        )

    def telling(self, keys: Sequence[str]) -> Sequence[int]:
        """Return the indices of the tokens of a message without unknown signs; all indices if it has only signs.

        An unknown sign has no meaning: a model that has never seen quotes reads ``in "Lisbon"`` as ``in Lisbon``.
        """
        every = range(len(keys))
        if all(map(str.isalnum, keys)):  # By far the most frequent case.
            return every
        kept = [at for at in every if not is_sign(keys[at]) or word_of(keys[at]) in self.words]
        return every if all(is_sign(keys[at]) for at in kept) else kept

    def word(self, key: str) -> int:
        """Return the index of a token's word; 0 if it is unknown."""
        return self.words.get(word_of(key)) or self.words.get(self._alike(key) or "", 0)

    def guess(self, key: str) -> str | None:
        """Return the known word that an unknown token may be, with a typing error; None if there is none."""
        return None if self.word(key) or "\0" in key else self._misspellings.near(word_of(key))

    def has_part(self, word: str) -> bool:
        """Tell whether a known word begins or ends with `word`."""
        return self._misspellings.has_part(word)

    def unknown(self, keys: Sequence[str]) -> int:
        """Return the number of unknown words among the tokens of a message that `telling` returns."""
        return sum(self.word(keys[at]) == 0 for at in self.telling(keys))

    def pieces_in(self, key: str) -> list[int]:
        """Return the indices of the known n-grams of a token, or of the word if letters are drawn out or missing."""
        known = self.pieces
        return [known[piece] for piece in pieces_of(self._shortened(key)) if piece in known]

    def letters_in(self, key: str) -> list[int]:
        """Return the indices of the known letters and pairs of letters of a token, as `pieces_in` does."""
        known = self.letters
        return [known[letter] for letter in letters_in(self._shortened(key)) if letter in known]

    def _shortened(self, key: str) -> str:
        if _LENGTHENED.search(key):
            return self._alike(key) or key
        return key if word_of(key) in self.words else self._with_umlaut(key) or self._with_vowels(key) or key

    def _alike(self, key: str) -> str | None:
        if len(key) < 2 or key.count("\0") == 2:
            return None
        return self._skeletons.get(skeleton(key)) or self._with_umlaut(key) or self._with_vowels(key)

    def _with_umlaut(self, key: str) -> str | None:
        """Return the known word with an umlaut for two letters (``für`` for ``fuer``), or the other way round."""
        word = folded(key)
        typed = in_two_letters(word)
        return self._in_two.get(word) if typed is None or typed not in self.words else typed

    def _with_vowels(self, key: str) -> str | None:
        return self._misspellings.with_vowels(word_of(key))

    def as_json(self) -> dict[str, Any]:
        """Return words, n-grams and letters in the order of their indices."""
        return {"words": list(self.words), "pieces": list(self.pieces), "letters": list(self.letters)}
