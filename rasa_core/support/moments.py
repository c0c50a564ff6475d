"""Moments: as ISO text, to the second, as reminders have them; and when the clock that tells them was set.

Nobody sets `time.monotonic`, beside which the clock is read. Where the machine slept, that stood still, so that the
clock seems to have been set forward.
"""

from __future__ import annotations

import re
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

from rasa_core.exceptions import EventError

# Java, and JavaScript's Temporal, name the zone behind the offset: 2018-09-03T13:41:10+02:00[Europe/Berlin].
_NAMED_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)\[[\w/+-]+\]$")
# These names of UTC are unknown to `datetime.fromisoformat`.
_UNIVERSAL = re.compile(r" ?(?:UTC|GMT|z)$")
_DRIFT: Final = 5.0  # Seconds; less is no more than what two clocks differ by after a while.
_MOST_KNOWN: Final = 100


def moment_in(written: object) -> datetime:
    """Return the moment that ISO text or ``now`` names, to the second: in UTC if it has an offset, else naive."""
    if str(written).strip() == "now":
        return datetime.now().replace(microsecond=0)
    try:
        text = _NAMED_ZONE.sub(r"\1", _UNIVERSAL.sub("Z", str(written).strip()))
        moment = datetime.fromisoformat(text).replace(microsecond=0)
        return _checked(moment if moment.tzinfo is None else moment.astimezone(UTC))
    except (ValueError, OverflowError):
        examples = '"2018-09-03T11:41:10Z", "2018-09-03T13:41:10+02:00", or without an offset for local time, or "now"'
        raise EventError(f'"date_time" of event "reminder" is like {examples}, not {str(written)[:40]!r}.') from None


def moment_as_text(moment: datetime) -> str:
    """Return ISO text of a moment, to the second: in UTC if it has an offset, else without one."""
    try:
        _checked(moment)
        return moment.isoformat()[:19] if moment.utcoffset() is None else moment.astimezone(UTC).isoformat()[:19] + "Z"
    except (ValueError, OverflowError):
        raise EventError(f'"date_time" of event "reminder" is out of range: {str(moment)[:40]!r}.') from None


def _checked(moment: datetime) -> datetime:
    """Return a moment; raise an error for one of which no clock can tell whether it has passed, as in the year 1."""
    moment.timestamp()
    return moment


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
