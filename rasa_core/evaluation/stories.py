"""Measures how often a model does what stories say.

Each action of a story is predicted from everything that the story says before it, whether the earlier
predictions were right or not; no action is run. What counts:

- every action that a story tells, and the listening that it implies before a message and at its end;
- not the listening before the first message, with which every conversation begins, nor an action that opens a
  story, as neither is predicted when a bot runs.

A path through checkpoints is a story of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rasa_core.evaluation.metrics import Pair, ratio
from rasa_core.evaluation.story_result import ActionResult, StoryResult
from rasa_core.events import ActionExecuted, Event, Restarted, UserUtteranceReverted
from rasa_core.history import History
from rasa_core.stories import TrainingTracker, extract_story_graph
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.steps import Source, StoryGraph
from rasa_core.support.progress import Progress
from rasa_core.trackers import DialogueStateTracker

if TYPE_CHECKING:
    from rasa_core.agent import Agent
    from rasa_core.domain import Domain
    from rasa_core.interpreter import NaturalLanguageInterpreter

SEED: Final = 42
_TOLD_EVERY: Final = 50  # stories


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a model follows stories.

    Attributes
    ----------
    stories : tuple of StoryResult
        In the order of the stories.
    available : int
        How many stories there were to choose from.
    """

    stories: tuple[StoryResult, ...]
    available: int

    @property
    def actions(self) -> list[ActionResult]:
        """The results of all actions of all stories."""
        return [result for story in self.stories for result in story.actions]

    @property
    def pairs(self) -> list[Pair]:
        """What was expected and what was predicted, for all actions of all stories."""
        return [(result.expected, result.prediction.action) for result in self.actions]

    @property
    def total(self) -> int:
        """Number of actions."""
        return sum(len(story.actions) for story in self.stories)

    @property
    def right(self) -> int:
        """Number of actions that were predicted right."""
        return sum(story.right for story in self.stories)

    @property
    def accuracy(self) -> float:
        """Share of the actions that were predicted right, 0 to 1; 0 if there are no actions."""
        return ratio(self.right, self.total)

    @property
    def failed(self) -> list[StoryResult]:
        """The stories in which something else was predicted."""
        return [story for story in self.stories if not story.is_right]

    @property
    def whole_stories(self) -> float:
        """Share of the stories in which all actions were predicted right; 0 if there are no stories."""
        return ratio(len(self.stories) - len(self.failed), len(self.stories))

    def by_policy(self) -> dict[str | None, tuple[int, int]]:
        """Return for each policy how often it decided and how often that was right, the most frequent first.

        None stands for what no policy decided: what was fixed, and where none had anything to say.
        """
        counts: dict[str | None, tuple[int, int]] = {}
        for result in self.actions:
            made, right = counts.get(result.prediction.policy, (0, 0))
            counts[result.prediction.policy] = (made + 1, right + result.is_right)
        return dict(sorted(counts.items(), key=lambda item: (-item[1][0], item[0] or "")))


def evaluate_stories(
    agent: Agent,
    resource_name: str | Path,
    max_stories: int | None = None,
    shuffle_stories: bool = True,
    interpreter: NaturalLanguageInterpreter | None = None,
) -> Evaluation:
    """Compare the predictions of an agent with stories.

    Parameters
    ----------
    agent
        Predicts; its conversations are left alone.
    resource_name
        A story file, or a folder.
    max_stories
        How many stories are looked at; None for all.
    shuffle_stories
        Which ones, if there are more: a sample, the same in each run; False for the first.
    interpreter
        Parses the messages in the stories that do not name an intent.

    Raises
    ------
    StoryParseError
        If the stories cannot be read; it tells file and line.
    """
    found = whole_stories(extract_story_graph(resource_name, agent.domain, interpreter), agent.domain)
    chosen = found
    if max_stories is not None and len(found) > max_stories:
        indices = range(len(found))
        taken = random.Random(SEED).sample(indices, max_stories) if shuffle_stories else indices[:max_stories]
        chosen = [found[index] for index in sorted(taken)]
    return Evaluation(evaluate_conversations(agent, chosen), len(found))


def whole_stories(graph: StoryGraph, domain: Domain) -> list[TrainingTracker]:
    """Return the conversations that stories tell, each path through checkpoints as one."""
    made = TrainingDataGenerator(graph, domain, remove_duplicates=False, augmentation_factor=0).generate()
    return _without_beginnings(made)


def evaluate_conversations(
    agent: Agent, conversations: Sequence[TrainingTracker], *, silent: bool = False
) -> tuple[StoryResult, ...]:
    """Predict each action of some conversations, and tell how far that is unless it is to be `silent`."""
    results = []
    with Progress("evaluating, story", len(conversations), silent=silent) as progress:
        for number, conversation in enumerate(conversations, 1):
            results.append(evaluate_story(agent, conversation))
            if number % _TOLD_EVERY == 0:
                progress.step(number)
    return tuple(results)


def _without_beginnings(trackers: Sequence[TrainingTracker]) -> list[TrainingTracker]:
    """Drop the conversations that are the beginning of another, up to where that restarts or is rewound."""
    beginnings = set()
    for tracker in trackers:
        events = list(tracker.events)
        for index, event in enumerate(events):
            if isinstance(event, Restarted | UserUtteranceReverted):
                beginnings.add(_identity(events[:index], tracker.sources[:index]))
    return [tracker for tracker in trackers if _identity(tracker.events, tracker.sources) not in beginnings]


def _identity(events: Iterable[Event], sources: Sequence[Source | None]) -> tuple[object, ...]:
    return (*map(id, events), *sources)


def evaluate_story(agent: Agent, tracker: TrainingTracker) -> StoryResult:
    """Predict each action of one story."""
    events = tuple(tracker.events)
    domain = agent.domain
    told = DialogueStateTracker(
        tracker.sender_id, domain.slots, history=History(agent.policy_ensemble.window, domain.vocabulary)
    )
    results: list[ActionResult | None] = []
    for event in events:
        counts = isinstance(event, ActionExecuted) and not event.unpredictable and told.version > 0
        if counts and isinstance(event, ActionExecuted):
            results.append(ActionResult(event.action_name, agent.predict(told)))
        else:
            results.append(None)
        told.update(event)
    return StoryResult(tracker.sender_id, events, tuple(tracker.sources), tuple(results))
