"""Answers as they are stored: without what the log of their conversation holds.

An answer repeats the last message and the value of each slot, which are in the log already, once. So what is long and
stands in a row of the log is left out, and the row named instead. That needs to know where in the log a value stands
that was set long ago: its `LoggedValue` is noted when it is logged, and kept in the head, one for each slot.

A packed answer is ``@``, as no JSON text begins, and a JSON list: a checksum of all that was left out, a list for each
of it, the names in the answer, or the number of names that most answers have, and what is left. The list of what was
left out has where it belongs, as `_Gap` says, and the rows. Rows never change, so the text comes back byte for byte,
whatever became of the conversation, the model and the code since.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from rasa_core.events import BotUttered, Event
from rasa_core.support.strict_json import encode_known as encoded
from rasa_core.trackers import DialogueStateTracker

_SHORTEST = 100  # characters; to name a place takes about 20
_SIGN = "@"
_decoder = json.JSONDecoder()
_MESSAGE, _EVENTS = 0, 1
_KEYS: Final = {"user": '"parse_data":', "slot": '"value":'}
"""Behind what a row has the value; no text in front of it holds that as it is, since quotes are escaped."""

# Part of the format: with others, what is stored cannot be read.
_STATE: Final = ("sender_id", "slots", "latest_message", "latest_event_time", "paused", "events")
_ANSWERS: Final = (
    ("next_action", "confidence", "policy", "understood", "version", "tracker"),
    ("next_action", "confidence", "policy", "understood", "version", "tracker", "info"),
)

ReadRows: TypeAlias = Callable[[int, int], Sequence[str]]
_Gap: TypeAlias = list[Any]
"""Of the last message, its number and row; of a slot, its name and row; of all events, their number, the first row, and
the one behind the last; of what the bot said, its index, its key, its row, and its position and length there."""


class LoggedValue(NamedTuple):
    """Where the log has a value: in which row, a checksum of its JSON text and, in the process that logged it, that."""

    seq: int
    checksum: int
    text: str | None = None


LoggedValues: TypeAlias = dict[str, LoggedValue]
"""By name: of the last message the empty one, of a slot its own behind ``=``."""


def note_logged_values(
    places: LoggedValues, tracker: DialogueStateTracker, events: Sequence[Event], rows: Sequence[str], first: int
) -> None:
    """Note where the log has the values that `events`, in the last of the `rows` since `first`, gave to `tracker`."""
    for number, event in enumerate(events, len(rows) - len(events)):
        kind = event.type_name
        if kind not in _KEYS or len(rows[number]) < _SHORTEST:
            continue
        slot = "" if kind == "user" else getattr(event, "key", "")
        if slot and slot not in tracker.slots:
            continue
        row, value = rows[number], getattr(event, "parse_data" if kind == "user" else "value", None)
        # To write it once more takes less time than to look for its end.
        text, start = encoded(value), row.find(_KEYS[kind]) + len(_KEYS[kind])
        if len(text) >= _SHORTEST and row.startswith(text, start):
            places[slot and f"={slot}"] = LoggedValue(first + number, _checksum(text), text)


def packed(result: Any, events: Sequence[Event], places: LoggedValues, rows: Sequence[str], first: int) -> str:
    """Return the text of an answer, without what is in the log; `events` are stored with it, last of the `rows`."""
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
    """Return what of a state is not in the log: slots, time and pause, then message and events if they are not."""
    _, slots, message, moment, paused, events = state.values()
    checksum, gaps, left = 0, [], [slots, moment, paused]
    for name, place in places.items():
        value = slots.get(name[1:]) if name else message
        text = encoded(value)
        if text == place.text if place.text is not None else _checksum(text) == place.checksum:
            # Exclusive or, so that one number checks any count of parts, in any order.
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
    """Return what was said, without what is in the rows of what the bot said."""
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
    """Return the text of an answer as it was given, None if the log is not what it was then."""
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
    """Return what was left out, as it stands in the log."""
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
