"""Closes idle connections of a pool, so that other processes can open connections to the server.

A pool of SQLAlchemy keeps the connections that it has opened. If the server allows a user or a database only a few
connections, a process that once needed all of them would lock out every other process. So a thread looks at the pool
every half second, and closes the connections that were idle at each of the last four looks. One of them stays open for
the next request, but none if the server has refused a connection to this process.
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
    """Closes idle connections in the pool of an engine; its thread starts when a second connection is opened.

    Parameters
    ----------
    error
        The root of the driver's errors.
    """

    def __init__(self, error: type[Exception]) -> None:
        self._error = error
        self._kept = 1
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self.engine: Callable[[], Engine | None] = lambda: None

    def opened(self, number: int) -> None:
        """Start the thread if this number of open connections is more than is kept."""
        with self._starting:  # Several threads may open connections at once, but only one thread is started.
            if number > self._kept and self._thread is None:
                self._thread = started(self._watch, "idle connections")

    def refused(self) -> None:
        """Keep no idle connection from now on, since the server has refused one."""
        self._kept = 0
        self.opened(1)

    def _watch(self) -> None:
        seen: deque[int] = deque(maxlen=_LOOKS)
        while (engine := self.engine()) is not None:
            pool = engine.pool
            assert isinstance(pool, QueuePool)
            seen.append(pool.checkedin())
            for _ in range(min(seen) - self._kept if len(seen) == _LOOKS else 0):
                with suppress(self._error, exc.TimeoutError):  # Another thread has taken the connection meanwhile.
                    engine.raw_connection().invalidate()
            del engine, pool  # A reference here would keep the engine of a store that is gone.
            time.sleep(LOOK_EVERY)
