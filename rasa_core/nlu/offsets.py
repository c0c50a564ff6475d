"""Positions of entities in texts that count UTF-16 code units, as JavaScript does: an emoji has two of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from rasa_core.nlu.tokens import tokenize

_LAST_OF_ONE_UNIT: Final = 0xFFFF
_LONGEST: Final = 10  # Digits.

Covering = tuple[Any, Any, Any, Any]
"""Text, start, end and value of an entity, as they stand in the data, not yet checked."""


def whole(number: Any) -> Any:
    """Return a whole number, such as 3 for ``"3"`` and 3.0, as an int, and anything else unchanged."""
    if isinstance(number, str) and number.strip().isdecimal() and len(number) < _LONGEST:
        return int(number)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def count_utf16(entities: Iterable[Covering]) -> bool:
    """Return whether the positions of entities count UTF-16 code units, rather than characters.

    An entity votes for a way of counting if it covers its value, or else whole words, in this way alone. The answer is
    true if there are votes for code units, and none for characters.
    """
    votes = [_vote(text, start, end, value) for text, start, end, value in entities]
    return any(vote > 0 for vote in votes) and not any(vote < 0 for vote in votes)


def characters(text: str, units: int) -> int:
    """Return how many characters of a text the first `units` code units of UTF-16 are.

    Return -1 if they end inside of a character, or the text has fewer code units.
    """
    encoded = text.encode("utf-16-le", "surrogatepass")[: max(2 * units, 0)]
    try:
        return len(encoded.decode("utf-16-le")) if len(encoded) == 2 * units else -1
    except UnicodeDecodeError:
        return -1


def _vote(text: Any, start: Any, end: Any, value: Any) -> int:
    """Return the vote of an entity: 1 for UTF-16 code units, -1 for characters, 0 for neither."""
    start, end = whole(start), whole(end)
    if not isinstance(text, str) or type(start) is not int or type(end) is not int:
        return 0
    if all(ord(character) <= _LAST_OF_ONE_UNIT for character in text):
        return 0
    plain, units = (start, end), (characters(text, start), characters(text, end))
    if min(units) < 0:  # In code units, the entity would begin or end inside of a character or behind the text.
        return -(0 <= start < end <= len(text))
    return _fits(text, *units, value) - _fits(text, *plain, value) or _fits(text, *units) - _fits(text, *plain)


def _fits(text: str, start: int, end: int, value: Any = None) -> bool:
    """Return whether positions cover the value of an entity; without a value, whether they cover whole words."""
    if not 0 <= start < end <= len(text):
        return False
    if isinstance(value, str):
        return text[start:end] == value
    spans = tokenize(text) if any(map(str.isalnum, text[start:end])) else []
    return any(begin == start for begin, _ in spans) and any(last == end for _, last in spans)
