"""Reads the events of many conversations of a store, without changing any."""

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
    """Yield id and events of each conversation; deleted ones, and those with more than `longest` events, are left out.

    The logs of stores of this package are read without a tracker; `read` makes an event of each row.
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
    """Yield the events of each conversation, at most `most` events in all.

    A conversation that would exceed `most` is left out. One with an unreadable row is left out, too, with a warning.
    """
    left = most
    for name in names:
        try:
            for _, events in each_of(store, [name], left):
                left -= len(events)
                yield events
        except RowError as error:
            logger.warning("a conversation is left out: %s", error)
