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

from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    Event,
    Restarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.history import History
from rasa_core.trackers import DialogueStateTracker
from rasa_core.training import TrainingTracker, extract_story_graph
from rasa_core.training.generator import TrainingDataGenerator
from rasa_core.training.structures import Source, StoryStep

if TYPE_CHECKING:
    from rasa_core.agent import Agent
    from rasa_core.interpreter import NaturalLanguageInterpreter
    from rasa_core.policies.policy import Prediction

SEED: Final = 42


@dataclass(frozen=True, slots=True)
class ActionResult:
    """One action of a story, and what was predicted in its place.

    Attributes
    ----------
    expected : str
        What the story does.
    prediction : Prediction
        What the model would do.
    """

    expected: str
    prediction: Prediction

    @property
    def is_right(self) -> bool:
        """Whether the model would do what the story does."""
        return self.expected == self.prediction.action


@dataclass(frozen=True, slots=True)
class StoryResult:
    """One story.

    Attributes
    ----------
    name : str
        Its name; those of all stories that it goes through, if it has checkpoints.
    events : tuple of Event
        All that happens in it.
    sources : tuple of (Source or None)
        For each event, where it stands, or the line that implies it.
    results : tuple of (ActionResult or None)
        For each event, its result if it is an action that counts.
    """

    name: str
    events: tuple[Event, ...]
    sources: tuple[Source | None, ...]
    results: tuple[ActionResult | None, ...]

    @property
    def source(self) -> Source | None:
        """Where the story begins; None if it was not read from a file."""
        return next((source for source in self.sources if source is not None), None)

    @property
    def actions(self) -> list[ActionResult]:
        """The results of all actions that count."""
        return [result for result in self.results if result is not None]

    @property
    def right(self) -> int:
        """Number of actions that were predicted right."""
        return sum(result.is_right for result in self.actions)

    @property
    def is_right(self) -> bool:
        """Whether all actions were predicted right."""
        return all(result.is_right for result in self.actions)

    def first_wrong(self) -> tuple[ActionResult, Source | None]:
        """Return the first action that was predicted wrong, and where it stands.

        Raises
        ------
        LookupError
            If there is none.
        """
        for result, source in zip(self.results, self.sources, strict=True):
            if result is not None and not result.is_right:
                return result, source
        raise LookupError(f"every action of the story {self.name!r} was predicted right.")

    def export_stories(self) -> str:
        """Return the story as text that can be read again, and what was predicted instead as comments."""
        lines = [f"## {self.name.replace('`', chr(39))}"]
        if self.source is not None and self.source.file is not None:
            lines.append(f"<!-- {_in_comment(f'{self.source.file}:{self.source.line}')} -->")
        for index, (event, result) in enumerate(zip(self.events, self.results, strict=True)):
            text = "" if self._is_implied(index) else StoryStep(events=(event,)).as_story_string(flat=True).rstrip("\n")
            if result is not None and not result.is_right:
                text = f"{text or '   '} {_comment(result, is_told=bool(text))}"
            if text:
                lines.append(text)
        return "\n".join(lines) + "\n"

    def _is_implied(self, index: int) -> bool:
        """Tell whether a story leaves an event out: listening before a message, slots from entities."""
        event, source = self.events[index], self.sources[index]
        if isinstance(event, SlotSet) and source is not None:
            line = zip(self.events[:index], self.sources[:index], strict=True)
            return any(isinstance(other, UserUttered) and place is source for other, place in line)
        following = self.events[index + 1] if index + 1 < len(self.events) else None
        is_listening = isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME
        return is_listening and (following is None or isinstance(following, UserUttered))


def _comment(result: ActionResult, is_told: bool) -> str:
    found = result.prediction
    by = f", {found.policy}" if found.policy is not None else ""
    instead = "" if is_told else f" instead of {result.expected}"
    return f"<!-- predicted: {_in_comment(found.action)}{instead} ({found.confidence:.2f}{by}) -->"


def _in_comment(text: str) -> str:
    return text.replace("-->", "-- >").replace("\n", " ")


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
        return self.right / self.total if self.total else 0.0

    @property
    def failed(self) -> list[StoryResult]:
        """The stories in which something else was predicted."""
        return [story for story in self.stories if not story.is_right]

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
    graph = extract_story_graph(resource_name, agent.domain, interpreter)
    made = TrainingDataGenerator(graph, agent.domain, remove_duplicates=False, augmentation_factor=0).generate()
    found = _whole_stories(made)
    chosen = found
    if max_stories is not None and len(found) > max_stories:
        indices = range(len(found))
        taken = random.Random(SEED).sample(indices, max_stories) if shuffle_stories else indices[:max_stories]
        chosen = [found[index] for index in sorted(taken)]
    return Evaluation(tuple(evaluate_story(agent, tracker) for tracker in chosen), len(found))


def _whole_stories(trackers: Sequence[TrainingTracker]) -> list[TrainingTracker]:
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
