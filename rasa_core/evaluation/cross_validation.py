"""Cross-validation: evaluates models on stories and messages that were held out of their training.

Stories are split into *dialogues*: each path through the checkpoints of the stories is a dialogue, and paths that
differ only in alternative messages (``OR``) are the same dialogue. A whole dialogue is in the training data, or held
out. Each run trains from scratch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from rasa_core.domain import Domain
from rasa_core.evaluation.metrics import CurvePoint, Evaluation
from rasa_core.evaluation.nlu import NONE, MessageEvaluation, Parser, evaluate_messages
from rasa_core.evaluation.predictor import Predictor
from rasa_core.evaluation.stories import StoryEvaluation, evaluate_conversations, told_events, whole_stories
from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.training_data import NLUExample, TrainingData
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.steps import StoryGraph, StoryStep
from rasa_core.stories.training_tracker import TrainingTracker
from rasa_core.support.progress import Progress

Dialogue = tuple[TrainingTracker, ...]
Item = TypeVar("Item")
EvaluationT = TypeVar("EvaluationT", bound=Evaluation)


class Trainable(Predictor, Protocol):
    """A bot that can be trained and evaluated, such as an `Agent`."""

    def train(self, training_trackers: Sequence[TrainingTracker], *, verbose: int, seed: int) -> Any:
        """Learn from conversations."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The stories to evaluate, and how to train on them.

    Attributes
    ----------
    graph : StoryGraph
        The stories.
    domain : Domain
        The domain of these stories.
    make_agent : callable
        Returns an agent that has learnt nothing.
    augmentation : int
        The ``augmentation_factor`` of `rasa_core.stories.load_data`.
    seed : int
        The seed of the split into folds, and of the training.
    """

    graph: StoryGraph
    domain: Domain
    make_agent: Callable[[], Trainable]
    augmentation: int = 20
    seed: int = 42


# -- folds


def dialogues_of(graph: StoryGraph, domain: Domain) -> list[Dialogue]:
    """Return the dialogues that stories tell, in the order of the stories."""
    found: dict[tuple[object, ...], list[TrainingTracker]] = {}
    for conversation in whole_stories(graph, domain):
        found.setdefault(tuple(conversation.sources), []).append(conversation)
    return [tuple(conversations) for conversations in found.values()]


def folds_of_stories(setup: Setup, folds: int) -> list[list[Dialogue]]:
    """Return the dialogues in folds of nearly equal size; the same seed gives the same folds.

    Raise `RasaCoreError` if there are fewer dialogues than folds.
    """
    dialogues = dialogues_of(setup.graph, setup.domain)
    if len(dialogues) < folds:
        raise RasaCoreError(
            f"the stories tell {len(dialogues)} dialogues, which cannot be split into {folds} folds. "
            "Give fewer folds, or more stories."
        )
    order = list(range(len(dialogues)))
    random.Random(setup.seed).shuffle(order)
    # Each fold in the order of the stories, so that nothing but its content depends on the seed.
    return [[dialogues[index] for index in sorted(order[fold::folds])] for fold in range(folds)]


def folds_of_messages(data: TrainingData, folds: int, seed: int) -> list[list[NLUExample]]:
    """Return the examples in folds with nearly equal shares of each intent; the same seed gives the same folds.

    Examples with the same text are in the same fold: otherwise a model would be evaluated on texts that it has learnt.
    Raise `RasaCoreError` if there are fewer texts than folds.
    """
    by_text: dict[str, list[NLUExample]] = {}
    for example in data.examples:
        by_text.setdefault(" ".join(example.text.lower().split()), []).append(example)
    if len(by_text) < folds:
        problem = f"{len(by_text)} different messages cannot be split into {folds} folds"
        raise RasaCoreError(f"{problem}. Give fewer folds, or more examples.")
    groups = list(by_text.values())
    random.Random(seed).shuffle(groups)
    # Sorted by intent, in random order within each, the groups go to the folds by turns: each gets its share of each.
    groups.sort(key=lambda group: group[0].intent or NONE)
    return [[example for group in groups[fold::folds] for example in group] for fold in range(folds)]


# -- cross-validation


def cross_validate(
    parts: Sequence[Sequence[Item]], measure: Callable[[Sequence[Item], Sequence[Item]], EvaluationT]
) -> list[EvaluationT]:
    """Evaluate on each fold a model that was trained on the other folds, and show the progress.

    Parameters
    ----------
    parts
        `folds_of_stories`, or `folds_of_messages`.
    measure
        A function that trains from scratch on its first argument and evaluates on its second: `train_and_evaluate`, or
        `train_and_evaluate_messages`, with their other arguments bound.
    """
    found: list[EvaluationT] = []
    with Progress("cross-validation, fold", len(parts)) as progress:
        progress.step(0)  # The first training may take a minute, and something should stand there.
        for number, held_out in enumerate(parts):
            found.append(measure([item for part in parts if part is not held_out for item in part], held_out))
            progress.step(number + 1, {"accuracy": found[-1].accuracy})
    return found


def train_and_evaluate_messages(
    data: TrainingData,
    train: Callable[[TrainingData], Parser],
    learnt: Sequence[NLUExample],
    held_out: Sequence[NLUExample],
) -> MessageEvaluation:
    """Train on some messages, with all synonyms, patterns and lookup tables of `data`, and evaluate on others."""
    return evaluate_messages(train(replace(data, examples=tuple(learnt))), held_out, silent=True)


def all_stories(found: Sequence[StoryEvaluation]) -> StoryEvaluation:
    """Return the evaluations of all folds as one; each story was predicted by a model that had not learnt it."""
    stories = tuple(story for evaluation in found for story in evaluation.stories)
    return StoryEvaluation(stories, len(stories))


def all_messages(found: Sequence[MessageEvaluation]) -> MessageEvaluation:
    """Return the evaluations of all folds as one; each message was parsed by a model that had not learnt it."""
    return MessageEvaluation(tuple(message for evaluation in found for message in evaluation.messages))


def train_and_evaluate(setup: Setup, learnt: Sequence[Dialogue], held_out: Sequence[Dialogue]) -> StoryEvaluation:
    """Train on some dialogues, and evaluate on others."""
    agent = setup.make_agent()  # A new agent: the last one has learnt the dialogues that are held out now.
    made = TrainingDataGenerator(
        StoryGraph(_as_step(conversation) for dialogue in learnt for conversation in dialogue),
        setup.domain,
        unique_last_num_states=agent.policy_ensemble.longest_history,
        augmentation_factor=setup.augmentation,
    ).generate()
    agent.train(made, verbose=0, seed=setup.seed)
    conversations = [conversation for dialogue in held_out for conversation in dialogue]
    return StoryEvaluation(evaluate_conversations(agent, conversations, silent=True), len(conversations))


def _as_step(conversation: TrainingTracker) -> StoryStep:
    """Return a conversation as a story without checkpoints, so that it can be augmented like one."""
    told = told_events(conversation)
    events, sources = [event for event, _ in told], [source for _, source in told]
    return StoryStep(
        conversation.sender_id, events=tuple(events), source=next(iter(sources), None), sources=tuple(sources)
    )


# -- learning curves


def learning_curve(
    setups: Mapping[str, Setup], *, excluded: Sequence[int], runs: int, folds: int
) -> dict[str, list[CurvePoint]]:
    """Train on smaller and smaller parts of the dialogues, and evaluate each model.

    Each run holds out another one of `folds` parts for the evaluation. Smaller training parts are contained
    in larger ones, so that only the number of dialogues differs.

    Parameters
    ----------
    setups
        The setups to train, by name.
    excluded
        The percentages of the dialogues that are left out of training, 0 to 99.
    runs
        The number of trainings for each percentage; at most `folds`.
    """
    parts = {name: folds_of_stories(setup, folds) for name, setup in setups.items()}
    found: dict[str, list[CurvePoint]] = {name: [] for name in setups}
    done = 0
    with Progress("learning curve, training", len(setups) * len(excluded) * runs) as progress:
        progress.step(0)
        for name, setup in setups.items():
            for share in excluded:
                evaluations = []
                learnt = [_part_to_learn(parts[name], run, share, setup.seed) for run in range(runs)]
                for run, dialogues in enumerate(learnt):
                    evaluations.append(train_and_evaluate(setup, dialogues, parts[name][run]))
                    done += 1
                    progress.step(done, {"accuracy": evaluations[-1].accuracy})
                found[name].append(CurvePoint(share, sum(map(len, learnt)) / runs, tuple(evaluations)))
    return found


def _part_to_learn(parts: Sequence[Sequence[Dialogue]], run: int, excluded: int, seed: int) -> list[Dialogue]:
    rest = [dialogue for number, part in enumerate(parts) if number != run for dialogue in part]
    # The order does not depend on the share, so that each smaller part is the beginning of the larger ones.
    random.Random(f"{seed} {run}").shuffle(rest)
    return rest[: max(1, round(len(rest) * (100 - excluded) / 100))]
