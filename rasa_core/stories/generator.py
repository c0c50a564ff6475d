"""Makes up the conversations that policies learn from, by walking through the stories.

1. Every path from the start of a story, through checkpoints, to an end is one conversation. A way that leads
   back is taken once, and again as long as that reaches stories which no path has reached.
2. *Augmentation*: three rounds in which complete conversations go on with another story, so that policies
   learn not to mind what was long ago.

The same stories, domain and seed give the same conversations in the same order, in every process.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Final

from rasa_core.history import History
from rasa_core.stories.merging import CONTINUATIONS_PER_CHECKPOINT, sample
from rasa_core.stories.steps import STORY_START, StoryGraph
from rasa_core.stories.tracker import TrainingTracker
from rasa_core.stories.walk import Walk

if TYPE_CHECKING:
    from rasa_core.domain import Domain

logger = logging.getLogger(__name__)

AUGMENTATION_ROUNDS: Final = 3
AUGMENTED_PER_FACTOR: Final = 10
PLOT_FILE: Final = "story_blocks_connections.html"


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

    def __init__(
        self,
        story_graph: StoryGraph,
        domain: Domain,
        remove_duplicates: bool = True,
        unique_last_num_states: int | None = None,
        augmentation_factor: int = 20,
        tracker_limit: int | None = None,
        use_story_concatenation: bool = True,
        debug_plots: bool = False,
        seed: int = 42,
        max_history: int | None = None,
    ) -> None:
        self.story_graph = story_graph
        self.domain = domain
        self.remove_duplicates = remove_duplicates
        self.unique_last_num_states = unique_last_num_states
        self.max_history = max_history
        self.augmentation_factor = augmentation_factor if use_story_concatenation else 0
        self.tracker_limit = CONTINUATIONS_PER_CHECKPOINT if tracker_limit is None else max(1, tracker_limit)
        self._is_limited = tracker_limit is not None
        self.debug_plots = debug_plots
        self.seed = seed

    def generate(self) -> list[TrainingTracker]:
        """Return the conversations: those that stand in the stories, then the augmented ones."""
        if self.debug_plots:
            self.story_graph.visualize(PLOT_FILE)
        unique = self.unique_last_num_states
        walk = Walk(
            self.story_graph,
            self.domain,
            remove_duplicates=self.remove_duplicates,
            window=self.max_history if unique is None else unique,
            merge_always=unique is not None,
            rng=random.Random(self.seed),
        )
        made = self._through_all_stories(walk)
        logger.info("%d conversations from %d story steps.", len(made), len(self.story_graph.story_steps))
        if self.augmentation_factor > 0:
            augmented = self._augment(walk, random.Random(self.seed))
            logger.info("%d augmented conversations.", len(augmented))
            made = [*made, *augmented]
        return made

    def _through_all_stories(self, walk: Walk) -> list[TrainingTracker]:
        walk.warn_of_loose_ends()
        root = TrainingTracker("", self.domain.slots, history=History(None, self.domain.vocabulary))
        # Looking at all states, as many histories differ as there are paths: only a limit helps.
        complete = walk.window is not None and self.remove_duplicates and not self._is_limited
        again = walk.sweep({STORY_START: [root]}, self.tracker_limit, known=[root], every_history=complete)
        went_back, reached = False, 0
        while again and (not went_back or len(walk.reached) > reached):
            went_back, reached = True, len(walk.reached)
            again = walk.sweep(again, self.tracker_limit, every_history=complete)
        walk.set_aside(tracker for trackers in again.values() for tracker in trackers)
        walk.warn_of_unreached()
        return walk.instructive()

    def _augment(self, walk: Walk, rng: random.Random) -> list[TrainingTracker]:
        most = AUGMENTED_PER_FACTOR * self.augmentation_factor
        made: list[TrainingTracker] = []
        pool = walk.complete
        for _ in range(AUGMENTATION_ROUNDS):
            heads = [tracker.augmented() for tracker in sample(pool, self.augmentation_factor, rng)]
            walk.complete = []
            walk.sweep({STORY_START: heads}, most, known=heads, every_step=False)
            kept = sample(walk.complete, most, rng)
            pool = [*pool, *kept]
            made += kept
        return made
