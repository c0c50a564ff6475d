"""Logging of outages, such as a database that is down: at their start, then now and then, and once at their end."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Final

TOLD_EVERY: Final = 10.0
"""Seconds between two equal log lines; in between, they are only logged at the level DEBUG."""
MOST_KNOWN: Final = 100


@dataclass(slots=True)
class _Outage:
    told: float = float("-inf")
    count: int = 0  # Failures since the last log line.
    is_told: bool = False  # Whether the start was logged, and the end was not.
    places: set[str] = field(default_factory=set)


class Outages:
    """The present outages, which are logged.

    Attributes
    ----------
    is_any
        Whether there is an outage whose end is not known; otherwise `answered` need not be called.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._known: dict[str, _Outage] = {}
        self._lock = threading.Lock()
        self.is_any = False

    def failed(self, said: str, place: str) -> None:
        """Log a failure, unless the same was logged less than `TOLD_EVERY` seconds ago.

        Parameters
        ----------
        said
            The message: what failed, and why.
        place
            The name of the server or route that failed; a later success there is the end of the outage.
        """
        now = time.monotonic()
        with self._lock:
            if said not in self._known and len(self._known) >= MOST_KNOWN:
                del self._known[next(iter(self._known))]
            outage = self._known.setdefault(said, _Outage())
            outage.places.add(place)
            is_told = now - outage.told >= TOLD_EVERY
            more = outage.count
            outage.count += 1
            if is_told:
                outage.told, outage.count, outage.is_told, self.is_any = now, 0, True, True
        if is_told:
            self._logger.error("%s%s", said, f" (the same {more} more times before)" if more else "")
        else:
            self._logger.debug("%s", said)

    def answered(self, place: str) -> None:
        """Log the end of outages at a place, if there are any."""
        if not self.is_any:
            return
        with self._lock:
            over = [(said, one) for said, one in self._known.items() if one.is_told and place in one.places]
            for _, outage in over:
                outage.is_told = False
                outage.places.clear()
            self.is_any = any(one.is_told for one in self._known.values())
            told = [(said, outage.count) for said, outage in over]
        for said, more in told:
            self._logger.warning("over%s: %s", f", after it was the same {more} more times" if more else "", said)
