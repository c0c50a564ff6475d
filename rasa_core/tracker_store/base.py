"""The interface of tracker stores, as custom stores have always implemented it.

A store of your own overrides `TrackerStore.save`, `TrackerStore.retrieve` and, to list conversations,
`TrackerStore.keys`::

    class FileTrackerStore(TrackerStore):
        def save(self, tracker):
            self._path(tracker.sender_id).write_text(self.serialise_tracker(tracker))

        def retrieve(self, sender_id):
            path = self._path(sender_id)
            return self.deserialise_tracker(sender_id, path.read_text()) if path.exists() else None

Such a store reads and writes whole conversations, and gives them one writer at a time within this process
only; the answers to requests with keys are remembered by this process. The stores of this package keep a log
instead, see `rasa_core.tracker_store.log_store`; a class that is derived from one of them and overrides one of
`OVERRIDDEN` is a store of your own again, on top of that log: its methods are called for every turn.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import NamedTuple, Self
from urllib.parse import SplitResult, parse_qsl

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event
from rasa_core.exceptions import EventError, StoreError, did_you_mean
from rasa_core.support.strict_json import encode_as_ordered
from rasa_core.tracker_store.locks import MutexTable, PerProcess
from rasa_core.trackers import DialogueStateTracker

ANSWERS_KEPT = 24 * 60 * 60.0
"""The least time for which an answer is kept, in seconds."""

OVERRIDDEN = ("save", "retrieve", "init_tracker", "create_tracker", "get_or_create_tracker")
"""The methods that Rasa Core 0.9 called for every message, which custom stores may therefore override."""

_TIMEOUT = 30.0


@cache  # Every turn calls it.
def _overridden(kind: type, names: tuple[str, ...]) -> bool:
    modules = (getattr(getattr(kind, name), "__module__", None) for name in names)
    return any(not str(module).startswith(f"{__package__}.") for module in modules)


class NotOverriddenError(StoreError, NotImplementedError):
    """A custom store lacks a method that was called."""


def json_line(value: object, kind: str, name: object, encode: Callable[[object], str] = encode_as_ordered) -> str:
    """Return `value` as a line of ASCII JSON, or raise `EventError`, whose message names it by `kind` and `name`."""
    try:
        return encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise EventError(
            f"the {kind} {name!r:.200} cannot be stored as JSON: {error}. "
            "Use text, finite numbers, true, false, null, lists and objects."
        ) from error


def url_options(parts: SplitResult, known: Sequence[str]) -> dict[str, str]:
    """Return the options in the URL of a store; raise `StoreError` for one that is not `known`."""
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known)
            raise StoreError(f"{parts.scheme}:// has no option {name!r}.{hint} Known: {', '.join(known)}.")
    return options


class StoredAnswer(NamedTuple):
    """The answer to a request with an idempotency key, which is stored in the same commit as the request's events.

    Parameters
    ----------
    key
        The idempotency key of the request; 1 to 255 characters, unique within the conversation.
    request
        Digest of the request, printable ASCII; the same key with another digest is an error of the caller.
    version
        Version of the conversation when the answer was stored.
    complete
        False for the answer to an unfinished turn, which has what the bot said so far.
    created
        When the answer was stored first, Unix time in seconds.
    text
        The answer as JSON text, ASCII.
    """

    key: str
    request: str
    version: int
    complete: bool
    created: float
    text: str


class AnswersInMemory:
    """Answers in the memory of this process, by conversation and key; safe to share between threads."""

    def __init__(self) -> None:
        self._guard = PerProcess(threading.Lock)
        self._answers: dict[str, dict[str, StoredAnswer]] = {}

    def put(self, sender_id: str, answer: StoredAnswer) -> None:
        """Keep `answer`; it replaces an earlier answer with its key."""
        with self._guard():
            self._answers.setdefault(sender_id, {})[answer.key] = answer

    def get(self, sender_id: str, key: str) -> StoredAnswer | None:
        """Return the answer with `key`, None if there is none."""
        return self._answers.get(sender_id, {}).get(key)

    def forget(self, sender_id: str) -> None:
        """Remove all answers of a conversation."""
        with self._guard():
            self._answers.pop(sender_id, None)

    def expire(self, before: float) -> int:
        """Remove answers that were created before a Unix time in seconds; return how many."""
        removed = 0
        with self._guard():
            for sender_id, answers in list(self._answers.items()):
                kept = {key: answer for key, answer in answers.items() if answer.created >= before}
                removed += len(answers) - len(kept)
                if kept:
                    self._answers[sender_id] = kept
                else:
                    del self._answers[sender_id]
        return removed


class Conversation(ABC):
    """A conversation that ``with store.conversation(sender_id) as conversation`` opens; the block holds its lock.

    Attributes
    ----------
    tracker : DialogueStateTracker
        The tracker; change it by ``tracker.update(event)``. `replace` sets a new object.
    """

    def __init__(self, tracker: DialogueStateTracker) -> None:
        self.tracker = tracker
        self._closed = False

    def commit(self, answer: StoredAnswer | None = None) -> None:
        """Store the events since the last commit; without a commit, leaving the block stores nothing.

        Parameters
        ----------
        answer
            An answer to store in the same step; it replaces an earlier answer with its key.

        Raises
        ------
        VersionConflictError
            If the conversation was changed without its lock. Open the conversation again, and repeat the turn.
        EventError
            If an event has a value that JSON cannot express.
        StoreError
            If the block was left already, or the storage fails.
        """
        self._check_open()
        self._store_changes(answer)

    def commit_answer(self, answer: StoredAnswer, result: object) -> None:
        """Commit with an answer whose text is `result`, plain data for JSON."""
        self.commit(answer._replace(text=json_line(result, "answer to", self.tracker.sender_id)))

    def replace(self, events: Iterable[Event]) -> None:
        """Replace all events of the conversation by `events`; the next `commit` stores this."""
        self._check_open()
        self._start_over(list(events))

    def keep_tracker(self) -> None:  # noqa: B027
        """Let the store reuse the tracker for the next turn; the caller must not change the tracker any more.

        Call this only after a commit, and only if no other code keeps a reference to the tracker.
        """

    def close(self) -> None:
        """Make further commits fail; called when the block is left."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(
                f"conversation {self.tracker.sender_id!r} was left already: commit inside the `with` block."
            )

    @abstractmethod
    def find_answer(self, key: str) -> StoredAnswer | None:
        """Return the answer that was stored with `key`, None if there is none."""

    @abstractmethod
    def _store_changes(self, answer: StoredAnswer | None) -> None: ...

    @abstractmethod
    def _start_over(self, events: list[Event]) -> None: ...


