"""A bot for the inspector: its project in a folder, and its server."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from thread_servers import running
from werkzeug.serving import make_server

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.policies import MemoizationPolicy
from rasa_core.policies.rules import RulePolicy
from rasa_core.rasa_project.files import RasaFiles
from rasa_core.rasa_project.training import train_rasa
from rasa_core.server import ServerApp, create_app
from rasa_core.tracker_store import TrackerStore

DOMAIN = """\
action_factory: remote
intents: [greet, search, bye, restart]
entities: [city]
slots:
  city: {type: text}
  concerts: {type: list}
  stars: {type: float}
  member: {type: bool}
  genre: {type: categorical, values: [jazz, rock]}
templates:
  utter_hello: ["Hello, concert-goer!"]
  utter_found: ["Here they are."]
  utter_nothing: ["Nothing in {city}."]
  utter_bye: ["See you."]
actions: [utter_hello, action_search, utter_found, utter_nothing, utter_bye]
"""

STORIES = """\
## hello
* greet
  - utter_hello

## found
* search{"city": "Porto"}
  - action_search
  - slot{"concerts": ["Bjork"]}
  - utter_found

## nothing there
* search{"city": "Porto"}
  - action_search
  - slot{"concerts": []}
  - utter_nothing

## leaving
* bye
  - utter_bye
"""

NLU = """\
## intent:greet
- hello
- good morning

## intent:search
- concerts in [Porto](city)
- what is on in [Lisbon](city)

## intent:bye
- bye
"""

WORDS = {"hello": "greet", "concerts": "search", "bye": "bye"}
CITIES = ("Porto", "Lisbon")


class Keywords(NaturalLanguageInterpreter):
    """Understands a message by one of its words, and cities by their names."""

    def parse(self, text: str) -> dict[str, Any]:
        found = next((intent for word, intent in WORDS.items() if word in text), None)
        ranking = [{"name": name, "confidence": 0.9 if name == found else 0.05} for name in WORDS.values()]
        ranking.sort(key=lambda one: -one["confidence"])
        entities = [
            {"entity": "city", "value": city, "start": text.index(city), "end": text.index(city) + len(city)}
            for city in CITIES
            if city in text
        ]
        return {"text": text, "intent": ranking[0], "intent_ranking": ranking, "entities": entities}


def write_project(folder: Path) -> Path:
    """Write the files of the bot into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"domain.yml": DOMAIN, "stories.md": STORIES, "nlu.md": NLU}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def agent_of(folder: Path, store: TrackerStore | None = None) -> Agent:
    """Return the bot of a project, trained."""
    agent = Agent(Domain.load(folder / "domain.yml"), [MemoizationPolicy(max_history=2)], Keywords(), store)
    agent.train(agent.load_data(folder / "stories.md"))
    return agent


def app_of(
    folder: Path, store: TrackerStore | None = None, *, inspect_nothing: bool = False, **options: Any
) -> ServerApp:
    """Return the application of a project, with its page; or one of its model alone."""
    return create_app(agent_of(folder, store), inspect="" if inspect_nothing else folder, **options)


FORM_DOMAIN = """\
version: "3.1"
intents: [greet, order, inform, bye]
entities: [size]
slots:
  size: {type: text, mappings: [{type: from_entity, entity: size}]}
forms:
  pizza_form: {required_slots: [size]}
responses:
  utter_hello: [{text: "Hello!"}]
  utter_ask_size: [{text: "Which size?"}]
  utter_done: [{text: "A {size} one."}]
  utter_bye: [{text: "Bye!"}]
"""
FORM_RULES = """\
version: "3.1"
rules:
- rule: begin
  steps:
  - intent: order
  - action: pizza_form
  - active_loop: pizza_form
- rule: end
  condition:
  - active_loop: pizza_form
  steps:
  - action: pizza_form
  - active_loop: null
  - slot_was_set:
    - requested_slot: null
  - action: utter_done
"""
FORM_STORIES = """\
version: "3.1"
stories:
- story: hello
  steps:
  - intent: greet
  - action: utter_hello
"""


def write_form_project(folder: Path, *, runs_elsewhere: bool = False) -> Path:
    """Write the project of a bot of Rasa 3 with a form into a folder, and return it.

    Where its actions run elsewhere, it has one that sees the answers to the form, and one at the end of it.
    """
    (folder / "data").mkdir(parents=True)
    domain, rules = FORM_DOMAIN, FORM_RULES
    if runs_elsewhere:
        domain += "actions: [validate_pizza_form, action_order]\naction_factory: remote\n"
        rules = rules.replace("  - action: utter_done\n", "  - action: action_order\n  - action: utter_done\n")
    files = {"domain": domain, "data/stories": FORM_STORIES, "data/rules": rules}
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    (folder / "config.yml").write_text("policies:\n- name: RulePolicy\n- name: MemoizationPolicy\n", encoding="utf-8")
    return folder


def rasa_app_of(folder: Path) -> ServerApp:
    """Write the project of a bot of Rasa 3 with a form, and return its application, with its page."""
    read = RasaFiles(write_form_project(folder))
    agent = Agent(read.domain, [MemoizationPolicy(), RulePolicy()])
    train_rasa(agent, read.read_stories())
    return create_app(agent, inspect=folder)


def served(app: ServerApp, port: int = 0) -> AbstractContextManager[str]:
    """Serve an application for a block, and give its address."""
    return running(make_server("127.0.0.1", port, app, threaded=True))
