"""The base of stores that keep a log of events and a head for each conversation.

The log has one row for each event and is only ever appended to. The *head* has all that the next turn needs, so that
no turn reads the log: see `rasa_core.trackers.DialogueStateTracker.snapshot`. An engine stores both as text and
knows nothing of trackers; it implements the abstract methods of `EventLogStore`. These methods promise:

- `commit` is atomic: after a crash at any point the rows of a commit, its head and its answer are all there, or
  none is.
- `commit` on another version than the stored one changes nothing and raises `VersionConflictError`.
- `lock` gives a conversation one writer at a time. Nothing is lost if it fails; a turn is then repeated.
- No cost depends on the length of a log, but for `read_events` and `delete`.

Replacing a conversation appends the new events and moves the head's *origin* past the old events, which stay in the
log, but count no more. Only `delete` removes rows.
"""

from __future__ import annotations

import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, Restarted
from rasa_core.exceptions import StoreError, VersionConflictError
from rasa_core.support.strict_json import encode_known
from rasa_core.support.work import UNDER_WAY
from rasa_core.tracker_store.base import OVERRIDDEN, Conversation, StoredAnswer, TrackerStore, json_line
from rasa_core.tracker_store.heads import Head, TrackerCache, conversation_id
from rasa_core.tracker_store.packing import LoggedValue, LoggedValues, note_logged_values, packed, unpacked
from rasa_core.tracker_store.rows import events_in, rows_up_to
from rasa_core.trackers import DialogueStateTracker, Expected, expected_in
from rasa_core.trackers.state import SNAPSHOT

logger = logging.getLogger(__name__)

_HEAD_FORMAT = 6  # Raise it when the content of snapshots changes, so that stored heads are computed anew.
_UNBOUND_WINDOW = 5


CommitWatch = Callable[[Sequence[Event], float], None]
"""A function that is called after each commit, with the events and the time of the commit in seconds."""


