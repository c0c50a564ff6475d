"""What the conversations of a store hold, for those who look at many of them and change none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from rasa_core.events import Event
from rasa_core.tracker_store.base import TrackerStore
from rasa_core.tracker_store.log_store import EventLogStore


def event_in(row: str) -> Event:
    """Return the event that a row of a log holds."""
    return Event.from_log(json.loads(row))


def each_of(
    store: TrackerStore,
    names: Sequence[str],
    longest: int | None = None,
    read: Callable[[str], Event] | None = None,
) -> Iterator[tuple[str, list[Event]]]:
    """Yield conversations with their events; one that was deleted meanwhile, or is longer than that, is left out.

    What stores of this package have is read as it stands in the log, without a tracker, and by `read` if it is given.
    """
    for name in names:
        if isinstance(store, EventLogStore) and not store._overrides("retrieve"):
            rows = store.log(name, longest)
            if rows is not None:
                yield name, list(map(read or event_in, rows))
            continue
        tracker = store.retrieve(name)
        if tracker is not None and (longest is None or tracker.count() <= longest):
            yield name, list(tracker.events)
