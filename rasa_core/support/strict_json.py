"""The one decoder of JSON that comes from outside, and the one encoder of what goes out.

What JSON text can hold but JSON clients cannot all read, or arithmetic cannot carry, is refused: NaN and infinity,
numbers beyond a float, endless digits, endless nesting. Half characters (U+D800 to U+DFFF alone) are kept,
since a log may hold them; whoever must not have them asks `has_half_characters`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 100
MAX_DIGITS: Final = 300
"""Digits of an integer; any number of so many is within the range of a float."""

_half_character = re.compile("[\ud800-\udfff]")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number; send null, or a finite number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number


def _bounded(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits; at most {MAX_DIGITS} are read")
    return int(digits)


_decoder: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_bounded)
# Circular data ends in a RecursionError; looking for it in every answer would cost more than building most of them.
_encode: Final = json.JSONEncoder(
    sort_keys=True, ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
encode_as_ordered: Final = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":")).encode
"""Return a value as one line of ASCII JSON whose keys keep their order, or raise what `json` raises."""


def decode(text: str) -> Any:
    """Return the JSON value that `text` is.

    Raises
    ------
    ValueError
        If it is not JSON, or holds what is refused; the message is a clause that says what and where.
    """
    try:
        value = _decoder.decode(text)
    except RecursionError:
        raise _too_deep() from None
    _check_depth(text, value)
    return value


def decode_prefix(text: str, start: int = 0) -> tuple[Any, int]:
    """Return the JSON value that begins at ``text[start]``, and where it ends; `decode` tells the errors."""
    try:
        value, end = _decoder.raw_decode(text, start)
    except RecursionError:
        raise _too_deep() from None
    _check_depth(text[start:end], value)
    return value, end


def _too_deep() -> ValueError:
    return ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _check_depth(text: str, value: Any) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _parts(node) if isinstance(child, dict | list)]
        if not level:
            return
    raise _too_deep()


def _parts(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def has_half_characters(value: Any) -> bool:
    """Tell whether a text in a JSON value, or a key, holds half of a surrogate pair, which is no character."""
    return _half_character.search(json.dumps(value, ensure_ascii=False)) is not None


def encode(data: object) -> str:
    """Return `data` as one line of ASCII JSON with sorted keys.

    Interpreters, actions and slots of users' own can hold what JSON cannot express. An answer must not fail
    for that: NaN and infinity become null, other objects become text.
    """
    try:
        return _encode(data)
    except (TypeError, ValueError):
        return _encode(_expressible(data))


def _expressible(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _expressible(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_expressible(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    scalar = getattr(value, "item", None)  # NumPy's numbers
    return _expressible(scalar()) if callable(scalar) and getattr(value, "ndim", 1) == 0 else str(value)


def independent(value: Any) -> Any:
    """Return `value` as it comes back from JSON: equal data that shares no dict and no list with it."""
    kind = type(value)
    if kind is str or kind is float or value is None or kind is bool or kind is int:
        return value
    if kind is dict and all(type(key) is str for key in value):
        return {key: independent(part) for key, part in value.items()}
    if kind is list or kind is tuple:
        return [independent(part) for part in value]
    return json.loads(json.dumps(value))


def is_number(value: object) -> bool:
    """Tell whether `value` is a number below 1e15, which a float holds exactly; false for NaN and infinity."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def hashable(value: object) -> object:
    """Return something hashable that is equal for equal values."""
    if isinstance(value, Mapping):
        return frozenset((key, hashable(part)) for key, part in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(hashable, value))
    try:
        hash(value)
    except TypeError:
        return None
    return value
