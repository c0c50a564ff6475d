"""A bot with the messages of `small_nlu`, for tests that need a bot that understands typed text."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from small_nlu import small_model

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.nlu.model import FILE_NAME
from rasa_core.policies.memoization import MemoizationPolicy

ROOT = Path(__file__).parents[2]
TOKEN = "s3cret"
INTENTS = ("book", "bye", "greet", "track")
ACTIONS = {intent: f"utter_{intent}" for intent in INTENTS}
DOMAIN = f"""
intents: [{", ".join(INTENTS)}]
entities: [city, number]
slots:
  city: {{type: unfeaturized}}
templates:
  utter_book: Booked.
  utter_bye: Bye!
  utter_greet: Hello!
  utter_track: On its way.
actions: [{", ".join(ACTIONS.values())}]
"""
STORIES = "".join(f"## {intent}\n* {intent}\n  - {action}\n" for intent, action in ACTIONS.items())
STORIES += '## book a place\n* book{"city": "Porto"}\n  - utter_book\n'


@cache
def folder() -> Path:
    """Return a folder with the bot (``core``) and its interpreter (``nlu``), which were trained once."""
    made = Path(mkdtemp(prefix="nlu-bot-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    (made / "stories.md").write_text(STORIES, encoding="utf-8")
    agent = Agent(Domain.from_yaml(DOMAIN), [MemoizationPolicy(max_history=1)])
    agent.train(agent.load_data(made / "stories.md"))
    agent.persist(made / "core")
    small_model().persist(made / "nlu")
    return made


def write_renamed(directory: Path, change: str) -> None:
    """Write the interpreter with other names of its intents: `change` stands before each."""
    small_model().persist(directory)
    path = directory / FILE_NAME
    description = json.loads(path.read_text(encoding="ascii"))
    description["intents"] = [change + intent for intent in description["intents"]]
    description["fingerprint"] = change + description["fingerprint"]
    written = directory.with_name(f".{directory.name}.json")
    written.write_text(json.dumps(description), encoding="ascii")
    written.rename(path)


def python(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start Python with this checkout on its path."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
