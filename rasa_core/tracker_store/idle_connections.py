"""Connections that a process does not need go back to the server, so that other processes can have them.

A pool keeps what it has opened. Where a user or a database may have few connections, a process that once needed all of
them would keep every other process out for ever. So a thread looks at the pool now and then, and closes the
connections that were idle at each of the latest looks, but for one: the next request need not open it again. A process
that has met the limit itself keeps none.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sqlalchemy import Engine, exc
from sqlalchemy.pool import QueuePool

from rasa_core.support.threads import started

LOOK_EVERY: Final = 0.5  # seconds
_LOOKS: Final = 4


class IdleConnections:
    """Closes what is idle in the pool of an engine, from the first time on that there may be too much.

    Parameters
    ----------
    error
        Root of the driver's errors.
    """

    def __init__(self, error: type[Exception]) -> None:
        self._error = error
        self._kept = 1
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self.engine: Callable[[], Engine | None] = lambda: None

    def opened(self, number: int) -> None:
        """Take note of how many connections are open now."""
        with self._starting:  # Several threads may open connections at once, and one of them is to watch.
            if number > self._kept and self._thread is None:
                self._thread = started(self._watch, "idle connections")

    def refused(self) -> None:
        """Take note that the server allows no more."""
        self._kept = 0
        self.opened(1)

    def _watch(self) -> None:
        seen: deque[int] = deque(maxlen=_LOOKS)
        while (engine := self.engine()) is not None:
            pool = engine.pool
            assert isinstance(pool, QueuePool)
            seen.append(pool.checkedin())
            for _ in range(min(seen) - self._kept if len(seen) == _LOOKS else 0):
                with suppress(self._error, exc.TimeoutError):  # Somebody needs it after all.
                    engine.raw_connection().invalidate()
            del engine, pool  # Which nobody else may have any more.
            time.sleep(LOOK_EVERY)
