"""Trains the bot of a Rasa 2 or 3 project."""

from __future__ import annotations

from rasa_core.agent import Agent
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.steps import StoryGraph
from rasa_core.stories.yaml import ReadStories

AUGMENTATION = 50
"""Of stories, where a network learns from them, as much as in Rasa."""


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
