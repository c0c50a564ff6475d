"""One conversation while a caller works on it: its tracker, and how what happened is stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rasa_core.exceptions import StoreError

if TYPE_CHECKING:
    from rasa_core.events import Event
    from rasa_core.tracker_store.answers import StoredAnswer
    from rasa_core.trackers import DialogueStateTracker


class Conversation(ABC):
    """What ``with store.conversation(sender_id) as conversation`` gives: nobody else works on it meanwhile.

    Attributes
    ----------
    tracker : DialogueStateTracker
        The state; change it by ``tracker.update(event)``. After `replace` it is another object.
    """

    def __init__(self, tracker: DialogueStateTracker) -> None:
        self.tracker = tracker
        self._closed = False

    def commit(self, answer: StoredAnswer | None = None) -> None:
        """Store what happened since the last commit; without it, leaving the block stores nothing.

        Parameters
        ----------
        answer
            Is stored in the same step, in the place of an earlier one with its key.

        Raises
        ------
        VersionConflictError
            If somebody changed the conversation without holding its lock. Open it again, and repeat the turn.
        EventError
            If an event holds something that JSON cannot express.
        StoreError
            If the block was left already, or the storage fails.
        """
        self._check_open()
        self._store_changes(answer)

    def replace(self, events: Iterable[Event]) -> None:
        """Put `events` in the place of everything so far; stored by the next `commit`."""
        self._check_open()
        self._start_over(list(events))

    def keep_tracker(self) -> None:  # noqa: B027
        """Let the store use the tracker for the next turn too, if it can; it must not be changed from here on.

        For callers that let nobody else hold on to the tracker, and have committed what happened.
        """

    def close(self) -> None:
        """Refuse further commits; called when the block is left."""
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
