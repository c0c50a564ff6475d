"""The times of reminders as ISO text, and a watch that notices when the machine's clock was set.

The clock is compared with `time.monotonic`, which is never set. After the machine slept, during which `time.monotonic`
stands still, the clock seems to have been set forward.
"""

from __future__ import annotations

import re
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

from rasa_core.exceptions import EventError

# Java, and JavaScript's Temporal, add the zone's name after the offset: 2018-09-03T13:41:10+02:00[Europe/Berlin].
_NAMED_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)\[[\w/+-]+\]$")
# Names of UTC that `datetime.fromisoformat` does not accept.
_UNIVERSAL = re.compile(r" ?(?:UTC|GMT|z)$")
_DRIFT: Final = 5.0  # Seconds; a smaller difference may be the normal drift of two clocks.
_MOST_KNOWN: Final = 100


def moment_in(written: object) -> datetime:
    """Return the time of an ISO text or ``now``, to the second; in UTC if it has an offset, else naive."""
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
    """Return the ISO text of a time, to the second; in UTC if the time has an offset, else without offset."""
    try:
        _checked(moment)
        return moment.isoformat()[:19] if moment.utcoffset() is None else moment.astimezone(UTC).isoformat()[:19] + "Z"
    except (ValueError, OverflowError):
        raise EventError(f'"date_time" of event "reminder" is out of range: {str(moment)[:40]!r}.') from None


def _checked(moment: datetime) -> datetime:
    """Return `moment`; raise an error if it cannot be converted to Unix time, as in the year 1."""
    moment.timestamp()
    return moment


class ClockWatch:
    """Notices when the clock was set, and by how much; `look` has to be called regularly."""

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()
        self._set: deque[tuple[float, float]] = deque(maxlen=_MOST_KNOWN)  # (`time.monotonic`, seconds set) pairs.

    def look(self) -> float:
        """Return by how many seconds the clock was set since the last call; negative if it was set back."""
        ahead = time.time() - time.monotonic()
        moved, self._ahead = ahead - self._ahead, ahead
        if abs(moved) > _DRIFT:
            self._set.append((time.monotonic(), moved))
        return moved

    def too_old(self, seconds: float) -> float:
        """Return by how many seconds a timestamp of the last `seconds` may seem too old, at most.

        After the clock was set forward, earlier timestamps seem older than they are.
        """
        since = time.monotonic() - seconds
        most = total = 0.0
        for moment, moved in reversed(self._set):
            if moment < since:
                break
            total += moved
            most = max(most, total)
        return most
