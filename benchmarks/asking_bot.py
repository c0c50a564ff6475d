"""A bot of Rasa 3 with rules, stories, a form and slot mappings, and random conversations with it, from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from rasa_core import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.project import Project
from rasa_core.tracker_store import TrackerStore

FILES = {
    "domain.yml": """
version: "3.1"
intents: [greet, goodbye, thank, book, inform, affirm, deny, ask_price, ask_place, ask_human, stop]
entities: [room, nights, name]
slots:
  room: {type: categorical, values: [blue, green], mappings: [{type: from_entity, entity: room}]}
  nights: {type: float, influence_conversation: false, mappings: [{type: from_entity, entity: nights}]}
  guest:
    type: text
    influence_conversation: false
    mappings:
    - {type: from_entity, entity: name}
    - {type: from_text, conditions: [{active_loop: hotel_form, requested_slot: guest}]}
  breakfast:
    type: bool
    mappings:
    - {type: from_intent, intent: affirm, value: true, conditions: [{active_loop: hotel_form}]}
    - {type: from_intent, intent: deny, value: false, conditions: [{active_loop: hotel_form}]}
forms: {hotel_form: {required_slots: [room, nights, guest, breakfast], ignored_intents: [ask_price, stop]}}
responses:
  utter_ask_room: [{text: Which room?}]
  utter_ask_nights: [{text: How many nights?}]
  utter_ask_guest: [{text: For whom?}]
  utter_ask_breakfast: [{text: With breakfast?}]
  utter_hello: [{text: Hello.}]
  utter_welcome: [{text: You are welcome.}]
  utter_bye: [{text: Goodbye.}]
  utter_price: [{text: It costs 80 a night.}]
  utter_place: [{text: We are at the station.}]
  utter_booked: [{text: "The {room} room is yours."}]
  utter_menu: [{text: Breakfast is at eight.}]
  utter_human: [{text: Somebody will write to you.}]
  utter_sure: [{text: Are you sure?}]
  utter_dropped: [{text: Then not.}]
  utter_default: [{text: Pardon?}]
""",
    "config.yml": """
policies:
- {name: MemoizationPolicy, max_history: 5}
- {name: RulePolicy, core_fallback_threshold: 0.3, core_fallback_action_name: action_default_fallback}
- {name: TEDPolicy, max_history: 5, epochs: 10}
""",
    "data/rules.yml": """
version: "3.1"
rules:
- rule: begin to ask
  steps: [{intent: book}, {action: hotel_form}, {active_loop: hotel_form}]
- rule: book what was asked for
  condition: [{active_loop: hotel_form}]
  steps: [{action: hotel_form}, {active_loop: null}, {action: utter_booked}]
- rule: tell the price at any time
  steps: [{intent: ask_price}, {action: utter_price}]
- rule: goodbye
  steps: [{intent: goodbye}, {action: utter_bye}]
""",
    "data/stories.yml": """
version: "3.1"
stories:
- story: polite
  steps: [{intent: greet}, {action: utter_hello}, {intent: thank}, {action: utter_welcome}]
- story: where
  steps:
  - {intent: greet}
  - {action: utter_hello}
  - {intent: ask_place}
  - {action: utter_place}
  - {intent: thank}
  - {action: utter_welcome}
- story: a human is asked for
  steps: [{intent: ask_human}, {action: utter_sure}, {intent: affirm}, {action: utter_human}]
- story: no human is asked for
  steps: [{intent: ask_human}, {action: utter_sure}, {intent: deny}, {action: utter_dropped}]
- story: where, and what to eat
  steps:
  - {intent: ask_place}
  - {action: utter_place}
  - slot_was_set: [{breakfast: true}]
  - {intent: thank}
  - {action: utter_menu}
- story: given up
  steps:
  - {intent: book}
  - {action: hotel_form}
  - {active_loop: hotel_form}
  - {intent: stop}
  - {action: utter_sure}
  - {intent: affirm}
  - {action: action_deactivate_loop}
  - {active_loop: null}
  - {action: utter_dropped}
""",
}

_SMALL = ("/greet", "/thank", "/ask_place", "/ask_price", "/ask_human", "/affirm", "/deny", "/goodbye")
_ANSWERS = {
    "room": ('/inform{"room": "blue"}', '/inform{"room": "green"}'),
    "nights": tuple(f'/inform{{"nights": {number}}}' for number in range(1, 15)),
    "guest": tuple(f'/inform{{"name": "guest {number}"}}' for number in range(50)),
    "breakfast": ("/affirm", "/deny"),
}


def trained(folder: Path) -> Path:
    """Write the bot into a folder, train it, and return the folder of the model."""
    for file, text in FILES.items():
        (folder / file).parent.mkdir(exist_ok=True, parents=True)
        (folder / file).write_text(text, encoding="utf-8")
    project = Project(folder)
    project.train_if_changed(say=str)
    return Path(project.model)


def talk(model: Path, store: TrackerStore, names: Iterable[str]) -> None:
    """Hold a conversation under each name: some small talk, a form in two of three, strays within it, an end."""
    agent, draw = Agent.load(model, tracker_store=store), random.Random(5)
    for name in names:
        for text in _texts(draw):
            if text is None:
                _fill(agent, name, draw)
            else:
                _say(agent, name, text)


def _texts(draw: random.Random) -> Iterator[str | None]:
    """Yield the messages of a conversation; None stands for a form."""
    for _ in range(draw.randrange(1, 5)):
        yield draw.choice(_SMALL)
    if draw.random() < 0.66:
        yield "/book"
        yield None
    for _ in range(draw.randrange(1, 4)):
        yield draw.choice(_SMALL)


def _fill(agent: Agent, name: str, draw: random.Random) -> None:
    for _ in range(12):
        asked = agent.read_tracker(name).get_slot("requested_slot")
        if asked is None:
            return
        stray = draw.random()
        said = _SMALL if stray < 0.15 else ("/stop",) if stray < 0.2 else _ANSWERS[asked]
        _say(agent, name, draw.choice(said))


def _say(agent: Agent, name: str, text: str) -> None:
    agent.turns().respond(UserMessage(text, RestOutputChannel(), name))
