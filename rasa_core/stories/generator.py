"""Makes training conversations from stories.

1. Every path from the start of a story, through checkpoints, to an end is one conversation. A cycle of checkpoints
   is followed once, and again as long as that reaches stories which no path has reached, or shows policies
   histories that no path has shown.
2. *Augmentation*: in three rounds, complete conversations continue with another story, so that policies
   learn to ignore turns of long ago.

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
"""Additional rounds through a cycle of checkpoints if policies see the whole history, which never repeats."""
AUGMENTED_PER_FACTOR: Final = 10
PLOT_FILE: Final = "story_blocks_connections.html"

Arrivals = dict[str, list[TrainingTracker]]
"""Name of a checkpoint to the conversations that are there."""
StepEntry = tuple[int, Checkpoint]
"""Index of a step, and the checkpoint with which it starts."""


@dataclass(eq=False)
class TrainingDataGenerator:
    """Makes training conversations from stories.

    Parameters
    ----------
    domain
        The domain, whose slots entities set if its ``config:`` says so.
    remove_duplicates
        Whether only one of the conversations is made that look the same to policies.
    unique_last_num_states
        The number of last states that policies see; conversations with equal last states look the same at a
        checkpoint. None if policies see all states.
    max_history
        The same number, used only if a checkpoint is reached in too many ways. None if policies see all states.
    augmentation_factor
        The number of complete conversations that continue in each round of augmentation; 0 for no augmentation. A
        round makes at most ten times as many.
    max_number_of_trackers
        Accepted for older programs, and without effect.
    tracker_limit
        The largest number of continuations of a checkpoint, which has at least one for each story that starts with
        it. Default: `CONTINUATIONS_PER_CHECKPOINT`, or, if the number of states that policies see is known,
        enough to show policies every history in every story.
    use_story_concatenation
        Whether to augment.
    debug_plots
        Whether to draw the checkpoints that join stories, into ``story_blocks_connections.html``.
    seed
        The seed for samples of conversations.
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
        # A cycle is followed once, and again only while that reaches new steps.
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
            # The other conversations have followed a cycle a second time; they are training data up to this point.
            made += [*kept, *sample(paths.unlike_others(chain.from_iterable(again.values())), most, rng)]
        return made


class _Paths:
    """Conversations on their way through a story graph.

    Parameters
    ----------
    options
        The generator, with the stories and the options.

    Attributes
    ----------
    complete : list of TrainingTracker
        Conversations that have reached the end of a story.
    partial : list of TrainingTracker
        Conversations that do not continue: another conversation has the same continuations, or the limit is
        reached, or no story begins at their checkpoint, or they are about to forget their history.
    reached : set of int
        Indices of the steps that a conversation has reached.
    window : int or None
        The number of last states that policies see; None for all.
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
        # With all states, there are as many different histories as paths, so only a limit bounds them.
        is_limited = options.tracker_limit is not None
        self._shows_histories = self.window is not None and options.remove_duplicates and not is_limited
        self._are_merged = self._merged_at is not None
        # A generator of its own, as augmentation has: the draws of one part must not change those of the other.
        self._rng = random.Random(options.seed)
        self._visited: set[str] = set()
        self._expanded: dict[tuple[int, bool], ExpandedStep] = {}
        # By identity: the reader makes equal lines one object, and the steps keep it alive.
        self._slots_set: dict[int, list[Event]] = {}
        self._seen: dict[Hashable, TrainingTracker] = {}
        self._shown: dict[str, set[Hashable]] = {end.name: set() for _, end in self._graph.cyclic_edges()}
        self._entries: dict[str, list[StepEntry]] = {}
        for index, step in enumerate(self._steps):
            for start in step.start_checkpoints:
                self._entries.setdefault(start.name, []).append((index, start))
        starts = (start for step in self._steps for start in step.start_checkpoints)
        self._tested_slots = tuple(dict.fromkeys(slot for start in starts for slot in start.conditions or ()))

    def follow_all(self, arrivals: Arrivals, limit: int, *, is_augmenting: bool = False) -> Arrivals:
        """Continue conversations from their checkpoints forward to their ends; return those that follow a cycle.

        Parameters
        ----------
        arrivals
            The conversations at each checkpoint; emptied. The result has the conversations that a cycle leads back.
        limit
            The largest number of continuations of a checkpoint. It has more if each step that begins there needs one,
            or so that each history that policies can tell from others leads into each step.
        is_augmenting
            Whether the limit has no exceptions.
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
        """Continue the conversations that a cycle has led back, if policies see a new history there.

        Training uses the new conversations from the point at which they show policies something new. Each checkpoint
        has at most `limit` continuations, because several stories in a cycle have too many histories to show them all.
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
        # Repetitions of a cycle are training data only from the point at which they show something new.
        self.partial += self.complete
        self.complete = complete
        return again

    def _shares(
        self, name: str, waiting: list[TrainingTracker], entries: Sequence[StepEntry], limit: int, shows_histories: bool
    ) -> tuple[Sequence[Sequence[TrainingTracker]], list[TrainingTracker]]:
        """Return the conversations at a checkpoint that continue in each step, and those that do not continue."""
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
        self, name: str, waiting: list[TrainingTracker], entries: Sequence[StepEntry]
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
        """Return a key that is equal for conversations with the same continuations, as far as policies can see."""
        return self._outlook(tracker, self.window)

    def _outlook(self, tracker: TrainingTracker, count: int | None) -> Hashable:
        """Return a key that is equal for conversations with the same continuations in the last `count` states."""
        return tracker.path(count), tracker.values_of(self._tested_slots)

    def _outlook_after_listening(self, tracker: TrainingTracker) -> Hashable:
        """Return the key of `outlook` for the moment after ``action_listen``."""
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
        """Return the events with which the entities of a message set slots; equal lines share one message."""
        known = self._slots_set.get(id(message))
        if known is None:
            known = self._slots_set[id(message)] = self._options.domain.slots_in_story(message.entities)
        return known

    def stop(self, trackers: Iterable[TrainingTracker]) -> None:
        """Add conversations that do not continue to `partial`, if they have something to learn."""
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
            # Problems of an augmented conversation were reported before, with its stories.
            elif not tracker.is_augmented:
                same.add_places_of(tracker)
        return new

    def instructive(self) -> list[TrainingTracker]:
        """Return the complete conversations, and those partial ones that show policies something new."""
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


def _accepted(entries: Sequence[StepEntry], arrivals: Sequence[TrainingTracker]) -> list[list[TrainingTracker]]:
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
