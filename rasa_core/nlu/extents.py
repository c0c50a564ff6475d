"""Where in a text an entity begins and ends, of which it is known which tokens it has.

A half of a pair of brackets or quotation marks is taken in or left out. An address in the net is one thing, where
examples have marked whole ones: ``https://a.example/b?c=1``. Two parts of one kind with nothing but a space or a
hyphen between them are one thing, if a word of them is not known: ``Buenos Aires``, ``Saint-Denis``, ``12.5``. Nobody
names two things so, unless examples do. A word with a hyphen that is new as a whole is an entity as a whole, too. A
sign begins or ends an entity only where one does in examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.crf import spans_of
from rasa_core.nlu.spelling import with_common_signs
from rasa_core.nlu.tokens import Span, is_sign

Floats = NDArray[np.float32]
Found = tuple[int, int, int, float]
"""First token, last token, label and probability of an entity; or, in place of tokens, start and end in a text."""

SIDES: Final = 4
"""What `sides_of` tells of each label."""
_PAIRS: Final = (("(", ")"), ("[", "]"), ("{", "}"))
_PAIRED: Final = frozenset('()[]{}"')
_ADDRESS: Final = re.compile(r"(?:[a-z][a-z0-9+.-]+:/|www\.|[\w.+%-]+@)[^\s<>\"]*\w/?", re.IGNORECASE)
_OF_ADDRESS: Final = re.compile(r"@|:/|www\.", re.IGNORECASE)
_HYPHENS: Final = frozenset("-\u2010\u2011")
_HYPHENATED: Final = re.compile(r"(?<![^\W\d_])[^\W\d_]++(?:[-\u2010\u2011][^\W\d_]++)++")
_SHORT: Final = 3
"""Letters of what may be known of a new word with hyphens, as of ``Aix-en-Provence``."""
_BETWEEN: Final = re.compile(r"\s+|[-\u2010\u2011'\u2019._&]")
_ABBREVIATED: Final = re.compile(r".*(?<!\w)[^\W\d_]{1,3}\.\s")
"""What goes on behind its full stop, as ``St. Louis`` does."""
_BETWEEN_DIGITS: Final = re.compile(r"[.,:/]")


class Extents:
    """Tells where entities begin and end, as examples have them.

    Parameters
    ----------
    sides
        What `sides_of` returns; None if nothing is known of examples.
    """

    def __init__(self, sides: Floats | None) -> None:
        self._sides: list[_Sides] | None = None if sides is None else [_Sides(*map(bool, told)) for told in sides.T]
        self._has_addresses = any(one.is_address for one in self._sides or ())

    def of(
        self, text: str, spans: Sequence[Span], found: Sequence[Found], is_known: Callable[[int], bool]
    ) -> Sequence[Found]:
        """Return the extents of entities in a text that has tokens at some places; `is_known` tells of their words."""
        if not found:
            return found
        made: list[Found] = []
        has_hyphens = self._sides is not None and not _HYPHENS.isdisjoint(text)
        words = _spans_in(text, _HYPHENATED) if has_hyphens else ()
        addresses = _addresses_in(text) if self._has_addresses else ()
        for first, last, label, chance in self._whole(text, spans, found, is_known):
            start, end = spans[first][0], spans[last][1]
            if self._sides is not None:
                sides = self._sides[label]
                if not (text[start].isalnum() and text[end - 1].isalnum()):
                    start, end = _without_signs(text, start, end, sides)
                if words:
                    start, end = _with_whole_words(words, start, end, spans, is_known)
                if sides.is_address and addresses:
                    start, end = _with_whole_addresses(addresses, start, end)
            start, end = with_whole_brackets(text, start, end)
            if start < end and (not made or start >= made[-1][1]):  # Two of one address are one.
                made.append((start, end, label, chance))
        return made

    def _whole(
        self, text: str, spans: Sequence[Span], found: Sequence[Found], is_known: Callable[[int], bool]
    ) -> Sequence[Found]:
        """Return entities of which parts of one thing have become one."""
        if self._sides is None or all(one[2] != other[2] for one, other in pairwise(found)):
            return found
        made: list[Found] = []
        for first, last, label, chance in found:
            begin, end, before, sure = made[-1] if made else (0, 0, -1, 0.0)
            if (
                label == before
                and not self._sides[label].may_adjoin
                and _are_one(text, spans[end][1], spans[first][0])
                and not all(map(is_known, range(begin, last + 1)))
            ):
                made[-1] = (begin, last, label, min(sure, chance))
            else:
                made.append((first, last, label, chance))
        return made


class _Sides(NamedTuple):
    """What examples say of the extents of an entity."""

    may_adjoin: bool
    is_address: bool
    begins_with_sign: bool
    ends_with_sign: bool


def sides_of(messages: Iterable[tuple[Sequence[str], Sequence[int], Sequence[float]]], labels: int) -> Floats:
    """Return what examples say of the extents of each label, ``(4, labels)``: 1 if so, else 0.

    Each message is told as its keys, their tags, and whether each touches the one before. The rows tell whether two
    such entities stand side by side with nothing between them, whether they are whole addresses in the net, and
    whether any begins, and ends, with a sign.
    """
    sides, parts = np.zeros((SIDES, labels), np.float32), set()
    for keys, tags, touching in messages:
        text, places = _text_of(keys, touching)
        addresses = _addresses_in(text)
        before, end = -1, 0
        for first, last in spans_of(tags):
            label, extent = tags[first] // 2, (places[first][0], places[last][1])
            if label == before and _are_one(text, end, extent[0]):
                sides[0, label] = 1.0
            sides[2:, label] = np.maximum(sides[2:, label], [is_sign(keys[first]), is_sign(keys[last])])
            before, end = label, extent[1]
            if _with_whole_addresses(addresses, *extent) != extent:
                parts.add(label)
            elif _ADDRESS.search(text, *extent):
                sides[1, label] = 1.0
    sides[1, sorted(parts)] = 0.0
    return sides


def _text_of(keys: Sequence[str], touching: Sequence[float]) -> tuple[str, list[Span]]:
    """Return a text of some tokens, and where they stand in it."""
    text, places = "", []
    for key, touches in zip(keys, touching, strict=True):
        text += "" if touches else " "
        places.append((len(text), len(text) + len(key)))
        text += key
    return text, places


def _are_one(text: str, end: int, start: int) -> bool:
    """Whether what is between two parts of a text does not set them apart."""
    between = text[end:start]
    if _BETWEEN.fullmatch(between) or _ABBREVIATED.fullmatch(text, max(end - 4, 0), start):
        return True
    return bool(_BETWEEN_DIGITS.fullmatch(between)) and text[end - 1].isdigit() and text[start].isdigit()


def _without_signs(text: str, start: int, end: int, sides: _Sides) -> Span:
    """Return where a part of a text begins and ends without signs at its ends that no example has there."""
    first = next((at for at in range(start, end) if text[at].isalnum()), end)
    last = next((at for at in range(end, first, -1) if text[at - 1].isalnum()), first)
    while last < end and category(text[last])[0] == "M":  # Vowel signs, and accents, end words.
        last += 1
    return start if sides.begins_with_sign else first, end if sides.ends_with_sign else last


def _with_whole_words(
    words: Iterable[Span], start: int, end: int, spans: Sequence[Span], is_known: Callable[[int], bool]
) -> Span:
    for begin, stop in words:
        if begin < end and stop > start and not (start <= begin and stop <= end):
            parts = [at for at, (first, last) in enumerate(spans) if begin <= first and last <= stop]
            if not any(spans[at][1] - spans[at][0] > _SHORT and is_known(at) for at in parts):
                start, end = min(start, begin), max(end, stop)
    return start, end


def _with_whole_addresses(addresses: Iterable[Span], start: int, end: int) -> Span:
    for begin, stop in addresses:
        if begin < end and stop > start:
            start, end = min(start, begin), max(end, stop)
    return start, end


def _addresses_in(text: str) -> Sequence[Span]:
    return _spans_in(text, _ADDRESS) if _OF_ADDRESS.search(text) else ()


def _spans_in(text: str, expression: re.Pattern[str]) -> list[Span]:
    """Return what an expression matches, once for all entities: of a long word, each look takes its time."""
    return [match.span() for match in expression.finditer(text)]


def with_whole_brackets(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where a part of a text begins and ends, so that no bracket or quotation mark in it lacks its other half.

    An end takes in the half that stands beside it, ``hall (north`` and ``)``; a half without the other is left out at
    either end, as of ``hall)``.
    """
    if end - start < 2 or _PAIRED.isdisjoint(signs := with_common_signs(text[start : end + 1])):
        return start, end
    inside, behind = signs[: end - start], signs[end - start :]
    for opening, closing in _PAIRS:
        open_ones = inside.count(opening) - inside.count(closing)
        if open_ones > 0 and behind == closing:
            return start, end + 1
        if open_ones > 0 and inside[0] == opening:
            return _without_space(text, start + 1, end)
        if open_ones < 0 and inside[-1] == closing:
            return _without_space(text, start, end - 1)
        if open_ones < 0 and with_common_signs(text[max(start - 1, 0) : start]) == opening:
            return start - 1, end
    if inside.count('"') % 2:
        if behind == '"':
            return start, end + 1
        if '"' in (inside[0], inside[-1]):
            return _without_space(text, start + (inside[0] == '"'), end - (inside[0] != '"'))
    return start, end


def _without_space(text: str, start: int, end: int) -> tuple[int, int]:
    bare = text[start:end]
    return end - len(bare.lstrip()), start + len(bare.rstrip())
