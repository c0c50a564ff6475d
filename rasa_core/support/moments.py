"""Moments as ISO text, to the second, as reminders have them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from rasa_core.exceptions import EventError

# Java, and JavaScript's Temporal, name the zone behind the offset: 2018-09-03T13:41:10+02:00[Europe/Berlin].
_NAMED_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)\[[\w/+-]+\]$")
# These names of UTC are unknown to `datetime.fromisoformat`.
_UNIVERSAL = re.compile(r" ?(?:UTC|GMT|z)$")


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
