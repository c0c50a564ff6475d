"""The events of one conversation: the stored events, and the events that are not stored yet."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    ActionReverted,
    Event,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.trackers.rasa_log import rasa_positions

ReadEvents = Callable[[int, int], Sequence[Event]]

_LINE_ENDS = re.compile("[\r\n]+")

TURN_LENGTH = 200
"""The largest number of events that are read to find the latest message."""
_A_FEW = 16
"""The number of latest events that nearly always contain the latest message."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The events of one conversation, oldest first, under a name."""

    name: str
    events: list[Event]


class EventLog:
    """The events of a conversation; stored events are read only when they are needed.

    Parameters
    ----------
    sender_id
        Identifies the conversation.
    max_event_history
        The largest number of events in `events`; None for all.

    Attributes
    ----------
    origin : int
        Position in the log of the first event that belongs to the conversation.
    foretold : sequence of Event
        Events that will be logged before the running action; requests to an action server contain them.
    turn_began : int or None
        The number of events when the current turn began; None if it is not known.
    """

    foretold: Sequence[Event] = ()
    turn_began: int | None = None

    def __init__(self, sender_id: str, max_event_history: int | None = None) -> None:
        self.sender_id = sender_id
        self._max_event_history = max_event_history
        self.home: tuple[object, Any] | None = None  # The store of the conversation, and its own data.
        self._forget()

    def _forget(self) -> None:
        """Start at an empty log."""
        self.origin = self._restarted_at = self._stored_until = 0
        # None for stored events that have not been read yet.
        self._stored: list[Event] | None = []
        self._pending: list[Event] = []
        self._read_events: ReadEvents | None = None

    def _continue_at(self, version: int, origin: int, read_events: ReadEvents) -> None:
        """Start after `version` stored events, of which the events from `origin` on count."""
        self.origin = origin
        self._stored = None
        self._stored_until = version
        self._read_events = read_events

    @property
    def _loops(self) -> Collection[str] | None:
        """Names of the loops, where this is a conversation of Rasa 3."""
        return None

    def can_be_kept(self) -> bool:
        """Tell whether all events are stored, and can be read from there."""
        return self._read_events is not None and not self._pending

    @property
    def version(self) -> int:
        """Number of events that the log holds once the pending ones are stored."""
        return self._stored_until + len(self._pending)

    def count(self, *, since_restart: bool = False) -> int:
        """Return the number of all events, or of those since the latest restart, without reading the log."""
        return self.version - (max(self.origin, self._restarted_at) if since_restart else self.origin)

    @property
    def has_begun(self) -> bool:
        """Tell whether anything has happened since the latest restart."""
        return self.count(since_restart=True) > 0

    @property
    def pending_events(self) -> tuple[Event, ...]:
        """The events that no store has yet."""
        return tuple(self._pending)

    def mark_committed(self) -> None:
        """Note that the pending events are stored now."""
        if self._stored is not None:
            self._stored.extend(self._pending)
        self._stored_until += len(self._pending)
        self._pending = []

    @property
    def events(self) -> deque[Event]:
        """All events, oldest first; the last ``max_event_history`` if that was given."""
        if self._stored is None:
            self._stored = list(self._log(self.origin, self._stored_until))
        return deque([*self._stored, *self._pending], maxlen=self._max_event_history)

    def _log(self, start: int, stop: int) -> Sequence[Event]:
        if self._read_events is None or start >= stop:
            return []
        return self._read_events(start, stop)

    def idx_after_latest_restart(self) -> int:
        """Return the index in `events` of the first event after the latest restart, 0 if there was none."""
        # With `max_event_history`, the oldest events are in the log but not in `events`.
        dropped = self.version - self.origin - len(self.events)
        return max(0, self._restarted_at - self.origin - dropped)

    def events_after_latest_restart(self) -> list[Event]:
        """Return the events since the latest restart; reads no more of the log than that."""
        if self._stored is None:
            start = max(self._restarted_at, self.origin)
            skip = max(0, start - self._stored_until)
            return [*self._log(start, self._stored_until), *self._pending[skip:]]
        return list(self.events)[self.idx_after_latest_restart() :]

    def latest_events(self, count: int | None) -> list[Event]:
        """Return up to `count` events, the latest last (None: all); reads no more of the log than that."""
        if count is None or self._stored is not None:
            events = list(self.events)
            return events if count is None else events[max(0, len(events) - count) :]
        start = max(self.version - count, self.origin)
        skip = max(0, start - self._stored_until)
        return [*self._log(start, self._stored_until), *self._pending[skip:]]

    def events_between(self, start: int, stop: int) -> list[Event]:
        """Return the events ``start <= position < stop``; reads no more of the log than that."""
        if self._stored is not None:
            return [*self._stored, *self._pending][start - self.origin : stop - self.origin]
        stored = self._log(start, min(stop, self._stored_until))
        first, last = (max(0, position - self._stored_until) for position in (start, stop))
        return [*stored, *self._pending[first:last]]

    def _backwards(self, count: int) -> Iterator[Event]:
        """Yield up to `count` events, the latest first; few are read of the log if few are asked for."""
        yield from reversed(self._pending)
        if self._stored is not None:
            yield from reversed(self._stored)
            return
        stop = self._stored_until
        # In two steps: the first few events nearly always hold the latest message, and a store reads what it is asked
        # for.
        for length in (_A_FEW, count):
            start = max(stop - length, self.origin)
            yield from reversed(self._log(start, stop))
            stop = start

    def slots_since_message(self) -> dict[str, Any]:
        """Return the slots that were set after the latest message, with their values."""
        found: dict[str, Any] = {}
        for event in self._backwards(TURN_LENGTH):
            if isinstance(event, UserUttered):
                break
            if isinstance(event, SlotSet):
                found[event.key] = found.pop(event.key, event.value)
        # In the order in which they were first set: the walk was backwards.
        return dict(reversed(found.items()))

    def applied_events(self) -> list[Event]:
        """Return the events since the latest restart that were not rewound or undone."""
        events = self.events_after_latest_restart()
        if self._loops is not None:
            return [events[position] for position in rasa_positions(events, self._loops)]
        # By far the most conversations, which need no list of positions.
        if not any(isinstance(event, UserUtteranceReverted | ActionReverted) for event in events):
            return events
        return [events[position] for position in applied_positions(events)]

    def as_dialogue(self) -> Dialogue:
        """Return the events under the id of the conversation."""
        return Dialogue(self.sender_id, list(self.events))

    def export_stories(self) -> str:
        """Return the applied events as a story; its name is the same in every run."""
        return story_text(self.applied_events())

    def export_stories_to_file(self, export_path: str | Path = "debug.md") -> None:
        """Append the story to a file."""
        with open(export_path, "a", encoding="utf-8") as file:
            file.write(self.export_stories() + "\n")


