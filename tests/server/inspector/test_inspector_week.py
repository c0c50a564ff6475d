"""The weekly work of a bot team, by real clicks: find errors, correct, train, compare, serve, go back.

The bot runs its actions in its own process; `test_inspector_loops` has the same of other bots.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from inspector_bot import served
from page import Page

from rasa_core.project import Project
from rasa_core.server import ServerApp, create_app
from rasa_core.support import own_code
from rasa_core.tracker_store import EventLogStore, Head, store_from_url

CONVERSATIONS = int(os.environ.get("RASA_CORE_WEEK", "300"))
"""How many users talked to the bot in that week; 10000 for one as long as a team has it."""
CORRECTED = 5 if CONVERSATIONS >= 10_000 else 2
SEED = 20261129
NOW = 1_790_000_000.0

DOMAIN = """\
intents: [greet, price, hours, bye, thank, order, cancel]
entities: [product]
slots:
  product: {type: text}
templates:
  utter_hello: ["Hello!"]
  utter_hours: ["From nine to five."]
  utter_bye: ["See you."]
  utter_welcome: ["You are welcome."]
  utter_ordered: ["It is on its way."]
  utter_cancelled: ["It is cancelled."]
actions: [utter_hello, week_of_a_shop.Price, utter_hours, utter_bye, utter_welcome, utter_ordered, utter_cancelled]
"""
ACTIONS = """\
from rasa_core.actions import Action
from rasa_core.events import SlotSet

class Price(Action):
    def name(self):
        return "tell_price"

    def run(self, dispatcher, tracker, domain):
        product = tracker.get_slot("product") or "It"
        dispatcher.utter_message(f"{product} is 5 euros.")
        return [SlotSet("product", product.upper())]
"""
ANSWERS = {
    "greet": "utter_hello",
    "price": "tell_price",
    "hours": "utter_hours",
    "bye": "utter_bye",
    "thank": "utter_welcome",
    "order": "utter_ordered",
    "cancel": "utter_cancelled",
}
KNOWN = ("greet", "bye")
"""What the stories of the bot answer so far; it is unsure of all else, and says the hours."""
STORIES = "".join(f"## {intent}\n* {intent}\n  - {ANSWERS[intent]}\n\n" for intent in KNOWN)


def put_week(store: EventLogStore) -> None:
    """Fill a store with conversations, the same in each run."""
    chance = random.Random(SEED)
    for number in range(CONVERSATIONS):
        intents = chance.choices(list(ANSWERS), weights=[9, 1, 9, 9, 1, 1, 1])
        events = [{"event": "action", "name": "action_listen"}]
        for intent in intents:
            parsed = {"text": f"/{intent}", "intent": {"name": intent, "confidence": 1.0}, "entities": []}
            events.append({"event": "user", "text": f"/{intent}", "parse_data": parsed})
            action, sure = (ANSWERS[intent], 0.97) if intent in KNOWN else ("utter_hours", chance.uniform(0.2, 0.4))
            events.append({"event": "action", "name": action, "policy": "KerasPolicy", "confidence": sure})
            events.append({"event": "action", "name": "action_listen", "policy": "KerasPolicy", "confidence": 1.0})
        at = NOW + 60 * number
        rows = [json.dumps({**event, "timestamp": at + place}) for place, event in enumerate(events)]
        store.commit(f"user {number}", 0, rows, Head(len(rows), 0, "made up", at, "{}"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "shop"
    place.mkdir()
    (place / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    (place / "stories.md").write_text(STORIES, encoding="utf-8")
    (place / "week_of_a_shop.py").write_text(ACTIONS, encoding="utf-8")
    own_code.look_in(place)
    (place / "config.yml").write_text("policies:\n- name: MemoizationPolicy\n  max_history: 2\n", encoding="utf-8")
    Project(place).train_if_changed(say=lambda line: None)
    return place


@pytest.fixture
def app(folder: Path, tmp_path: Path) -> Iterator[ServerApp]:
    with store_from_url(f"sqlite:///{tmp_path}/talks.db") as store:
        put_week(store)
        yield create_app(folder / "models" / "dialogue", tracker_store=store, inspect=folder)


def correct_one(page: Page, address: str) -> str:
    """Put right what the bot was least sure of, and return what the user wanted."""
    page.open(address, "/conversations?only=unsure")
    page.until(lambda: page.all(".item-head a"))
    name = page.texts(".item-head a")[0]
    page.run("document.querySelector('.item-head a').click()")
    page.wait_for("Why utter_hours?", ".panel")
    at = page.run("return Number(document.querySelector('.step[data-chosen]').dataset.at)")
    intent = page.run(f"return document.querySelector('.step[data-at=\"{at - 1}\"] .said').innerText")[1:]
    page.click("This action was wrong")
    page.choose(".correction select", ANSWERS[intent])
    page.click("This one is right")
    page.until(lambda: ANSWERS[intent] in page.steps())
    page.write()
    page.open(address, f"/talk/{name}")
    page.click("Mark as reviewed", ".note button")
    page.until(lambda: "Needs another look" in page.texts(".note button"))
    return str(intent)


def correct_a_message(page: Page, address: str) -> None:
    """Tell the bot what a message means that it does not know, and see its own action answer that."""
    page.open(address, "/talk/anna")
    page.say("how much is tea")
    page.correct_message("how much is tea", "price", "product", "tea")
    page.wait_for("No story tells what comes after price", ".foot")
    page.choose(".foot select", "tell_price")
    page.click("This one is right")
    page.until(lambda: "tea is 5 euros." in page.steps())
    page.pick(".step.action", "tell_price")
    page.wait_for("TEA", ".panel table.changes")
    page.click("Close")
    assert '+* price{"product": "tea"}' in page.write("nlu")


def test_a_week_of_a_bot_team(page: Page, app: ServerApp, folder: Path) -> None:
    before = Project(folder).models.versions.current
    with served(app) as address:
        corrected = [correct_one(page, address) for _ in range(CORRECTED)]
        assert set(corrected) <= set(ANSWERS) - set(KNOWN)
        correct_a_message(page, address)
        stories = (folder / "stories.md").read_text()
        assert stories.startswith(STORIES.rstrip("\n"))
        assert all(f"- {ANSWERS[intent]}" in stories for intent in [*corrected, "price"])

        counts = page.train_and_compare()
        assert int(counts["changed otherwise"]) + int(counts["worse"]) + int(counts["better"]) > 0
        assert counts["Stories"].split("/")[0] == counts["Stories"].split("/")[1]
        page.serve()
        page.open(address, "/talk/afterwards")
        page.say(f"/{corrected[0]}")
        assert ANSWERS[corrected[0]] in page.steps()
        page.say('/price{"product": "milk"}')
        assert "milk is 5 euros." in page.steps()
        page.go_back()
    assert Project(folder).models.versions.current == before
