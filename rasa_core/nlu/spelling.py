"""Normal forms of words and texts, which are equal for different spellings.

============  ======================================================================================================
`folded`      a word without case, compatibility forms, vowel points and joining characters, with common forms of
              signs, digits and of letters that differ between keyboards
`plain`       the folded word without accents
`skeleton`    the plain word with each repeated letter once, and one letter for those that are often confused
`alike`       a whole text, as the key of a synonym
============  ======================================================================================================
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_WORD: Final = 128
"""The number of characters to which a word is cut."""

# Signs with the same meaning, in all scripts. Each becomes one character, so that positions in a text stay valid.
_ALIKE: Final = {
    "'": "`\u00b4\u02bc\u2018\u2019\u201b\u2032",
    '"': "\u00ab\u00bb\u201c\u201d\u201e\u201f\u2033\u2039\u203a\u300c\u300d\u300e\u300f\u301d\u301e\u301f",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "?": "\u061f\u055e\u1367\u2047\u2e2e",
    "!": "\u055c\u203c",
    ".": "\u0589\u06d4\u0964\u0965\u104b\u1362\u17d4\u17d5\u2026\u3002\uff61",
    ",": "\u055d\u060c\u1363\u3001\uff64",
    ";": "\u061b\u1364",
    "[": "\u3010",
    "]": "\u3011",
    "%": "\u066a",
    "~": "\u301c",
}
_WIDER: Final = 0xFEE0  # The distance from a sign of ASCII to its fullwidth form.
_SIGNS: Final = {
    **{ord(sign): common for common, signs in _ALIKE.items() for sign in signs},
    **{ord(sign) + _WIDER: sign for sign in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"},
}

INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
"""Invisible characters without meaning, to be put into a character class of a regular expression.

They are soft hyphens, spaces without width, marks of the writing direction, fillers, variation selectors, and tags.
"""
_NOT_SEEN: Final = re.compile(f"[{INVISIBLE}]+")

# Vowel points of Hebrew and Arabic, which writers may leave out; characters that join, separate and stretch letters.
_LEFT_OUT: Final = (
    *(*range(0x591, 0x5BE), 0x5BF, 0x5C1, 0x5C2, 0x5C4, 0x5C5, 0x5C7),
    *(*range(0x610, 0x61B), *range(0x64B, 0x653), 0x670, 0x640, 0x200C, 0x200D),
)
# The digit 0 of scripts with digits of their own, from Arabic to Khmer; the digits 1 to 9 follow it in Unicode.
_ZEROS: Final = (
    *(0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0xF20, 0x1040),
    0x17E0,
)
_FOLDED: Final[dict[int, str | None]] = {
    **dict.fromkeys(_LEFT_OUT),
    **{zero + digit: str(digit) for zero in _ZEROS for digit in range(10)},
    **{0x6CC: "\u064a", 0x6A9: "\u0643"},  # Keyboards of Persian and Arabic have different letters ye and kaf.
    **_SIGNS,
}
_JOINED: Final = frozenset("\u3099\u309a")  # The voicing marks of kana, which distinguish letters, unlike accents.
# Letters with a stroke, which Unicode does not decompose into letter and accent; and ligatures.
_WITHOUT_STROKES: Final = str.maketrans(
    {
        **dict(zip("\u0111\u00f0\u0127\u0131\u0142\u00f8\u0167", "ddhilot", strict=True)),
        **{"\u0153": "oe", "\u00e6": "ae", "\u00fe": "th", "\u014b": "n"},
    }
)
# Letters that are often typed in place of others: ye, teh marbuta at the end of Arabic words, and he in Urdu.
_TAKEN_FOR: Final = str.maketrans("\u0649\u0629\u06c1", "\u064a\u0647\u0647")
_IN_TWO: Final = str.maketrans({"\u00e4": "ae", "\u00f6": "oe", "\u00fc": "ue", "\u00e5": "aa", "\u00f8": "oe"})
_REPEATED: Final = re.compile(r"([^\s\d_])\1+")  # Of any character but spaces and digits: vowel signs, too, repeat.


# Letters that look the same in Latin, Cyrillic and Greek.
_LATIN: Final = "aceijopsxyhdqwkABCEHIJKMOPSTXYZN"
_LOOKING_ALIKE: Final = {
    "LATIN": _LATIN,
    "CYRILLIC": "\u0430\u0441\u0435\u0456\u0458\u043e\u0440\u0455\u0445\u0443\u04bb\u0501\u051b\u051d\u043a"
    "\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u041e\u0420\u0405\u0422\u0425\u0423\0\0",
    "GREEK": "\u03b1\u03f2\0\u03b9\u03f3\u03bf\u03c1\0\u03c7\u03b3\0\0\0\0\u03ba"
    "\u0391\u0392\u03f9\u0395\u0397\u0399\u037f\u039a\u039c\u039f\u03a1\0\u03a4\u03a7\u03a5\u0396\u039d",
}
_INTO: Final = {
    script: str.maketrans(
        {
            other: own
            for others in _LOOKING_ALIKE.values()
            for other, own in zip(others, letters, strict=True)
            if other != own and "\0" not in (other, own)
        }
    )
    for script, letters in _LOOKING_ALIKE.items()
}


def with_common_signs(text: str) -> str:
    """Return a text of the same length, with one common form for signs of the same meaning, such as ' for quotes."""
    if text.isascii():
        return text.replace("`", "'") if "`" in text else text
    return text.translate(_SIGNS)


def folded(key: str) -> str:
    """Return a token without case, compatibility forms and vowel points, cut to `MAX_WORD` characters."""
    return key.lower()[:MAX_WORD] if key.isascii() else _folded(key)[:MAX_WORD]


def alike(text: str) -> str:
    """Return a text in a normal form, without differences of case, spaces and Unicode forms.

    The function is idempotent: the normal form of a normal form is the same.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    # In Turkish, the capital of the dotless i is I, which case folding makes i.
    return " ".join(_folded(_NOT_SEEN.sub("", text)).replace("\u0131", "i").split())


def plain(key: str) -> str:
    """Return a token as `folded` does, and also without accents, as it is typed on a keyboard that has none."""
    if key.isascii():
        return key.lower()[:MAX_WORD]
    bare = "".join(one for one in _opened(key) if one in _JOINED or not unicodedata.combining(one))
    return unicodedata.normalize("NFKC", bare.translate(_FOLDED).translate(_WITHOUT_STROKES))[:MAX_WORD]


def in_other_scripts(word: str) -> list[str]:
    """Return the other words of letters of Latin, of Cyrillic, or of Greek alone that look the same."""
    words = {script: word.translate(table) for script, table in _INTO.items()}
    return [one for script, one in words.items() if one != word and scripts_of(one) == {script}]


def scripts_of(word: str) -> set[str]:
    """Return the names of the scripts of the letters of a word, as Unicode has them, such as ``LATIN``."""
    return {unicodedata.name(letter, "").partition(" ")[0] for letter in word if letter.isalpha()}


def skeleton(word: str) -> str:
    """Return a folded word without accents, with one letter in place of several equal ones in a row."""
    return _REPEATED.sub(r"\1", plain(word).translate(_TAKEN_FOR))


def in_two_letters(word: str) -> str | None:
    """Return a folded word with two letters for each umlaut, ``fuer`` for ``für``; None if it has no umlaut."""
    typed = word.translate(_IN_TWO)
    return None if typed == word else typed


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", _opened(text).translate(_FOLDED))


def _opened(key: str) -> str:
    # Case folding makes the Turkish capital dotted I an i and a separate dot.
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", key).casefold()).replace("i\u0307", "i")
