"""Packs stored answers: values that the log of their conversation has are replaced by references to its rows.

An answer repeats the last message and the values of slots, which are in the log already. So a long value is left out of
the stored answer, and its row in the log is stored instead. The row of a slot's value may be old. Therefore its
position is noted when it is logged, as a `LoggedValue`, and kept in the head, one for each slot.

A packed answer is ``@``, with which no JSON text begins, and a JSON list of four items: a checksum of all values that
were left out; the gaps, a list of a place in the answer and rows for each such value (see `_Gap`); the keys of the
answer, or the index of frequent keys in `_ANSWERS`; and the remaining values. Rows of a log never change, so the text
of the answer can be restored byte for byte, whatever happens to the conversation, the model and the code.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from rasa_core.events import BotUttered, Event
from rasa_core.support.strict_json import encode_known as encoded
from rasa_core.trackers import DialogueStateTracker

_SHORTEST = 100  # characters of a value that is left out; a reference takes about 20
_SIGN = "@"
_decoder = json.JSONDecoder()
_MESSAGE, _EVENTS = 0, 1
_KEYS: Final = {"user": '"parse_data":', "slot": '"value":'}
"""The key in a row whose value is taken. It is found as text: inside of JSON strings, its quotes would be escaped."""

# These keys are part of the format: if they change, stored answers cannot be read.
_STATE: Final = ("sender_id", "slots", "latest_message", "latest_event_time", "paused", "events")
_ANSWERS: Final = (
    ("next_action", "confidence", "policy", "understood", "version", "tracker"),
    ("next_action", "confidence", "policy", "understood", "version", "tracker", "info"),
)

ReadRows: TypeAlias = Callable[[int, int], Sequence[str]]
_Gap: TypeAlias = list[Any]
"""The place of a value that was left out, and its rows. For the last message, `_MESSAGE` and its row; for a slot, name
and row; for all events, `_EVENTS`, the first row and the row behind the last; for a message of the bot, its index, key
and row, and start and length of the value in the row."""


class LoggedValue(NamedTuple):
    """The row of a value in the log, a checksum of its JSON text and, in the process that logged it, the text."""

    seq: int
    checksum: int
    text: str | None = None


LoggedValues: TypeAlias = dict[str, LoggedValue]
"""The logged values by key: the empty text for the last message, and ``=`` and the name for a slot."""


def note_logged_values(
    places: LoggedValues, tracker: DialogueStateTracker, events: Sequence[Event], rows: Sequence[str], first: int
) -> None:
    """Note the rows of the values that `events` gave to `tracker`.

    `rows` has the new rows of the log from position `first` on; the last of them are those of `events`.
    """
    for number, event in enumerate(events, len(rows) - len(events)):
        kind = event.type_name
        if kind not in _KEYS or len(rows[number]) < _SHORTEST:
            continue
        slot = "" if kind == "user" else getattr(event, "key", "")
        if slot and slot not in tracker.slots:
            continue
        row, value = rows[number], getattr(event, "parse_data" if kind == "user" else "value", None)
        # To encode the value again is faster than to search for its end in the row.
        text, start = encoded(value), row.find(_KEYS[kind]) + len(_KEYS[kind])
        if len(text) >= _SHORTEST and row.startswith(text, start):
            places[slot and f"={slot}"] = LoggedValue(first + number, _checksum(text), text)


def packed(result: Any, events: Sequence[Event], places: LoggedValues, rows: Sequence[str], first: int) -> str:
    """Return the packed text of an answer; `events`, `rows` and `first` are as for `note_logged_values`."""
    state = result.get("tracker", result) if type(result) is dict else None
    if type(state) is dict and tuple(state) == _STATE:
        checksum, gaps, left = _without_log(state, places, rows, first)
        names = tuple(result)
        if state is result:
            return f"{_SIGN}{encoded([checksum, gaps, None, left])}"
        values = [left if value is state else value for value in result.values()]
        return f"{_SIGN}{encoded([checksum, gaps, _ANSWERS.index(names) if names in _ANSWERS else names, values])}"
    if type(result) is list:
        checksum, gaps, left = _without_said(result, events, rows, first)
        if gaps:
            return f"{_SIGN}{encoded([checksum, gaps, [], left])}"
    return encoded(result)


def _without_log(
    state: dict[str, Any], places: LoggedValues, rows: Sequence[str], first: int
) -> tuple[int, list[_Gap], list[Any]]:
    """Return checksum and gaps of the logged values of a state, and its other values.

    These are slots, time and pause, and also message and events if one of them is not in the log.
    """
    _, slots, message, moment, paused, events = state.values()
    checksum, gaps, left = 0, [], [slots, moment, paused]
    for name, place in places.items():
        value = slots.get(name[1:]) if name else message
        text = encoded(value)
        if text == place.text if place.text is not None else _checksum(text) == place.checksum:
            # With exclusive or, one number is the checksum of any number of values, in any order.
            checksum ^= place.checksum
            gaps.append([name[1:] if name else _MESSAGE, place.seq])
            if name:
                left[0] = {**left[0], name[1:]: 0}
            else:
                message = None
    if events and encoded(events) == (text := f"[{','.join(rows)}]"):
        checksum ^= _checksum(text)
        gaps.append([_EVENTS, first, first + len(rows)])
        events = None
    if message is not None or events is not None:
        left += [message, events]
    return checksum, gaps, left


def _without_said(
    said: list[Any], events: Sequence[Event], rows: Sequence[str], first: int
) -> tuple[int, list[_Gap], list[Any]]:
    """Return checksum and gaps of the values in messages of the bot that are in its rows, and the other values."""
    bot = [number for number, event in enumerate(events, len(rows) - len(events)) if isinstance(event, BotUttered)]
    checksum, gaps, left = 0, [], list(said)
    for index, item in enumerate(said):
        for key, value in item.items() if type(item) is dict else ():
            text = encoded(value)
            row = next((number for number in bot if text in rows[number]), None) if len(text) >= _SHORTEST else None
            if row is not None:
                checksum ^= _checksum(text)
                gaps.append([index, key, first + row, rows[row].find(text), len(text)])
                left[index] = {**left[index], key: 0}
    return checksum, gaps, left


def unpacked(stored: str, read_rows: ReadRows, sender_id: str) -> str | None:
    """Return the text of a stored answer, unpacked; None if the log no longer has the values that were left out."""
    if not stored.startswith(_SIGN):
        return stored
    checksum, gaps, names, left = json.loads(stored.removeprefix(_SIGN))
    found = [_text_of(gap, names == [], read_rows) for gap in gaps]
    for text in found:
        checksum ^= _checksum(text)
    if checksum:
        return None
    parts = [(gap, json.loads(text)) for gap, text in zip(gaps, found, strict=True)]
    if names == []:
        for (index, key, *_), value in parts:
            left[index][key] = value
        return encoded(left)
    if names is None:
        return encoded(_with_log(left, parts, sender_id))
    names = _ANSWERS[names] if isinstance(names, int) else names
    answer = dict(zip(names, left, strict=True))
    return encoded({**answer, "tracker": _with_log(answer["tracker"], parts, sender_id)})


def _with_log(left: list[Any], parts: list[tuple[_Gap, Any]], sender_id: str) -> dict[str, Any]:
    slots, moment, paused, message, events = [*left, None, None][:5]
    for (name, *_), value in parts:
        if isinstance(name, str):
            slots[name] = value
        elif name == _MESSAGE:
            message = value
        else:
            events = value
    return dict(zip(_STATE, (sender_id, slots, message, moment, paused, events), strict=True))


def _text_of(gap: _Gap, is_said: bool, read_rows: ReadRows) -> str:
    """Return the JSON text of a value that was left out, from the log."""
    if is_said:
        _, _, seq, offset, length = gap
        return "".join(read_rows(seq, seq + 1))[offset : offset + length]
    name, seq, *stop = gap
    if name == _EVENTS:
        return f"[{','.join(read_rows(seq, *stop))}]"
    return _value_in("".join(read_rows(seq, seq + 1)), "user" if name == _MESSAGE else "slot")


def _value_in(row: str, kind: str) -> str:
    start = row.find(_KEYS[kind]) + len(_KEYS[kind])
    return row[start : _decoder.raw_decode(row, start)[1]]


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode())
