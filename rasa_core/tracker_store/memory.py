"""Conversations in the memory of this process: for tests, the console, and bots that may forget."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from rasa_core.tracker_store._forks import ForkAware
from rasa_core.tracker_store.answers import StoredAnswer, StoredAnswers
from rasa_core.tracker_store.head import Head, check_commit, check_sender_id, version_conflict
from rasa_core.tracker_store.locks import MutexTable, check_timeout
from rasa_core.tracker_store.log_store import EventLogStore

if TYPE_CHECKING:
    from rasa_core.domain import Domain


class InMemoryTrackerStore(EventLogStore, ForkAware):
    """Keeps conversations until the process ends.

    Parameters
    ----------
    domain
        The domain of the trackers; an `Agent` sets it by `bind`.
    timeout
        How long to wait for a conversation that another thread works on, in seconds.
    """

    def __init__(self, domain: Domain | None = None, *, timeout: float = 30.0) -> None:
        EventLogStore.__init__(self, domain)
        ForkAware.__init__(self)
        self._timeout = check_timeout(timeout)
        self._mutexes = MutexTable()
        self._guard = threading.Lock()
        self._heads: dict[str, Head] = {}
        self._logs: dict[str, list[str]] = {}
        self._answers = StoredAnswers()

    def before_fork(self) -> None:
        """Wait for a commit that is under way, so that the child gets whole conversations."""
        self._guard.acquire()

    def after_fork_in_parent(self) -> None:  # noqa: D102
        self._guard.release()

    def after_fork_in_child(self) -> None:  # noqa: D102
        self._guard = threading.Lock()

    def lock(self, sender_id: str) -> AbstractContextManager[None]:  # noqa: D102
        return self._mutexes.hold(check_sender_id(sender_id), name=sender_id, timeout=self._timeout)

    def read_head(self, sender_id: str) -> Head | None:  # noqa: D102
        return self._heads.get(check_sender_id(sender_id))

    def read_events(self, sender_id: str, start: int, stop: int) -> list[str]:  # noqa: D102
        return self._logs.get(check_sender_id(sender_id), [])[max(start, 0) : max(stop, 0)]

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
        with self._guard:
            stored = self._heads.get(sender_id)
            version = 0 if stored is None else stored.version
            if version != expected_version:
                raise version_conflict(sender_id, expected_version, version)
            self._logs.setdefault(sender_id, []).extend(events)
            self._heads[sender_id] = head
            if answer is not None:
                self._answers.put(sender_id, answer)

    def read_answer(self, sender_id: str, key: str) -> StoredAnswer | None:  # noqa: D102
        return self._answers.get(check_sender_id(sender_id), key)

    def expire_answers(self, before: float) -> int:  # noqa: D102
        return self._answers.expire(before)

    def sender_ids(  # noqa: D102
        self, after: str | None = None, limit: int | None = None, *, idle_since: float | None = None
    ) -> list[str]:
        with self._guard:
            heads = self._heads.items()
            found = [sender_id for sender_id, head in heads if idle_since is None or head.updated < idle_since]
        if after is not None:
            found = [sender_id for sender_id in found if sender_id > after]
        return sorted(found) if limit is None else heapq.nsmallest(limit, found)

    def delete(self, sender_id: str) -> bool:  # noqa: D102
        check_sender_id(sender_id)
        with self._guard:
            self._logs.pop(sender_id, None)
            self._answers.forget(sender_id)
            return self._heads.pop(sender_id, None) is not None
