"""The restaurant bot of bAbI, as it was written for Rasa Core 0.9, served and talked to over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from example_bot import ROOT, Served, serving

from rasa_core import ActionExecuted, Domain, UserUttered
from rasa_core.events import Event
from rasa_core.remote import RasaCoreClient
from rasa_core.stories import load_data

TRAINED = 240
UNSEEN = 20


@pytest.fixture(scope="module")
def restaurant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = Path(os.environ.get("RASA_CORE_DATA") or ROOT.parent / "shared" / "data", "babi")
    if not data.is_dir():
        pytest.skip("the bAbI dialogues are not here; name the folder above them in RASA_CORE_DATA.")
    folder = tmp_path_factory.mktemp("restaurant")
    (folder / "bot").mkdir()
    domain = (data / "domain_0.9.yml").read_text(encoding="utf-8")
    (folder / "bot" / "domain.yml").write_text(f"action_factory: remote\n{domain}", encoding="utf-8")
    stories = (data / "stories_train.md").read_text(encoding="utf-8").split("## ")[1:]
    for name, chosen in (("bot/stories.md", stories[:TRAINED]), ("unseen.md", stories[-UNSEEN:])):
        (folder / name).write_text("".join(f"## {story}" for story in chosen), encoding="utf-8")
    with serving(folder, "bot") as served:
        yield served


def talk(client: RasaCoreClient, sender_id: str, events: list[Event]) -> tuple[int, int]:
    """Play a dialogue as it was; return how many of the server's answers were what came next in it, and how many."""
    told = ""
    right = total = 0
    for number, event in enumerate(events):
        if isinstance(event, UserUttered):
            told = client.parse(f"/{event.as_story_string()}", sender_id)["next_action"]
        elif isinstance(event, ActionExecuted) and number:
            right += told == event.action_name
            total += 1
            if event.action_name != "action_listen":
                told = client.continue_core(event.action_name, [], sender_id)["next_action"]
    return right, total


def test_unseen_dialogues_are_carried_on_over_http(restaurant: Served) -> None:
    domain = Domain.load(restaurant.folder / "bot" / "domain.yml")
    dialogues = load_data(restaurant.folder / "unseen.md", domain, augmentation_factor=0)
    client = RasaCoreClient(restaurant.url, None)
    counts = [talk(client, f"guest-{number}", list(one.events)) for number, one in enumerate(dialogues)]
    right, total = (sum(column) for column in zip(*counts, strict=True))
    assert total > UNSEEN * 10
    assert right / total >= 0.95


def test_what_the_guest_said_is_remembered(restaurant: Served) -> None:
    client = RasaCoreClient(restaurant.url, None)
    answer = client.parse("/greet", "guest")
    assert answer["next_action"] == "utter_ask_howcanhelp"
    client.continue_core("utter_ask_howcanhelp", [], "guest")
    answer = client.parse('/inform{"cuisine": "spanish", "people": "two"}', "guest")
    assert answer["next_action"] == "utter_on_it"
    assert answer["tracker"]["slots"]["cuisine"] == "spanish"
    assert answer["tracker"]["slots"]["people"] == "two"
