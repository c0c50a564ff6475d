"""The one decoder of JSON that comes from outside, and the one encoder of what goes out.

What JSON text can hold but JSON clients cannot all read, or arithmetic cannot carry, is refused: NaN and infinity,
numbers beyond a float, endless digits, endless nesting. Half characters (U+D800 to U+DFFF alone) are kept,
since a log may hold them; whoever must not have them asks `has_half_characters`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import UserString
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import date, time
from decimal import Decimal
from enum import Enum
from operator import is_
from pathlib import PurePath
from typing import Any, Final, NoReturn
from uuid import UUID

import orjson

MAX_DEPTH: Final = 100
MAX_DIGITS: Final = 300
MAX_RANGE: Final = 1_000_000
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


_odd_number: Final = re.compile(r"[0-9]{19}|[0-9][eE]|-0")
"""What `orjson` may read as another number than `json` does, or be refused for its size."""
_decoder: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_bounded)


# orjson would write these in forms of its own; `json` refuses them, so that they become what `encode` makes of other
# objects.
_LEFT_TO_JSON: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def _as_list(value: Any) -> Any:
    """Return a named tuple as what `orjson` knows, and leave everything else to `json`."""
    if isinstance(value, tuple):
        return tuple(value)
    raise TypeError


def _encoder(*, sort_keys: bool = False, is_strict: bool = False) -> Callable[[Any], str]:
    """Return what writes a value as one line of ASCII JSON.

    `orjson` takes a third of the time of `json`, which was a fifth of that of a turn. What it does not know, or would
    write as anything but ASCII, is left to `json`: half characters, integers beyond 64 bits, types of somebody's own.
    It writes NaN and infinity as null, so that where these are errors, a null is looked for in the value.
    """
    # Circular data ends in a RecursionError; looking for it in every answer would cost more than building most of them.
    encoder = json.JSONEncoder(sort_keys=sort_keys, allow_nan=False, check_circular=False, separators=(",", ":"))
    dumps, options = orjson.dumps, _LEFT_TO_JSON | (orjson.OPT_SORT_KEYS if sort_keys else 0)

    def encode(value: Any) -> str:
        try:
            text = dumps(value, _as_list, options)
        except TypeError:
            return encoder.encode(value)
        if not text.isascii() or (is_strict and b"null" in text and not is_plain(value)):
            return encoder.encode(value)
        return text.decode("ascii")

    return encode


_encode: Final = _encoder(sort_keys=True)
encode_as_ordered: Final = _encoder(is_strict=True)
"""Return a value as one line of ASCII JSON whose keys keep their order, or raise what `json` raises."""
encode_known: Final = _encoder()
"""Return a value that is JSON already as such a line; NaN and infinity in it would become null."""


def decode(text: str) -> Any:
    """Return the JSON value that `text` is.

    Raises
    ------
    ValueError
        If it is not JSON, or holds what is refused; the message is a clause that says what and where.
    """
    value = _decoded(text)
    _check_depth(text, value)
    return value


def _decoded(text: str) -> Any:
    if not _odd_number.search(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # `json` takes half characters, and says what is wrong.
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise _too_deep() from None


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
    # Brackets in texts count too, but too few brackets are never too deep: hardly any value has to be walked.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    # Level by level, since a recursion would overflow on the very values that are to be refused.
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


_TOO_LARGE: Final = 10**MAX_DIGITS


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return the JSON value that `value` obviously stands for: `value` itself, if it is one.

    Tuples and other sequences become lists, sets sorted lists, dataclasses objects, enums their values, dates and times
    ISO text, paths and UUIDs text, Decimal and what has NumPy's ``tolist`` numbers or lists.

    Parameters
    ----------
    depth
        How many levels of lists and objects there may be.

    Raises
    ------
    ValueError
        If it stands for none; the message is a clause that says why.
    """
    return value if is_plain(value, depth) else _made_plain(value, depth)


