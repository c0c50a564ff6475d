"""The tokens of a message, with and without courtesies, and the choice between the answers to both."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple
from unicodedata import category

from rasa_core.nlu.courtesies import around, thanks
from rasa_core.nlu.spelling import with_common_signs
from rasa_core.nlu.tokens import Span, is_sign

_BETWEEN: Final = frozenset(",;&+/|\n\u2022\u060c\u061b\u3001\uff0c\uff1b")
"""Signs between the items of a list, in several scripts."""
_WITHIN: Final = frozenset("&+/|")
"""Signs that separate no items beside a single letter, as in ``AT&T``."""
MAX_APART: Final = 200
"""The size of the cache of intents of courtesies."""
_ENOUGH: Final = 0.6
"""The share of the whole's confidence that suffices for the rest, where the whole has the intent of its courtesies."""
_ENOUGH_OF_LONG: Final = 0.3
"""The same for a long rest, or one with an entity; a short one, as in ``great, thanks``, more often means thanks."""
_SIGNS: Final = frozenset("PS")
"""First letters of the Unicode categories of punctuation and symbols."""
_LONG: Final = 4
"""The least number of tokens of a long rest."""

_NUMBER: Final = re.compile(r"(?:\(?(?:\d{1,2}|[a-z])\)|(?:\d{1,2}|[a-z])[.:]|#\d{1,2})\s+(?!\s)", re.IGNORECASE)
_LONGEST_NUMBER: Final = 2
_ORDINAL: Final = re.compile(r"(?<!\w)\d{1,2}\.\s+\Z")
_END_OF_CLAUSE: Final = re.compile(
    r"[.,;:!?\u2026\u060c\u061b\u061f\u06d4\u0964]+(?=\s)|[\n\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f]"
)
_MOST_CLAUSES: Final = 8
UNSURE: Final = 0.7
"""The confidence of a message below which its clauses are read one by one."""
_WITHOUT_MEANING: Final = 0.5
"""The share of its confidence that a clause of unknown words loses."""


class Read(NamedTuple):
    """A text, or a part of it, in tokens.

    Attributes
    ----------
    text, visible
        The text as it was sent, and its visible characters.
    places
        The positions of the visible characters in `text`.
    spans, keys
        Start and end of each token in `visible`, and the tokens themselves.
    is_truncated
        Whether the text is longer than what is read of it.
    """

    text: str
    visible: str
    places: Sequence[int]
    spans: list[Span]
    keys: list[str]
    is_truncated: bool

    def without_courtesies(self) -> Read | None:
        """Return the message without the courtesies at its beginning and end; None if it has none."""
        first = self._behind_number() if self.keys and len(self.keys[0]) <= _LONGEST_NUMBER else 0
        begin, end = around(self.keys[first:] if first else self.keys)
        begin, end = begin + first, end + first
        rest = self.keys[begin:end]
        return self._replace(spans=self.spans[begin:end], keys=rest) if len(rest) < len(self.keys) else None

    def _behind_number(self) -> int:
        """Return the number of the first token behind the number of an item, as of ``2) Lisbon``; 0 if it has none."""
        begin = self.spans[0][0]
        number = _NUMBER.match(self.visible, begin - self.visible.startswith("#", begin - 1) if begin else 0)
        starts = [start for start, _ in self.spans] if number else ()
        first = bisect_left(starts, number.end()) if number else 0
        return first if first < len(starts) else 0

    def breaks(self) -> list[int]:
        """Return the numbers of the tokens that begin a new item of a list: of ``bread`` in ``milk, bread``."""
        if _BETWEEN.isdisjoint(self.visible):
            return []
        signs = with_common_signs(self.visible)
        gaps = zip(self.spans, self.spans[1:], strict=False)
        return [at for at, (one, other) in enumerate(gaps, 1) if _is_break(signs, one, other)]

    def cuts(self, entities: Iterable[Mapping[str, Any]]) -> bool:
        """Return whether an entity has a word, and not only signs, before the first or behind the last token."""
        begin, end = self.places[self.spans[0][0]], self.places[self.spans[-1][1] - 1] + 1
        before, behind = (
            bool(part) and category(part)[0] not in _SIGNS
            for part in (self.text[:begin].rstrip()[-1:], self.text[end:].lstrip()[:1])
        )
        before = before or self.is_behind_ordinal()
        return any(
            (before and each["start"] < begin < each["end"]) or (behind and each["start"] < end < each["end"])
            for each in entities
        )

    def is_behind_ordinal(self) -> bool:
        """Return whether a number with a full stop stands before the tokens, as in ``4. floor``, where it is meant."""
        return _ORDINAL.search(self.text[: self.places[self.spans[0][0]]]) is not None

    def clauses(self) -> list[Read]:
        """Return the parts of the message between signs such as commas and full stops, each of two words or more.

        Of very many, these are the last ones; a message of a single clause has none.
        """
        ends = [match.end() for match in _END_OF_CLAUSE.finditer(self.visible)]
        if not ends:
            return []
        starts = [start for start, _ in self.spans]
        cuts = sorted({0, *(bisect_left(starts, end) for end in ends), len(starts)})
        parts = [
            (begin, end) for begin, end in pairwise(cuts) if sum(not is_sign(key) for key in self.keys[begin:end]) > 1
        ]
        if len(cuts) < 3:
            return []
        return [
            self._replace(spans=self.spans[slice(*one)], keys=self.keys[slice(*one)]) for one in parts[-_MOST_CLAUSES:]
        ]

    def said_apart(self) -> Read | None:
        """Return the thanks at the end, or else a greeting with a sign behind it; None if there is neither."""
        if count := len(thanks(self.keys)):
            return self._replace(spans=self.spans[-count:], keys=self.keys[-count:])
        begin, _ = around(self.keys)
        if begin and is_sign(self.keys[begin - 1]):
            return self._replace(spans=self.spans[:begin], keys=self.keys[:begin])
        return None


