"""Leads conversations through stories, from checkpoint to checkpoint."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Hashable, Iterable
from typing import TYPE_CHECKING

from rasa_core.events import Event, UserUttered
from rasa_core.exceptions import did_you_mean
from rasa_core.training.merging import deal, merge_equal, sample, set_apart
from rasa_core.training.passages import Passage, passage_through
from rasa_core.training.structures import STORY_START, Checkpoint, StoryGraph
from rasa_core.training.tracker import TrainingTracker

if TYPE_CHECKING:
    from rasa_core.domain import Domain

logger = logging.getLogger(__name__)

Arrivals = dict[str, list[TrainingTracker]]


class Walk:
    """Conversations on their way through a story graph.

    Parameters
    ----------
    graph, domain
        The stories, and whose they are.
    remove_duplicates
        Whether conversations that look the same to policies are made once.
    window
        How many of the last states policies look at; None for all.
    rng
        Decides where not all conversations can go on.

    Attributes
    ----------
    complete : list of TrainingTracker
        Conversations that have reached the end of a story.
    partial : list of TrainingTracker
        Conversations that go nowhere else: another looks the same from there on, or there was no room for
        them, or no story begins where they are, or they are about to forget what has been.
    reached : set of int
        Indices of the steps through which a conversation went.
    """

    def __init__(
        self,
        graph: StoryGraph,
        domain: Domain,
        *,
        remove_duplicates: bool,
        window: int | None,
        rng: random.Random,
    ) -> None:
        self.complete: list[TrainingTracker] = []
        self.partial: list[TrainingTracker] = []
        self.reached: set[int] = set()
        self._visited: set[str] = set()
        self._graph = graph
        self._steps = graph.story_steps
        self._domain = domain
        self._remove_duplicates = remove_duplicates
        self._window = window
        self._rng = rng
        self._passages: dict[tuple[int, bool], Passage] = {}
        self._slots_set: dict[int, list[Event]] = {}
        self._seen: set[Hashable] = set()
        self._entries: dict[str, list[tuple[int, Checkpoint]]] = {}
        tested: dict[str, None] = {}
        for index, step in enumerate(self._steps):
            for start in step.start_checkpoints:
                self._entries.setdefault(start.name, []).append((index, start))
                tested.update(dict.fromkeys(start.conditions or ()))
        self._tested_slots = tuple(tested)

    def sweep(
        self,
        arrivals: Arrivals,
        limit: int,
        *,
        known: Collection[TrainingTracker] = (),
        every_step: bool = True,
    ) -> Arrivals:
        """Lead conversations from the checkpoints at which they are, forward, to where they end.

        Parameters
        ----------
        arrivals
            Name of a checkpoint to the conversations that are there; emptied.
        limit
            How many continuations a checkpoint has at most.
        known
            Conversations that are not to become partial where nothing continues them.
        every_step
            Whether each step that begins at a checkpoint has a continuation, even beyond the limit.

        Returns
        -------
        dict
            Like `arrivals`: the conversations that came to a checkpoint by a way that leads back.
        """
        again: Arrivals = {}
        followed: set[tuple[TrainingTracker, int]] = set()
        for name in self._graph.checkpoint_names:
            waiting = arrivals.pop(name, [])
            if waiting:
                self._visited.add(name)
            left: list[TrainingTracker] = []
            if self._remove_duplicates:
                waiting, left = merge_equal(waiting, self._outlook)
            ways = self._ways(name, waiting, limit, every_step)
            for tracker, index in ways:
                if len(self._steps[index].start_checkpoints) > 1:
                    if (tracker, index) in followed:
                        continue
                    followed.add((tracker, index))
                self._follow(tracker, index, name, arrivals, again)
            left += set_apart(waiting, (tracker for tracker, _ in ways))
            self.set_aside(set_apart(left, known))
        return again

    def _ways(
        self, name: str, waiting: list[TrainingTracker], limit: int, every_step: bool
    ) -> list[tuple[TrainingTracker, int]]:
        """Return which conversation at a checkpoint goes on through which step."""
        entries = self._entries.get(name, [])
        if not every_step:
            entries = sample(entries, limit, self._rng)
        shares = deal(waiting, [entry for _, entry in entries], limit, self._rng)
        steps = (index for index, _ in entries)
        return [(tracker, index) for index, share in zip(steps, shares, strict=True) for tracker in share]

    def _outlook(self, tracker: TrainingTracker) -> Hashable:
        """Return what decides on everything that can follow."""
        return tracker.path(self._window), tracker.values_of(self._tested_slots)

    def _follow(self, tracker: TrainingTracker, index: int, start: str, arrivals: Arrivals, again: Arrivals) -> None:
        step = self._steps[index]
        self.reached.add(index)
        onward, ended = tracker.follow(step, self._passage(index, start == STORY_START))
        self.set_aside(ended)
        for end in dict.fromkeys(checkpoint.name for checkpoint in step.end_checkpoints):
            target = again if self._graph.leads_back(start, end) else arrivals
            target.setdefault(end, []).append(onward)
        if not step.end_checkpoints:
            self.complete += self._unlike_others([onward])

    def _passage(self, index: int, opens_story: bool) -> Passage:
        key = (index, opens_story)
        if key not in self._passages:
            self._passages[key] = passage_through(self._steps[index], self._slot_sets, opens_story)
        return self._passages[key]

    def _slot_sets(self, message: UserUttered) -> list[Event]:
        """Return the events by which a message sets slots; equal lines share one message."""
        known = self._slots_set.get(id(message))
        if known is None:
            known = self._slots_set[id(message)] = self._domain.slots_for_entities(message.entities)
        return known

    def set_aside(self, trackers: Iterable[TrainingTracker]) -> None:
        """Take note of conversations that go nowhere else, if there is anything in them to learn."""
        self.partial += self._unlike_others(tracker for tracker in trackers if tracker.history.length)

    def _unlike_others(self, trackers: Iterable[TrainingTracker]) -> list[TrainingTracker]:
        """Return the conversations that look like no other before."""
        new = []
        for tracker in trackers:
            path = tracker.path() if self._remove_duplicates else None
            if path is None or path not in self._seen:
                self._seen.add(path)
                new.append(tracker)
        return new

    def instructive(self) -> list[TrainingTracker]:
        """Return the complete conversations, and the partial ones that show policies what no other does."""
        if self._window is None or not self.partial or not self._remove_duplicates:
            return [*self.complete, *self.partial]
        kept = list(self.complete)
        shown = {prediction for tracker in kept for prediction in tracker.predictions(self._window)}
        for tracker in self.partial:
            new = tracker.predictions(self._window) - shown
            if new:
                shown |= new
                kept.append(tracker)
        return kept

    def warn_of_loose_ends(self) -> None:
        """Log the checkpoints that only start stories, and those that only end stories."""
        ends = {end.name: step for step in reversed(self._steps) for end in step.end_checkpoints}
        for name, entries in self._entries.items():
            if name != STORY_START and name not in ends:
                message = "%s: no story ends with the checkpoint %r, so this story is not learnt.%s"
                step = self._steps[entries[0][0]]
                logger.warning(message, step.source, name[:100], did_you_mean(name, ends))
        for name, step in ends.items():
            if name not in self._entries:
                message = "%s: no story starts with the checkpoint %r.%s"
                logger.warning(message, step.source, name[:100], did_you_mean(name, self._entries))

    def warn_of_unreached(self) -> None:
        """Log the steps whose conditions no conversation meets that comes to their checkpoints."""
        for index, step in enumerate(self._steps):
            starts = step.start_checkpoints
            if index not in self.reached and any(start.name in self._visited for start in starts):
                message = "%s: no conversation comes here with the slots of %s, so this story is not learnt."
                asked = " or ".join(start.as_story_string() for start in starts)
                logger.warning(message, step.source, asked)
