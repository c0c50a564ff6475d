"""Small Rasa 3 bots for tests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from rasa_core.agent import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.rasa_project.config import read_rasa_config
from rasa_core.rasa_project.files import RasaFiles
from rasa_core.rasa_project.training import train_rasa
from rasa_core.tracker_store.memory import InMemoryTrackerStore

CONFIG = """
    policies:
    - name: MemoizationPolicy
    - name: RulePolicy
"""

HOTEL = {
    "domain": """
        version: "3.1"
        intents: [book, inform, chat, "no"]
        entities: [room, nights]
        slots:
          room: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: room}]}
          nights: {type: float, influence_conversation: false, mappings: [{type: from_entity, entity: nights}]}
        forms:
          hotel_form: {required_slots: [room, nights]}
        responses:
          utter_ask_room: [{text: Which room?}]
          utter_ask_nights: [{text: "How many nights in {room}?"}]
          utter_submit: [{text: "{room} for {nights}."}]
          utter_chat: [{text: Yes., channel: sms}, {text: Yes indeed.}]
        """,
    "data__rules": """
        version: "3.1"
        rules:
        - rule: start
          steps: [{intent: book}, {action: hotel_form}, {active_loop: hotel_form}]
        - rule: submit
          condition: [{active_loop: hotel_form}]
          steps: [{action: hotel_form}, {active_loop: null}, {action: utter_submit}]
        - rule: chat
          steps: [{intent: chat}, {action: utter_chat}]
        """,
}
"""A bot that asks for a room and for nights, and chats."""


def write(folder: Path, **files: str) -> Path:
    """Write files, named with ``__`` for a slash and without their ending, and a config.yml."""
    for name, text in {"config": CONFIG, **files}.items():
        path = folder / (name.replace("__", "/") + ".yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return folder


def trained(folder: Path) -> Agent:
    """Return the bot of a project."""
    files = RasaFiles(folder)
    agent = Agent(files.domain, read_rasa_config(files.config_file, lambda max_history: KerasPolicy()).ensemble())
    train_rasa(agent, files.read_stories())
    return agent


def fresh(agent: Agent) -> Agent:
    """Return an agent with the same model that has heard nothing yet."""
    return Agent(agent.domain, agent.policy_ensemble, tracker_store=InMemoryTrackerStore(agent.domain))


def say(agent: Agent, *texts: str, sender: str = "ada") -> list[str]:
    """Send messages, and return all texts of the answers to the last."""
    channel = RestOutputChannel()
    for text in texts:
        channel.messages.clear()
        agent.turns().respond(UserMessage(text, channel, sender))
    return [message["text"] for message in channel.messages]


def types(agent: Agent, sender: str = "ada") -> list[str]:
    """Return the types of the events of a conversation."""
    return [event.type_name for event in agent.read_tracker(sender).events]
