"""Trackers that are kept between turns, so that the next turn need not build them from their head.

A kept tracker is used again only while the stored head is, byte for byte, the one that was written from it. So
another process may change, replace or delete the conversation at any time.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rasa_core.tracker_store.head import Head
    from rasa_core.trackers import DialogueStateTracker

_MOST = 500
_LARGEST = 8000  # characters of a head's state


class TrackerCache:
    """The trackers of the last conversations that this process has changed; bounded in number and size.

    A tracker is taken out to be used, and so never has two users. Each operation is one step on a dictionary, which
    the interpreter makes whole: threads need no lock.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Head, DialogueStateTracker]] = OrderedDict()

    def take(self, sender_id: str, head: Head | None) -> DialogueStateTracker | None:
        """Take out the tracker that `head` was written from; None if it is not here."""
        kept = self._kept.pop(sender_id, None)
        return kept[1] if kept is not None and kept[0] == head else None

    def keep(self, head: Head, tracker: DialogueStateTracker) -> None:
        """Keep `tracker`, from which `head` was written, unless it is large."""
        if len(head.state) <= _LARGEST:
            tracker.detach()
            self._kept[tracker.sender_id] = head, tracker
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
