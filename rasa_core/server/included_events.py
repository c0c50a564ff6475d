"""Which events of a conversation an answer includes, as clients of Rasa 3 ask for them with ``include_events``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event, Restarted
from rasa_core.events.base import ACTION_LISTEN_NAME, SESSION_START
from rasa_core.events.rasa3 import SessionStarted
from rasa_core.exceptions import LogTooLongError
from rasa_core.server.requests import HttpError
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.rasa_log import beginning_of_session, told_as_in_rasa

MOST_READ: Final = 200_000
"""The largest number of events that one request may read and send, which takes about eight seconds and 300 MB."""
MOST_TOLD_UNASKED: Final = 1_000
"""The largest number of events in an answer to a client of Rasa 3 that did not ask for events."""
_LONGEST_BEGINNING: Final = 50  # The most events at the start of a session before its `SessionStarted`.


def check_length(count: int) -> None:
    """Raise `HttpError` 400 if a conversation has too many events to read and send them."""
    if count > MOST_READ:
        raise HttpError(
            400,
            f"the conversation has {count} events, and at most {MOST_READ} are sent at once: ask for its tracker with "
            "?events=false, or read the events with rasa-core store export.",
        )


def unknown_conversation(sender_id: str) -> HttpError:
    """Return the error for an unknown conversation, with Rasa's own "reason"."""
    return HttpError(404, f"there is no conversation {sender_id!r}.", details={"reason": "Not found"})


def begun_conversation(sender_id: str, domain: Domain) -> DialogueStateTracker:
    """Return a conversation of Rasa 3 just after its first session has begun."""
    events = [ActionExecuted(SESSION_START, confidence=1.0), SessionStarted(), ActionExecuted(ACTION_LISTEN_NAME)]
    return DialogueStateTracker.from_events(sender_id, events, domain)


def check_told(tracker: DialogueStateTracker, wanted: str | None) -> None:
    """Raise `HttpError` 400 if the events that `wanted` names are too many for one request."""
    if wanted not in (None, "NONE"):
        check_length(tracker.count(since_restart=wanted == "APPLIED" or not _reads_sessions(tracker, wanted)))


def with_events(
    tracker: DialogueStateTracker, wanted: str, *, latest_session: bool = False, began: int | None = None
) -> dict[str, Any]:
    """Return the state of a conversation with the events that `wanted`, a key of `EVENTS_TOLD`, chooses.

    Parameters
    ----------
    latest_session
        Whether only the events of the latest session are returned for a bot of Rasa 3, as Rasa answers a change.
    began
        How many events there were before the change; then it is the session of that moment.
    """
    state, is_rasa = tracker.current_state(), tracker.history.loops is not None
    latest_session = latest_session and is_rasa
    is_short = latest_session and wanted == "AFTER_RESTART"
    chosen = _latest_session(tracker, began) if is_short else EVENTS_TOLD[wanted](tracker)
    if chosen is not None:
        events = list(chosen)
        before = None if began is None else max(len(events) - (tracker.version - began), 0)
        begun = beginning_of_session(events, before) if latest_session else 0
        sender_id = tracker.sender_id
        state["events"] = [
            told_as_in_rasa(event, sender_id) if is_rasa else event.as_dict() for event in events[begun:]
        ]
    return state


def with_events_if_short(
    tracker: DialogueStateTracker, wanted: str, *, latest_session: bool, began: int | None = None
) -> dict[str, Any]:
    """Return the result of `with_events`, or the state without events if their log is too long.

    For answers to changes: after an error, a client would believe that its change was not made.
    """
    try:
        return with_events(tracker, wanted, latest_session=latest_session, began=began)
    except LogTooLongError:
        return with_events(tracker, "NONE")


def _reads_sessions(tracker: DialogueStateTracker, wanted: str) -> bool:
    """Tell whether the events of all sessions are read: a new session of Rasa 3 is no restart, unless they are many."""
    return wanted == "ALL" or (tracker.history.loops is not None and tracker.count() <= MOST_READ)


def _latest_session(tracker: DialogueStateTracker, began: int | None) -> Iterable[Event]:
    """Return the events since a moment before the latest session, of which the log tells where it begins.

    Where it has begun after the first `began` events, these are as many as an answer has unasked.
    """
    count = tracker.count(since_restart=True) + _LONGEST_BEGINNING
    if began is not None and began <= tracker.version - tracker.count(since_restart=True):
        count = max(count, MOST_TOLD_UNASKED)
    return _behind_restart(tracker.latest_events(count))


def _after_restart(tracker: DialogueStateTracker) -> Iterable[Event]:
    if not _reads_sessions(tracker, "AFTER_RESTART"):
        return tracker.events_after_latest_restart()
    return _behind_restart(list(tracker.events))


def _behind_restart(events: Sequence[Event]) -> Sequence[Event]:
    restarts = [position for position, event in enumerate(events, 1) if isinstance(event, Restarted)]
    return events[restarts[-1] if restarts else 0 :]


EVENTS_TOLD: Final[Mapping[str, Callable[[DialogueStateTracker], Iterable[Event] | None]]] = {
    "ALL": lambda tracker: tracker.events,
    "APPLIED": lambda tracker: tracker.applied_events(),
    "AFTER_RESTART": _after_restart,
    "NONE": lambda tracker: None,
}
"""The events in a state by Rasa's names; ``APPLIED`` leaves out events that were taken back or precede a restart."""