class EventLogStore(TrackerStore, ABC):
    """Base of the stores that keep logs; parameters as for `TrackerStore`.

    Attributes
    ----------
    watch
        A function that is called after each commit; None for none.
    url
        The URL with which another process opens the same storage; None if other processes cannot.
    """

    watch: CommitWatch | None = None
    url: str | None = None

    def __init__(self, domain: Domain | None = None) -> None:
        super().__init__(domain)
        self._window: int | None = _UNBOUND_WINDOW
        self._fingerprint = ""
        self._fingerprint_of: Domain | None = None
        self._live = TrackerCache()

    def bind(self, domain: Domain, window: int | None, fingerprint: str) -> None:  # noqa: D102
        self.domain = self._fingerprint_of = domain
        self._window = window
        self._live = TrackerCache()
        self._fingerprint = f"{_HEAD_FORMAT}/{window}/{fingerprint}"

    # -- what an engine implements

    @abstractmethod
    def lock(self, sender_id: str) -> AbstractContextManager[None]:
        """Return a context in which no other writer, in any process, has the lock of this conversation."""

    @abstractmethod
    def read_head(self, sender_id: str) -> Head | None:
        """Return the head, None if there is no such conversation."""

    @abstractmethod
    def read_events(self, sender_id: str, start: int, stop: int) -> list[str]:
        """Return the rows at the positions ``start <= position < stop``, as far as they exist, in order."""

    @abstractmethod
    def commit(
        self,
        sender_id: str,
        expected_version: int,
        events: Sequence[str],
        head: Head,
        answer: StoredAnswer | None = None,
    ) -> None:
        """Append rows, replace the head, and store the answer, if there is one, in one atomic step.

        Parameters
        ----------
        expected_version
            The version that the head had when it was read; 0 if there was none.
        events, head, answer
            JSON texts, one for each event; a head of version ``expected_version + len(events)``; an answer, which
            replaces an earlier answer with its key.

        Raises
        ------
        VersionConflictError
            If the stored version is another one.
        """

    @abstractmethod
    def read_answer(self, sender_id: str, key: str) -> StoredAnswer | None:
        """Return the answer that was stored with `key`, None if there is none."""

    @abstractmethod
    def expire_answers(self, before: float) -> int:
        """Remove answers that were created before a Unix time in seconds; return how many, if the engine knows."""

    @abstractmethod
    def sender_ids(
        self, after: str | None = None, limit: int | None = None, *, idle_since: float | None = None
    ) -> list[str]:
        """Return up to `limit` ids above `after`, in ascending order of their code points.

        With `idle_since`, return only ids of conversations that last changed before this Unix time in seconds.
        """

    @abstractmethod
    def delete(self, sender_id: str) -> bool:
        """Remove all rows, the head and the answers; return whether there was a head. The caller holds the lock."""

    # -- the interface of tracker stores

    def keys(self, after: str | None = None, limit: int | None = None) -> list[str]:
        """Return up to `limit` ids of conversations above `after`, in ascending order."""
        return self.sender_ids(after, limit)

    def retrieve(self, sender_id: str) -> DialogueStateTracker | None:
        """Return the stored tracker, None if there is none; the tracker reads its log only when events are needed."""
        head = self.read_head(sender_id := conversation_id(sender_id))
        return None if head is None else self._load(sender_id, head)

    def log(self, sender_id: str, longest: int | None = None) -> list[str] | None:
        """Return the rows from a conversation's origin on; None for no conversation, or more than `longest` rows."""
        while (head := self.read_head(sender_id)) is not None:
            if longest is not None and head.version - head.origin > longest:
                return None
            rows = self.read_events(sender_id, head.origin, head.version)
            if len(rows) == head.version - head.origin:
                return rows  # Otherwise the conversation was deleted meanwhile: look again.
        return None

    def save(self, tracker: DialogueStateTracker) -> None:
        """Store the events of `tracker` that are not stored yet.

        If the tracker came from this store, its new events are appended. The events of any other tracker are compared
        with the stored events: if they begin with the stored events, the rest is appended; otherwise they replace the
        stored events.

        Raises
        ------
        VersionConflictError
            If the conversation changed since the tracker was read.
        """
        if tracker.home is not None and tracker.home[0] is self:
            self._append(tracker)
            return
        sender_id, events = conversation_id(tracker.sender_id), list(tracker.events)
        head = self.read_head(sender_id)
        stored = [] if head is None else self._events(sender_id, head.origin, head.version)
        if head is None or events[: len(stored)] != stored:
            self._append(*self._replacement(sender_id, 0 if head is None else head.version, events))
            return
        twin = self._load(sender_id, head)
        for event in events[len(stored) :]:
            twin.update(event)
        self._append(twin)

    def init_tracker(self, sender_id: str) -> DialogueStateTracker:  # noqa: D102
        known_as = conversation_id(sender_id)
        tracker = DialogueStateTracker.from_events(known_as, [], self._bound_domain(), self._window)
        tracker.home = self, {}
        return tracker

    def create_tracker(self, sender_id: str, append_action_listen: bool = True) -> DialogueStateTracker:  # noqa: D102
        head = self.read_head(sender_id := conversation_id(sender_id))
        events = [ActionExecuted(ACTION_LISTEN_NAME)] if append_action_listen else []
        tracker, hidden = self._replacement(sender_id, 0 if head is None else head.version, events)
        self._append(tracker, hidden)
        return tracker

    def get_or_create_tracker(self, sender_id: str) -> DialogueStateTracker:
        """Return the stored tracker, or start the conversation; of several threads, only one starts it."""
        if self._overrides("create_tracker"):
            return super().get_or_create_tracker(sender_id)
        tracker = self.peek(sender_id)
        if tracker.pending_events:
            try:
                self._append(tracker)
            except VersionConflictError:
                return self.peek(sender_id)
        return tracker

    def conversation(self, sender_id: str) -> AbstractContextManager[Conversation]:  # noqa: D102
        if self._overrides(*OVERRIDDEN):
            lock = self.lock(conversation_id(sender_id))
            return self._open_whole(sender_id, lock, self._overrides("save"))
        return _LoggedConversation(self, conversation_id(sender_id))

    # -- between trackers and rows

    def _model(self) -> str:
        """Return the fingerprint for new heads: that of the model, or, without an `Agent`, that of the domain."""
        domain = self._bound_domain()
        if self._fingerprint_of is not domain:
            self.bind(domain, self._window, domain.fingerprint())
        return self._fingerprint

    def _load(self, sender_id: str, head: Head) -> DialogueStateTracker:
        """Return the tracker of a head; the state of another model, or damaged state, is computed anew from the log."""
        expected: Expected | None = None
        try:
            content = json.loads(head.state)
            *parts, places = content if isinstance(content, list) else [{}]  # The head of a partial copy has no state.
            snapshot = dict(zip(SNAPSHOT, parts, strict=False))
            if head.fingerprint == self._model():
                tracker = self._resume(sender_id, snapshot, version=head.version, origin=head.origin)
                _places_of(tracker).update((name, LoggedValue(*place)) for name, place in places.items())
                return tracker
            expected = expected_in(snapshot)  # The log does not have the predictions that callers were told.
        except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            logger.warning("the state of conversation %r is damaged; its log tells it anew: %r.", sender_id, error)
        tracker = self._blank(sender_id, head.origin)
        rows = self._rows(sender_id, head.origin, head.version)
        for event in events_in(rows, sender_id, head.origin):
            tracker.take(event)
        note_logged_values(_places_of(tracker), tracker, tracker.pending_events, rows, head.origin)
        tracker.expected = expected
        tracker.mark_committed()
        return tracker

    def _open(self, sender_id: str) -> tuple[DialogueStateTracker, Head | None]:
        """Return the tracker, which may come from the cache, and the stored head."""
        head = self.read_head(sender_id)
        if head is None:
            return self._new_tracker(sender_id), None
        return self._live.take(sender_id, head) or self._load(sender_id, head), head

    def _blank(self, sender_id: str, version: int) -> DialogueStateTracker:
        """Return a tracker without events that goes on at `version` of the log."""
        return self._resume(sender_id, self.init_tracker(sender_id).snapshot(), version=version, origin=version)

    def _resume(self, sender_id: str, state: dict[str, object], *, version: int, origin: int) -> DialogueStateTracker:
        tracker = DialogueStateTracker.from_snapshot(
            sender_id,
            self._bound_domain(),
            state,
            version=version,
            origin=origin,
            window=self._window,
            read_events=partial(self._events, sender_id),
        )
        tracker.home = self, {}
        return tracker

    def _replacement(
        self, sender_id: str, version: int, events: Sequence[Event]
    ) -> tuple[DialogueStateTracker, list[str]]:
        """Return a tracker of `events` alone, whose log goes on at `version`, and hidden rows to log before them."""
        # Every change must raise the version, even a replacement by no events: so a row before the origin is logged.
        hidden = [_row(Restarted())] if version and not events else []
        tracker = self._blank(sender_id, version + len(hidden))
        for event in events:
            tracker.update(event)
        return tracker, hidden

    def _append(
        self,
        tracker: DialogueStateTracker,
        hidden: Sequence[str] = (),
        answer: StoredAnswer | None = None,
        result: object = None,
    ) -> Head | None:
        events, version, places = tracker.pending_events, tracker.version, _places_of(tracker)
        rows = [*hidden, *map(_row, events)]
        if not rows and version and answer is None:
            return None
        first = version - len(rows)
        note_logged_values(places, tracker, events, rows, first)
        # Values without their names, which `_load` knows, since names would double the size.
        parts = [*tracker.snapshot().values(), {name: place[:-1] for name, place in places.items()}]
        state = json_line(parts, "state of conversation", tracker.sender_id, encode_known)
        head = Head(version, tracker.origin, self._model(), time.time(), state)
        if answer is not None and not answer.text:
            try:
                answer = StoredAnswer(*answer[:-1], packed(result, events, places, rows, first))
            except (TypeError, ValueError, RecursionError):
                json_line(result, "answer to", tracker.sender_id)  # Raises an error that names the invalid value.
                raise
        started = time.perf_counter()
        self.commit(tracker.sender_id, first, rows, head, answer)
        if self.watch is not None:
            self.watch(events, time.perf_counter() - started)
        tracker.mark_committed()
        return head

    def _complete(self, sender_id: str, answer: StoredAnswer) -> StoredAnswer:
        """Return an answer with the parts that were left out of it, which are read from the log."""
        try:
            text = unpacked(answer.text, partial(self.read_events, sender_id), sender_id)
        except (LookupError, TypeError, ValueError):  # The answer itself is damaged.
            text = None
        if text is None:
            raise StoreError(
                f"an answer of conversation {sender_id!r} cannot be given again: it, or rows of its log, were changed "
                "or removed by other software."
            )
        return answer._replace(text=text)

    def _events(self, sender_id: str, start: int, stop: int) -> list[Event]:
        work = UNDER_WAY.get()
        most = None if work is None else work.most_read
        rows = rows_up_to(most, partial(self._rows, sender_id), sender_id, start, stop)
        return events_in(rows, sender_id, start)

    def _rows(self, sender_id: str, start: int, stop: int) -> list[str]:
        rows = self.read_events(sender_id, start, stop)
        if len(rows) != stop - start:
            raise VersionConflictError(
                f"conversation {sender_id!r} was deleted while it was being read. Read it again."
            )
        return rows


