"""Failed actions: in the log, as features of policies, in explanations, and in stories."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from feature_groups import groups_of
from small_bots import CONCERT_DOMAIN, CONCERT_STORIES, trained_agent
from werkzeug.test import Client

from rasa_core.actions.action import Action
from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, SlotSet, UserUttered
from rasa_core.exceptions import StoryParseError
from rasa_core.policies import AugmentedMemoizationPolicy, MemoizationPolicy
from rasa_core.policies.features.conversations import ConversationFeaturizer
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.server import create_app
from rasa_core.stories import load_data
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.event_log import story_text

DOMAIN = CONCERT_DOMAIN.replace("utter_found]", "utter_found, utter_sorry]")
FAILING = """
## nothing works
* search
  - action_search{"failed": true}
  - utter_sorry
"""
FOUND = SlotSet("concerts", ["Björk"])


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return trained_agent(tmp_path, DOMAIN, CONCERT_STORIES + FAILING)


@pytest.fixture
def unaware(tmp_path: Path) -> Agent:
    """A bot whose stories know of no failure."""
    return trained_agent(tmp_path, DOMAIN, CONCERT_STORIES)


class TestReported:
    def test_a_story_says_how_it_goes_on(self, agent: Agent) -> None:
        agent.start_message_handling("/search", "well")
        assert agent.continue_message_handling("well", "action_search", [FOUND])["next_action"] == "utter_found"
        agent.start_message_handling("/search", "badly")
        answer = agent.continue_message_handling("badly", "action_search", error="no network")
        assert (answer["next_action"], answer["confidence"]) == ("utter_sorry", 1.0)
        assert agent.continue_message_handling("badly", "utter_sorry")["next_action"] == "action_listen"

    def test_the_error_is_on_record_and_in_the_log(self, agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
        agent.start_message_handling("/search")
        with caplog.at_level(logging.WARNING, "rasa_core"):
            agent.continue_message_handling("default", "action_search", error="no network " * 200)
        (event,) = [event for event in agent.read_tracker("default").events if getattr(event, "error", None)]
        assert event.as_dict()["error"] == ("no network " * 200)[:1000]
        assert "action_search" in caplog.text
        assert "no network" in caplog.text

    def test_a_bot_that_knows_of_no_failure_goes_on_as_ever(self, unaware: Agent) -> None:
        unaware.start_message_handling("/search")
        answer = unaware.continue_message_handling("default", "action_search", [FOUND], "no network")
        assert (answer["next_action"], answer["policy"]) == ("utter_found", "MemoizationPolicy")

    def test_so_does_one_that_knows_of_other_failures_alone(self, tmp_path: Path) -> None:
        story = '\n## bye\n* greet\n  - utter_hello{"failed": true}\n  - utter_sorry\n'
        agent = trained_agent(tmp_path, DOMAIN, CONCERT_STORIES.partition("## greet")[0] + story)
        agent.start_message_handling("/search")
        answer = agent.continue_message_handling("default", "action_search", [FOUND], "no network")
        assert answer["next_action"] == "utter_found"

    def test_it_is_known_after_the_next_start(self, agent: Agent, tmp_path: Path) -> None:
        agent.persist(tmp_path / "model")
        again = Agent.load(tmp_path / "model")
        for bot, expected in ((agent, "utter_sorry"), (again, "utter_sorry")):
            bot.start_message_handling("/search")
            answer = bot.continue_message_handling("default", "action_search", error="")
            assert answer["next_action"] == expected

    def test_the_explanation_says_so_and_what_success_would_have_led_to(self, agent: Agent) -> None:
        agent.start_message_handling("/search")
        agent.continue_message_handling("default", "action_search", [FOUND], "no network")
        told = agent.explain("default").as_dict()
        assert told["failed"] == "no network"
        agent.start_message_handling("/search", "well")
        agent.continue_message_handling("well", "action_search", [FOUND])
        assert agent.explain("well").as_dict()["failed"] is None


class Fails(Action):
    def name(self) -> str:
        return "action_search"

    def run(self, dispatcher: Any, tracker: Any, domain: Any) -> list[Any]:
        raise RuntimeError("no network")


def test_an_action_that_fails_here_is_seen_too(tmp_path: Path) -> None:
    domain = DOMAIN.replace("action_factory: remote\n", "").replace("templates:", "templates:\n  utter_sorry: [Sorry!]")
    domain = domain.replace("utter_found, utter_sorry", "utter_sorry").replace("\n  - utter_found", "")
    stories = CONCERT_STORIES.replace("\n  - utter_found", "") + FAILING
    agent = trained_agent(tmp_path, domain.replace("action_search, ", f"{__name__}.Fails, "), stories)
    said = agent.handle_message("/search")
    assert said is not None
    assert said[-1]["text"] == "Sorry!"
    names = [
        (event.action_name, event.error)
        for event in agent.read_tracker("default").events
        if event.type_name == "action"
    ]
    assert names[1:] == [
        ("action_search", "RuntimeError: no network"), ("utter_sorry", None), ("action_listen", None),
    ]  # fmt: skip


class TestOverHttp:
    @pytest.fixture
    def client(self, agent: Agent) -> Client:
        client: Client = create_app(agent).test_client()
        client.post("/parse", json={"q": "/search"})
        return client

    def test_continue_takes_an_error(self, client: Client) -> None:
        answer = client.post("/continue", json={"executed_action": "action_search", "error": "no network"})
        assert answer.get_json()["next_action"] == "utter_sorry"
        assert client.get("/conversations/default/explain").get_json()["failed"] == "no network"

    def test_null_is_none(self, client: Client) -> None:
        body = {"executed_action": "action_search", "events": [FOUND.as_dict()], "error": None}
        assert client.post("/continue", json=body).get_json()["next_action"] == "utter_found"

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            ({"executed_action": "action_search", "error": True}, "as a string, not a boolean"),
            ({"executed_action": "action_search", "error": ["a"]}, "as a string, not a list"),
            ({"error": "no network"}, 'send the name of the action as "executed_action"'),
            ({"executed_action": None, "error": ""}, 'send the name of the action as "executed_action"'),
        ],
        ids=["a boolean", "a list", "without an action", "with an action of null"],
    )
    def test_anything_else_is_an_error_and_nothing_is_stored(
        self, client: Client, body: dict[str, Any], problem: str
    ) -> None:
        before = client.get("/conversations/default/tracker").get_data()
        answer = client.post("/continue", json=body)
        assert answer.status_code == 400
        assert problem in answer.get_json()["error"]
        assert client.get("/conversations/default/tracker").get_data() == before


class TestStories:
    def test_what_happened_is_written_as_a_story_that_reads_the_same(self, agent: Agent, tmp_path: Path) -> None:
        agent.start_message_handling("/search")
        agent.continue_message_handling("default", "action_search", error="no network")
        tracker = agent.read_tracker("default")
        written = tracker.export_stories()
        assert '- action_search{"failed": true}\n' in written
        file = tmp_path / "again.md"
        file.write_text(written, encoding="utf-8")
        (again,) = load_data(file, agent.domain, augmentation_factor=0)
        assert story_text(again.applied_events(), "a") == story_text(tracker.applied_events(), "a")
        assert [event for event in again.applied_events() if getattr(event, "error", None)] == [
            ActionExecuted("action_search", error="any")
        ]

    def test_false_is_no_failure_and_other_parameters_are_as_ever(self, tmp_path: Path) -> None:
        file = tmp_path / "stories.md"
        file.write_text(
            '## a\n* search\n  - action_search{"failed": false}\n  - utter_found{"x": 1}\n', encoding="utf-8"
        )
        (tracker,) = load_data(file, Domain.from_yaml(DOMAIN), augmentation_factor=0)
        assert not any(getattr(event, "error", None) for event in tracker.events)

    def test_what_is_neither_is_an_error_with_its_line(self, tmp_path: Path) -> None:
        file = tmp_path / "stories.md"
        file.write_text('## a\n* search\n  - action_search{"failed": "yes"}\n', encoding="utf-8")
        with pytest.raises(StoryParseError, match=r'stories.md:3.*"failed" of an action is true or false'):
            load_data(file, Domain.from_yaml(DOMAIN))

    def test_events_of_one_name_differ_in_whether_they_failed(self) -> None:
        assert ActionExecuted("a", error="x") == ActionExecuted("a", error="y") != ActionExecuted("a")


@pytest.mark.parametrize("kind", [MemoizationPolicy, AugmentedMemoizationPolicy])
def test_where_no_story_fails_nothing_of_a_model_changes(
    kind: type[MemoizationPolicy], unaware: Agent, tmp_path: Path
) -> None:
    stories = tmp_path / "plain.md"
    stories.write_text(CONCERT_STORIES, encoding="utf-8")
    policy = kind(max_history=3)
    policy.train(unaware.load_data(stories, augmentation_factor=0), unaware.domain)
    policy.persist(tmp_path)
    assert "failed" not in json.dumps(json.loads((tmp_path / "memorized_turns.json").read_text(encoding="utf-8")))


def test_the_network_sees_it_too(agent: Agent) -> None:
    def features(error: str | None) -> set[tuple[str, str]]:
        said = UserUttered("/search", {"name": "search", "confidence": 1.0}, [])
        events = [ActionExecuted("action_listen"), said, ActionExecuted("action_search", error=error)]
        tracker = DialogueStateTracker.from_events("a", events, agent.domain)
        featurizer = HistoryFeaturizer(3)
        groups = groups_of(featurizer, tracker)
        return {(block, name) for block, group in groups for name in group}

    assert features("x") - features(None) == {("now", "failed"), ("event 0", "failed")}


def test_it_learns_from_the_same_features_as_it_decides_by(agent: Agent, tmp_path: Path) -> None:
    stories = tmp_path / "failing.md"
    stories.write_text(FAILING, encoding="utf-8")
    (tracker,) = agent.load_data(stories, augmentation_factor=0)
    names: dict[tuple[str, str], int] = {}
    learnt = ConversationFeaturizer(3, agent.domain.slots, lambda name: names.setdefault(name, len(names)))
    learnt.add(tracker)
    assert {("now", "failed"), ("event 0", "failed")} <= set(names)
