"""Conversations to train on: a list, or something that makes them anew each time it is gone through."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence, Sized

from rasa_core.support.progress import Progress
from rasa_core.trackers import DialogueStateTracker

FEW = 2000
"""So many conversations are gone through without telling how far that is."""
_TOLD_EVERY = 500


class Stream:
    """Conversations that are made one after the other, so that they never are in memory all at once.

    Parameters
    ----------
    trackers
        Gives the same conversations each time it is iterated over.
    """

    def __init__(self, trackers: Iterable[DialogueStateTracker]) -> None:
        self._trackers = trackers

    def __len__(self) -> int:
        """Return the number of conversations, 0 if that is not known."""
        return len(self._trackers) if isinstance(self._trackers, Sized) else 0

    def __iter__(self) -> Iterator[DialogueStateTracker]:
        """Yield each conversation; raise `ValueError` for what is none."""
        for tracker in self._trackers:
            yield _checked(tracker)


def training_input(trackers: Iterable[DialogueStateTracker]) -> Collection[DialogueStateTracker] | Stream:
    """Return conversations that can be gone through several times, once for each policy.

    Raises
    ------
    ValueError
        If something is no conversation; for those that are made one after the other, when it is come to.
    """
    if isinstance(trackers, Sequence) or iter(trackers) is trackers:
        return [_checked(tracker) for tracker in trackers]
    return Stream(trackers)


def with_progress(
    title: str, trackers: Iterable[DialogueStateTracker], *, silent: bool
) -> Iterator[DialogueStateTracker]:
    """Yield the conversations, and tell how far that is if there are many."""
    total = len(trackers) if isinstance(trackers, Sized) else 0
    with Progress(title, total, silent=silent or total <= FEW) as progress:
        for number, tracker in enumerate(trackers, 1):
            yield tracker
            if number % _TOLD_EVERY == 0 or number == total:
                progress.step(number)


def _checked(tracker: object) -> DialogueStateTracker:
    if not isinstance(tracker, DialogueStateTracker):
        raise ValueError(f"train takes trackers, not {type(tracker).__name__}: agent.train(agent.load_data(path)).")
    return tracker
