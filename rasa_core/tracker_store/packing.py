"""Answers as they are stored: without what the log of their conversation holds.

An answer repeats the last message and the value of each slot, which are in the log already, once. So a long piece of
its text that stands in a row of the log is cut out, and the row named instead. That needs to know where in the log a
value stands that was set long ago: its `Place` is noted when it is logged, and kept in the head, one for each slot.

What is left is compressed, beginning with words that most answers have. A packed answer is ``@``, as no JSON text
begins, and in Base64 a line of JSON and the rest of the text. The line has a digest of the whole text, and for each cut
its position in the rest, and the rows, joined by commas, with the part of them that belongs there. Rows never change,
so the text comes back byte for byte, whatever became of the conversation, the model and the code since.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from rasa_core.events import BotUttered, Event, SlotSet, UserUttered
from rasa_core.exceptions import StoreError
from rasa_core.support.strict_json import encode_as_ordered as encoded
from rasa_core.trackers import DialogueStateTracker

_SHORTEST = 100  # characters; to name a place takes about 30
_MOST_TRIED = 5  # places where the text may have a value, since a key may be in the values of others, too
_SIGN = "@"
_MESSAGE_IN_ROW, _VALUE_IN_ROW = '"parse_data":', '"value":'
_MESSAGE_IN_ANSWER, _EVENTS_IN_ANSWER = '"latest_message":', '"events":['
# Part of the format: with another one, what is stored cannot be read.
_COMMON = (
    b'"recipient_id":"text":"buttons":[{"title":"payload":"data":{"events":[{"event":"timestamp":"name":"slot","value":'
    b'"error":"info":"The conversation was waiting for the user when this action was reported; it is logged all the sam'
    b'","confidence":0."policy":"FallbackPolicy","policy":"KerasPolicy","policy":"MemoizationPolicy",{"next_action":"ut'
    b'","next_action":"action_listen","confidence":1.0,"policy":null,"version":1,"tracker":{"sender_id":"slots":{":true'
    b'false,":null,":null},"latest_message":{"text":"/","intent":{"name":"","confidence":1.0},"intent_ranking":[{"name"'
    b'"confidence":1.0}],"entities":[]},"latest_event_time":17,"paused":false,"events":null}}'
)
_WINDOW = -11  # A raw stream, with the 2 kB behind what is being written: enough here, and cheap to set up.

Found: TypeAlias = tuple[int, int, tuple[int, int, int]]
"""Position and length of what the log has; its first row there, the one behind the last, and the position in them."""


class Place(NamedTuple):
    """Where a value stands in the log: row, position, length, and a digest of its JSON text."""

    seq: int
    offset: int
    length: int
    digest: str


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
        if len(row) < _SHORTEST:
            continue
        if isinstance(event, UserUttered):
            name, key = "", _MESSAGE_IN_ROW
        elif isinstance(event, SlotSet) and event.key in tracker.slots:
            name, key = f"={event.key}", _VALUE_IN_ROW
        else:
            continue
        # The last part of the row. No text in it holds the key as it is, since quotes in texts are escaped.
        offset = row.find(key) + len(key)
        if len(row) - offset > _SHORTEST:
            places[name] = Place(first + number, offset, len(row) - 1 - offset, _digest(row[offset:-1]))


def packed(text: str, tracker: DialogueStateTracker, places: Places, rows: Sequence[str], first: int) -> str:
    """Return the text of an answer without what is in the log; `rows` are those since `first`, with this answer."""
    if len(text) < _SHORTEST:
        return text
    found = [*_values_in(text, places), *_rows_in(text, tracker, rows, first)]
    about, rest, end, left = [f'["{_digest(text)}"'], [], 0, 0
    for at, length, cut in sorted(found):
        if at >= end:
            rest.append(text[end:at])
            left += at - end
            about.append(f",[{left},{cut[0]},{cut[1]},{cut[2]},{length}]")
            end = at + length
    stream = zlib.compressobj(3, zlib.DEFLATED, _WINDOW, 6, zdict=_COMMON)
    content = stream.compress("".join([*about, "]\n", *rest, text[end:]]).encode())
    return _SIGN + base64.b64encode(content + stream.flush()).decode()


def _values_in(text: str, places: Places) -> Iterator[Found]:
    """Yield where the last message and the values of slots stand in a text."""
    for name, place in places.items():
        key = f"{encoded(name[1:])}:" if name else _MESSAGE_IN_ANSWER
        at = 0
        for _ in range(_MOST_TRIED):
            at = text.find(key, at) + len(key)
            if at < len(key):
                break
            if _digest(text[at : at + place.length]) == place.digest:
                yield at, place.length, (place.seq, place.seq + 1, place.offset)
                break


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
    stream = zlib.decompressobj(_WINDOW, zdict=_COMMON)
    about, _, rest = stream.decompress(base64.b64decode(stored.removeprefix(_SIGN))).decode().partition("\n")
    digest, *cuts = json.loads(about)
    parts: list[str] = []
    end = 0
    for at, start, stop, offset, length in cuts:
        parts += rest[end:at], ",".join(read_rows(start, stop))[offset : offset + length]
        end = at
    text = "".join([*parts, rest[end:]])
    if _digest(text) != digest:
        raise StoreError(
            f"an answer of conversation {sender_id!r} cannot be given again: rows of its log were changed or removed "
            "by other software."
        )
    return text


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
