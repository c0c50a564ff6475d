"""A message as a model reads it: as a whole, and without what people say around what they want."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from unicodedata import category

from rasa_core.nlu.courtesies import around, thanks
from rasa_core.nlu.spelling import with_common_signs
from rasa_core.nlu.tokens import Span, is_sign

_BETWEEN: Final = frozenset(",;&+/|\n\u2022\u060c\u061b\u3001\uff0c\uff1b")
"""Signs between the items of a list, in several scripts."""
_WITHIN: Final = frozenset("&+/|")
"""Which of them may also stand beside a single letter: ``AT&T``."""
MAX_APART: Final = 200
"""How many ways to say thanks and the like are kept with what a model makes of them."""
_ENOUGH: Final = 0.6
"""How sure the rest of a message has to be, of how sure the whole is, where the whole is but taken for thanks."""
_ENOUGH_OF_LONG: Final = 0.3
_SIGNS: Final = frozenset("PS")
"""Categories of Unicode, punctuation and symbols, by their first letter."""
_LONG: Final = 4
"""Tokens of a long rest; one that has an entity is as good as long. ``great, thanks`` is thanks more often."""


class Read(NamedTuple):
    """What is read of a text: what of it can be seen, where that stood, its tokens, and whether there is more."""

    text: str
    visible: str
    places: Sequence[int]
    spans: list[Span]
    keys: list[str]
    is_truncated: bool

    def without_courtesies(self) -> Read | None:
        """Return what is read of what people want; None if they say nothing around it."""
        begin, end = around(self.keys)
        rest = self.keys[begin:end]
        return self._replace(spans=self.spans[begin:end], keys=rest) if len(rest) < len(self.keys) else None

    def breaks(self) -> list[int]:
        """Return before which tokens a sign of a list stands that is no token: ``milk, bread`` is not one thing."""
        if _BETWEEN.isdisjoint(self.visible):
            return []
        signs = with_common_signs(self.visible)
        gaps = zip(self.spans, self.spans[1:], strict=False)
        return [at for at, (one, other) in enumerate(gaps, 1) if _is_break(signs, one, other)]

    def cuts(self, entities: Iterable[Mapping[str, Any]]) -> bool:
        """Whether an entity goes on with a word, and not a sign, before the first token or behind the last."""
        begin, end = self.places[self.spans[0][0]], self.places[self.spans[-1][1] - 1] + 1
        before, behind = (
            bool(part) and category(part)[0] not in _SIGNS
            for part in (self.text[:begin].rstrip()[-1:], self.text[end:].lstrip()[:1])
        )
        return any(
            (before and each["start"] < begin < each["end"]) or (behind and each["start"] < end < each["end"])
            for each in entities
        )

    def said_apart(self) -> Read | None:
        """Return what is read of the thanks at the end, or else of what stands before a sign at the beginning.

        None if there is neither.
        """
        if count := len(thanks(self.keys)):
            return self._replace(spans=self.spans[-count:], keys=self.keys[-count:])
        begin, _ = around(self.keys)
        if begin and is_sign(self.keys[begin - 1]):
            return self._replace(spans=self.spans[:begin], keys=self.keys[:begin])
        return None


def _is_break(text: str, one: Span, other: Span) -> bool:
    """Whether a sign of a list stands between two tokens, and not one of a number or of a unit: ``1,5 km/h``."""
    between = text[one[1] : other[0]]
    if _BETWEEN.isdisjoint(between):
        return False
    first, second = text[slice(*one)], text[slice(*other)]
    is_number = len(between) == 1 and first.isdigit() and second.isdigit()
    return not is_number and not (between in _WITHIN and 1 in (len(first), len(second)))


def clearer(
    whole: dict[str, Any], rest: dict[str, Any], tokens: int, apart: str | None, *, is_cut: bool = False
) -> dict[str, Any]:
    """Return the surer of two answers, to a message and to the rest of it without courtesies, which has some tokens.

    Where what is said apart in it, such as thanks, alone means the same intent, `apart`, as the whole, the whole says
    less of the rest, and hardly anything of a long one. Entities are those of the rest, since hardly an example has
    courtesies beside them; but not where the whole may be thanks, ``perfect, thank you``, or `is_cut`: where one of
    its entities seems to have them, ``Hello Kitty``.
    """
    sure, own = whole["intent"]["confidence"], rest["intent"]["confidence"]
    is_apart = apart is not None and whole["intent"]["name"] == apart
    is_long = bool(rest["entities"]) or tokens >= _LONG
    if own > (sure * (_ENOUGH_OF_LONG if is_long else _ENOUGH) if is_apart else sure):
        return rest
    return whole if is_apart or is_cut else {**whole, "entities": rest["entities"]}


def nothing(read: Read) -> dict[str, Any]:
    """Return the answer to a text that says nothing."""
    answer = {"text": read.text, "intent": {"name": None, "confidence": 0.0}, "intent_ranking": [], "entities": []}
    return {**answer, "truncated": True} if read.is_truncated else answer
