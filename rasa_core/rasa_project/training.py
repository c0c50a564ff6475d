"""Trains the bot of a Rasa 2 or 3 project."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError, counted, enumerated
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.policies.policy import Policy
from rasa_core.policies.rasa2 import is_triggered
from rasa_core.policies.rules import UNFOLLOWED, RulePolicy, follows_rules, unfit_policies
from rasa_core.rasa_project.files import NO_STORIES, UNREAD_DOMAIN, RasaFiles
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.steps import StoryGraph
from rasa_core.stories.yaml import ReadStories
from rasa_core.support.places import Place
from rasa_core.support.problems import Note, Problem, told
from rasa_core.trackers import DialogueStateTracker

Say = Callable[[str], object]

_NO_POLICY: Final = "none of the policies decides here; add RulePolicy for rules, and MemoizationPolicy for stories"
_NEEDS_STORIES: Final = (
    "all policies learn from stories, and there are none; write some, or add RulePolicy for the rules"
)


class Settings(Protocol):
    """The content of config.yml: a `rasa_core.rasa_project.config.RasaConfig`."""

    policies: list[Policy]
    learns: bool
    epochs: int | None
    notes: list[Note]
    place: Place

    def ensemble(self) -> PolicyEnsemble: ...  # noqa: D102
    def unfit(self, domain: Domain) -> list[Problem]: ...  # noqa: D102


class Trains(Protocol):
    """The object that is trained: a `rasa_core.agent.Agent`."""

    domain: Domain
    policy_ensemble: PolicyEnsemble

    def train(self, training_trackers: Iterable[DialogueStateTracker], **kwargs: Any) -> None: ...  # noqa: D102
    def persist(self, model_path: str | Path, fingerprints: Mapping[str, str] | None = None) -> None: ...  # noqa: D102


AUGMENTATION = 50
"""The augmentation factor for stories if a network learns from them, as in Rasa."""


def train_rasa_project(
    files: RasaFiles,
    config: Settings,
    model: Path,
    fingerprints: Mapping[str, str],
    say: Say,
    *,
    make_agent: Callable[[Domain, PolicyEnsemble], Trains],
    lenient: bool = False,
) -> None:
    """Train the bot of a project, write its model, and print the steps.

    Raises
    ------
    RasaCoreError
        If the files have mistakes, or the extra for training is not installed.
    """
    started = time.perf_counter()
    problems: list[Problem] | None = [] if lenient else None
    read = files.read_stories(problems)
    for line in [*map(str, problems or ()), *told(config.notes)]:
        say(line)
    for path in files.unread_domains:
        say(f"{path}: warning: {UNREAD_DOMAIN}.")
    seconds = time.perf_counter() - started
    told_of = f"{counted(len(read.steps), 'story')} and {counted(len(read.rules), 'rule')}"
    say(f"{told_of}, read in {seconds:.1f} s")
    if unfit := config.unfit(files.domain):
        raise ModelError("\n".join(map(str, unfit)))
    agent = make_agent(files.domain, config.ensemble())
    policies = [one for one in config.policies if read.steps or not one.NEEDS_STORIES]
    if read.rules and not follows_rules(config.policies):
        say(f"{read.rules[0].place}: warning: {UNFOLLOWED}.")
    if not read.steps and not read.rules and files.names:
        say("there are neither stories nor rules: the bot understands messages, and falls back at each of them.")
    elif not read.steps and config.learns:
        say("there are no stories for TEDPolicy to learn from; the rules alone decide.")
    if not policies:
        raise ModelError(f"{config.place}: {_NEEDS_STORIES if config.policies else _NO_POLICY}.")
    say(f"training {enumerated([type(policy).__name__ for policy in policies])} ...")
    started = time.perf_counter()
    train_rasa(agent, read, learns=config.learns, epochs=config.epochs, needs_stories=not files.names)
    say(f"trained in {time.perf_counter() - started:.1f} s")
    agent.persist(model, fingerprints)


def contradictions(files: RasaFiles, read: ReadStories, restrict_rules: bool = True, compares: bool = True) -> None:
    """Compare the rules of a project with each other and with its stories; raise `ModelError` for contradictions.

    Unless it `compares` them, it checks only each rule by itself.
    """
    trackers = TrainingDataGenerator(_graph(read), files.domain, augmentation_factor=0).generate()
    # As in training, but without a fallback, whose action the domain need not have here.
    policy = RulePolicy(
        enable_fallback_prediction=False, restrict_rules=restrict_rules, check_for_contradictions=compares
    )
    policy.train(trackers, files.domain, rules=read.rules)


def _graph(read: ReadStories) -> StoryGraph:
    return StoryGraph(step for steps in read.steps for step in steps)


def train_rasa(
    agent: Trains, read: ReadStories, *, learns: bool = False, epochs: int | None = None, needs_stories: bool = True
) -> None:
    """Train an agent from stories and rules; stories are augmented if a network learns from them.

    Raises
    ------
    ModelError
        If they contradict one another, or if there are none although the bot `needs_stories`.
    """
    if needs_stories and not read.steps and not read.rules and not is_triggered(agent.policy_ensemble.policies):
        raise ModelError(NO_STORIES)
    if unfit := unfit_policies(agent.domain, agent.policy_ensemble.policies):
        raise ModelError("\n".join(one.told() for one in unfit))
    policies = agent.policy_ensemble.policies
    if not read.steps and any(isinstance(policy, RulePolicy) for policy in policies):
        # A network has nothing to learn from rules, as in Rasa.
        agent.policy_ensemble.policies = [policy for policy in policies if not policy.NEEDS_STORIES]
    trackers = TrainingDataGenerator(
        _graph(read),
        agent.domain,
        augmentation_factor=AUGMENTATION if learns else 0,
        max_history=agent.policy_ensemble.longest_history,
    ).generate()
    # As in Rasa, if rules are compared with stories, other policies do not see names that only rules use.
    hides = any(isinstance(policy, RulePolicy) and policy.check_for_contradictions for policy in policies)
    agent.train(trackers, rules=read.rules, hides_rules=hides, **({} if epochs is None else {"most_epochs": epochs}))
