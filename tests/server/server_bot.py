"""A small bot with known answers, for the tests of the server and of the sites that mount it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.policies.policy import Policy
from rasa_core.server import ServerApp, create_app
from rasa_core.tracker_store import TrackerStore, store_from_url
from rasa_core.trackers import DialogueStateTracker

DOMAIN = """
intents: [greet, search, bye, restart]
entities: [name]
slots:
  name: {type: text}
  cuisine: {type: unfeaturized}
templates:
  utter_greet:
  - text: hey
    buttons: [{title: Bye, payload: /bye}]
  utter_bye: [{text: bye}]
actions: [utter_greet, utter_bye, action_search]
action_factory: remote
"""

ANSWERS = {"greet": "utter_greet", "bye": "utter_bye", "search": "action_search"}


class AnswersByIntent(Policy):
    """A policy that predicts the action of the intent, and then listens."""

    def train(self, training_trackers: Sequence[DialogueStateTracker], domain: Domain, **kwargs: Any) -> None:
        """Learn nothing."""

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        wanted = ANSWERS.get(tracker.latest_message.intent.get("name"), "action_listen")
        if tracker.latest_action_name != "action_listen":
            wanted = "action_listen"
        return [float(name == wanted) for name in domain.action_names]

    def persist(self, path: str | Path) -> None:
        """Write nothing."""

    @classmethod
    def load(cls, path: str | Path) -> AnswersByIntent:
        return cls()


def make_agent(tracker_store: TrackerStore | None = None) -> Agent:
    return Agent(Domain.from_yaml(DOMAIN), [AnswersByIntent()], tracker_store=tracker_store)


def make_app(**options: Any) -> ServerApp:
    """Return an application with the bot, on the store that the environment names."""
    url = os.environ.get("SERVER_BOT_STORE")
    return create_app(make_agent(store_from_url(url) if url else None), **options)
