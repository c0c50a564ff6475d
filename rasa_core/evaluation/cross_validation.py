"""Measures how well policies follow stories that they have not learnt from.

What is split are *dialogues*: each path through the checkpoints of the stories is one, and paths that differ only
in which of several alternatives (``OR``) the user says are the same one. A dialogue is learnt from as a whole, or
measured on as a whole. Each run trains from scratch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rasa_core.agent import Agent
from rasa_core.evaluation.stories import Evaluation, evaluate_conversations, whole_stories
from rasa_core.evaluation.story_result import told_events
from rasa_core.exceptions import RasaCoreError
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.steps import StoryGraph, StoryStep
from rasa_core.stories.training_tracker import TrainingTracker
from rasa_core.support.progress import Progress

if TYPE_CHECKING:
    from rasa_core.domain import Domain

Dialogue = tuple[TrainingTracker, ...]
MakePolicies = Callable[[], PolicyEnsemble]


@dataclass(frozen=True, slots=True)
class Setup:
    """What is measured, and how it is trained.

    Attributes
    ----------
    graph : StoryGraph
        The stories.
    domain : Domain
        Whose stories these are.
    make_policies : callable
        Returns new policies.
    augmentation : int
        As of `rasa_core.stories.load_data`.
    seed : int
        Decides how stories are split, and what is random in training.
    """

    graph: StoryGraph
    domain: Domain
    make_policies: MakePolicies
    augmentation: int = 20
    seed: int = 42


def dialogues_of(graph: StoryGraph, domain: Domain) -> list[Dialogue]:
    """Return the dialogues that stories tell, in the order of the stories."""
    found: dict[tuple[object, ...], list[TrainingTracker]] = {}
    for conversation in whole_stories(graph, domain):
        found.setdefault(tuple(conversation.sources), []).append(conversation)
    return [tuple(conversations) for conversations in found.values()]


def folds_of(setup: Setup, folds: int) -> list[list[Dialogue]]:
    """Share dialogues out, as evenly as possible; the same in each run, for the same seed.

    Raises
    ------
    RasaCoreError
        If there are fewer dialogues than folds.
    """
    dialogues = dialogues_of(setup.graph, setup.domain)
    if len(dialogues) < folds:
        raise RasaCoreError(
            f"the stories tell {len(dialogues)} dialogues, which cannot be split into {folds} folds. "
            "Give fewer folds, or more stories."
        )
    order = list(range(len(dialogues)))
    random.Random(setup.seed).shuffle(order)
    return [[dialogues[index] for index in sorted(order[fold::folds])] for fold in range(folds)]


def trained_and_evaluated(setup: Setup, learnt: Sequence[Dialogue], held_out: Sequence[Dialogue]) -> Evaluation:
    """Train on some dialogues, and evaluate on others."""
    agent = Agent(setup.domain, setup.make_policies())
    graph = StoryGraph(_as_step(conversation) for dialogue in learnt for conversation in dialogue)
    made = TrainingDataGenerator(
        graph,
        setup.domain,
        unique_last_num_states=agent.policy_ensemble.longest_history,
        augmentation_factor=setup.augmentation,
    ).generate()
    agent.train(made, verbose=0, seed=setup.seed)
    conversations = [conversation for dialogue in held_out for conversation in dialogue]
    return Evaluation(evaluate_conversations(agent, conversations, silent=True), len(conversations))


def _as_step(conversation: TrainingTracker) -> StoryStep:
    """Return a conversation as a story without checkpoints, so that it can be augmented like one."""
    told = told_events(conversation.events, conversation.sources)
    events, sources = [event for event, _ in told], [source for _, source in told]
    return StoryStep(
        conversation.sender_id, events=tuple(events), source=next(iter(sources), None), sources=tuple(sources)
    )


def cross_validate(setup: Setup, folds: int) -> list[Evaluation]:
    """Evaluate on each fold what was trained on all others, and tell how far that is.

    Raises
    ------
    RasaCoreError
        If there are fewer dialogues than folds.
    """
    parts = folds_of(setup, folds)
    found = []
    with Progress("cross-validation, fold", folds) as progress:
        progress.step(0)
        for number, held_out in enumerate(parts):
            learnt = [dialogue for part in parts if part is not held_out for dialogue in part]
            found.append(trained_and_evaluated(setup, learnt, held_out))
            progress.step(number + 1, {"accuracy": found[-1].accuracy})
    return found


def all_folds(found: Sequence[Evaluation]) -> Evaluation:
    """Return the evaluations of all folds as one, in which each story was predicted by what had not learnt it."""
    stories = tuple(story for evaluation in found for story in evaluation.stories)
    return Evaluation(stories, len(stories))


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """How policies do that have learnt from a part of the dialogues.

    Attributes
    ----------
    excluded : int
        How many of a hundred dialogues they have not learnt from.
    learnt : float
        How many they have learnt from, on average over the runs.
    runs : tuple of Evaluation
        Each on other held-out dialogues.
    """

    excluded: int
    learnt: float
    runs: tuple[Evaluation, ...]


def learning_curve(
    setups: Mapping[str, Setup], *, excluded: Sequence[int], runs: int, folds: int
) -> dict[str, list[CurvePoint]]:
    """Train on smaller and smaller parts of the dialogues.

    Each run holds out another of `folds` parts, which is measured on. Of the rest, smaller parts are contained
    in larger ones, so that only the number of dialogues differs.

    Parameters
    ----------
    setups
        What is measured, by name.
    excluded
        How many of a hundred dialogues are left out of training, 0 to 99.
    runs
        How often each part is trained on; at most `folds`.
    """
    parts = {name: folds_of(setup, folds) for name, setup in setups.items()}
    found: dict[str, list[CurvePoint]] = {name: [] for name in setups}
    done = 0
    with Progress("learning curve, training", len(setups) * len(excluded) * runs) as progress:
        progress.step(0)
        for name, setup in setups.items():
            for share in excluded:
                evaluations = []
                learnt = [_part_to_learn(parts[name], run, share, setup.seed) for run in range(runs)]
                for run, dialogues in enumerate(learnt):
                    evaluations.append(trained_and_evaluated(setup, dialogues, parts[name][run]))
                    done += 1
                    progress.step(done, {"accuracy": evaluations[-1].accuracy})
                found[name].append(CurvePoint(share, sum(map(len, learnt)) / runs, tuple(evaluations)))
    return found


def _part_to_learn(parts: Sequence[Sequence[Dialogue]], run: int, excluded: int, seed: int) -> list[Dialogue]:
    rest = [dialogue for number, part in enumerate(parts) if number != run for dialogue in part]
    random.Random(f"{seed} {run}").shuffle(rest)
    return rest[: max(1, round(len(rest) * (100 - excluded) / 100))]