class _LoggedConversation(Conversation, AbstractContextManager[Conversation]):
    """A conversation of a store that keeps a log, and the block in which it is open."""

    _head: Head | None

    def __init__(self, store: EventLogStore, sender_id: str) -> None:
        self._store, self._sender_id = store, sender_id
        self._hidden: list[str] = []
        self._lock = store.lock(sender_id)

    def __enter__(self) -> Conversation:
        self._lock.__enter__()
        try:
            tracker, self._head = self._store._open(self._sender_id)
        except BaseException as error:
            self._lock.__exit__(type(error), error, error.__traceback__)
            raise
        super().__init__(tracker)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self.close()
        self._lock.__exit__(kind, error, trace)

    def find_answer(self, key: str) -> StoredAnswer | None:
        answer = self._store.read_answer(self._sender_id, key)
        if answer is None:
            return None
        return self._store._complete(self._sender_id, answer)

    def commit_answer(self, answer: StoredAnswer, result: object) -> None:
        self._check_open()
        self._store_changes(answer, result)

    def _store_changes(self, answer: StoredAnswer | None, result: object = None) -> None:
        self._head = self._store._append(self.tracker, self._hidden, answer, result) or self._head
        self._hidden = []

    def keep_tracker(self) -> None:
        if self._head is not None and self.tracker.can_be_kept():
            self._store._live.keep(self._head, self.tracker)

    def _start_over(self, events: list[Event]) -> None:
        tracker = self.tracker
        stored = tracker.version - len(tracker.pending_events) - len(self._hidden)
        self.tracker, self._hidden = self._store._replacement(tracker.sender_id, stored, events)


def _places_of(tracker: DialogueStateTracker) -> LoggedValues:
    """Return the positions in the log of values of a tracker that an `EventLogStore` opened."""
    assert tracker.home is not None
    places: LoggedValues = tracker.home[1]
    return places


def _row(event: Event) -> str:
    return json_line(event.as_dict(), "event", event)
