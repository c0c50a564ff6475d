"""What fails for everybody alike, as when a database is down: told at once, then at times, and once when it is over."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Final

TOLD_EVERY: Final = 10.0
"""Seconds between two lines that say the same; between them it is only logged for debugging."""
MOST_KNOWN: Final = 100


@dataclass(slots=True)
class _Outage:
    told: float = float("-inf")
    count: int = 0  # Failures since it was told.
    is_told: bool = False  # And not yet that it is over.
    places: set[str] = field(default_factory=set)


class Outages:
    """The failures that a log was told of.

    Parameters
    ----------
    logger
        What is told.

    Attributes
    ----------
    is_any
        Whether anything failed that is not known to be over; else `answered` need not be called.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._known: dict[str, _Outage] = {}
        self._lock = threading.Lock()
        self.is_any = False

    def failed(self, said: str, place: str) -> None:
        """Tell of a failure, unless the same was told a moment ago.

        Parameters
        ----------
        said
            What failed, and why.
        place
            What was asked for; an answer there says that it is over.
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
        """Tell what is over, if anything failed there before."""
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
