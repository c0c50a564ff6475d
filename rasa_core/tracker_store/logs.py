"""What the conversations of a store hold, for those who look at many of them and change none."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from rasa_core.events import Event
from rasa_core.tracker_store.base import TrackerStore
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.rows import ReadRow, RowError, event_in, events_in

logger = logging.getLogger(__name__)


def each_of(
    store: TrackerStore, names: Sequence[str], longest: int | None = None, read: ReadRow = event_in
) -> Iterator[tuple[str, list[Event]]]:
    """Yield conversations with their events; one that was deleted meanwhile, or is longer than that, is left out.

    What stores of this package have is read as it stands in the log, without a tracker, by `read`.
    """
    for name in names:
        if isinstance(store, EventLogStore) and not store._overrides("retrieve"):
            rows = store.log(name, longest)
            if rows is not None:
                yield name, events_in(rows, name, 0, read)
            continue
        tracker = store.retrieve(name)
        if tracker is not None and (longest is None or tracker.count() <= longest):
            yield name, list(tracker.events)


def each_readable(store: TrackerStore, names: Sequence[str], most: int) -> Iterator[list[Event]]:
    """Yield the events of conversations, without one of which a row holds no event, which is told to the log.

    Those with which there would be more than `most` events in all are left out, too.
    """
    left = most
    for name in names:
        try:
            for _, events in each_of(store, [name], left):
                left -= len(events)
                yield events
        except RowError as error:
            logger.warning("a conversation is left out: %s", error)
