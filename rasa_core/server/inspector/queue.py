"""The conversations of the store as a list that people work through: what needs them first, and what they noted."""

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
"""How many seconds an answer waits for the index: a single long conversation may take longer to be read."""
_REST: Final = 10.0
"""How many times longer than it took to look for changes they are not looked for again, where that takes long."""


class Queue:
    """The list, over HTTP. Safe to share between threads."""

    def __init__(self) -> None:
        self._index: ConversationIndex | None = None
        self._guard = threading.Lock()
        self._worker: threading.Thread | None = None

    def index(self, app: Serves) -> ConversationIndex:
        """Return the index of the store, made if there is none yet."""
        store = app.model.agent().tracker_store
        with self._guard:
            # Each model that serves brings a view of the store of its own. The index of the one before is closed when
            # the last request that reads it lets go of it.
            if self._index is None or self._index.store is not store:
                self._index = ConversationIndex(store, _path(store, app.model.path))
            return self._index

    def list(self, app: Serves, request: Request, sender_id: str) -> Response:
        """List the conversations that fit a search; the first ones need a person most."""
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
        """Bring the index up to date, as far as that takes a moment; the rest goes on while answers are given.

        One thread at a time does so: others would wait for the lock of the file, and their requests with them.
        """
        if index.effort >= _PATIENCE and time.monotonic() - index.looked < _REST * index.effort:
            return  # In a store that has to be read whole for it, looking must not take all of the processor.
        until = time.monotonic() + _MOMENT
        while (left := until - time.monotonic()) > 0:
            with self._guard:
                worker = self._worker
                is_own = worker is None or not worker.is_alive()
                if is_own:
                    worker = self._worker = started(_finish, "index", index)
            if worker is None:  # The system has no room for one more.
                index.catch_up(_PATIENCE)
                return
            worker.join(left)
            if is_own:  # What another request started may have looked before there was what this one is to list.
                return

    def read_mark(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Tell what somebody noted about a conversation."""
        store = app.model.agent().tracker_store
        return json_response(_marked(reviews_of(store).read(sender_id), _version(store, sender_id)))

    def write_mark(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Note something about a conversation."""
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
    with _left_as_it_is():  # Whoever looks next tries again.
        while not index.catch_up(5.0):
            pass


@contextmanager
def _left_as_it_is() -> Iterator[None]:
    """Say in the log that the list is not brought up to date, where the store or the file of the index fails."""
    try:
        yield
    except (StoreError, sqlite3.Error) as error:
        logger.warning("the list of conversations stays as it is for now: %s", error)


def _read_again(index: ConversationIndex, sender_id: str, mark: Mark) -> None:
    with _left_as_it_is():  # The mark is noted; what else the list shows comes with the next change.
        index.read_again(sender_id, mark)


def _marked(mark: Mark, version: int) -> dict[str, Any]:
    return {**mark.as_dict(), "is_current": mark.counts_for(version)}


def _version(store: TrackerStore, sender_id: str) -> int:
    tracker = store.retrieve(sender_id)
    return 0 if tracker is None else tracker.version


def _path(store: TrackerStore, model: Path | None) -> str:
    """Return where the index of a store is kept: beside it, beside the model, or as long as this process runs."""
    if isinstance(store, SqliteTrackerStore):
        return f"{store.path}-index"
    if model is not None and type(store).__name__ != "InMemoryTrackerStore":
        return f"{model}.conversations-index"
    parent, kept = Path(gettempdir()), ExitStack()
    clear_left(parent, _FOLDER)
    folder = kept.enter_context(workplace_in(parent, _FOLDER))
    Finalize(None, kept.close, exitpriority=0)  # A worker calls nothing of atexit when it ends, and anybody calls this.
    return str(folder / "index")
