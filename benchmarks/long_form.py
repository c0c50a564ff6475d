"""One long conversation with a form and a real action server: ``python -m benchmarks.long_form``.

A bot of Rasa 3 asks for two slots over and over. rasa-sdk validates each answer, and runs an action at the end. The
table shows how long the first and the last hundred turns took; the store is a SQLite file.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.serving import free_port
from benchmarks.tables import print_table
from rasa_core import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.project import Project
from rasa_core.tracker_store.sqlite import SqliteTrackerStore

FILES = {
    "domain.yml": """
version: "3.1"
intents: [book, inform]
entities: [room, nights]
slots:
  room: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: room}]}
  nights: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: nights}]}
forms: {hotel_form: {required_slots: [room, nights]}}
responses: {utter_ask_room: [{text: Which room?}], utter_ask_nights: [{text: How many nights?}]}
actions: [validate_hotel_form, action_book]
""",
    "config.yml": "policies: [{name: RulePolicy}]\n",
    "data/rules.yml": """
version: "3.1"
rules:
- rule: begin
  steps: [{intent: book}, {action: hotel_form}, {active_loop: hotel_form}]
- rule: end
  condition: [{active_loop: hotel_form}]
  steps: [{action: hotel_form}, {active_loop: null}, {action: action_book}]
""",
    "actions.py": """
from rasa_sdk import Action, FormValidationAction
from rasa_sdk.events import SlotSet


class ValidateHotelForm(FormValidationAction):
    def name(self):
        return "validate_hotel_form"

    def validate_room(self, value, dispatcher, tracker, domain):
        return {"room": value.upper()}


class Book(Action):
    def name(self):
        return "action_book"

    def run(self, dispatcher, tracker, domain):
        dispatcher.utter_message(text=f"{tracker.get_slot('room')} for {tracker.get_slot('nights')}.")
        return [SlotSet("room", None), SlotSet("nights", None)]
""",
}
TURNS = ("/book", '/inform{"room": "blue"}', '/inform{"nights": "3"}')


@contextlib.contextmanager
def action_server(folder: Path) -> Iterator[str]:
    """Run rasa-sdk on the actions in a folder."""
    port = free_port()
    command = [sys.executable, "-m", "rasa_sdk", "--actions", "actions", "-p", str(port)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/webhook"
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in FILES.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")
        project = Project(folder)
        project.train_if_changed(say=str)
        store = SqliteTrackerStore(path=folder / "conversations.db")
        with action_server(folder) as url:
            agent = Agent.load(project.model, tracker_store=store, actions=url)
            seconds = []
            for number in range(options.turns):
                channel = RestOutputChannel()
                message = UserMessage(TURNS[number % len(TURNS)], channel, "long")
                started = time.perf_counter()
                agent.turns().respond(message)
                seconds.append(time.perf_counter() - started)
                if len(channel.messages) != 1:
                    raise SystemExit(f"turn {number} said {channel.messages}.")
        first, last = (statistics.median(part) for part in (seconds[:100], seconds[-100:]))
        figures = {"first 100": 1e3 * first, "last 100": 1e3 * last, "last to first": last / first}
        rows = [[what, f"{figure:.2f}"] for what, figure in figures.items()]
        print_table(f"{options.turns} turns of one conversation with a form and rasa-sdk", ["turns", "p50 ms"], rows)


if __name__ == "__main__":
    main()
