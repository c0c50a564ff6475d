"""Leads conversations through stories, from checkpoint to checkpoint."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Hashable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from rasa_core.events import Event, UserUttered
from rasa_core.exceptions import did_you_mean
from rasa_core.stories.merging import (
    COVERING_PER_CHECKPOINT,
    Looks,
    accepted_by,
    cover,
    deal,
    merge_equal,
    sample,
    set_apart,
)
from rasa_core.stories.passages import Passage, passage_through
from rasa_core.stories.steps import STORY_START, Checkpoint, Source, StoryGraph
from rasa_core.stories.tracker import TrainingTracker, Turn

if TYPE_CHECKING:
    from rasa_core.domain import Domain

logger = logging.getLogger(__name__)

Arrivals = dict[str, list[TrainingTracker]]
Way = tuple[TrainingTracker, int]


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
    merge_always
        Whether conversations that agree in so many states are one at every checkpoint, or only where too many
        come together.
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
        merge_always: bool = True,
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
        self.window = window
        self._merged_at = window if merge_always else None
        self._rng = rng
        self._passages: dict[tuple[int, bool], Passage] = {}
        self._slots_set: dict[int, list[Event]] = {}
        self._seen: dict[Hashable, TrainingTracker] = {}
        self._has_covered = False
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
        every_history: bool = False,
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
        every_history
            Whether each history that policies tell from others leads into each step, even beyond the limit.

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
            ways, left = self._ways(name, waiting, limit, every_step, every_history)
            for tracker, index in ways:
                if len(self._steps[index].start_checkpoints) > 1:
                    if (tracker, index) in followed:
                        continue
                    followed.add((tracker, index))
                self._follow(tracker, index, name, arrivals, again)
            self.set_aside(set_apart(left, known))
        return again

    def _ways(
        self, name: str, waiting: list[TrainingTracker], limit: int, every_step: bool, every_history: bool
    ) -> tuple[list[Way], list[TrainingTracker]]:
        """Return which conversation at a checkpoint goes on through which step, and those that do not."""
        entries = self._entries.get(name, [])
        if not every_step:
            entries = sample(entries, limit, self._rng)
        alike: list[TrainingTracker] = []
        unlike = waiting
        if self._remove_duplicates:
            unlike, alike = merge_equal(waiting, lambda tracker: self._outlook(tracker, self._merged_at))
        accepted = accepted_by([entry for _, entry in entries], unlike)
        if every_history and sum(map(len, accepted)) > limit:
            shares = self._cover(name, waiting, entries)
            unlike, alike = waiting, []
        else:
            shares = deal(accepted, limit, self._rng)
        ways = [(tracker, index) for (index, _), share in zip(entries, shares, strict=True) for tracker in share]
        return ways, [*alike, *set_apart(unlike, (tracker for tracker, _ in ways))]

    def _cover(
        self, name: str, waiting: list[TrainingTracker], entries: Sequence[tuple[int, Checkpoint]]
    ) -> Sequence[Sequence[TrainingTracker]]:
        self._has_covered = True
        accepted = accepted_by([entry for _, entry in entries], waiting)
        waits = [self._passage(index, name == STORY_START).opening_listen == 0 for index, _ in entries]
        looks = Looks(cache(lambda tracker: self._outlook(tracker, self.window)), cache(self._outlook_after_listening))
        shares = cover(accepted, waits, looks, self._rng)
        if sum(map(len, shares)) > COVERING_PER_CHECKPOINT:
            message = "the checkpoint %r is reached in so many ways that not every history of %s states goes on."
            logger.warning(message, name[:100], self.window)
            return [sample(share, max(1, COVERING_PER_CHECKPOINT // len(shares)), self._rng) for share in shares]
        return shares

    def _outlook(self, tracker: TrainingTracker, count: int | None) -> Hashable:
        """Return what decides on everything that can follow, for who looks at `count` states."""
        return tracker.path(count), tracker.values_of(self._tested_slots)

    def _outlook_after_listening(self, tracker: TrainingTracker) -> Hashable:
        """Return what decides on everything that can follow once the bot has listened."""
        if self.window is None or tracker.is_listening():
            return self._outlook(tracker, self.window)
        return self._outlook(tracker, max(1, self.window - 1))

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
        """Return the conversations that look like no other before; of the others, only their places are kept."""
        new = []
        for tracker in trackers:
            path = tracker.path() if self._remove_duplicates else None
            same = None if path is None else self._seen.get(path)
            if same is None:
                self._seen[path] = tracker
                new.append(tracker)
            elif not tracker.is_augmented:
                same.stands_elsewhere(tracker)
        return new

    def instructive(self) -> list[TrainingTracker]:
        """Return the complete conversations, and the partial ones that show policies what no other does."""
        merged = self._has_covered or self._merged_at is not None
        if self.window is None or not merged or not self.partial or not self._remove_duplicates:
            return [*self.complete, *self.partial]
        kept: list[TrainingTracker] = []
        shown: dict[Turn, _Shown] = {}
        for tracker in [*self.complete, *self.partial]:
            is_complete = len(kept) < len(self.complete)
            turns = [(number, turn, source) for number, (turn, source) in enumerate(tracker.turns(self.window)) if turn]
            if is_complete or any(turn not in shown for _, turn, _ in turns):
                kept.append(tracker)
                for number, turn, source in turns:
                    shown.setdefault(turn, _Shown(tracker, number, source))
            else:
                for _, turn, source in turns:
                    shown[turn].stands_also_at(source)
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


class _Shown(NamedTuple):
    """Which conversation shows policies a turn, with its number there, and where it stands."""

    tracker: TrainingTracker
    number: int
    source: Source | None

    def stands_also_at(self, source: Source | None) -> None:
        if source is not None and source != self.source:
            self.tracker.elsewhere.setdefault(self.number, {})[source] = None
