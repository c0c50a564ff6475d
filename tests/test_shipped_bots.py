"""Example bots of Rasa Core 0.9; each test is skipped if its files are missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rasa_core.agent import Agent
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, UserUttered
from rasa_core.policies import MemoizationPolicy
from rasa_core.trackers import DialogueStateTracker

BOTS = {"moodbot": "domain.yml", "remotebot": "concert_domain_remote.yml"}


def data(name: str) -> Path:
    """Return a folder of data that stands beside the project."""
    folder = os.environ.get("RASA_CORE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    if not Path(folder, name).exists():
        pytest.skip(f"there is no {name} in {folder}")
    return Path(folder, name)


@pytest.fixture(params=BOTS)
def trained(request: pytest.FixtureRequest) -> tuple[Agent, list[DialogueStateTracker]]:
    folder = data(request.param)
    agent = Agent(folder / BOTS[request.param], [MemoizationPolicy()])
    trackers = agent.load_data(folder / "stories.md", augmentation_factor=0)
    agent.train(trackers)
    return agent, trackers


def turns(events: list[Event]) -> list[tuple[UserUttered, list[Event]]]:
    """Return each message with what follows it."""
    found: list[tuple[UserUttered, list[Event]]] = []
    for event in events:
        if isinstance(event, UserUttered):
            found.append((event, []))
        elif found:
            found[-1][1].append(event)
    return found


def test_every_story_can_be_played_through_the_protocol(trained) -> None:
    agent, trackers = trained
    told = 0
    for tracker in trackers:
        for message, following in turns(list(tracker.events)):
            answer = agent.start_message_handling("/" + message.as_story_string(), tracker.sender_id)
            for action, events in actions_in(following):
                if answer["policy"] is not None:  # Else the stories contradict one another here.
                    assert answer["next_action"] == action
                    told += 1
                if action != ACTION_LISTEN_NAME:
                    answer = agent.continue_message_handling(tracker.sender_id, action, events)
    assert told > len(trackers)


def actions_in(events: list[Event]) -> list[tuple[str, list[Event]]]:
    """Return each action with what came of it."""
    found: list[tuple[str, list[Event]]] = []
    for event in events:
        if isinstance(event, ActionExecuted):
            found.append((event.action_name, []))
        elif found:
            found[-1][1].append(event)
    return found


def test_the_model_is_the_same_whatever_it_is_trained_in(trained, tmp_path) -> None:
    agent, trackers = trained
    agent.persist(tmp_path / "one")
    agent.train(trackers)
    agent.persist(tmp_path / "two")
    for file in (path for path in (tmp_path / "one").rglob("*") if path.is_file()):
        assert (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes() == file.read_bytes()
