"""Corrects the start and end of the entities that the model finds as runs of tokens.

- An entity has both brackets of a pair, or neither; the same goes for quotation marks.
- A URL or e-mail address, such as ``https://a.example/b?c=1``, is a whole entity if it is one in the examples.
- Two adjacent entities of the same label, with only a space, a hyphen or another joining sign between them, become one
  entity, such as ``Buenos Aires``, ``Saint-Denis`` and ``12.5``. They stay two if all words are known, or if examples
  have two such entities side by side.
- A hyphenated word without a known part is a whole entity.
- An entity begins or ends with a sign only if an entity of its label does so in the examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple
from unicodedata import category

import numpy as np

from rasa_core.nlu.crf import spans_of
from rasa_core.nlu.spelling import with_common_signs
from rasa_core.nlu.tokens import Span, is_sign
from rasa_core.nlu.unsaid import addresses_in, is_address
from rasa_core.support.arrays import Floats

Found = tuple[int, int, int, float]
"""First token, last token, label and probability of an entity; after the correction, start and end in the text."""

SIDES: Final = 4
"""The number of properties that `sides_of` returns for each label."""
_PAIRS: Final = (("(", ")"), ("[", "]"), ("{", "}"))
_PAIRED: Final = frozenset('()[]{}"')
_HYPHENS: Final = frozenset("-\u2010\u2011")
_HYPHENATED: Final = re.compile(r"(?<![^\W\d_])[^\W\d_]++(?:[-\u2010\u2011][^\W\d_]++)++")
_SHORT: Final = 3
"""The most letters of a part of a hyphenated word that may be known, such as ``en`` in ``Aix-en-Provence``."""
_BETWEEN: Final = re.compile(r"\s+|[-\u2010\u2011'\u2019._&]")
_ABBREVIATED: Final = re.compile(r".*(?<!\w)[^\W\d_]{1,3}\.\s")
"""An abbreviation whose full stop ends no entity, as in ``St. Louis``."""
_BETWEEN_DIGITS: Final = re.compile(r"[.,:/]")


class Extents:
    """Corrects the start and end of entities by properties of the entities in the examples.

    Parameters
    ----------
    sides
        The properties of each label, as `sides_of` returns them; None for a model without them.
    """

    def __init__(self, sides: Floats | None) -> None:
        self._sides: list[_Sides] | None = None if sides is None else [_Sides(*map(bool, told)) for told in sides.T]
        self._has_addresses = any(one.is_address for one in self._sides or ())

    def of(
        self, text: str, spans: Sequence[Span], found: Sequence[Found], is_known: Callable[[int], bool]
    ) -> Sequence[Found]:
        """Return the entities of a text with their corrected start and end in the text.

        Parameters
        ----------
        text, spans
            The text, and start and end of each of its tokens.
        found
            The entities, as runs of tokens.
        is_known
            Whether the token of a number is in the vocabulary.
        """
        if not found:
            return found
        made: list[Found] = []
        has_hyphens = self._sides is not None and not _HYPHENS.isdisjoint(text)
        words = _spans_in(text, _HYPHENATED) if has_hyphens else ()
        addresses = addresses_in(text) if self._has_addresses else ()
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
            if start < end and (not made or start >= made[-1][1]):  # Two entities may have become the same address.
                made.append((start, end, label, chance))
        return made

    def _whole(
        self, text: str, spans: Sequence[Span], found: Sequence[Found], is_known: Callable[[int], bool]
    ) -> Sequence[Found]:
        """Return the entities after joining adjacent ones of the same label that are parts of one entity."""
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
    """The properties of the start and end of entities of one label in the examples."""

    may_adjoin: bool
    is_address: bool
    begins_with_sign: bool
    ends_with_sign: bool


def sides_of(messages: Iterable[tuple[Sequence[str], Sequence[int], Sequence[float]]], labels: int) -> Floats:
    """Return four properties of the start and end of entities of each label in the examples, 1 or 0, ``(4, labels)``.

    The rows say whether two entities of the label stand side by side, with at most a joining sign between them; whether
    its entities are whole URLs or e-mail addresses; whether one begins with a sign; and whether one ends with a sign.
    Each message has its tokens, their tags, and whether no space stands between each token and the one before.
    """
    sides, parts = np.zeros((SIDES, labels), np.float32), set()
    for keys, tags, touching in messages:
        text, places = _text_of(keys, touching)
        addresses = addresses_in(text)
        before, end = -1, 0
        for first, last in spans_of(tags):
            label, extent = tags[first] // 2, (places[first][0], places[last][1])
            if label == before and _are_one(text, end, extent[0]):
                sides[0, label] = 1.0
            sides[2:, label] = np.maximum(sides[2:, label], [is_sign(keys[first]), is_sign(keys[last])])
            before, end = label, extent[1]
            if _with_whole_addresses(addresses, *extent) != extent:
                parts.add(label)
            elif is_address(text[slice(*extent)]):
                sides[1, label] = 1.0
    sides[1, sorted(parts)] = 0.0
    return sides


def _text_of(keys: Sequence[str], touching: Sequence[float]) -> tuple[str, list[Span]]:
    """Return a text of the tokens, and start and end of each token in it."""
    text, places = "", []
    for key, touches in zip(keys, touching, strict=True):
        text += "" if touches else " "
        places.append((len(text), len(text) + len(key)))
        text += key
    return text, places


def _are_one(text: str, end: int, start: int) -> bool:
    """Return whether only a joining sign, such as a space or hyphen, stands between two parts of a text."""
    between = text[end:start]
    if _BETWEEN.fullmatch(between) or _ABBREVIATED.fullmatch(text, max(end - 4, 0), start):
        return True
    return bool(_BETWEEN_DIGITS.fullmatch(between)) and text[end - 1].isdigit() and text[start].isdigit()


def _without_signs(text: str, start: int, end: int, sides: _Sides) -> Span:
    """Return start and end of a part of a text without signs at its ends that no example has there."""
    first = next((at for at in range(start, end) if text[at].isalnum()), end)
    last = next((at for at in range(end, first, -1) if text[at - 1].isalnum()), first)
    while last < end and category(text[last])[0] == "M":  # Vowel signs and accents belong to the letter before.
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


def _spans_in(text: str, expression: re.Pattern[str]) -> list[Span]:
    """Return start and end of each match; called once for all entities, since a search in a long word is slow."""
    return [match.span() for match in expression.finditer(text)]


def with_whole_brackets(text: str, start: int, end: int) -> tuple[int, int]:
    """Return start and end of a part of a text that are corrected for an unpaired bracket or quotation mark.

    If the missing half stands beside the part, it is taken in, as the ``)`` behind ``hall (north``. Otherwise an
    unpaired half at an end of the part is left out, as that of ``hall)``.
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
