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
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from rasa_core.events import BotUttered, Event, SlotSet, UserUttered
from rasa_core.exceptions import StoreError
from rasa_core.support.strict_json import encode_as_ordered as encoded
from rasa_core.trackers import DialogueStateTracker

_SHORTEST = 100  # characters; to name a place takes about 30
_SIGN = "@"
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

Cut: TypeAlias = tuple[int, int, int, int]
"""The first row, the one behind the last, and of their text the position and the length."""


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
    places: Places, tracker: DialogueStateTracker, events: Iterable[Event], rows: Sequence[str], first: int
) -> None:
    """Note where the log has the values that `events`, in the last of the `rows` since `first`, gave to `tracker`."""
    events = list(events)
    for seq, event in enumerate(events, first + len(rows) - len(events)):
        row = rows[seq - first]
        if len(row) < _SHORTEST:
            continue
        if isinstance(event, UserUttered):
            name, text = "", encoded(event.parse_data)
        elif isinstance(event, SlotSet) and event.key in tracker.slots:
            name, text = f"={event.key}", encoded(event.value)
        else:
            continue
        if len(text) >= _SHORTEST and text in row:
            places[name] = Place(seq, row.index(text), len(text), _digest(text))


def packed(text: str, tracker: DialogueStateTracker, places: Places, rows: Sequence[str], first: int) -> str:
    """Return the text of an answer without what is in the log; `rows` are those since `first`, with this answer."""
    if len(text) < _SHORTEST:
        return text
    found = []
    for piece, cut in _pieces(tracker, places, rows, first):
        at = text.find(piece)
        while at >= 0:
            found.append((at, -len(piece), cut))
            at = text.find(piece, at + len(piece))
    cuts: list[tuple[int, Cut]] = []
    rest, end = [], 0
    for at, length, cut in sorted(found):
        if at >= end:
            rest.append(text[end:at])
            cuts.append((sum(map(len, rest)), cut))
            end = at - length
    about = encoded([_digest(text), *((at, *cut) for at, cut in cuts)])
    stream = zlib.compressobj(1, zlib.DEFLATED, _WINDOW, 4, zdict=_COMMON)
    left = stream.compress(f"{about}\n{''.join(rest)}{text[end:]}".encode()) + stream.flush()
    return _SIGN + base64.b64encode(left).decode()


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


def _pieces(
    tracker: DialogueStateTracker, places: Places, rows: Sequence[str], first: int
) -> Iterator[tuple[str, Cut]]:
    """Yield texts that the log has and an answer may have, and where."""
    for name, place in places.items():
        slot = tracker.slots.get(name[1:])
        text = encoded(tracker.latest_message.parse_data if not name else None if slot is None else slot.value)
        if len(text) == place.length and _digest(text) == place.digest:
            yield text, (place.seq, place.seq + 1, place.offset, place.length)
    if len(rows) > 1:  # What replaced a conversation is in the answer with all its events.
        text = ",".join(rows)
        yield text, (first, first + len(rows), 0, len(text))
    for seq, event in enumerate(tracker.pending_events, first + len(rows) - len(tracker.pending_events)):
        if isinstance(event, BotUttered):
            row = rows[seq - first]
            for text in map(encoded, [event.text, *(event.data or {}).values()]):
                if len(text) >= _SHORTEST and text in row:
                    yield text, (seq, seq + 1, row.index(text), len(text))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
