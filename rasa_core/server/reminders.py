"""Reminders of Rasa 3: each acts at its time as if the user had said something, once.

What stands is in the conversations alone (`RasaHistory.reminders`), so that nothing is lost with a process. Each
process knows the reminders of the turns that it took itself, and looks through all conversations when it starts.
Several may know the same one; whoever gets the lock of its conversation first acts, and the others find it gone. A turn
that was cut off goes on, where it was, at the next start.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from rasa_core.channels.direct import RestOutputChannel
from rasa_core.events import Event, ReminderScheduled
from rasa_core.exceptions import RasaCoreError
from rasa_core.responses import ResponseDispatcher
from rasa_core.server.requests import HttpError
from rasa_core.support.work import Work, request_id, under_way
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

# Seconds. The clock of the machine may be set while a thread waits, so none waits for long at once.
_LONGEST_WAIT: Final = 60.0
_AGAIN_AFTER: Final = 10.0


class Due(NamedTuple):
    """A reminder, and when it is due as Unix time; `written` is its event in JSON, as text."""

    moment: float
    sender_id: str
    name: str
    written: str

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by, whenever it is tried."""
        return self.sender_id, self.written


class ReminderClock:
    """Acts on reminders when they are due.

    Parameters
    ----------
    agent
        Returns the `rasa_core.agent.Agent` that serves now.
    """

    def __init__(self, agent: Callable[[], Any]) -> None:
        self._agent = agent
        self._queue: list[Due] = []
        # By conversation and event. A reminder that acts now is among them, since each commit of its turn shows it
        # once more, and so is one that waits, since every turn of its conversation until then does.
        self._known: set[tuple[str, str]] = set()
        self._changed = threading.Condition()

    def note(self, tracker: DialogueStateTracker) -> None:
        """Take note of the reminders that stand in a conversation."""
        standing = _standing(tracker)
        if not standing:
            return
        with self._changed:
            for told in standing:
                event = Event.from_log(told)
                assert isinstance(event, ReminderScheduled)
                due = Due(event.trigger_date_time.timestamp(), tracker.sender_id, event.name, str(told))
                if due.key not in self._known:
                    self._known.add(due.key)
                    heapq.heappush(self._queue, due)
            self._changed.notify()

    def look(self) -> int:
        """Take note of the reminders of all conversations, and return how many of those were looked at."""
        agent = self._agent()
        sender_ids = [] if agent.domain.rasa is None else list(agent.tracker_store.keys())
        for sender_id in sender_ids:
            self.note(agent.read_tracker(sender_id))
        return len(sender_ids)

    def act(self, now: float) -> float:
        """Act on what is due, and return for how many seconds there is nothing to do."""
        while True:
            with self._changed:
                if not self._queue or self._queue[0].moment > now:
                    return self._queue[0].moment - now if self._queue else _LONGEST_WAIT
                due = heapq.heappop(self._queue)
            with under_way(Work(request_id(), "reminder", due.sender_id)):
                is_done = self._is_done(due)
            with self._changed:
                if is_done:
                    self._known.discard(due.key)
                else:
                    heapq.heappush(self._queue, due._replace(moment=now + _AGAIN_AFTER))

    def _is_done(self, due: Due) -> bool:
        """Act on a reminder; return False if it has to wait, whatever the reason: it still stands in the log."""
        try:
            self._act_on(due)
        except (RasaCoreError, HttpError) as error:
            logger.warning("the reminder %r of conversation %r waits: %s", due.name, due.sender_id, error)
            return False
        except Exception:  # Of a policy or an action of the user's own, which may raise anything.
            logger.exception("the reminder %r of conversation %r waits:", due.name, due.sender_id)
            return False
        return True

    def _act_on(self, due: Due) -> None:
        agent = self._agent()
        tracker = agent.read_tracker(due.sender_id)
        told = next((one for one in _standing(tracker) if str(one) == due.written), None)
        if told is None:
            return
        event = Event.from_log(told)
        assert isinstance(event, ReminderScheduled)
        channel = RestOutputChannel(tracker.latest_input_channel)
        agent.turns().handle_reminder(event, ResponseDispatcher(due.sender_id, channel, agent.domain))

    def run(self, is_needed: Callable[[], bool]) -> None:
        """Act on reminders for as long as somebody needs that."""
        looked_at: float | None = None
        while is_needed():
            if looked_at is None:  # Until there is a model, and its store answers.
                looked_at = self._try(self.look)
            wait = self._try(lambda: self.act(time.time()))
            with self._changed:
                if not self._queue or self._queue[0].moment > time.time():
                    self._changed.wait(_AGAIN_AFTER if looked_at is None else min(wait or _AGAIN_AFTER, _LONGEST_WAIT))

    @staticmethod
    def _try(what: Callable[[], float | None]) -> float | None:
        try:
            return what()
        except HttpError as error:  # There is no model yet, which is told where it is missed.
            logger.debug("reminders wait: %s", error)
            return None
        except RasaCoreError as error:
            logger.warning("reminders wait: %s", error)
            return None
        except Exception:  # The outermost edge of this thread: what failed once must not end it for good.
            logger.exception("reminders wait, because of an unexpected error:")
            return None


def _standing(tracker: DialogueStateTracker) -> list[dict[str, Any]]:
    """Return the reminders that are to act, or were cut off while they did."""
    history = tracker.history
    if history.loops is None:
        return []
    return [*history.reminders.values(), *([] if history.acting is None else [history.acting])]
