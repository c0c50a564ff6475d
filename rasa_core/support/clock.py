"""Whether somebody, or a time server, has set the clock of the machine."""

from __future__ import annotations

import time


class ClockWatch:
    """Tells by how much the clock was set since this was last asked.

    Nobody sets `time.monotonic`, beside which the clock is read; where the machine slept, that stood still, so that
    the clock seems to have been set forward.
    """

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def moved(self) -> float:
        """Return by how many seconds it was set, below zero if back; some hundredths are no more than its drift."""
        ahead = time.time() - time.monotonic()
        moved, self._ahead = ahead - self._ahead, ahead
        return moved