def is_plain(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Tell whether a value is JSON, of at most so many levels, as nearly every one is: then `plain` returns it."""
    # By the exact type: a subclass, such as an enum or a number of NumPy, may be written in another way than its base.
    kind = type(value)
    if kind is dict:
        for key in value:
            if type(key) is not str:
                return False
        value = value.values()
    elif kind is not list:
        return _is_atom(value, kind)
    if depth <= 0:
        return False
    for part in value:
        kind = type(part)
        if not (is_plain(part, depth - 1) if kind is dict or kind is list else _is_atom(part, kind)):
            return False
    return True


def _is_atom(value: Any, kind: type) -> bool:
    if kind is str or value is None or kind is bool:
        return True
    return math.isfinite(value) if kind is float else kind is int and -_TOO_LARGE < value < _TOO_LARGE


def _made_plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if kind is int:
        return _plain_int(value)
    if kind is float:
        return _plain_float(value)
    if kind is list:
        made = [_made_plain(part, depth - 1) for part in _within(value, depth)]
        # The same object where nothing had to change, by which callers see that.
        return value if all(map(is_, made, value)) else made
    if kind is dict:
        return _plain_object(value, depth)
    return _converted(value, depth)


def _within(value: Any, depth: int) -> Any:
    if depth <= 0:
        raise ValueError("it is nested too deep")
    return value


def _plain_int(value: int) -> int:
    if -_TOO_LARGE < value < _TOO_LARGE:
        return value
    raise ValueError(f"a number has more than {MAX_DIGITS} digits")


def _plain_float(value: float) -> float:
    if math.isfinite(value):
        return value
    raise ValueError(f"{value} is not a JSON number")


def _plain_object(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    made = {_plain_key(key): _made_plain(part, depth - 1) for key, part in _within(value, depth).items()}
    if type(value) is dict and all(map(is_, made, value)) and all(map(is_, made.values(), value.values())):
        return value
    return made


def _plain_key(key: Any) -> str:
    if type(key) is str:
        return key
    text = key.value if isinstance(key, Enum) else key
    if isinstance(text, str):
        # Not `str(text)`, which an enum or another subclass may answer with something else.
        return str.__str__(text)
    raise ValueError(f"the keys of an object are text, and one is of the type {type(key).__name__}")


def _converted(value: Any, depth: int) -> Any:
    """Return what `plain` makes of anything that JSON does not give."""
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return _plain_int(int(value))
    if isinstance(value, float):
        return _plain_float(float(value))
    if isinstance(value, Decimal):
        return _plain_decimal(value)
    if isinstance(value, date | time) and value == value:  # Not-a-time of other libraries equals nothing.
        return value.isoformat()
    if isinstance(value, UUID | PurePath | UserString):
        return str(value)
    return _converted_container(value, depth)


def _plain_decimal(value: Decimal) -> int | float:
    if not value.is_finite() or value.adjusted() >= MAX_DIGITS:
        raise ValueError(f"{str(value)[:40]} is not a JSON number")
    return int(value) if value == value.to_integral_value() else float(value)


def _converted_container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return _plain_object(value, depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain_object({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, depth)
    if isinstance(value, Set):
        return _in_order([plain(part, depth - 1) for part in _within(value, depth)])
    is_bytes = isinstance(value, bytes | bytearray | memoryview)
    if hasattr(value, "tolist") and not is_bytes:
        return _plain_array(value, depth)
    if isinstance(value, Sequence) and not is_bytes:
        # A range of any length takes no memory, and none longer than this is counted.
        if isinstance(value, range) and len(value[: MAX_RANGE + 1]) > MAX_RANGE:
            raise ValueError(f"a range has more than {MAX_RANGE} numbers")
        return [plain(part, depth - 1) for part in _within(value, depth)]
    raise ValueError(f"JSON has nothing for a value of the type {type(value).__name__}")


def _in_order(values: list[Any]) -> list[Any]:
    """Return the values of a set in an order that is the same in every process."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda value: json.dumps(value, sort_keys=True))


def _plain_array(value: Any, depth: int) -> Any:
    """Return what an array, or a scalar, of NumPy or another library holds; moments of any resolution as ISO text."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    made = value.astype(str).tolist() if kind == "M" else value.tolist()
    if kind == "f" and hasattr(made, "tolist"):  # A long float has no number of Python's own that is as exact.
        return _plain_float(float(made))
    if kind == "m" or (kind == "M" and "NaT" in str(made)) or hasattr(made, "tolist"):
        raise ValueError(f"JSON has nothing for a value of the type {type(value).__name__} like this one")
    return plain(made, depth)


_ATOMS: Final = frozenset({str, float, int, bool, type(None)})


def independent(value: Any) -> Any:
    """Return `value` as it comes back from JSON: equal data that shares no dict and no list with it."""
    if type(value) in _ATOMS:
        return value
    try:
        return orjson.loads(orjson.dumps(value, _as_list, _LEFT_TO_JSON))
    except TypeError:  # What `orjson` does not know, such as half a character.
        return json.loads(json.dumps(value))


_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def json_type(value: object) -> str:
    """Return what a JSON value is called in JSON."""
    return _KINDS[type(value)]


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
