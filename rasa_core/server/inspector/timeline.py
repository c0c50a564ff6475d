"""A conversation as the page shows it: its events, what was taken back, and the slots before and after each step."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from rasa_core.agent import Agent
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, Restarted, UserUttered
from rasa_core.events.rasa3 import SessionStarted
from rasa_core.explanation.decisions import explain
from rasa_core.processor import MessageProcessor
from rasa_core.server.included_events import check_length
from rasa_core.server.requests import without_folders
from rasa_core.support.text_files import TextFileError, read_lines
from rasa_core.teaching.continuation import awaited, left_in
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.trackers import DialogueStateTracker

LONGEST_WAIT: Final = 20.0  # seconds
WAITERS: Final = 4
"""How many requests of a process may wait for new events at once; further requests are answered without waiting."""

_LOOK_EVERY: Final = 0.1  # seconds
_BEFORE, _AFTER = 12, 8  # lines of a snippet
_place = re.compile(r'(?P<file>[^\0]*?):(?P<line>\d{1,9})(?::\d+)?(?: "(?P<name>.*)")?(?:: .*)?', re.DOTALL)
_begins = re.compile(r"\s*(##\s|-\s*(story|rule)\s*:)")
_waiters = threading.BoundedSemaphore(WAITERS)


def read_whole(agent: Agent, sender_id: str) -> DialogueStateTracker:
    """Return a conversation; raise `HttpError` 400 if it is too long to be read whole."""
    tracker = agent.read_tracker(sender_id)
    check_length(tracker.count())
    return tracker


def timeline(agent: Agent, tracker: DialogueStateTracker, start: int = 0) -> dict[str, Any]:
    """Return the state of a conversation, with its events from the index `start` on."""
    events = list(tracker.events)
    return {
        "sender_id": tracker.sender_id,
        "version": tracker.version - len(tracker.pending_events),
        "origin": tracker.origin,
        "count": len(events),
        "from": start,
        "events": [event.as_dict() for event in events[start:]],
        "taken_back": _taken_back(events, agent),
        "slots": tracker.current_slot_values(),
        "paused": tracker.is_paused(),
        "waits": _waits_for(agent.turns(), tracker),
    }


def _waits_for(turns: MessageProcessor, tracker: DialogueStateTracker) -> dict[str, Any]:
    """Return what a conversation waits for: a message, an action of the caller, or somebody to continue it."""
    found = awaited(turns, tracker, left_in(tracker.sender_id))
    if found.next is None:
        return {"for": found.what}
    chosen = {"action": found.next.action, "policy": found.next.policy, "confidence": found.next.confidence}
    if found.what == "nothing" and found.next.action == ACTION_LISTEN_NAME:
        return {"for": "message"}
    return {"for": "continue" if turns.runner.runs_here(found.next.action) else "action", **chosen}


def _taken_back(events: Sequence[Event], agent: Agent) -> list[int]:
    """Return the indices of the events that a rewind or an undo has taken back."""
    found: list[int] = []
    starts = [index for index, event in enumerate(events) if isinstance(event, Restarted | SessionStarted)]
    for first, last in zip([0, *starts], [*starts, len(events)], strict=True):
        part = [event for event in events[first:last] if not isinstance(event, Restarted | SessionStarted)]
        offset = last - len(part)  # The event before a part, such as a restart, cannot be taken back.
        if any(event.type_name in ("rewind", "undo") for event in part):
            tracker = DialogueStateTracker.from_events("", part, agent.domain)
            kept = {id(event) for event in tracker.applied_events()}
            found += [offset + index for index, event in enumerate(part) if id(event) not in kept]
    return found


def wait_for_news(agent: Agent, sender_id: str, known: int, seconds: float) -> None:
    """Wait until a conversation has another version than `known`, or for `seconds` at most."""
    store, places = agent.tracker_store, _waiters
    if not isinstance(store, EventLogStore) or not places.acquire(blocking=False):
        return
    try:
        until = time.monotonic() + min(seconds, LONGEST_WAIT)
        # Stores do not notify of commits of other processes, so the store is polled.
        while time.monotonic() < until:
            head = store.read_head(sender_id)
            if (0 if head is None else head.version) != known:
                return
            time.sleep(_LOOK_EVERY)
    finally:
        places.release()


# -- one step


def step(agent: Agent, tracker: DialogueStateTracker, at: int, snippet: Callable[[str], Any]) -> dict[str, Any]:
    """Return the explanation of the event at the index `at`, and the slots before and after it.

    Parameters
    ----------
    snippet
        A function that returns the lines of a story or rule around a place.
    """
    events = list(tracker.events)
    end = _end_of_step(events, at)
    before = _state(tracker, events[:at], agent)
    after = _state(tracker, events[:end], agent)
    changed = [
        {"slot": name, "before": before["slots"][name], "after": value}
        for name, value in after["slots"].items()
        if value != before["slots"][name]
    ]
    found: dict[str, Any] = {"at": at, "end": end, "before": before, "after": after, "changed": changed}
    if at == len(events) or isinstance(events[at], ActionExecuted):
        why = explain(agent.turns(), tracker, at).as_dict()
        for opinion in why["policies"]:
            for lesson in opinion["lessons"] or ():
                lesson["snippets"] = [snippet(place) for place in lesson["places"][:3]]
        found["why"] = why
    return found


def _end_of_step(events: Sequence[Event], at: int) -> int:
    """Return the index of the next message or action."""
    for index in range(at + 1, len(events)):
        if isinstance(events[index], ActionExecuted | UserUttered):
            return index
    return len(events)


def _state(tracker: DialogueStateTracker, events: Iterable[Event], agent: Agent) -> dict[str, Any]:
    kept = [event for event in events if event.type_name != "export"]  # Replaying an export would write its file again.
    then = DialogueStateTracker.from_events(tracker.sender_id, kept, agent.domain)
    loop = getattr(then.history, "loop", None)
    return {
        "slots": then.current_slot_values(),
        "paused": then.is_paused(),
        "active_loop": None if loop is None else loop.name,
        "intent": then.latest_message.intent.get("name"),
    }


def snippet_of(place: str, files: Iterable[Path]) -> dict[str, Any]:
    """Return the lines of the story or rule at a place, and the number of the line that the place names.

    The place comes from a model, which may name any path; only the given files are read.
    """
    found = _place.fullmatch(place)
    told: dict[str, Any] = {"place": place, "file": None, "line": None, "story": None, "lines": [], "note": None}
    if found is None:
        return told
    told |= {"file": Path(found["file"]).name, "line": int(found["line"]), "story": found["name"]}
    path = _meant(list(files), Path(found["file"]))
    if path is None:
        return {**told, "note": "not here"}
    try:
        lines = read_lines(path)
    except TextFileError as error:
        return {**told, "note": without_folders(str(error), path.parent)}
    first, last = _story_around(lines, told["line"])
    told["lines"] = [[number, lines[number - 1][:500]] for number in range(first, last + 1)]
    name = told["story"]
    # Looks in all lines up to the last one shown, since a long story begins above the lines that are shown.
    if name and name not in "\n".join(lines[:last]):
        told["note"] = "changed"
    return told


def _meant(files: Sequence[Path], named: Path) -> Path | None:
    """Return the file that a model's path stands for; the path may be from another machine or an earlier folder.

    It is the file that has the most final path parts in common with `named`; None if no file has the same name, or
    several files have equally many parts in common.
    """
    alike = [_end_in_common(path, named) for path in files]
    most = max(alike, default=0)
    best = [path for path, length in zip(files, alike, strict=True) if length == most]
    # Models store paths relative to the folder of all stories, so a short path may match whole; then the first is
    # meant.
    return best[0] if most and (len(best) == 1 or most == len(named.parts)) else None


def _end_in_common(one: Path, other: Path) -> int:
    """Return how many final parts two paths have in common."""
    pairs = zip(reversed(one.parts), reversed(other.parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _story_around(lines: Sequence[str], line: int) -> tuple[int, int]:
    """Return the first and the last line to show around a line, counted from 1."""
    line = first = max(1, min(line, len(lines)))  # The file may have become shorter since the model was trained.
    while first > 1 and not _begins.match(lines[first - 1]) and line - first < _BEFORE:
        first -= 1
    last = line
    while last < len(lines) and not _begins.match(lines[last]) and last - line < _AFTER:
        last += 1
    while last > line and not lines[last - 1].strip():
        last -= 1
    return first, last
