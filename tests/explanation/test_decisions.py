"""The content of an explanation, and the decision that it is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from policy_bot import FixedScores, conversation, local_domain

from rasa_core.agent import Agent
from rasa_core.events import ConversationPaused, FollowupAction, Restarted, SlotSet, StoryExported
from rasa_core.exceptions import ModelError, RasaCoreError
from rasa_core.explanation import ExplanationError
from rasa_core.policies import MemoizationPolicy
from rasa_core.tracker_store import SqliteTrackerStore

STORIES = """\
## hello
* greet
  - utter_greet
* bye
  - utter_bye
"""


def scores_of(**given: float) -> list[float]:
    return [given.get(name, 0.0) for name in local_domain().action_names]


@pytest.fixture
def agent(tmp_path: Path, monkeypatch) -> Agent:
    monkeypatch.chdir(tmp_path)
    Path("stories.md").write_text(STORIES, encoding="utf-8")
    other = FixedScores(scores_of(utter_welcome=0.6, utter_greet=0.4))
    agent = Agent(local_domain(), [MemoizationPolicy(), other], tracker_store=SqliteTrackerStore(path="log.db"))
    agent.train(agent.load_data("stories.md"))
    return agent


def test_it_tells_who_decides_and_what_each_policy_says(agent: Agent) -> None:
    agent.start_message_handling("/greet")

    found = agent.explain("default")

    assert (found.action, found.confidence, found.policy) == ("utter_greet", 1.0, "MemoizationPolicy")
    assert (found.fixed_by, found.executed, found.at) == (None, None, 2)
    memory, other = found.policies
    assert (memory.policy, memory.action, memory.score) == ("MemoizationPolicy", "utter_greet", 1.0)
    assert memory.lessons is not None
    assert memory.lessons[0].places == ('stories.md:3 "hello"',)
    assert (other.policy, other.action, other.score) == ("FixedScores", "utter_welcome", 0.6)
    assert other.lessons is None


def test_a_policy_that_is_not_asked_for_a_decision_is_asked_for_an_explanation(agent: Agent) -> None:
    tracker = conversation(agent.domain, "/greet")
    other = agent.policy_ensemble.policies[1]
    other.HIGHEST_SCORE = 1.0
    asked = other.asked

    agent.predict(tracker)
    assert other.asked == asked
    scores = agent.explain(tracker).policies[1].scores

    assert list(scores) == agent.domain.action_names
    assert scores["utter_greet"] == 0.4


def test_each_decision_of_the_past_can_be_explained(agent: Agent) -> None:
    agent.start_message_handling("/greet")
    agent.continue_message_handling("default", "utter_greet", [])
    events = agent.read_tracker("default").events

    for at, event in enumerate(events):
        if event.type_name == "action":
            explained = agent.explain("default", at)
            assert (explained.at, explained.action, explained.executed) == (at, event.action_name, event.action_name)


def test_while_the_bot_listens_the_decision_to_listen_is_explained(agent: Agent) -> None:
    agent.start_message_handling("/greet")
    agent.continue_message_handling("default", "utter_greet", [])
    agent.append_events("default", [SlotSet("price", "high")])

    found = agent.explain("default")

    assert (found.at, found.action, found.executed) == (3, "action_listen", "action_listen")
    assert agent.explain("default", 5).executed is None


def test_what_was_done_can_differ_from_what_would_be_decided(agent: Agent) -> None:
    found = agent.explain(conversation(agent.domain, "/greet", "utter_bye", "/bye"), 2)

    assert (found.action, found.executed) == ("utter_greet", "utter_bye")


def test_an_unknown_conversation_is_explained_and_not_created(agent: Agent) -> None:
    assert agent.explain("nobody").action == "action_listen"
    assert list(agent.tracker_store.keys()) == []


def test_nothing_is_changed(agent: Agent) -> None:
    tracker = conversation(agent.domain, "/greet", StoryExported("export.md"), "utter_greet", "/bye")
    Path("export.md").unlink()
    before = tracker.current_state(should_include_events=True)

    agent.explain(tracker)

    assert tracker.current_state(should_include_events=True) == before
    assert not Path("export.md").exists()


@pytest.mark.parametrize(
    ("events", "fixed_by", "action", "confidence"),
    [
        pytest.param([ConversationPaused()], "paused", None, None, id="paused"),
        pytest.param([FollowupAction("utter_bye")], "followup", "utter_bye", 1.0, id="follow-up action"),
        pytest.param([Restarted()], "followup", "action_listen", 1.0, id="after a restart"),
        pytest.param(["/restart"], "restart", "action_restart", 1.0, id="restart intent"),
    ],
)
def test_what_is_fixed_says_by_what(agent: Agent, events, fixed_by, action, confidence) -> None:
    found = agent.explain(conversation(agent.domain, "/greet", *events))

    assert (found.fixed_by, found.action, found.confidence) == (fixed_by, action, confidence)
    assert found.policy is None
    assert found.nearest_miss is None
    assert [opinion.policy for opinion in found.policies] == ["MemoizationPolicy", "FixedScores"]


@pytest.mark.parametrize("at", [-1, 4])
def test_a_position_outside_of_the_conversation_names_the_range(agent: Agent, at: int) -> None:
    with pytest.raises(ExplanationError, match=rf"at is a number of events from 0 to 3, and not {at}\.") as caught:
        agent.explain(conversation(agent.domain, "/greet", "utter_greet"), at)
    assert isinstance(caught.value, ValueError | RasaCoreError)


def test_lessons_that_cannot_be_read_do_not_hide_the_rest(agent: Agent) -> None:
    agent.persist("model")
    loaded = Agent.load("model")
    agent.persist("model")

    found = loaded.explain(conversation(loaded.domain, "/greet"))

    assert found.action == "utter_greet"
    assert found.policies[0].lessons is None
    assert "was replaced after the model was loaded" in (found.policies[0].note or "")


def test_an_agent_without_policies_cannot_explain() -> None:
    with pytest.raises(ModelError, match="no policies"):
        Agent(local_domain()).explain("me")


def test_an_explanation_is_json(agent: Agent) -> None:
    agent.start_message_handling("/greet")

    told = agent.explain("default").as_dict()

    assert json.loads(json.dumps(told)) == told
    assert told["policies"][0]["lessons"] == [
        {"action": "utter_greet", "places": ['stories.md:3 "hello"'], "more": 0, "count": 1, "similarity": 1.0}
    ]


def test_stories_are_read_with_the_history_of_the_policies(tmp_path: Path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr("rasa_core.agent.load_data", lambda *args, **kwargs: asked.append(kwargs) or [])

    for policies in ([MemoizationPolicy(max_history=2), MemoizationPolicy(max_history=4)], []):
        Agent(local_domain(), policies).load_data("stories.md")
    Agent(local_domain(), [MemoizationPolicy()]).load_data("stories.md", max_history=7)

    assert [kwargs["max_history"] for kwargs in asked] == [4, None, 7]
