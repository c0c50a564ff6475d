"""Small bots for the tests of commands, trained in milliseconds."""

from __future__ import annotations

from pathlib import Path

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.policies import MemoizationPolicy

DOMAIN_OF_EVERY_KIND = """
intents: [greet, bye, chitchat: {use_entities: false}]
entities: [name, age]
slots:
  zone: {type: unfeaturized, initial_value: Europe/Zürich}
  name: {type: text}
  level: {type: categorical, values: [low, high], initial_value: low}
  age: {type: float, min_value: 0, max_value: 100}
  tags: {type: list, initial_value: []}
  adult: {type: bool}
templates:
  utter_hi: [hi, "hello {name}"]
  utter_ask:
  - text: Sure?
    buttons: [{title: Yes, payload: /affirm}]
  utter_unused: never
actions: [utter_hi, utter_ask]
config: {store_entities_as_slots: false, restart_intent: begin_again}
"""

MOOD_DOMAIN = """
intents: [greet, great, sad, bye, inform, reset]
entities: [name]
slots:
  name: {type: text}
templates:
  utter_hello: ["Hello! How are you?"]
  utter_happy: ["Great, carry on!"]
  utter_comfort: ["Here is a cat."]
  utter_bye: ["See you."]
actions: [utter_hello, utter_happy, utter_comfort, utter_bye]
config: {restart_intent: reset}
"""

MOOD_STORIES = """
## happy
* greet
  - utter_hello
* great
  - utter_happy

## sad
* greet
  - utter_hello
* sad
  - utter_comfort
* great
  - utter_happy

## bye
* bye
  - utter_bye
"""

CONCERT_DOMAIN = """
action_factory: remote
intents: [greet, search]
slots:
  concerts: {type: list}
templates:
  utter_hello: ["Hello, concert-goer!"]
actions: [utter_hello, action_search, utter_found]
"""

CONCERT_STORIES = """
## search
* greet
  - utter_hello
* search
  - action_search
  - slot{"concerts": ["Björk"]}
  - utter_found

## search at once
* search
  - action_search
  - slot{"concerts": ["Björk"]}
  - utter_found

## greet again
* greet
  - utter_hello
* greet
  - utter_hello
"""


def trained_agent(
    folder: Path,
    domain: str,
    stories: str,
    *,
    max_history: int = 3,
    interpreter: NaturalLanguageInterpreter | None = None,
) -> Agent:
    """Return an agent that has memorised `stories`."""
    file = folder / "stories.md"
    file.write_text(stories, encoding="utf-8")
    agent = Agent(Domain.from_yaml(domain), [MemoizationPolicy(max_history=max_history)], interpreter)
    agent.train(agent.load_data(file, augmentation_factor=0))
    return agent


def trained_model(folder: Path, domain: str, stories: str) -> str:
    """Train, write the model below `folder`, and return its path."""
    path = folder / "model"
    trained_agent(folder, domain, stories).persist(path)
    return str(path)
