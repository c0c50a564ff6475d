"""Small Rasa 3 bots for tests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from rasa_core.agent import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.rasa_config import read_rasa_config
from rasa_core.rasa_files import RasaFiles
from rasa_core.rasa_project import train_rasa

CONFIG = """
    policies:
    - name: MemoizationPolicy
    - name: RulePolicy
"""


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
