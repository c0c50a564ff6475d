"""A small bot behind a real HTTP server, for the tests of the client."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from thread_servers import running, silent

from rasa_core.actions.action import Action
from rasa_core.agent import Agent
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, Event, SlotSet
from rasa_core.policies.policy import Policy
from rasa_core.trackers import DialogueStateTracker

DOMAIN = f"""
intents: [search, endless, fail, unknown]
slots: {{venue: {{type: text}}}}
templates: {{utter_found: "How about {{venue}}?"}}
actions: [{__name__}.ActionSearch, utter_found, {__name__}.ActionEndless, {__name__}.ActionFail]
action_names: [action_search, utter_found, action_endless, action_fail]
"""
NEXT = {
    ("search", ACTION_LISTEN_NAME): "action_search",
    ("search", "action_search"): "utter_found",
    ("endless", ACTION_LISTEN_NAME): "action_endless",
    ("endless", "action_endless"): "action_endless",
    ("fail", ACTION_LISTEN_NAME): "action_fail",
}


class ScriptedRemotePolicy(Policy):
    """Knows by heart what follows which action after which intent."""

    max_history = 1

    def train(self, training_trackers: Sequence[DialogueStateTracker], domain: Domain, **kwargs: Any) -> None:
        pass

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        key = (tracker.latest_message.intent.get("name"), tracker.latest_action_name)
        chosen = NEXT.get(key, ACTION_LISTEN_NAME)  # type: ignore[arg-type]
        return [float(name == chosen) for name in domain.action_names]

    def persist(self, path: str | Path) -> None:
        pass

    @classmethod
    def load(cls, path: str | Path) -> ScriptedRemotePolicy:
        return cls()


class ActionSearch(Action):
    def name(self) -> str:
        return "action_search"

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        dispatcher.utter_message("I am looking.")
        dispatcher.utter_button_message("Where?", [{"title": "Here", "payload": "/here"}])
        return [SlotSet("venue", "Big Arena")]


class ActionEndless(Action):
    def name(self) -> str:
        return "action_endless"

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> None:
        return None


class ActionFail(Action):
    def name(self) -> str:
        return "action_fail"

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        raise ZeroDivisionError("this action is broken")


class QuietHandler(WSGIRequestHandler):
    log_message = silent


class ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def make_agent() -> Agent:
    return Agent(Domain.from_yaml(DOMAIN, action_factory="remote"), [ScriptedRemotePolicy()])


def served(app: Any) -> AbstractContextManager[str]:
    """Serve a WSGI application over real HTTP, in a thread; give its address."""
    return running(make_server("127.0.0.1", 0, app, ThreadingServer, QuietHandler))