class TrackerStore:
    """Keeps conversations; base of custom stores.

    Parameters
    ----------
    domain
        The domain of the trackers; an `Agent` sets it by `bind`.
    """

    def __init__(self, domain: Domain | None = None) -> None:
        self.domain = domain

    def bind(self, domain: Domain, window: int | None, fingerprint: str) -> None:
        """Set the domain and the needs of the loaded model; called by the `Agent`.

        Parameters
        ----------
        domain
            The domain of the trackers from now on.
        window
            How many states a tracker keeps ready for the policies; None for all.
        fingerprint
            A hash of the domain; stored state with another fingerprint is computed anew.
        """
        self.domain = domain

    # -- to be overridden

    def save(self, tracker: DialogueStateTracker) -> None:
        """Store `tracker`; it replaces the stored tracker of its ``sender_id``."""
        raise self._not_overridden("save(self, tracker)")

    def retrieve(self, sender_id: str) -> DialogueStateTracker | None:
        """Return the stored tracker, None if there is none."""
        raise self._not_overridden("retrieve(self, sender_id)")

    def keys(self, after: str | None = None, limit: int | None = None) -> Iterable[str]:
        """Return the ids of the conversations.

        Parameters
        ----------
        after, limit
            Return up to `limit` ids that come after `after`; a custom store may leave out these parameters.
        """
        raise self._not_overridden("keys(self)")

    def delete(self, sender_id: str) -> bool:
        """Delete a conversation; return whether it existed. The caller holds its lock, if the store has locks."""
        raise self._not_overridden("delete(self, sender_id)")

    def expire_answers(self, before: float) -> int:
        """Delete answers that were created before a Unix time in seconds; return how many, if the store knows."""
        return _answers_of(self).expire(before)

    def close(self) -> None:
        """Close files and connections; a store that has any overrides this method."""

    def _overrides(self, *names: str) -> bool:
        """Return whether a custom class overrides one of the named methods of this package's stores."""
        kind: type = type(self)
        return _overridden(kind, names)

    def _not_overridden(self, signature: str) -> NotOverriddenError:
        return NotOverriddenError(f"{type(self).__name__} does not support this: override {signature}.")

    # -- trackers

    def init_tracker(self, sender_id: str) -> DialogueStateTracker:
        """Return a tracker without events, and store nothing."""
        return DialogueStateTracker.from_events(sender_id, [], self._bound_domain())

    def create_tracker(self, sender_id: str, append_action_listen: bool = True) -> DialogueStateTracker:
        """Start a conversation with ``action_listen``, and store it; it replaces an earlier conversation."""
        tracker = self._new_tracker(sender_id) if append_action_listen else self.init_tracker(sender_id)
        self.save(tracker)
        tracker.mark_committed()
        return tracker

    def get_or_create_tracker(self, sender_id: str) -> DialogueStateTracker:
        """Return the stored tracker, or start the conversation."""
        tracker = self.retrieve(sender_id)
        return self.create_tracker(sender_id) if tracker is None else tracker

    def peek(self, sender_id: str) -> DialogueStateTracker:
        """Return a tracker for reading; that of an unknown conversation is new, and is not stored."""
        tracker = self.retrieve(sender_id)
        return self._new_tracker(sender_id) if tracker is None else tracker

    def conversation(self, sender_id: str) -> AbstractContextManager[Conversation]:
        """Open a conversation for changes; an unknown one starts, with ``action_listen``, at the first commit."""
        # The key has the class, not the object, since two stores of one class may use the same storage.
        lock = _mutexes.hold((type(self), sender_id), name=sender_id, timeout=_TIMEOUT)
        return self._open_whole(sender_id, lock, saves=False)

    @contextmanager
    def _open_whole(self, sender_id: str, lock: AbstractContextManager[object], saves: bool) -> Iterator[Conversation]:
        with lock:
            starts = self._overrides("create_tracker", "get_or_create_tracker")
            tracker = self.get_or_create_tracker(sender_id) if starts else self.peek(sender_id)
            if saves and 0 < len(tracker.pending_events) == len(tracker.events):
                self.save(tracker)  # As in 0.9, a custom `save` may add events at the start of a conversation.
            conversation = _SavedConversation(self, tracker)
            try:
                yield conversation
            finally:
                conversation.close()

    @staticmethod
    def serialise_tracker(tracker: DialogueStateTracker) -> str:
        """Return the events of `tracker` as JSON text."""
        return json_line([event.as_dict() for event in tracker.events], "conversation", tracker.sender_id)

    def deserialise_tracker(self, sender_id: str, data: str | bytes) -> DialogueStateTracker:
        """Return the tracker that `serialise_tracker` wrote.

        Raises
        ------
        StoreError
            If `data` is not such text. Pickled trackers of Rasa Core 0.9 are never read, since they could run code.
        """
        try:
            rows = json.loads(data)
        except ValueError as error:
            raise StoreError(
                f"conversation {sender_id!r} is not stored as JSON; trackers that Rasa Core 0.9 pickled "
                f"cannot be read. ({error})"
            ) from error
        if not isinstance(rows, list):
            raise StoreError(f"conversation {sender_id!r} is stored as {type(rows).__name__}, not as a list of events.")
        return self._with_events(sender_id, map(Event.from_log, rows), committed=True)

    def _new_tracker(self, sender_id: str) -> DialogueStateTracker:
        tracker = self.init_tracker(sender_id)
        if self._bound_domain().rasa is None:  # A conversation of Rasa 3 begins with a session.
            tracker.update(ActionExecuted(ACTION_LISTEN_NAME))
        return tracker

    def _with_events(self, sender_id: str, events: Iterable[Event], *, committed: bool) -> DialogueStateTracker:
        tracker = self.init_tracker(sender_id)
        for event in events:
            if committed:
                # Rows of a log were checked when they were written. Rows of older versions must stay readable.
                tracker.take(event)
            else:
                tracker.update(event)
        if committed:
            tracker.mark_committed()
        return tracker

    def _bound_domain(self) -> Domain:
        if self.domain is None:
            raise StoreError(f"{type(self).__name__} has no domain yet: give it one, or give the store to an Agent.")
        return self.domain

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the store."""
        self.close()


# One table for the process, since two stores of one class may use the same storage.
_mutexes = MutexTable()
_answers: dict[type[TrackerStore], AnswersInMemory] = {}


class _SavedConversation(Conversation):
    """A conversation of a store that saves whole trackers."""

    def __init__(self, store: TrackerStore, tracker: DialogueStateTracker) -> None:
        super().__init__(tracker)
        self._store = store

    def find_answer(self, key: str) -> StoredAnswer | None:
        return _answers_of(self._store).get(self.tracker.sender_id, key)

    def _store_changes(self, answer: StoredAnswer | None) -> None:
        self._store.save(self.tracker)
        self.tracker.mark_committed()
        if answer is not None:
            _answers_of(self._store).put(self.tracker.sender_id, answer)

    def _start_over(self, events: list[Event]) -> None:
        self.tracker = self._store._with_events(self.tracker.sender_id, events, committed=False)
        self.tracker.home = None  # So `save` replaces the stored events, instead of appending to them.


def _answers_of(store: TrackerStore) -> AnswersInMemory:
    # One entry for each class, as for the mutexes; `setdefault` makes it only once.
    return _answers.setdefault(type(store), AnswersInMemory())