def applied_positions(events: Sequence[Event]) -> list[int]:
    """Return the positions of the events that were not rewound or undone, in order.

    `rasa_core.trackers.DialogueStateTracker` says what a rewind and an undo take back.
    """
    left = _Left()
    for position, event in enumerate(events):
        if isinstance(event, UserUtteranceReverted):
            left.rewind(events)
        elif isinstance(event, ActionReverted):
            left.undo(events)
        else:
            left.append(position, event)
    return left.positions


class _Left:
    """The positions of the events that still count, and which of them are messages and actions."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self._messages: list[int] = []
        self._actions: list[int] = []

    def append(self, position: int, event: Event) -> None:
        if isinstance(event, UserUttered):
            self._messages.append(len(self.positions))
        elif isinstance(event, ActionExecuted):
            self._actions.append(len(self.positions))
        self.positions.append(position)

    def rewind(self, events: Sequence[Event]) -> None:
        if self._messages:
            self._cut(self._messages[-1])
        is_answered = not self._messages or self._actions[-1:] > self._messages[-1:]
        if is_answered and self._listened_last(events):
            del self.positions[self._actions.pop()]

    def undo(self, events: Sequence[Event]) -> None:
        if not self._actions:
            return
        if not self._listened_last(events):
            self._cut(self._actions[-1])
            return
        following = bisect(self._messages, self._actions[-1])
        if following < len(self._messages):
            self._cut(self._messages[following])
        del self.positions[self._actions.pop()]

    def _listened_last(self, events: Sequence[Event]) -> bool:
        if not self._actions:
            return False
        return is_listening(events[self.positions[self._actions[-1]]])

    def _cut(self, start: int) -> None:
        del self.positions[start:]
        for marks in (self._messages, self._actions):
            while marks and marks[-1] >= start:
                marks.pop()


def is_listening(event: Event) -> bool:
    """Tell whether an event is the action ``action_listen``."""
    return isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME


def story_lines(events: Iterable[Event]) -> list[str]:
    """Return the body of a story: one line for each event, without the events that a story leaves out.

    A story leaves out ``action_listen``, which the next user message implies, and messages of the bot.
    """
    lines = []
    for event in events:
        if is_listening(event):
            continue
        text = event.as_story_string()
        if text is not None:
            lines.append(_one_line(f"* {text}" if isinstance(event, UserUttered) else f"    - {text}"))
    return lines


def _one_line(text: str) -> str:
    """Return a text that a story file can hold on one line; names of intents and conversations may be anything."""
    return _LINE_ENDS.sub(" ", text).encode("utf-8", "backslashreplace").decode()


def story_text(events: Iterable[Event], title: str | None = None) -> str:
    """Return a whole story; without a title its name is a hash of its lines, the same in every run."""
    lines = story_lines(events)
    if title is None:
        digest = hashlib.blake2b("\n".join(lines).encode(), digest_size=8)
        title = f"Generated Story {digest.hexdigest()}"
    return "\n".join([_one_line(f"## {title}"), *lines]) + "\n"
