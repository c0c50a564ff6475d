"""Messages with their entities marked in the text, as Markdown and YAML have them.

===================================================  ======================================================
``in [Lisbon](city)``                                the entity ``city``
``in [Lisboa](city:Lisbon)``                         its value, if it is not the text
``in [Lisboa]{"entity": "city", "value": "Lisbon"}`` the same as a JSON object
``[a][{"entity": "b"}, {"entity": "c"}]``            several entities of the same text
===================================================  ======================================================

Other brackets are text.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from rasa_core.exceptions import did_you_mean
from rasa_core.nlu.data import EntitySpan

logger = logging.getLogger(__name__)

_MARKED: Final = re.compile(r"\[([^\[\]]*)\](?=\(|\{|\[\s*\{)")
_KEYS: Final = ("entity", "value", "role", "group")
_EXPECTED: Final = '[Lisbon](city), [Lisboa](city:Lisbon) or [Lisboa]{"entity": "city", "value": "Lisbon"}'
_decoder: Final = json.JSONDecoder()

Fail = Callable[[str], NoReturn]


def read_annotated(annotated: str, fail: Fail) -> tuple[str, list[EntitySpan]]:
    """Return the plain text of a message and the entities that were marked in it.

    Parameters
    ----------
    annotated
        The message with its marks.
    fail
        Called with the problem if a mark is wrong; raises.
    """
    pieces: list[str] = []
    spans: list[EntitySpan] = []
    position = length = 0
    while (match := _MARKED.search(annotated, position)) is not None:
        pieces += annotated[position : match.start()], match[1]
        length += match.start() - position
        marks, position = _read_marks(annotated, match.end(), fail)
        end = length + len(match[1])
        spans += (EntitySpan(length, end, name, value or match[1]) for name, value in marks)
        length = end
    return "".join(pieces) + annotated[position:], spans


def _read_marks(text: str, position: int, fail: Fail) -> tuple[list[tuple[str, str]], int]:
    """Return names and values of the entities that a mark at `position` tells, and where it ends."""
    if text[position] != "(":
        return _read_json_marks(text, position, fail)
    closing = text.find(")", position)
    if closing < 0:
        fail(f"{text[position : position + 40]!r} is not closed; an entity is marked like {_EXPECTED}.")
    name, _, value = text[position + 1 : closing].partition(":")
    if not name.strip():
        fail(f"the mark {text[position : closing + 1]!r} has no name of an entity; expected {_EXPECTED}.")
    return [(name.strip(), value.strip())], closing + 1


def _read_json_marks(text: str, position: int, fail: Fail) -> tuple[list[tuple[str, str]], int]:
    try:
        decoded, end = _decoder.raw_decode(text, position)
    except (ValueError, RecursionError):
        fail(f"{text[position : position + 40]!r} is no JSON; an entity is marked like {_EXPECTED}.")
    return [_read_json_mark(mark, fail) for mark in (decoded if isinstance(decoded, list) else [decoded])], end


def _read_json_mark(mark: Any, fail: Fail) -> tuple[str, str]:
    name = mark.get("entity") if isinstance(mark, dict) else None
    if not isinstance(name, str) or not name.strip():
        fail(f"the mark {json.dumps(mark)[:80]} names no entity; expected {_EXPECTED}.")
    for key in mark:
        if key not in _KEYS:
            fail(f"a mark has no key {key[:80]!r}.{did_you_mean(key, _KEYS)} Known: {', '.join(_KEYS)}.")
        if key in ("role", "group"):
            logger.info("the %s of the entity %r is not used.", key, name)
    value = as_value(mark.get("value"))
    if value is None:
        fail(f"the value of the entity {name[:80]!r} is {json.dumps(mark['value'])[:80]}; expected a text.")
    return name.strip(), value


def as_value(value: Any) -> str | None:
    """Return the value of an entity as text: empty for null, None for what is no text and no number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        return None
    return "" if value is None else str(value)
