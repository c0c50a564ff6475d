"""A small restaurant bot, its stories, and short ways to write conversations, for the tests of policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rasa_core.actions.action import Action
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.exceptions import ModelError
from rasa_core.interpreter import RegexInterpreter
from rasa_core.policies import KerasPolicy, keras_training
from rasa_core.policies.feature_cache import ExampleMaker
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.policy import Policy
from rasa_core.policies.training_examples import ExampleCollector
from rasa_core.trackers import DialogueStateTracker

DOMAIN = f"""
intents: [greet, inform, thank, bye, restart]
entities: [cuisine, tags]
slots:
  cuisine: {{type: text}}
  price: {{type: categorical, values: [low, high], initial_value: low}}
  tags: {{type: list}}
  found: {{type: unfeaturized}}
templates:
  utter_greet: [{{text: "hello"}}]
  utter_ask_cuisine: [{{text: "which cuisine?"}}]
  utter_found: [{{text: "try {{found}}", buttons: [{{title: Thanks, payload: /thank}}]}}]
  utter_welcome: [{{text: "welcome"}}]
  utter_bye: [{{text: "bye"}}]
actions: [utter_greet, utter_ask_cuisine, {__name__}.ActionSearch, utter_found, utter_welcome, utter_bye]
"""

NAMES = ["utter_greet", "utter_ask_cuisine", "action_search", "utter_found", "utter_welcome", "utter_bye"]

ITALIAN = '/inform{"cuisine": "italian"}'
FOUND = SlotSet("found", "Da Mario")

STORIES: tuple[tuple[str | Event, ...], ...] = (
    ("/greet", "utter_greet", "utter_ask_cuisine", ITALIAN, "action_search", FOUND, "utter_found"),
    ("/greet", "utter_greet", "utter_ask_cuisine", "/bye", "utter_bye"),
    (ITALIAN, "action_search", FOUND, "utter_found", "/thank", "utter_welcome", "/bye", "utter_bye"),
    ("/thank", "utter_welcome"),
    ("/bye", "utter_bye"),
)


QUICK = {"epochs": 2, "verbose": 0}
"""Options for a training that need not succeed."""


class ActionSearch(Action):
    """Finds a restaurant."""

    def name(self) -> str:
        return "action_search"

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        dispatcher.utter_message("searching ...")
        return [SlotSet("found", "Da Mario")]


def local_domain() -> Domain:
    """Return the domain with actions that run here."""
    return Domain.from_yaml(DOMAIN)


def remote_domain() -> Domain:
    """Return the domain with actions that run in the caller's code."""
    text = DOMAIN.replace(f"{__name__}.ActionSearch", "action_search")
    return Domain.from_yaml(text, "remote")


def conversation(
    domain: Domain, *steps: str | Event, sender_id: str = "story", window: int | None = None
) -> DialogueStateTracker:
    """Return the tracker of a conversation.

    A step that starts with ``/`` is what the user says, preceded by listening; another text is an action.
    """
    tracker = DialogueStateTracker.from_events(sender_id, [], domain, window)
    for event in as_events(domain, steps):
        tracker.update(event)
    return tracker


def as_events(domain: Domain, steps: Sequence[str | Event]) -> list[Event]:
    """Return the events of a conversation written as for `conversation`."""
    events: list[Event] = []
    for step in steps:
        if isinstance(step, Event):
            events.append(step)
        elif step.startswith("/"):
            events += [ActionExecuted(ACTION_LISTEN_NAME), *said(domain, step)]
        else:
            events.append(ActionExecuted(step))
    return events


def said(domain: Domain, text: str) -> list[Event]:
    """Return the events of one message: the message, and the slots that its entities set."""
    parse = RegexInterpreter().parse(text)
    message = UserUttered(text, parse["intent"], parse["entities"], parse)
    return [message, *domain.slots_for_entities(parse["entities"])]


def stories(domain: Domain) -> list[DialogueStateTracker]:
    """Return the stories as conversations, each ending with listening."""
    return [
        conversation(domain, *steps, ACTION_LISTEN_NAME, sender_id=f"story {number}")
        for number, steps in enumerate(STORIES)
    ]


def chosen(policy: Policy, domain: Domain, *steps: str | Event) -> str:
    """Return the action that a policy gives the highest probability."""
    scores = list(policy.predict_action_probabilities(conversation(domain, *steps), domain))
    assert sum(scores) == pytest.approx(1.0, abs=1e-5)
    return domain.action_names[scores.index(max(scores))]


def again(trained: KerasPolicy) -> KerasPolicy:
    """Return a policy with the same network, to be trained further."""
    assert trained._history is not None
    featurizer = HistoryFeaturizer(trained._history.max_history, trained._history.names)
    return KerasPolicy(featurizer, trained.model, current_epoch=trained.current_epoch)


def collector_of(
    featurizer: HistoryFeaturizer, domain: Domain, maker: ExampleMaker | None = None, **options: Any
) -> ExampleCollector:
    """Return a collector of what the network learns from; `maker` makes the examples."""
    maker = maker or ExampleMaker(featurizer, domain)
    return ExampleCollector(featurizer, domain, maker.examples, maker.names, **options)


def needs_keras() -> None:
    """Skip the test where training is not installed."""
    try:
        keras_training.import_keras()
    except ModelError as error:
        pytest.skip(str(error))


class FixedScores(Policy):
    """A policy that always returns the same scores, as users wrote policies for Rasa Core 0.9."""

    def __init__(self, scores: Sequence[float] | None = None) -> None:
        self.scores = scores
        self.asked = 0

    def train(self, training_trackers: Sequence[DialogueStateTracker], domain: Domain, **kwargs: Any) -> None:
        """Learn nothing."""

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> Sequence[float]:
        self.asked += 1
        return self.scores if self.scores is not None else [0.0] * domain.num_actions

    def persist(self, path: str | Path) -> None:
        Path(path, "scores.json").write_text(json.dumps(self.scores), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> FixedScores:
        return cls(json.loads(Path(path, "scores.json").read_text(encoding="utf-8")))


class Script(Policy):
    """Knows by heart what follows an intent and an action; listens otherwise."""

    def __init__(self, following: dict[tuple[str | None, str], str]) -> None:
        super().__init__()
        self.following = following

    def train(self, training_trackers: Sequence[DialogueStateTracker], domain: Domain, **kwargs: Any) -> None:
        """Learn nothing."""

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        key = (tracker.latest_message.intent.get("name"), str(tracker.latest_action_name))
        chosen = self.following.get(key, ACTION_LISTEN_NAME)
        return [float(name == chosen) for name in domain.action_names]


@pytest.fixture(scope="session")
def domain() -> Domain:
    return local_domain()


@pytest.fixture(scope="session")
def trackers(domain: Domain) -> list[DialogueStateTracker]:
    return stories(domain)


@pytest.fixture(scope="session")
def trained(domain: Domain, trackers: list[DialogueStateTracker]) -> KerasPolicy:
    """Return a policy that knows the stories; not to be changed."""
    needs_keras()
    policy = KerasPolicy()
    policy.train(trackers, domain, epochs=60, verbose=0)
    return policy
