"""When somebody, or a time server, has set the clock of the machine.

Nobody sets `time.monotonic`, beside which the clock is read. Where the machine slept, that stood still, so that the
clock seems to have been set forward.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final

_DRIFT: Final = 5.0  # Seconds; less is no more than what two clocks differ by after a while.
_MOST_KNOWN: Final = 100


class ClockWatch:
    """Knows when the clock was set, and by how much, since this was made; somebody has to look now and then."""

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()
        self._set: deque[tuple[float, float]] = deque(maxlen=_MOST_KNOWN)  # When, as `time.monotonic`, and by how much.

    def look(self) -> float:
        """Return by how many seconds the clock was set since this was last asked, below zero if back."""
        ahead = time.time() - time.monotonic()
        moved, self._ahead = ahead - self._ahead, ahead
        if abs(moved) > _DRIFT:
            self._set.append((time.monotonic(), moved))
        return moved

    def too_old(self, seconds: float) -> float:
        """Return by how many seconds, at most, something of the last `seconds` is younger than its time stamp says.

        What was stamped by a clock that was behind seems older once it is right, and all does once it is ahead.
        """
        since = time.monotonic() - seconds
        most = total = 0.0
        for moment, moved in reversed(self._set):
            if moment < since:
                break
            total += moved
            most = max(most, total)
        return most
