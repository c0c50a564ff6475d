"""Answers as they are stored: without what the log of their conversation holds.

An answer repeats the last message and the value of each slot, which are in the log already, once. So a long piece of
its text that stands in a row of the log is cut out, and the row named instead. That needs to know where in the log a
value stands that was set long ago: its `Place` is noted when it is logged, and kept in the head, one for each slot.

A packed answer is ``@``, as no JSON text begins, a JSON list, and the rest of the text. The list has a checksum of the
whole text, and for each cut the rows, from the first to before the last, joined by commas, and the part of them that
belongs there. In the rest, a control character stands for each cut, and others for words that most answers have; in
JSON, there are none but those for spaces. Rows never change, so the text comes back byte for byte, whatever became of
the conversation, the model and the code since. Nothing is compressed: that would cost more than all the rest of storing
an answer, and the words save more than half of it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from rasa_core.events import BotUttered, Event
from rasa_core.exceptions import StoreError
from rasa_core.support.strict_json import encode_as_ordered as encoded
from rasa_core.trackers import DialogueStateTracker

_SHORTEST = 100  # characters; to name a place takes about 20
_MOST_TRIED = 5  # places where the text may have a value, since a key may be in the values of others, too
_SIGN, _CUT = "@", "\x1f"
_MESSAGE_IN_ROW, _VALUE_IN_ROW = '"parse_data":', '"value":'
_MESSAGE_IN_ANSWER, _EVENTS_IN_ANSWER = '"latest_message":', '"events":['
# Part of the format: with others, what is stored cannot be read. They are put in the text in this order.
_WORDS = (
    (f'null}},{_MESSAGE_IN_ANSWER}{_CUT},"latest_event_time":', "\x01"),
    (',"paused":false,"events":null}}', "\x02"),
    ('{"next_action":"', "\x03"),
    ('","confidence":', "\x04"),
    (',"policy":', "\x05"),
    (',"tracker":{"sender_id":"', "\x06"),
    ('","slots":{"', "\x07"),
    (':null,"', "\x08"),
)
_WORDS_BACK = tuple((sign, word) for word, sign in reversed(_WORDS))
_decoder = json.JSONDecoder()

Found: TypeAlias = tuple[int, int, tuple[int, int, int]]
"""Position and length of what the log has; its first row there, the one behind the last, and the position in them."""


class Place(NamedTuple):
    """Where a value stands in the log: row, position, length and a checksum of its JSON text; the text, if it is here.

    The text of a value is here in the process that logged it, and is not kept in the head.
    """

    seq: int
    offset: int
    length: int
    checksum: int
    text: str | None = None


Places: TypeAlias = dict[str, Place]
"""By name: of the last message the empty one, of a slot its own behind ``=``."""


def places_in(state: dict[str, object]) -> Places:
    """Return the places that are in a stored head."""
    stored = state.get("places")
    return {name: Place(*place) for name, place in stored.items()} if isinstance(stored, dict) else {}


def note_places(
    places: Places, tracker: DialogueStateTracker, events: Sequence[Event], rows: Sequence[str], first: int
) -> None:
    """Note where the log has the values that `events`, in the last of the `rows` since `first`, gave to `tracker`."""
    start = len(rows) - len(events)
    for number, event in enumerate(events, start):
        row = rows[number]
        if len(row) < _SHORTEST or (kind := event.type_name) not in ("user", "slot"):
            continue
        if kind == "user":
            name, key = "", _MESSAGE_IN_ROW
        elif (slot := getattr(event, "key", None)) in tracker.slots:
            name, key = f"={slot}", _VALUE_IN_ROW
        else:
            continue
        # The last part of the row. No text in it holds the key as it is, since quotes in texts are escaped.
        offset = row.find(key) + len(key)
        text = row[offset:-1]
        if len(text) >= _SHORTEST:
            places[name] = Place(first + number, offset, len(text), _checksum(text), text)


def packed(text: str, tracker: DialogueStateTracker, places: Places, rows: Sequence[str], first: int) -> str:
    """Return the text of an answer without what is in the log; `rows` are those since `first`, with this answer."""
    if len(text) < _SHORTEST:
        return text
    found = [*_values_in(text, places), *_rows_in(text, tracker, rows, first)]
    about, rest, end = [f"{_SIGN}[{_checksum(text)}"], "", 0
    for at, length, (start, stop, offset) in sorted(found) if len(found) > 1 else found:
        if at >= end:
            rest += text[end:at] + _CUT
            about.append(f",[{start},{stop},{offset},{length}]")
            end = at + length
    rest += text[end:]
    for word, sign in _WORDS:
        rest = rest.replace(word, sign)
    return f"{''.join(about)}]{rest}"


def _values_in(text: str, places: Places) -> Iterator[Found]:
    """Yield where the last message and the values of slots stand in a text."""
    for name, place in places.items():
        key = f"{encoded(name[1:])}:" if name else _MESSAGE_IN_ANSWER
        at = 0
        for _ in range(_MOST_TRIED):
            at = text.find(key, at) + len(key)
            if at < len(key):
                break
            if _is_at(text, at, place):
                yield at, place.length, (place.seq, place.seq + 1, place.offset)
                break


def _is_at(text: str, at: int, place: Place) -> bool:
    if place.text is not None:
        return text.startswith(place.text, at)
    return _checksum(text[at : at + place.length]) == place.checksum


def _rows_in(text: str, tracker: DialogueStateTracker, rows: Sequence[str], first: int) -> Iterator[Found]:
    """Yield where rows stand in a text, as in the answer to a replacement, and where what the bot said does."""
    at = text.find(_EVENTS_IN_ANSWER)
    if at >= 0 and rows:
        joined = ",".join(rows)
        if text.startswith(joined, at + len(_EVENTS_IN_ANSWER)):
            yield at + len(_EVENTS_IN_ANSWER), len(joined), (first, first + len(rows), 0)
    events = tracker.pending_events
    for number, event in enumerate(events, len(rows) - len(events)):
        if isinstance(event, BotUttered) and len(rows[number]) >= _SHORTEST:
            for piece in map(encoded, [event.text, *(event.data or {}).values()]):
                at, offset = text.find(piece), rows[number].find(piece)
                if len(piece) >= _SHORTEST and at >= 0 and offset >= 0:
                    yield at, len(piece), (first + number, first + number + 1, offset)


def unpacked(stored: str, read_rows: Callable[[int, int], Sequence[str]], sender_id: str) -> str:
    """Return the text of an answer as it was given.

    Raises
    ------
    StoreError
        If the log is not what it was then.
    """
    if not stored.startswith(_SIGN):
        return stored
    (checksum, *cuts), end = _decoder.raw_decode(stored, len(_SIGN))
    rest = stored[end:]
    for sign, word in _WORDS_BACK:
        rest = rest.replace(sign, word)
    kept = rest.split(_CUT)
    pieces = (",".join(read_rows(start, stop))[offset : offset + length] for start, stop, offset, length in cuts)
    text = kept[0] + "".join(piece + after for piece, after in zip(pieces, kept[1:], strict=True))
    if _checksum(text) != checksum:
        raise StoreError(
            f"an answer of conversation {sender_id!r} cannot be given again: rows of its log were changed or removed "
            "by other software."
        )
    return text


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode())
