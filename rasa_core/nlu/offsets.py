"""Places in texts, counted in characters or in the units of UTF-16, of which an emoji has two, as JavaScript counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from rasa_core.nlu.tokens import tokenize

_LAST_OF_ONE_UNIT: Final = 0xFFFF
_LONGEST: Final = 10  # Digits.

Covering = tuple[Any, Any, Any, Any]
"""Text, start, end and value of an entity, as they stand in data that may be anything."""


def whole(number: Any) -> Any:
    """Return the whole number that ``"3"`` and 3.0 are; anything else as it is."""
    if isinstance(number, str) and number.strip().isdecimal() and len(number) < _LONGEST:
        return int(number)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def count_utf16(entities: Iterable[Covering]) -> bool:
    """Whether the places of entities count the units of UTF-16, rather than characters.

    Each entity tells that covers its value, or else whole words, by one way of counting alone; none may contradict.
    """
    votes = [_vote(text, start, end, value) for text, start, end, value in entities]
    return any(vote > 0 for vote in votes) and not any(vote < 0 for vote in votes)


def characters(text: str, units: int) -> int:
    """Return how many characters so many units of UTF-16 are; -1 if they end inside of one, or there are fewer."""
    encoded = text.encode("utf-16-le", "surrogatepass")[: max(2 * units, 0)]
    try:
        return len(encoded.decode("utf-16-le")) if len(encoded) == 2 * units else -1
    except UnicodeDecodeError:
        return -1


def _vote(text: Any, start: Any, end: Any, value: Any) -> int:
    """Return 1 if an entity speaks for units of UTF-16, -1 if it does for characters, 0 if it does for neither."""
    start, end = whole(start), whole(end)
    if not isinstance(text, str) or type(start) is not int or type(end) is not int:
        return 0
    if all(ord(character) <= _LAST_OF_ONE_UNIT for character in text):
        return 0
    plain, units = (start, end), (characters(text, start), characters(text, end))
    if min(units) < 0:  # A character has no half.
        return -(0 <= start < end <= len(text))
    return _fits(text, *units, value) - _fits(text, *plain, value) or _fits(text, *units) - _fits(text, *plain)


def _fits(text: str, start: int, end: int, value: Any = None) -> bool:
    """Whether an entity may stand somewhere: where its value does, if it has any, or else on whole words, not signs."""
    if not 0 <= start < end <= len(text):
        return False
    if isinstance(value, str):
        return text[start:end] == value
    spans = tokenize(text) if any(map(str.isalnum, text[start:end])) else []
    return any(begin == start for begin, _ in spans) and any(last == end for _, last in spans)
