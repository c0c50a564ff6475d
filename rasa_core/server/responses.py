"""What the server answers: a status, headers and bytes; nearly always one line of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

Headers = tuple[tuple[str, str], ...]

STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

_JSON: Headers = (("Content-Type", "application/json"),)
# Circular data ends in a RecursionError; looking for it in every answer would cost more than building most of them.
_encode = json.JSONEncoder(
    sort_keys=True, ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; ``Content-Length`` and the CORS headers are added when it is sent."""

    status: int
    body: bytes
    headers: Headers


def json_response(data: object, status: int = 200, headers: Headers = ()) -> Response:
    """Answer with `data` as JSON: one line, keys sorted, ASCII only, a newline at the end."""
    return Response(status, encode_json(data), _JSON + headers)


def encode_json(data: object) -> bytes:
    """Return `data` as one line of ASCII JSON.

    Interpreters, actions and slots of users' own can hold what JSON cannot express. An answer must not fail
    for that: NaN and infinity become null, other objects become text.
    """
    try:
        text = _encode(data)
    except (TypeError, ValueError):
        text = _encode(_expressible(data))
    return (text + "\n").encode("ascii")


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
