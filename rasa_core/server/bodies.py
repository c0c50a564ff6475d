"""From the bytes of a request to JSON values that are safe to keep, compute with, and send back.

The type that a client declares is not looked at: the clients of old send JSON as plain text, and curl as a
form. What JSON text can hold but JSON clients cannot all read, or arithmetic cannot carry, is refused here,
so that nothing behind this module needs to think of it: NaN and infinity, numbers beyond a float, half
characters, endless nesting.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from rasa_core.server.errors import HttpError

DEFAULT_MAX_BODY = 1024 * 1024

_MAX_DISCARDED = 32 * 1024 * 1024
_CHUNK = 64 * 1024
_WAS_READ = "rasa_core.body_was_read"
_MAX_DEPTH = 100
_MAX_DIGITS = 300  # Any integer of so many digits is within the range of a float.
_MAX_PARAMETERS = 100
_BOM = b"\xef\xbb\xbf"
_half_character = re.compile(r"\\u[dD][89a-fA-F]")


def read_body(environ: dict[str, Any], max_body: int) -> bytes:
    """Return the body of a request, at most `max_body` bytes.

    Raises
    ------
    HttpError
        413 if it is larger, before it is read; 400 if it is cut off; 415 if it is compressed.
    """
    encoding = environ.get("HTTP_CONTENT_ENCODING")
    if encoding and encoding.lower() != "identity":
        raise HttpError(
            415,
            f"the body is sent as {encoding[:40]!r}; send it uncompressed.",
            (("Accept-Encoding", "identity"),),
        )
    declared = environ.get("CONTENT_LENGTH")
    if declared and not (declared.isascii() and declared.isdigit()):
        raise HttpError(400, f"Content-Length is a number of bytes, not {declared[:40]!r}.")
    if declared and (len(declared) > 15 or int(declared) > max_body):
        raise _too_large(max_body)
    if not declared and not _ends_by_itself(environ):
        return b""
    environ[_WAS_READ] = bool(declared)
    try:
        return _read_exactly(environ, int(declared)) if declared else _read_until_end(environ, max_body)
    except OSError as error:  # What servers raise when the client breaks off, or its chunks are malformed.
        raise HttpError(400, f"the body cannot be read to its end: {error}.") from error


def _read_exactly(environ: dict[str, Any], length: int) -> bytes:
    body: bytes = environ["wsgi.input"].read(length)
    while len(body) < length:
        chunk = environ["wsgi.input"].read(length - len(body))
        if not chunk:
            raise HttpError(400, f"the body ends after {len(body)} of the {length} bytes that Content-Length names.")
        body += chunk
    return body


def _read_until_end(environ: dict[str, Any], max_body: int) -> bytes:
    """Read a body of undeclared length; what lies beyond the limit is not read."""
    body = b""
    while len(body) <= max_body:
        chunk: bytes = environ["wsgi.input"].read(max_body + 1 - len(body))
        if not chunk:
            return body
        body += chunk
    raise _too_large(max_body)


def discard_body(environ: dict[str, Any]) -> None:
    """Read what an error leaves unread of a body, unless it is huge.

    A client that is still sending when the server closes the connection never sees the answer.
    """
    declared = environ.get("CONTENT_LENGTH") or ""
    countable = declared.isascii() and declared.isdigit() and len(declared) < 15
    left = int(declared) if countable else _MAX_DISCARDED
    if environ.get(_WAS_READ) or left > _MAX_DISCARDED or not (declared or _ends_by_itself(environ)):
        return
    with suppress(OSError):
        while left > 0 and (chunk := environ["wsgi.input"].read(min(left, _CHUNK))):
            left -= len(chunk)


def _ends_by_itself(environ: dict[str, Any]) -> bool:
    """Tell whether a body of undeclared length ends by itself, as one in chunks does."""
    return bool(environ.get("wsgi.input_terminated")) or "HTTP_TRANSFER_ENCODING" in environ


def _too_large(max_body: int) -> HttpError:
    return HttpError(
        413,
        f"the body is larger than {max_body} bytes; send less, or start the server with a larger --max-body.",
    )


def parse_json(body: bytes) -> Any:
    """Return the JSON value in `body`; raise `HttpError` 400 if it holds none, or one that is refused."""
    if not body.strip():
        raise HttpError(400, "the body is empty; send JSON.")
    try:
        text = body.removeprefix(_BOM).decode("utf-8")
        value = _decode(text)
    except UnicodeDecodeError as error:
        raise HttpError(400, f"the body is not UTF-8: {error.reason} at byte {error.start}.") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise HttpError(400, f"the body is not JSON: {error}.") from None
    if body.count(b"[") + body.count(b"{") > _MAX_DEPTH:
        _check_depth(value)
    if _half_character.search(text):
        _check_characters(value)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number; send null, or a finite number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number


def _bounded(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits; at most {_MAX_DIGITS} are read")
    return int(digits)


_decode = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_bounded).decode


def _too_deep() -> HttpError:
    return HttpError(400, f"the body is nested deeper than {_MAX_DEPTH} levels.")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in _parts(node) if isinstance(child, dict | list)]
        if not level:
            return
    raise _too_deep()


def _parts(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _check_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise HttpError(
            400,
            "a text in the body holds half a character (an escape \\ud800 to \\udfff alone); send it whole.",
        ) from None


def parse_query_string(query_string: str) -> dict[str, str]:
    """Return the parameters behind the ``?`` of a URL; of several with one name, the first."""
    if not query_string:
        return {}
    try:
        text = query_string if query_string.isascii() else query_string.encode("latin-1").decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except UnicodeError:
        raise HttpError(400, "the parameters of the URL are not UTF-8; percent-encode them as UTF-8.") from None
    except ValueError:
        raise HttpError(400, f"the URL has more than {_MAX_PARAMETERS} parameters.") from None
    return dict(reversed(pairs))
