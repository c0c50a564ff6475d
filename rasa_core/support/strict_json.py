"""The decoder for all JSON from outside, and the encoder for all JSON that is sent or stored.

The decoder refuses values that not all JSON clients can read, or that arithmetic cannot handle: NaN and infinity,
numbers beyond the range of a float, too many digits, too deep nesting. Lone surrogates (U+D800 to U+DFFF) are kept,
since a log may contain them; `has_half_characters` finds them.
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
"""The most digits of an integer; every number with so many digits is within the range of a float."""

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
"""Matches numbers that `orjson` may read differently from `json`, or that may be refused for their size."""
_decoder: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_bounded)


# orjson would write dataclasses and times in its own formats. They are left to `json`, which refuses them, so that
# `encode` converts them like other objects.
_LEFT_TO_JSON: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def _as_list(value: Any) -> Any:
    """Return a named tuple as a list, for `orjson`; for any other object raise `TypeError`, so that `json` is used."""
    if isinstance(value, tuple):
        return tuple(value)
    raise TypeError


def _encoder(*, sort_keys: bool = False, is_strict: bool = False) -> Callable[[Any], str]:
    """Return a function that writes a value as one line of ASCII JSON.

    `orjson` takes a third of the time of `json`, which took a fifth of the time of a turn. Values that it does not
    support, or would not write in ASCII, are left to `json`: lone surrogates, integers beyond 64 bits, custom types. It
    writes NaN and infinity as null; with `is_strict`, where these are errors, a null in the result is checked.
    """
    # Circular data raises a RecursionError; the check for it would take longer than building most answers.
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
"""Return a value that is known to be JSON data as one line of ASCII JSON; NaN and infinity would become null."""


def decode(text: str) -> Any:
    """Return the JSON value that `text` is.

    Raises
    ------
    ValueError
        If the text is not JSON, or has a refused value; the message is a clause that says what and where.
    """
    value = _decoded(text)
    _check_depth(text, value)
    return value


def _decoded(text: str) -> Any:
    if not _odd_number.search(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # `json` accepts lone surrogates, and has better error messages.
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise _too_deep() from None


def decode_prefix(text: str, start: int = 0) -> tuple[Any, int]:
    """Return the JSON value that begins at ``text[start]``, and its end; raises the errors of `decode`."""
    try:
        value, end = _decoder.raw_decode(text, start)
    except RecursionError:
        raise _too_deep() from None
    _check_depth(text[start:end], value)
    return value, end


def _too_deep() -> ValueError:
    return ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _check_depth(text: str, value: Any) -> None:
    # With few brackets, those in texts included, the value cannot be too deep, so hardly any value has to be walked.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    # Level by level, since a recursion would overflow the stack for the values that are to be refused.
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
    """Tell whether a text or a key in a JSON value has a lone surrogate, which is no character."""
    return _half_character.search(json.dumps(value, ensure_ascii=False)) is not None


def encode(data: object) -> str:
    """Return `data` as one line of ASCII JSON with sorted keys.

    Custom interpreters, actions and slots may contain values that JSON cannot express. An answer must not fail
    because of them: NaN and infinity become null, other objects become text.
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
    """Return `value` converted to JSON data; `value` itself, if it is JSON data already.

    Tuples and other sequences become lists, sets sorted lists, dataclasses objects, enums their values, dates and times
    ISO text, paths and UUIDs text, Decimal and what has NumPy's ``tolist`` numbers or lists.

    Parameters
    ----------
    depth
        The largest number of nested lists and objects.

    Raises
    ------
    ValueError
        If it cannot be converted; the message is a clause that says why.
    """
    return value if is_plain(value, depth) else _made_plain(value, depth)


def is_plain(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Tell whether a value is JSON data of at most `depth` levels, which `plain` does not change; mostly it is."""
    # The exact type is checked, since a subclass, such as an enum or a NumPy number, may be written differently.
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
        # The same object is returned if nothing was converted, so that callers can notice that.
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
        # Not `str(text)`, which an enum or another subclass may override.
        return str.__str__(text)
    raise ValueError(f"the keys of an object are text, and one is of the type {type(key).__name__}")


def _converted(value: Any, depth: int) -> Any:
    """Convert a value of a type that JSON does not have."""
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
    if isinstance(value, date | time) and value == value:  # A not-a-time value of other libraries is unequal to itself.
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
        # A range takes no memory, but its list would, so the length is limited.
        if isinstance(value, range) and len(value[: MAX_RANGE + 1]) > MAX_RANGE:
            raise ValueError(f"a range has more than {MAX_RANGE} numbers")
        return [plain(part, depth - 1) for part in _within(value, depth)]
    raise ValueError(f"JSON has nothing for a value of the type {type(value).__name__}")


def _in_order(values: list[Any]) -> list[Any]:
    """Return the values of a set in a deterministic order."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda value: json.dumps(value, sort_keys=True))


def _plain_array(value: Any, depth: int) -> Any:
    """Return the content of an array or a scalar of NumPy or another library; times of any resolution as ISO text."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    made = value.astype(str).tolist() if kind == "M" else value.tolist()
    if kind == "f" and hasattr(made, "tolist"):  # A long double; Python has no float with this precision.
        return _plain_float(float(made))
    if kind == "m" or (kind == "M" and "NaT" in str(made)) or hasattr(made, "tolist"):
        raise ValueError(f"JSON has nothing for a value of the type {type(value).__name__} like this one")
    return plain(made, depth)


_ATOMS: Final = frozenset({str, float, int, bool, type(None)})


def independent(value: Any) -> Any:
    """Return a deep copy of JSON data, as if it was written and read again: it shares no dict and no list."""
    if type(value) in _ATOMS:
        return value
    try:
        return orjson.loads(orjson.dumps(value, _as_list, _LEFT_TO_JSON))
    except TypeError:  # `orjson` does not support the value, such as a lone surrogate.
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
    """Return the name of a value's type in JSON."""
    return _KINDS[type(value)]


def is_number(value: object) -> bool:
    """Tell whether `value` is a number below 1e15, which a float holds exactly; false for NaN and infinity."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def hashable(value: object) -> object:
    """Return a hashable object that is equal for equal values."""
    if isinstance(value, Mapping):
        return frozenset((key, hashable(part)) for key, part in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(hashable, value))
    try:
        hash(value)
    except TypeError:
        return None
    return value