def _is_break(text: str, one: Span, other: Span) -> bool:
    """Return whether a sign of a list stands between two tokens; the signs in ``1,5 km/h`` are none."""
    between = text[one[1] : other[0]]
    if _BETWEEN.isdisjoint(between):
        return False
    first, second = text[slice(*one)], text[slice(*other)]
    is_number = len(between) == 1 and first.isdigit() and second.isdigit()
    return not is_number and not (between in _WITHIN and 1 in (len(first), len(second)))


def clearer(
    whole: dict[str, Any], rest: dict[str, Any], tokens: int, apart: str | None, *, is_cut: bool = False
) -> dict[str, Any]:
    """Return the answer with the higher confidence: the one to a whole message, or to its rest without courtesies.

    If the whole message has the intent of its courtesies, the model probably overlooked the rest, above all a long one;
    so a lower confidence of the rest suffices. Entities are taken from the answer to the rest, since hardly an example
    in training has courtesies beside entities. They are taken from the answer to the whole if its intent is that of the
    courtesies, as in ``perfect, thank you``, or with `is_cut`.

    Parameters
    ----------
    whole, rest
        The two answers.
    tokens
        The number of tokens of the rest.
    apart
        The intent of the courtesies alone, such as thanks; None if there are none.
    is_cut
        Whether an entity of the whole has a word of the courtesies, as ``Hello Kitty`` has.
    """
    sure, own = whole["intent"]["confidence"], rest["intent"]["confidence"]
    is_apart = apart is not None and whole["intent"]["name"] == apart
    is_long = bool(rest["entities"]) or tokens >= _LONG
    if own > (sure * (_ENOUGH_OF_LONG if is_long else _ENOUGH) if is_apart else sure):
        return rest
    return whole if is_apart or is_cut else {**whole, "entities": rest["entities"]}


def as_clause(answer: dict[str, Any], unknown: float) -> dict[str, Any]:
    """Return the answer to a clause with the confidences that it has as the surest of several clauses.

    Of several clauses that mean nothing, the surest may be sure of an intent by chance, and rather so than one message:
    so its confidence is taken to the third power, by which it was right as often as it said. The less is known of the
    clause, the more it loses.

    Parameters
    ----------
    answer
        The answer to the clause as a message.
    unknown
        The share of its tokens that are unknown.
    """
    part = answer["intent"]["confidence"] ** 2 * (1.0 - _WITHOUT_MEANING * unknown)
    ranking = [{**one, "confidence": one["confidence"] * part} for one in answer["intent_ranking"]]
    return {**answer, "intent": dict(ranking[0]), "intent_ranking": ranking}


def of_clause(whole: dict[str, Any], clause: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a clause, with the entities that the answer to the whole message has outside of these."""
    own = clause["entities"]
    others = [
        one
        for one in whole["entities"]
        if all(one["end"] <= each["start"] or one["start"] >= each["end"] for each in own)
    ]
    return {**clause, "entities": sorted([*own, *others], key=lambda one: int(one["start"]))}


def once(text: str) -> str:
    """Return a message that was sent or pasted twice in one, as it is once; any other as it is."""
    for gap in (1, 2):
        size = (len(text) - gap) // 2
        if text[:size] == text[size + gap :] and text[size : size + gap].isspace() and text.count(" ", 0, size) > 1:
            return text[:size]
    return text


def of_both(answer: dict[str, Any], text: str) -> dict[str, Any]:
    """Return the answer to a text that holds a message twice, with the entities of both, from the answer to the one."""
    shift = len(text) - len(answer["text"])
    again = [{**one, "start": one["start"] + shift, "end": one["end"] + shift} for one in answer["entities"]]
    return {**answer, "text": text, "entities": [*answer["entities"], *again]}


def nothing(read: Read) -> dict[str, Any]:
    """Return the answer to a text without tokens."""
    answer = {"text": read.text, "intent": {"name": None, "confidence": 0.0}, "intent_ranking": [], "entities": []}
    return {**answer, "truncated": True} if read.is_truncated else answer
