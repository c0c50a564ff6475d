"""The imports that README.rst and docs/ show: for a bot, and for a custom policy, store and action."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

A_BOT = """
from rasa_core import Agent
from rasa_core.events import SlotSet
from rasa_core.policies import FallbackPolicy, MemoizationPolicy
from rasa_core.tracker_store import SqliteTrackerStore, store_from_url

remote = ROOT + "/examples/remote"
policies = [MemoizationPolicy(max_history=5), FallbackPolicy(fallback_action_name="utter_ask_what_to_compare")]
agent = Agent(remote + "/domain.yml", policies=policies)
agent.train(agent.load_data(remote + "/stories.md", augmentation_factor=20))
agent.persist("models/dialogue")

agent = Agent.load("models/dialogue", tracker_store=SqliteTrackerStore(path="conversations.db"))
assert agent.start_message_handling("/greet", sender_id="me")["next_action"] == "utter_greet"
assert agent.continue_message_handling("me", "utter_greet", [])["next_action"] == "action_listen"
prediction = agent.predict(agent.read_tracker("me"))
assert abs(sum(prediction.scores.values()) - 1) < 1e-6
explanation = agent.explain("me", at=2)
assert explanation.action == "utter_greet" and explanation.policy == "MemoizationPolicy"
assert explanation.policies[0].lessons[0].places[0].endswith('stories.md:5 "greeting"')
assert agent.handle_message("/goodbye", sender_id="you") == [{"recipient_id": "you", "text": "Enjoy the music!"}]

again = Agent.load("models/dialogue", tracker_store=store_from_url("sqlite:///conversations.db"))
answer = again.start_message_handling('/find_concerts{"city": "Lisbon"}', sender_id="me")
assert answer["next_action"] == "search_concerts"
answer = again.continue_message_handling("me", "search_concerts", [SlotSet("concerts", [{"artist": "Carminho"}])])
assert answer["next_action"] == "utter_found"
"""

A_POLICY = """
import json
from pathlib import Path

from rasa_core import Agent, Domain
from rasa_core.policies import MemoizationPolicy, Policy
from rasa_core.policies.lessons import Lessons


class Parrot(Policy):
    SUPPORTS_ONLINE_TRAINING = False

    def train(self, training_trackers, domain, **kwargs):
        self.favourite = domain.action_names[-1]

    def predict_action_probabilities(self, tracker, domain):
        wanted = self.favourite if tracker.latest_action_name == "action_listen" else "action_listen"
        return [float(name == wanted) for name in domain.action_names]

    def lessons(self, tracker, domain, limit=3):
        return Lessons(note="a parrot says what it always says.")

    def persist(self, path):
        Path(path, "parrot.json").write_text(json.dumps(self.favourite))

    @classmethod
    def load(cls, path):
        parrot = cls()
        parrot.favourite = json.loads(Path(path, "parrot.json").read_text())
        return parrot


Path("domain.yml").write_text("intents: [hi]\\nactions: [utter_hi]\\ntemplates: {utter_hi: Hi!}\\n")
Path("stories.md").write_text("## hi\\n* hi\\n  - utter_hi\\n")
agent = Agent(Domain.load("domain.yml"), policies=[Parrot()])
agent.train(agent.load_data("stories.md"))
assert agent.handle_message("/hi") == [{"recipient_id": "default", "text": "Hi!"}]
assert agent.explain("default", at=2).policies[0].note == "a parrot says what it always says."
agent.persist("model")
assert Agent.load("model").handle_message("/hi") == [{"recipient_id": "default", "text": "Hi!"}]
"""

A_STORE = """
from pathlib import Path

from rasa_core import Agent, Domain
from rasa_core.policies import MemoizationPolicy
from rasa_core.tracker_store import TrackerStore


class FileStore(TrackerStore):
    def save(self, tracker):
        Path("kept-" + tracker.sender_id).write_text(self.serialise_tracker(tracker))

    def retrieve(self, sender_id):
        file = Path("kept-" + sender_id)
        return self.deserialise_tracker(sender_id, file.read_text()) if file.exists() else None

    def keys(self):
        return [file.name[5:] for file in Path().glob("kept-*")]


Path("stories.md").write_text("## hi\\n* hi\\n  - utter_hi\\n")
domain = Domain.from_yaml("intents: [hi]\\nactions: [utter_hi]\\ntemplates: {utter_hi: Hi!}\\n")
agent = Agent(domain, policies=[MemoizationPolicy()], tracker_store=FileStore(domain))
agent.train(agent.load_data("stories.md"))
agent.handle_message("/hi", sender_id="anna")

agent.persist("model")
again = Agent.load("model", tracker_store=FileStore(domain))
assert list(again.tracker_store.keys()) == ["anna"]
assert again.read_tracker("anna").latest_message.text == "/hi"
"""

AN_ACTION = """
import sys
from pathlib import Path

from rasa_core import Action, Agent, DialogueStateTracker, SlotSet, UserUttered
from rasa_core.actions import Action as TheSame
from rasa_core.interpreter import RegexInterpreter
from rasa_core.policies import MemoizationPolicy


class SearchRestaurants(Action):
    def name(self):
        return "search_restaurants"

    def run(self, dispatcher, tracker, domain):
        assert isinstance(tracker, DialogueStateTracker) and isinstance(tracker.latest_message, UserUttered)
        cuisine = tracker.get_slot("cuisine")
        dispatcher.utter_message(f"Looking for {cuisine} food ...")
        dispatcher.utter_template("utter_wait", tracker)
        return [SlotSet("matches", ["Baan"])]


assert Action is TheSame
sys.modules["my_bot"] = sys.modules[__name__]
Path("domain.yml").write_text('''
intents: [inform]
entities: [cuisine]
slots: {cuisine: {type: text}, matches: {type: list}}
actions: [utter_wait, my_bot.SearchRestaurants]
templates: {utter_wait: One moment.}
''')
Path("stories.md").write_text('''
## thai
* inform{"cuisine": "thai"}
  - search_restaurants
  - slot{"matches": ["x"]}
''')
agent = Agent("domain.yml", policies=[MemoizationPolicy()], interpreter=RegexInterpreter())
agent.train(agent.load_data("stories.md"))
said = agent.handle_message('/inform{"cuisine": "thai"}', sender_id="anna")
assert [message["text"] for message in said] == ["Looking for thai food ...", "One moment."]
assert agent.read_tracker("anna").get_slot("matches") == ["Baan"]
"""


@pytest.mark.parametrize(
    "program", [A_BOT, A_POLICY, A_STORE, AN_ACTION], ids=["a bot", "a policy", "a store", "an action"]
)
def test_a_program_runs_unchanged(program: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(f"import sys\nROOT = {str(ROOT)!r}\nsys.path.insert(0, ROOT)\n{program}")
    finished = subprocess.run(
        [sys.executable, "-W", "error", "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
