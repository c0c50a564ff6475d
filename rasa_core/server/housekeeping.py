"""What a server forgets by itself: answers that nobody will ask for again, and conversations past their time.

Each process does this in a thread of its own, which starts with the first request, so also behind servers that fork.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from rasa_core.exceptions import StoreError
from rasa_core.server.errors import HttpError
from rasa_core.server.serving import ServedModel
from rasa_core.tracker_store import EventLogStore
from rasa_core.tracker_store.base import ANSWERS_KEPT
from rasa_core.tracker_store.retention import expire_conversations

logger = logging.getLogger(__name__)


class Housekeeper:
    """Forgets what is old, at regular times.

    Parameters
    ----------
    model
        Knows the store.
    retention
        Conversations that have not changed for so long are deleted, in seconds; None to keep all.
    first, every
        When it is done first, and then again, in seconds.
    """

    def __init__(
        self, model: ServedModel, retention: float | None = None, *, first: float = 10.0, every: float = 3600.0
    ) -> None:
        self._model = model
        self._retention = retention
        self._first = first
        self._every = every
        self._process: int | None = None

    def start(self) -> None:
        """Begin in this process, unless that was done already."""
        if self._process != os.getpid():
            self._process = os.getpid()
            threading.Thread(target=self._run, name="housekeeping", daemon=True).start()

    def _run(self) -> None:
        time.sleep(self._first)
        while True:
            self.clean()
            time.sleep(self._every)

    def clean(self) -> None:
        """Forget what is old now; a store that cannot be reached is left for the next time."""
        now = time.time()
        try:
            store = self._model.agent().tracker_store
            store.expire_answers(now - ANSWERS_KEPT)
            if self._retention is None:
                return
            if isinstance(store, EventLogStore):
                deleted = expire_conversations(store, now - self._retention)
                logger.info("%d conversations that were idle for too long were deleted.", deleted)
            else:
                logger.warning("%s cannot tell which conversations are idle: none is deleted.", type(store).__name__)
        except (StoreError, HttpError) as error:
            logger.warning("old conversations and answers are kept for now: %s", error)
