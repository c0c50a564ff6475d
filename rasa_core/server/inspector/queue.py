"""The views of the list of conversations, the most urgent first, which people mark and annotate."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.util import Finalize
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final

from werkzeug.wrappers import Response

from rasa_core.exceptions import StoreError
from rasa_core.server.inspector import inputs
from rasa_core.server.requests import HttpError, Request, json_response
from rasa_core.server.served_model import Serves
from rasa_core.support.folders import clear_left, workplace_in
from rasa_core.support.threads import started
from rasa_core.tracker_store.base import TrackerStore
from rasa_core.tracker_store.reviews import Mark, reviews_of
from rasa_core.tracker_store.search import Search
from rasa_core.tracker_store.search_index import ConversationIndex
from rasa_core.tracker_store.sqlite import SqliteTrackerStore

logger = logging.getLogger(__name__)

_FOLDER: Final = "rasa_core-index-"
_PATIENCE: Final = 0.1  # seconds
_MOMENT: Final = 1.0
"""Seconds that an answer waits for the index; to read a single long conversation may take longer."""
_REST: Final = 10.0
"""The pause between two searches for changes, in multiples of the time that the last search took, if it was slow."""


class Queue:
    """The views of the list. Safe to share between threads."""

    def __init__(self) -> None:
        self._index: ConversationIndex | None = None
        self._guard = threading.Lock()
        self._worker: threading.Thread | None = None

    def index(self, app: Serves) -> ConversationIndex:
        """Return the index of the store, made if there is none yet."""
        store = app.model.agent().tracker_store
        with self._guard:
            # Each served model has its own store object. The index of the store object before is closed when the last
            # request that reads it drops its reference.
            if self._index is None or self._index.store is not store:
                self._index = ConversationIndex(store, _path(store, app.model.path))
            return self._index

    def list(self, app: Serves, request: Request, sender_id: str) -> Response:
        """List the conversations that match a search, the most urgent first."""
        search = Search.from_text(inputs.SEARCH.of(request), inputs.BELOW.of(request))
        limit, offset = inputs.LIMIT.of(request), inputs.OFFSET.of(request)
        index = self.index(app)
        self._refresh(index)
        found = index.find(search, limit, offset)
        return json_response(
            {
                **{"conversations": found.conversations, "count": found.count, "offset": offset},
                **{"indexed": found.indexed, "total": found.total},
            }
        )

    def _refresh(self, index: ConversationIndex) -> None:
        """Update the index in a thread, and wait for it up to `_MOMENT` seconds; then it goes on in the background.

        Only one thread updates the index: other threads would wait for the lock of the file, and so would requests.
        """
        if index.effort >= _PATIENCE and time.monotonic() - index.looked < _REST * index.effort:
            return  # Some stores are read whole to find changes, which must not take all of the processor.
        until = time.monotonic() + _MOMENT
        while (left := until - time.monotonic()) > 0:
            with self._guard:
                worker = self._worker
                is_own = worker is None or not worker.is_alive()
                if is_own:
                    worker = self._worker = started(_finish, "index", index)
            if worker is None:  # The system has no free thread.
                index.catch_up(_PATIENCE)
                return
            worker.join(left)
            if is_own:  # The update of another request may have started before the latest change.
                return

    def read_mark(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Return the mark and the note of a conversation."""
        store = app.model.agent().tracker_store
        return json_response(_marked(reviews_of(store).read(sender_id), _version(store, sender_id)))

    def write_mark(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Set the mark and the note of a conversation."""
        store = app.model.agent().tracker_store
        version = _version(store, sender_id)
        if not version:
            raise HttpError(404, f"there is no conversation {sender_id!r}.")
        mark = Mark.from_json(inputs.MARK.of(request), version)
        index = self.index(app)
        index.note(sender_id, mark)
        reader = started(_read_again, "index", index, sender_id, mark)
        if reader is not None:
            reader.join(_MOMENT)
        return json_response(_marked(mark, version))


def _finish(index: ConversationIndex) -> None:
    with _left_as_it_is():  # The next request tries again.
        while not index.catch_up(5.0):
            pass


@contextmanager
def _left_as_it_is() -> Iterator[None]:
    """Log that the list was not updated, if the store or the file of the index fails."""
    try:
        yield
    except (StoreError, sqlite3.Error) as error:
        logger.warning("the list of conversations stays as it is for now: %s", error)


def _read_again(index: ConversationIndex, sender_id: str, mark: Mark) -> None:
    with _left_as_it_is():  # The mark itself is stored; the rest of the entry is updated with the next change.
        index.read_again(sender_id, mark)


def _marked(mark: Mark, version: int) -> dict[str, Any]:
    return {**mark.as_dict(), "is_current": mark.counts_for(version)}


def _version(store: TrackerStore, sender_id: str) -> int:
    tracker = store.retrieve(sender_id)
    return 0 if tracker is None else tracker.version


def _path(store: TrackerStore, model: Path | None) -> str:
    """Return the file of a store's index: beside the store, beside the model, or a temporary file of this process."""
    if isinstance(store, SqliteTrackerStore):
        return f"{store.path}-index"
    if model is not None and type(store).__name__ != "InMemoryTrackerStore":
        return f"{model}.conversations-index"
    parent, kept = Path(gettempdir()), ExitStack()
    clear_left(parent, _FOLDER)
    folder = kept.enter_context(workplace_in(parent, _FOLDER))
    Finalize(None, kept.close, exitpriority=0)  # Workers run no atexit handlers, but every process runs finalizers.
    return str(folder / "index")
