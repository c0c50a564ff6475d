"""What was taught, as conversations to train on and to write down as stories."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rasa_core.events import ActionExecuted, Event, Restarted, UserUttered
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.event_log import story_lines

if TYPE_CHECKING:
    from rasa_core.domain import Domain


class _Current(NamedTuple):
    """A conversation that goes on, and the action that was decided when it had `version` events."""

    tracker: DialogueStateTracker
    version: int
    action: str

    def events(self) -> list[Event]:
        """Return the events so far; the action is among them though it may not have run yet."""
        events = list(self.tracker.events)
        return events if self.tracker.version > self.version else [*events, ActionExecuted(self.action)]


class TaughtStories:
    """Keeps what was decided, also of turns that never came to their end and are in no store."""

    def __init__(self) -> None:
        self._current: dict[str, _Current] = {}
        self._closed: list[list[Event]] = []

    def decide(self, tracker: DialogueStateTracker, action: str) -> None:
        """Take note of the next action of a conversation, which goes on in `tracker`."""
        self._current[tracker.sender_id] = _Current(tracker, tracker.version, action)

    def close(self, sender_id: str) -> None:
        """Keep a conversation as it is; it may go on from an earlier point."""
        current = self._current.pop(sender_id, None)
        if current is not None:
            self._closed.append(current.events())

    def trackers(self, domain: Domain) -> list[DialogueStateTracker]:
        """Return each story as a conversation whose sender_id is the story's name, which its content gives."""
        conversations = [*self._closed, *(current.events() for current in self._current.values())]
        found = {}
        for events in conversations:
            for part in _between_restarts(events):
                tracker = DialogueStateTracker.from_events("", part, domain)
                story = _whole_turns(tracker.applied_events(), domain.restart_intent)
                if story:
                    name = _name(story)
                    found[name] = DialogueStateTracker.from_events(name, story, domain)
        return list(found.values())


def _between_restarts(events: Iterable[Event]) -> Iterator[list[Event]]:
    part: list[Event] = []
    for event in events:
        if isinstance(event, Restarted):
            yield part
            part = []
        else:
            part.append(event)
    yield part


def _whole_turns(events: Sequence[Event], restart_intent: str | None) -> list[Event]:
    """Return the turns that a story can tell; nothing if there are none.

    Left out are messages without an intent, those that restart the bot, and a last one that got no answer.
    """
    turns: list[list[Event]] = [[]]
    for event in events:
        if isinstance(event, UserUttered):
            turns.append([])
        turns[-1].append(event)
    beginning, *rest = turns
    while rest and not any(isinstance(event, ActionExecuted) for event in rest[-1]):
        rest.pop()
    told = [turn for turn in rest if _intent(turn) not in (None, "", restart_intent)]
    return [*beginning, *(event for turn in told for event in turn)] if told else []


def _intent(turn: Sequence[Event]) -> str | None:
    message = turn[0]
    return message.intent.get("name") if isinstance(message, UserUttered) else None


def _name(story: Iterable[Event]) -> str:
    lines = "\n".join(story_lines(story))
    return f"taught {hashlib.blake2b(lines.encode('utf-8', 'surrogatepass'), digest_size=6).hexdigest()}"
