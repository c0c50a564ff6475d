"""Trains the bot of a Rasa 2 or 3 project."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rasa_core.agent import Agent
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.rasa_config import read_rasa_config
from rasa_core.rasa_files import RasaFiles
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.steps import StoryGraph
from rasa_core.stories.yaml import ReadStories
from rasa_core.support.problems import Problem

Say = Callable[[str], object]

AUGMENTATION = 50
"""Of stories, where a network learns from them, as much as in Rasa."""


def train_rasa_project(
    files: RasaFiles, model: Path, fingerprints: Mapping[str, str], say: Say, *, lenient: bool = False
) -> None:
    """Train the bot of a project, write its model, and say what is done.

    Raises
    ------
    RasaCoreError
        If the files are wrong, or what training needs is not installed.
    """
    started = time.perf_counter()
    config = read_rasa_config(files.config_file)
    problems: list[Problem] | None = [] if lenient else None
    read = files.read_stories(problems)
    for line in [*map(str, problems or ()), *config.notes]:
        say(line)
    seconds = time.perf_counter() - started
    say(f"{len(read.steps)} stories and {len(read.rules)} rules, read in {seconds:.1f} s")
    agent = Agent(files.domain, config.ensemble())
    say(f"training {' and '.join(type(policy).__name__ for policy in config.policies)} ...")
    started = time.perf_counter()
    train_rasa(agent, read)
    say(f"trained in {time.perf_counter() - started:.1f} s")
    agent.persist(model, fingerprints)
    say(f"{model}: the model is written")


def train_rasa(agent: Agent, read: ReadStories) -> None:
    """Train an agent from stories and rules.

    Raises
    ------
    ModelError
        If they contradict one another.
    """
    learns = any(isinstance(policy, KerasPolicy) for policy in agent.policy_ensemble.policies)
    graph = StoryGraph(step for steps in read.steps for step in steps)
    trackers = TrainingDataGenerator(
        graph,
        agent.domain,
        augmentation_factor=AUGMENTATION if learns else 0,
        max_history=agent.policy_ensemble.longest_history,
    ).generate()
    agent.train(trackers, rules=read.rules)
