"""Evaluates how often a bot predicts the actions of stories.

The bot predicts each action of a story from the events of the story before it, whether its earlier
predictions were right or not; no action is run. These actions count:

- every action that a story names, and the ``action_listen`` that it implies before a message and at its end;
- but not the ``action_listen`` before the first message, with which every conversation begins, nor an action that opens
  a story, because no bot predicts either of them.

A path through checkpoints is a story of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from rasa_core.evaluation.metrics import LISTENING, Evaluation, accuracy, ratio, weighted_f1
from rasa_core.evaluation.nlu import MessageResult
from rasa_core.evaluation.predictor import ParsesText, Predictor, has_words, predicted, understood
from rasa_core.evaluation.tables import in_comment
from rasa_core.events import ActionExecuted, Event, Restarted, SlotSet, UserUtteranceReverted, UserUttered
from rasa_core.rasa3.history import history_for
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.sessions import story_in_yaml
from rasa_core.stories.steps import StoryGraph, StoryStep
from rasa_core.stories.training_tracker import TrainingTracker
from rasa_core.support.places import Place
from rasa_core.support.progress import Progress
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.event_log import is_listening, story_lines

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.policies.policy import Prediction

SEED: Final = 42
_TOLD_EVERY: Final = 50  # stories


# -- results


@dataclass(frozen=True, slots=True)
class ActionResult:
    """One action of a story, and the prediction of the bot."""

    expected: str
    prediction: Prediction

    @property
    def is_right(self) -> bool:
        """Whether the bot predicts the action of the story."""
        return self.expected == self.prediction.action


@dataclass(frozen=True, slots=True)
class StoryResult:
    """One story.

    Attributes
    ----------
    name : str
        Name of the story; if it has checkpoints, the names of all stories that it goes through.
    events : tuple of Event
        Its events.
    sources : tuple of (Place or None)
        The place of each event, or of the line that implies it.
    results : tuple of (ActionResult or None)
        The result of each event that is an action that counts.
    messages : tuple of MessageResult
        The result of each message with a text, if an interpreter was evaluated too.
    """

    name: str
    events: tuple[Event, ...]
    sources: tuple[Place | None, ...]
    results: tuple[ActionResult | None, ...]
    messages: tuple[MessageResult, ...] = ()

    @property
    def source(self) -> Place | None:
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
    def misunderstood(self) -> list[MessageResult]:
        """The messages that were not understood as the story says."""
        return [message for message in self.messages if not message.is_right]

    @property
    def is_right(self) -> bool:
        """Whether all actions were predicted right, and all messages understood."""
        return not self.misunderstood and all(result.is_right for result in self.actions)

    def __getitem__(self, key: str) -> list[str]:
        """Return the actions for ``"actual"``, or the predictions for ``"predicted"``, as the dict of 0.9 did."""
        names = {"actual": [result.expected for result in self.actions]}
        return (names | {"predicted": [result.prediction.action for result in self.actions]})[key]

    def first_wrong(self) -> tuple[ActionResult, Place | None]:
        """Return the first action that was predicted wrong, and its place; raise `LookupError` if there is none."""
        for result, source in zip(self.results, self.sources, strict=True):
            if result is not None and not result.is_right:
                return result, source
        raise LookupError(f"every action of the story {self.name!r} was predicted right.")

    def export_stories(self) -> str:
        """Return the story as text that can be read again, with the wrong predictions as comments."""
        lines = [f"## {self.name.replace('`', chr(39))}"]
        if self.source is not None and self.source.file is not None:
            lines.append(f"<!-- {in_comment(f'{self.source.file}:{self.source.line}')} -->")
        implied = _implied(self.events, self.sources)
        for index, (event, result) in enumerate(zip(self.events, self.results, strict=True)):
            text = "" if index in implied else StoryStep(events=(event,)).as_story_string(flat=True).rstrip("\n")
            if result is not None and not result.is_right:
                text = f"{text or '   '} {_comment(result, is_told=bool(text))}"
            if text:
                lines.append(text)
        return "\n".join(lines) + "\n"

    def export_yaml(self) -> str:
        """Return the story in YAML, as a list with one item, with wrong predictions and messages as comments."""
        implied, messages = _implied(self.events, self.sources), iter(self.messages)
        told: list[tuple[Event | None, str]] = []
        for index, (event, result) in enumerate(zip(self.events, self.results, strict=True)):
            comment = "" if result is None or result.is_right else _predicted(result, is_told=index not in implied)
            if self.messages and isinstance(event, UserUttered) and has_words(event):
                comment = next(messages).described()
            if index not in implied or comment:
                told.append((None if index in implied else event, comment))
        return story_in_yaml(self.name, told, "" if self.source is None else f"{self.source.file}:{self.source.line}")


def _predicted(result: ActionResult, is_told: bool) -> str:
    found = result.prediction
    by = f", {found.policy}" if found.policy is not None else ""
    instead = "" if is_told else f" instead of {result.expected}"
    return f"predicted: {found.action}{instead} ({found.confidence:.2f}{by})"


def _comment(result: ActionResult, is_told: bool) -> str:
    return f"<!-- {in_comment(_predicted(result, is_told))} -->"


def told_events(conversation: TrainingTracker) -> list[tuple[Event, Place | None]]:
    """Return the events that a story names, without implied ``action_listen`` and slots that entities set."""
    events, sources = tuple(conversation.events), tuple(conversation.sources)
    implied = _implied(events, sources)
    return [pair for place, pair in enumerate(zip(events, sources, strict=True)) if place not in implied]


def _implied(events: Sequence[Event], sources: Sequence[Place | None]) -> set[int]:
    """Return the positions of the events that a story leaves out."""
    found = set()
    said_at: Place | None = None
    for place, (event, source) in enumerate(zip(events, sources, strict=True)):
        following = events[place + 1] if place + 1 < len(events) else None
        if isinstance(event, UserUttered):
            said_at = source
        elif isinstance(event, SlotSet):
            if source is not None and source is said_at:  # A slot with the place of the message was set by an entity.
                found.add(place)
        elif is_listening(event) and (following is None or isinstance(following, UserUttered)):
            found.add(place)
    return found


@dataclass(frozen=True)
class StoryEvaluation(Evaluation):
    """The results of a bot in stories; `available` is the number of stories from which they were chosen."""

    stories: tuple[StoryResult, ...]
    available: int
    learnt: int = 0
    """The number of these stories that the bot was trained on, word for word."""

    @cached_property
    def actions(self) -> list[ActionResult]:
        """The results of all actions of all stories."""
        return [result for story in self.stories for result in story.actions]

    @property
    def predictions(self) -> list[tuple[str, str, float]]:
        """Each action of the stories, the predicted action, and the confidence."""
        made = ((result.expected, result.prediction) for result in self.actions)
        return [(expected, found.action, found.confidence) for expected, found in made]

    @property
    def total(self) -> int:
        """Number of actions."""
        return len(self.actions)

    @property
    def right(self) -> int:
        """Number of actions that were predicted right."""
        return sum(result.is_right for result in self.actions)

    @property
    def failed(self) -> list[StoryResult]:
        """The stories with a wrong prediction or message."""
        return [story for story in self.stories if not story.is_right]

    @property
    def whole_stories(self) -> float:
        """Share of the stories in which all actions were predicted right; 0 if there are no stories."""
        return ratio(len(self.stories) - len(self.failed), len(self.stories))

    @cached_property
    def figures(self) -> dict[str, float]:
        """The figures, each from 0 to 1.

        ``accuracy`` of all actions; ``accuracy_without_listen`` of the actions other than `action_listen`;
        ``weighted_f1``, also without `action_listen`; ``whole_stories``; ``calibration_error`` of all actions; and
        ``accuracy_with_messages`` of actions and messages together, if an interpreter was evaluated too.
        """
        understood = len(self.messages) - len(self.misunderstood)
        with_messages = ratio(self.right + understood, self.total + len(self.messages))
        return {
            **({"accuracy_with_messages": with_messages} if self.messages else {}),
            "accuracy": self.accuracy,
            "accuracy_without_listen": accuracy(self.pairs, without=LISTENING),
            "weighted_f1": weighted_f1(self.scores),
            "whole_stories": self.whole_stories,
            "calibration_error": self.calibration_error,
        }

    @cached_property
    def messages(self) -> list[MessageResult]:
        """The results of all messages with a text."""
        return [message for story in self.stories for message in story.messages]

    @property
    def misunderstood(self) -> list[MessageResult]:
        """The messages that were not understood as their stories say."""
        return [message for story in self.stories for message in story.misunderstood]

    def by_policy(self) -> dict[str | None, list[ActionResult]]:
        """Return the results of each policy, the most frequent policy first.

        The key None has the actions that no policy decided: fixed actions, and actions without any opinion.
        """
        made: dict[str | None, list[ActionResult]] = {}
        for result in self.actions:
            made.setdefault(result.prediction.policy, []).append(result)
        return dict(sorted(made.items(), key=lambda item: (-len(item[1]), item[0] or "")))


# -- measuring


def evaluate_stories(
    bot: Predictor,
    graph: StoryGraph,
    max_stories: int | None = None,
    shuffle_stories: bool = True,
    parser: ParsesText | None = None,
) -> StoryEvaluation:
    """Compare the predictions of a bot with stories.

    Parameters
    ----------
    max_stories
        The largest number of stories to evaluate; None for all.
    shuffle_stories
        Whether to evaluate a sample, the same in each run, if there are more stories; False for the first ones.
    parser
        An interpreter for messages with a text; predictions then see the intents and entities that it finds.
    """
    found = whole_stories(graph, bot.domain)
    chosen = found
    if max_stories is not None and len(found) > max_stories:
        indices = range(len(found))
        taken = random.Random(SEED).sample(indices, max_stories) if shuffle_stories else indices[:max_stories]
        chosen = [found[index] for index in sorted(taken)]  # in the order of the stories, as reports name them
    # Compared as lines, since a model keeps its stories as text, and not where they stood.
    known = _lines_of_each(getattr(bot, "_stories", ""))
    learnt = sum(tuple(map(str.strip, story_lines(one.applied_events()))) in known for one in chosen) if known else 0
    return StoryEvaluation(evaluate_conversations(bot, chosen, parser=parser), len(found), learnt)


def _lines_of_each(stories: str) -> set[tuple[str, ...]]:
    """Return the lines of each story of a text, without their headings."""
    found: list[list[str]] = []
    for line in stories.splitlines():
        if line.startswith("#"):
            found.append([])
        elif line.strip() and found:
            found[-1].append(line.strip())
    return {tuple(lines) for lines in found}


def whole_stories(graph: StoryGraph, domain: Domain) -> list[TrainingTracker]:
    """Return the conversations that stories tell, each path through checkpoints as one."""
    made = TrainingDataGenerator(graph, domain, remove_duplicates=False, augmentation_factor=0).generate()
    # Training also makes a conversation of the part before a restart or a rewind.
    beginnings = set()
    for tracker in made:
        events = list(tracker.events)
        for index, event in enumerate(events):
            if isinstance(event, Restarted | UserUtteranceReverted):
                beginnings.add(_identity(events[:index], tracker.sources[:index]))
    return [tracker for tracker in made if _identity(tracker.events, tracker.sources) not in beginnings]


def _identity(events: Iterable[Event], sources: Sequence[Place | None]) -> tuple[object, ...]:
    # By identity: a story that equals the beginning of another story is a story too.
    return (*map(id, events), *sources)


def evaluate_conversations(
    bot: Predictor, conversations: Sequence[TrainingTracker], *, silent: bool = False, parser: ParsesText | None = None
) -> tuple[StoryResult, ...]:
    """Predict each action of some conversations, and show the progress unless `silent`."""
    results = []
    with Progress("evaluating, story", len(conversations), silent=silent) as progress:
        for number, conversation in enumerate(conversations, 1):
            results.append(_evaluate(bot, conversation, parser))
            if number % _TOLD_EVERY == 0:
                progress.step(number)
    return tuple(results)


def _evaluate(bot: Predictor, story: TrainingTracker, parser: ParsesText | None) -> StoryResult:
    events = tuple(story.events)
    history = history_for(bot.policy_ensemble.window, bot.domain.vocabulary)
    told = DialogueStateTracker(story.sender_id, bot.domain.slots, history=history)
    results: list[ActionResult | None] = []
    messages = []
    heard_at: Place | None = None
    # Later predictions see the action of the story, not the predicted one.
    has_begun = False  # Slots may be set before the listening with which every conversation begins.
    for event, source in zip(events, story.sources, strict=True):
        result = None
        if isinstance(event, ActionExecuted) and not event.unpredictable and has_begun:
            result = ActionResult(event.action_name, predicted(bot, told, event.action_name))
        results.append(result)
        has_begun = has_begun or not isinstance(event, SlotSet)
        if parser is not None and isinstance(event, UserUttered) and has_words(event):
            message, found = understood(event, source, parser)
            messages.append(found)
            heard_at = source
            for update in (message, *bot.domain.slots_in_story(message.entities)):
                told.update(update)
        elif not (isinstance(event, SlotSet) and source is not None and source is heard_at):
            told.update(event)  # Entities of the story set other slots; the parsed message has set its own.
    return StoryResult(story.sender_id, events, tuple(story.sources), tuple(results), tuple(messages))
