"""Tracker store in the memory of this process: for tests, the console, and bots whose conversations may be lost."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager

from rasa_core.domain import Domain
from rasa_core.tracker_store.base import AnswersInMemory, StoredAnswer
from rasa_core.tracker_store.heads import Head, check_commit, check_sender_id, version_conflict
from rasa_core.tracker_store.locks import MutexTable, PerProcess, check_timeout
from rasa_core.tracker_store.log_store import EventLogStore


class InMemoryTrackerStore(EventLogStore):
    """Keeps conversations until the process ends.

    A process may fork in the middle of a commit of another thread. Then the child does not see this commit: the head is
    stored last, and rows and answers beyond the version of the head do not count.

    Parameters
    ----------
    timeout
        How long to wait for a conversation that another thread works on, in seconds.
    """

    def __init__(self, domain: Domain | None = None, *, timeout: float = 30.0) -> None:
        super().__init__(domain)
        self._timeout = check_timeout(timeout)
        self._mutexes = MutexTable()
        self._guard = PerProcess(threading.Lock)
        self._heads: dict[str, Head] = {}
        self._logs: dict[str, list[str]] = {}
        self._answers = AnswersInMemory()

    def lock(self, sender_id: str) -> AbstractContextManager[None]:  # noqa: D102
        return self._mutexes.hold(check_sender_id(sender_id), name=sender_id, timeout=self._timeout)

    def read_head(self, sender_id: str) -> Head | None:  # noqa: D102
        return self._heads.get(check_sender_id(sender_id))

    def read_events(self, sender_id: str, start: int, stop: int) -> list[str]:  # noqa: D102
        head = self._heads.get(check_sender_id(sender_id))
        stop = 0 if head is None else min(stop, head.version)
        return self._logs.get(sender_id, [])[max(start, 0) : max(stop, 0)]

    def commit(  # noqa: D102
        self,
        sender_id: str,
        expected_version: int,
        events: Sequence[str],
        head: Head,
        answer: StoredAnswer | None = None,
    ) -> None:
        check_sender_id(sender_id)
        check_commit(expected_version, events, head)
        with self._guard():
            stored = self._heads.get(sender_id)
            version = 0 if stored is None else stored.version
            if version != expected_version:
                raise version_conflict(sender_id, expected_version, version)
            # The head comes last, since rows and answers beyond its version do not count (see the class).
            if answer is not None:
                self._answers.put(sender_id, answer)
            # Not `extend`, since a commit that a fork cut off may have left rows at these positions.
            self._logs.setdefault(sender_id, [])[expected_version:] = events
            self._heads[sender_id] = head

    def read_answer(self, sender_id: str, key: str) -> StoredAnswer | None:  # noqa: D102
        answer, head = self._answers.get(check_sender_id(sender_id), key), self._heads.get(sender_id)
        return None if answer is None or head is None or answer.version > head.version else answer

    def expire_answers(self, before: float) -> int:  # noqa: D102
        return self._answers.expire(before)

    def sender_ids(  # noqa: D102
        self, after: str | None = None, limit: int | None = None, *, idle_since: float | None = None
    ) -> list[str]:
        # `list` copies in one step of the interpreter, since other threads may change the dictionary during the loop.
        heads = list(self._heads.items())
        found = [sender_id for sender_id, head in heads if idle_since is None or head.updated < idle_since]
        if after is not None:
            found = [sender_id for sender_id in found if sender_id > after]
        return sorted(found) if limit is None else heapq.nsmallest(limit, found)

    def delete(self, sender_id: str) -> bool:  # noqa: D102
        check_sender_id(sender_id)
        with self._guard():
            self._answers.forget(sender_id)
            head = self._heads.pop(sender_id, None)
            self._logs.pop(sender_id, None)
            return head is not None
