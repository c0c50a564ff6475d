"""The clock for reminders of Rasa 3: at its time, each reminder acts once, as if the user had sent a message.

Pending reminders are only stored in the conversations (`RasaHistory.reminders`), so that none is lost with a process.
Each process knows the reminders of its own turns, and reads all conversations when it starts. If several processes know
the same reminder, the process that first gets the lock of the conversation acts, and the others find the reminder done.
A reminder's turn that was interrupted is continued at the next start.
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

# Seconds. A wait is short, since the clock of the machine may be set meanwhile.
_LONGEST_WAIT: Final = 60.0
_AGAIN_AFTER: Final = 10.0


class Due(NamedTuple):
    """A reminder and the Unix time at which it is due (`moment`); `written` is the text of its event in JSON."""

    moment: float
    sender_id: str
    name: str
    written: str

    @property
    def key(self) -> tuple[str, str]:
        """The identity of the reminder, which stays the same when `moment` is put off."""
        return self.sender_id, self.written


class ReminderClock:
    """Acts on reminders when they are due.

    Parameters
    ----------
    agent
        A function that returns the present `rasa_core.agent.Agent`.
    """

    def __init__(self, agent: Callable[[], Any]) -> None:
        self._agent = agent
        self._queue: list[Due] = []
        # The keys of all known reminders, also of a reminder that is acting now: `note` sees the same reminder again at
        # each commit of the conversation until the reminder is done.
        self._known: set[tuple[str, str]] = set()
        self._changed = threading.Condition()

    def note(self, tracker: DialogueStateTracker) -> None:
        """Queue the pending reminders of a conversation."""
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
        """Queue the pending reminders of all conversations, and return the number of conversations."""
        agent = self._agent()
        sender_ids = [] if agent.domain.rasa is None else list(agent.tracker_store.keys())
        for sender_id in sender_ids:
            self.note(agent.read_tracker(sender_id))
        return len(sender_ids)

    def act(self, now: float) -> float:
        """Act on the reminders that are due, and return the seconds until the next one."""
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
        """Act on a reminder; return False if that failed and has to be tried again."""
        try:
            self._act_on(due)
        except (RasaCoreError, HttpError) as error:
            logger.warning("the reminder %r of conversation %r waits: %s", due.name, due.sender_id, error)
            return False
        except Exception:  # A custom policy or action may raise anything.
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
        """Act on reminders until `is_needed` returns False; runs in a thread of its own."""
        looked_at: float | None = None
        while is_needed():
            if looked_at is None:  # Retried until there is a model, and its store can be reached.
                looked_at = self._try(self.look)
            wait = self._try(lambda: self.act(time.time()))
            with self._changed:
                if not self._queue or self._queue[0].moment > time.time():
                    self._changed.wait(_AGAIN_AFTER if looked_at is None else min(wait or _AGAIN_AFTER, _LONGEST_WAIT))

    @staticmethod
    def _try(what: Callable[[], float | None]) -> float | None:
        try:
            return what()
        except HttpError as error:  # There is no model yet; requests are told so.
            logger.debug("reminders wait: %s", error)
            return None
        except RasaCoreError as error:
            logger.warning("reminders wait: %s", error)
            return None
        except Exception:  # The outermost level of this thread, which must go on after any error.
            logger.exception("reminders wait, because of an unexpected error:")
            return None


def _standing(tracker: DialogueStateTracker) -> list[dict[str, Any]]:
    """Return the reminders that are pending, or were interrupted while they acted."""
    history = tracker.history
    if history.loops is None:
        return []
    return [*history.reminders.values(), *([] if history.acting is None else [history.acting])]
