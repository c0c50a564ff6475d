"""Makes up the conversations that policies learn from, by going through the stories.

1. Every path from the start of a story, through checkpoints, to an end is one conversation. A way that leads
   back is taken once, and again as long as that reaches stories which no path has reached, or shows policies
   histories that no path has shown.
2. *Augmentation*: three rounds in which complete conversations go on with another story, so that policies
   learn not to mind what was long ago.

The same stories, domain and seed give the same conversations in the same order, in every process.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Final

from rasa_core.domain import Domain
from rasa_core.events import Event, UserUttered
from rasa_core.exceptions import did_you_mean
from rasa_core.rasa3.history import history_for
from rasa_core.stories.sampling import (
    CONTINUATIONS_PER_CHECKPOINT,
    CONTINUATIONS_PER_ROUND,
    HISTORIES_PER_CHECKPOINT,
    first_of_each,
    sample,
    sample_unlike,
    share_evenly,
    share_histories,
)
from rasa_core.stories.steps import STORY_START, Checkpoint, StoryGraph
from rasa_core.stories.training_tracker import ExpandedStep, TrainingTracker, TurnKey, expand_step
from rasa_core.support.places import Place

logger = logging.getLogger(__name__)

AUGMENTATION_ROUNDS: Final = 3
ROUNDS_OF_WHOLE_HISTORIES: Final = 1
"""So often stories go round once more where policies look at the whole history, which no round repeats."""
AUGMENTED_PER_FACTOR: Final = 10
PLOT_FILE: Final = "story_blocks_connections.html"

Arrivals = dict[str, list[TrainingTracker]]
"""Name of a checkpoint to the conversations that are there."""
Entry = tuple[int, Checkpoint]
"""Index of a step, and the checkpoint with which it starts."""


@dataclass(eq=False)
class TrainingDataGenerator:
    """Makes up conversations from stories.

    Parameters
    ----------
    story_graph
        The stories.
    domain
        Its slots; entities set them if the domain says so.
    remove_duplicates
        Whether conversations that look the same to policies are made once.
    unique_last_num_states
        How many of the last states policies look at; conversations that agree in them look the same at a
        checkpoint. None if policies look at all.
    max_history
        The same, to be heeded only where a checkpoint is reached in too many ways. None if policies look at all.
    augmentation_factor
        How many complete conversations go on in each round of augmentation; 0 for no augmentation. A round
        gives at most ten times as many.
    max_number_of_trackers
        Accepted for older programs, and without effect.
    tracker_limit
        How many continuations a checkpoint has at most, though at least one for each story that starts with
        it. If not given, `CONTINUATIONS_PER_CHECKPOINT`, or where it is known how many states policies look at,
        as many as show them every history in every story.
    use_story_concatenation
        Whether there is augmentation at all.
    debug_plots
        Whether to draw how stories are joined, into ``story_blocks_connections.html``.
    seed
        Decides which conversations are taken where not all are.
    """

    story_graph: StoryGraph
    domain: Domain
    remove_duplicates: bool = True
    unique_last_num_states: int | None = None
    augmentation_factor: int = 20
    max_number_of_trackers: int | None = None
    tracker_limit: int | None = None
    use_story_concatenation: bool = True
    debug_plots: bool = False
    seed: int = 42
    max_history: int | None = None

    def generate(self) -> list[TrainingTracker]:
        """Return the conversations: first as the stories tell them, then the augmented ones."""
        if self.debug_plots:
            self.story_graph.visualize(PLOT_FILE)
        paths = _Paths(self)
        made = self._through_all_stories(paths)
        logger.info("%d conversations from %d story steps.", len(made), len(self.story_graph.story_steps))
        if self.use_story_concatenation and self.augmentation_factor > 0:
            augmented = self._augment(paths, random.Random(self.seed))
            logger.info("%d augmented conversations.", len(augmented))
            made = [*made, *augmented]
        return made

    def _through_all_stories(self, paths: _Paths) -> list[TrainingTracker]:
        paths.warn_of_open_checkpoints()
        root = TrainingTracker("", self.domain.slots, history=history_for(None, self.domain.vocabulary))
        limit = CONTINUATIONS_PER_CHECKPOINT if self.tracker_limit is None else max(1, self.tracker_limit)
        again = paths.follow_all({STORY_START: [root]}, limit)
        went_back, reached = False, 0
        # A cycle is gone through once, and further only while that leads to steps that were not reached before.
        while again and (not went_back or len(paths.reached) > reached):
            went_back, reached = True, len(paths.reached)
            again = paths.follow_all(again, limit)
        # Each round adds at least one state, so that then all histories are full. Whole histories never are.
        for _ in range(ROUNDS_OF_WHOLE_HISTORIES if paths.window is None else paths.window):
            again = paths.go_round(again, min(limit, CONTINUATIONS_PER_ROUND)) if again else again
        paths.stop(tracker for trackers in again.values() for tracker in trackers)
        paths.warn_of_unmet_conditions()
        return paths.instructive()

    def _augment(self, paths: _Paths, rng: random.Random) -> list[TrainingTracker]:
        most = AUGMENTED_PER_FACTOR * self.augmentation_factor
        made: list[TrainingTracker] = []
        pool = paths.complete
        gone_on: set[Hashable] = set()
        for _ in range(AUGMENTATION_ROUNDS):
            chosen = sample_unlike(pool, self.augmentation_factor, paths.outlook, gone_on, rng)
            paths.complete = []
            heads = [tracker.augmented() for tracker in chosen]
            again = paths.follow_all({STORY_START: heads}, most, is_augmenting=True)
            again = paths.follow_all(again, most, is_augmenting=True)
            kept = sample(paths.complete, most, rng)
            pool = [*pool, *kept]
            # Others have come by a way that leads back a second time, and are learnt from up to there.
            made += [*kept, *sample(paths.unlike_others(chain.from_iterable(again.values())), most, rng)]
        return made


class _Paths:
    """Conversations on their way through a story graph.

    Parameters
    ----------
    options
        The stories, and how to go through them.

    Attributes
    ----------
    complete : list of TrainingTracker
        Conversations that have reached the end of a story.
    partial : list of TrainingTracker
        Conversations that go nowhere else: another looks the same from there on, or there was no room for
        them, or no story begins where they are, or they are about to forget what has been.
    reached : set of int
        Indices of the steps through which a conversation went.
    window : int or None
        How many of the last states policies look at; None for all.
    """

    def __init__(self, options: TrainingDataGenerator) -> None:
        self.complete: list[TrainingTracker] = []
        self.partial: list[TrainingTracker] = []
        self.reached: set[int] = set()
        self._options = options
        self._graph = options.story_graph
        self._steps = options.story_graph.story_steps
        self._merged_at = options.unique_last_num_states
        self.window = options.max_history if self._merged_at is None else self._merged_at
        # Looking at all states, as many histories differ as there are paths: only a limit helps.
        is_limited = options.tracker_limit is not None
        self._shows_histories = self.window is not None and options.remove_duplicates and not is_limited
        self._are_merged = self._merged_at is not None
        # Of its own, as augmentation has one: how many draws one part makes must not change what the other draws.
        self._rng = random.Random(options.seed)
        self._visited: set[str] = set()
        self._expanded: dict[tuple[int, bool], ExpandedStep] = {}
        # By identity: the reader makes equal lines one object, and the steps keep it alive.
        self._slots_set: dict[int, list[Event]] = {}
        self._seen: dict[Hashable, TrainingTracker] = {}
        self._shown: dict[str, set[Hashable]] = {end.name: set() for _, end in self._graph.cyclic_edges()}
        self._entries: dict[str, list[Entry]] = {}
        for index, step in enumerate(self._steps):
            for start in step.start_checkpoints:
                self._entries.setdefault(start.name, []).append((index, start))
        starts = (start for step in self._steps for start in step.start_checkpoints)
        self._tested_slots = tuple(dict.fromkeys(slot for start in starts for slot in start.conditions or ()))

    def follow_all(self, arrivals: Arrivals, limit: int, *, is_augmenting: bool = False) -> Arrivals:
        """Lead conversations from the checkpoints at which they are, forward, to where they end.

        Parameters
        ----------
        arrivals
            Where conversations are; emptied. What is returned is like it: where they came by a way that leads back.
        limit
            How many continuations a checkpoint has at most; more only so that each step that begins there has one,
            or each history that policies tell from others leads into each step.
        is_augmenting
            Whether no checkpoint has more.
        """
        again: Arrivals = {}
        followed: set[tuple[TrainingTracker, int]] = set()
        for name in self._graph.checkpoint_names:
            waiting = arrivals.pop(name, [])
            if waiting:
                self._visited.add(name)
            if name in self._shown:
                self._shown[name].update(map(self.outlook, waiting))
            entries = self._entries.get(name, [])
            if is_augmenting:
                entries = sample(entries, limit, self._rng)
            shares, left = self._shares(name, waiting, entries, limit, self._shows_histories and not is_augmenting)
            for (index, _), share in zip(entries, shares, strict=True):
                for tracker in share:
                    if (tracker, index) not in followed:
                        self._follow(tracker, index, name, arrivals, again)
                    if len(self._steps[index].start_checkpoints) > 1:
                        # A step with several starts may meet one conversation at each of them, and is followed once.
                        followed.add((tracker, index))
            self.stop(left)
        return again

    def go_round(self, arrivals: Arrivals, limit: int) -> Arrivals:
        """Lead on the conversations that came by a way that leads back, if policies see a new history there.

        What becomes of them is learnt from where it shows policies something new. Each checkpoint has at most `limit`
        continuations: the histories of several stories in a circle are too many to show all.
        """
        self._are_merged = True
        complete, self.complete = self.complete, []
        onward: Arrivals = {}
        for name, trackers in arrivals.items():
            shown = self._shown[name]
            for tracker in trackers:
                if self.outlook(tracker) in shown:
                    self.stop([tracker])
                else:
                    onward.setdefault(name, []).append(tracker)
        again = self.follow_all(onward, limit, is_augmenting=True)
        # What only repeats a cycle is learnt from where it shows something new, like the partial ones, not as a whole.
        self.partial += self.complete
        self.complete = complete
        return again

    def _shares(
        self, name: str, waiting: list[TrainingTracker], entries: Sequence[Entry], limit: int, shows_histories: bool
    ) -> tuple[Sequence[Sequence[TrainingTracker]], list[TrainingTracker]]:
        """Return which conversations at a checkpoint go on through which step, and which ones go on nowhere."""
        alike: list[TrainingTracker] = []
        unlike = waiting
        if self._options.remove_duplicates:
            unlike, alike = first_of_each(waiting, lambda tracker: self._outlook(tracker, self._merged_at))
        accepted = _accepted(entries, unlike)
        if shows_histories and sum(map(len, accepted)) > limit:
            shares = self._share_histories(name, waiting, entries)
            unlike, alike = waiting, []
        else:
            shares = share_evenly(accepted, limit, self._rng)
        going = {tracker for share in shares for tracker in share}
        return shares, [*alike, *(tracker for tracker in unlike if tracker not in going)]

    def _share_histories(
        self, name: str, waiting: list[TrainingTracker], entries: Sequence[Entry]
    ) -> Sequence[Sequence[TrainingTracker]]:
        self._are_merged = True
        waits = [self._expand(index, name == STORY_START).opening_listen == 0 for index, _ in entries]
        whole = cache(self.outlook)
        shorter = cache(self._outlook_after_listening)
        shares = share_histories(_accepted(entries, waiting), waits, whole, shorter, self._rng)
        if sum(map(len, shares)) > HISTORIES_PER_CHECKPOINT:
            message = "the checkpoint %r is reached in so many ways that not every history of %s states goes on."
            logger.warning(message, name[:100], self.window)
            return [sample(share, max(1, HISTORIES_PER_CHECKPOINT // len(shares)), self._rng) for share in shares]
        return shares

    def outlook(self, tracker: TrainingTracker) -> Hashable:
        """Return what decides on everything that can follow, for who looks at as many states as policies do."""
        return self._outlook(tracker, self.window)

    def _outlook(self, tracker: TrainingTracker, count: int | None) -> Hashable:
        """Return what decides on everything that can follow, for who looks at `count` states."""
        return tracker.path(count), tracker.values_of(self._tested_slots)

    def _outlook_after_listening(self, tracker: TrainingTracker) -> Hashable:
        """Return what decides on everything that can follow once the bot has listened."""
        if self.window is None or tracker.is_listening():
            return self.outlook(tracker)
        return self._outlook(tracker, max(1, self.window - 1))

    def _follow(self, tracker: TrainingTracker, index: int, start: str, arrivals: Arrivals, again: Arrivals) -> None:
        step = self._steps[index]
        self.reached.add(index)
        onward, ended = tracker.follow(step, self._expand(index, start == STORY_START))
        self.stop(ended)
        for end in dict.fromkeys(checkpoint.name for checkpoint in step.end_checkpoints):
            target = again if self._graph.leads_back(start, end) else arrivals
            target.setdefault(end, []).append(onward)
        if not step.end_checkpoints:
            self.complete += self.unlike_others([onward])

    def _expand(self, index: int, opens_story: bool) -> ExpandedStep:
        key = (index, opens_story)
        if key not in self._expanded:
            step, keeps = self._steps[index], self._options.domain.rasa is not None
            self._expanded[key] = expand_step(step, self._slot_sets, opens_story, keeps_listening=keeps)
        return self._expanded[key]

    def _slot_sets(self, message: UserUttered) -> list[Event]:
        """Return the events by which a message sets slots; equal lines share one message."""
        known = self._slots_set.get(id(message))
        if known is None:
            known = self._slots_set[id(message)] = self._options.domain.slots_in_story(message.entities)
        return known

    def stop(self, trackers: Iterable[TrainingTracker]) -> None:
        """Take note of conversations that go nowhere else, if there is anything in them to learn."""
        self.partial += self.unlike_others(tracker for tracker in trackers if tracker.history.length)

    def unlike_others(self, trackers: Iterable[TrainingTracker]) -> list[TrainingTracker]:
        """Return the conversations that look like no other before; of the others, only their places are kept."""
        new = []
        for tracker in trackers:
            path = tracker.path() if self._options.remove_duplicates else None
            same = None if path is None else self._seen.get(path)
            if same is None:
                self._seen[path] = tracker
                new.append(tracker)
            # The lines of an augmented conversation were told before: its stories are all among the others.
            elif not tracker.is_augmented:
                same.add_places_of(tracker)
        return new

    def instructive(self) -> list[TrainingTracker]:
        """Return the complete conversations, and the partial ones that show policies what no other does."""
        if self.window is None or not self._are_merged or not self.partial or not self._options.remove_duplicates:
            return [*self.complete, *self.partial]
        kept: list[TrainingTracker] = []
        shown: dict[TurnKey, tuple[TrainingTracker, int, Place | None]] = {}
        for tracker in [*self.complete, *self.partial]:
            is_complete = len(kept) < len(self.complete)
            turns = [(number, turn, place) for number, (turn, place) in enumerate(tracker.turns(self.window)) if turn]
            if is_complete or any(turn not in shown for _, turn, _ in turns):
                kept.append(tracker)
                for number, turn, place in turns:
                    shown.setdefault(turn, (tracker, number, place))
            else:
                for _, turn, place in turns:
                    shower, number, own = shown[turn]
                    shower.add_place(number, own, place)
        return kept

    def warn_of_open_checkpoints(self) -> None:
        """Log the checkpoints that only start stories, and the ones that only end stories."""
        ends = {end.name: step for step in reversed(self._steps) for end in step.end_checkpoints}
        starts = {name: self._steps[entries[0][0]] for name, entries in self._entries.items()}
        unended = "%s: no story ends with the checkpoint %r, so this story is not learnt.%s"
        unstarted = "%s: no story starts with the checkpoint %r.%s"
        for here, there, message in ((starts, {STORY_START, *ends}, unended), (ends, set(starts), unstarted)):
            for name, step in here.items():
                if name not in there:
                    hint = did_you_mean(name, there - {STORY_START})
                    logger.warning(message, step.source, name[:100], hint)

    def warn_of_unmet_conditions(self) -> None:
        """Log the steps to whose checkpoints no conversation comes, or none that meets their conditions."""
        ends = {end.name for step in self._steps for end in step.end_checkpoints}
        for step in (step for index, step in enumerate(self._steps) if index not in self.reached):
            names = {start.name for start in step.start_checkpoints}
            asked = " or ".join(start.as_story_string() for start in step.start_checkpoints)
            if names & self._visited:
                message = "%s: no conversation comes here with the slots of %s, so this story is not learnt."
                logger.warning(message, step.source, asked)
            elif names & ends:
                message = "%s: no conversation comes to %s, but from stories that are not learnt themselves."
                logger.warning(message, step.source, asked)


def _accepted(entries: Sequence[Entry], arrivals: Sequence[TrainingTracker]) -> list[list[TrainingTracker]]:
    """Return, for each step that begins at a checkpoint, the conversations whose slots meet its conditions."""
    accepted: dict[str, list[TrainingTracker]] = {}
    shares = []
    for _, start in entries:
        # One list for all steps with equal conditions, which `share_evenly` and `share_histories` know by its identity.
        kind = json.dumps(start.conditions, sort_keys=True, default=repr)
        if kind not in accepted:
            accepted[kind] = [tracker for tracker in arrivals if start.accepts(tracker)]
        shares.append(accepted[kind])
    return shares
