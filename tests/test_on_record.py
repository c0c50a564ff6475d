"""The log of each decision: the policy and model that predicted it, the prediction, and the interpreter."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from small_bots import CONCERT_DOMAIN, CONCERT_STORIES, MOOD_DOMAIN, MOOD_STORIES, trained_agent, trained_model

from rasa_core.agent import Agent
from rasa_core.events import ActionExecuted, Event, SlotSet, UserUtteranceReverted, UserUttered
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.tracker_store import SqliteTrackerStore
from rasa_core.trackers import DialogueStateTracker

MEMORY = {"policy": "MemoizationPolicy", "confidence": 1.0}


class Reader(NaturalLanguageInterpreter):
    """Understands everything as a greeting, as a model of its own or as none."""

    def __init__(self, fingerprint: str | None) -> None:
        self._fingerprint = fingerprint

    @property
    def model_fingerprint(self) -> str | None:
        return self._fingerprint

    def parse(self, text: str) -> dict[str, Any]:
        return {"text": text, "intent": {"name": "greet", "confidence": 0.9}, "entities": []}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two models of one domain that have learnt different stories."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    other = CONCERT_STORIES + "\n## thanks\n* greet\n  - utter_hello\n* search\n  - utter_found\n"
    return trained_model(first, CONCERT_DOMAIN, CONCERT_STORIES), trained_model(second, CONCERT_DOMAIN, other)


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "conversations.db")


def opened(model: str, store: str) -> Agent:
    return Agent.load(model, tracker_store=SqliteTrackerStore(path=store))


def actions(agent: Agent, sender_id: str = "default") -> list[dict[str, Any]]:
    """Return what the log says of each action, without its time."""
    events = [event.as_dict() for event in agent.read_tracker(sender_id).events]
    return [
        {key: value for key, value in event.items() if key not in ("event", "timestamp")}
        for event in events
        if event["event"] == "action"
    ]


def interpreters(agent: Agent) -> list[str | None]:
    events = agent.read_tracker("default").events
    return [event.interpreter for event in events if isinstance(event, UserUttered)]


class TestActionsOfTheCaller:
    def test_each_says_which_policy_of_which_model_chose_it(self, models: tuple[str, str], store: str) -> None:
        agent = opened(models[0], store)
        agent.start_message_handling("/greet")
        agent.continue_message_handling("default", "utter_hello")
        short = str(agent.model_fingerprint)[:8]
        assert re.fullmatch("[0-9a-f]{8}", short)
        assert actions(agent) == [
            {"name": "action_listen"},
            {"name": "utter_hello", **MEMORY, "model": short},
            {"name": "action_listen", **MEMORY, "model": short},
        ]

    def test_another_one_than_was_predicted_says_what_was(self, models: tuple[str, str], store: str) -> None:
        agent = opened(models[0], store)
        agent.start_message_handling("/search")
        agent.continue_message_handling("default", "utter_found")
        short = str(agent.model_fingerprint)[:8]
        assert actions(agent)[1] == {"name": "utter_found", **MEMORY, "model": short, "predicted": "action_search"}

    def test_what_was_told_is_known_to_another_process(self, models: tuple[str, str], store: str) -> None:
        opened(models[0], store).start_message_handling("/search")
        agent = opened(models[0], store)
        agent.continue_message_handling("default", "utter_found")
        assert actions(agent)[1]["predicted"] == "action_search"

    def test_it_is_the_model_that_told_it_which_is_named(self, models: tuple[str, str], store: str) -> None:
        first = opened(models[0], store)
        first.start_message_handling("/search")
        second = opened(models[1], store)
        second.continue_message_handling("default", "action_search", [SlotSet("concerts", ["Björk"])])
        second.continue_message_handling("default", "utter_found")
        named = [action.get("model") for action in actions(second)]
        shorts = [str(agent.model_fingerprint)[:8] for agent in (first, second)]
        assert shorts[0] != shorts[1]
        assert named == [None, shorts[0], shorts[1], shorts[1]]

    def test_also_where_the_other_model_has_another_domain(
        self, models: tuple[str, str], store: str, tmp_path: Path
    ) -> None:
        first = opened(models[0], store)
        first.start_message_handling("/search")
        wider = trained_model(
            tmp_path, CONCERT_DOMAIN.replace("[greet, search]", "[greet, search, bye]"), CONCERT_STORIES
        )
        agent = opened(wider, store)
        agent.continue_message_handling("default", "utter_found")
        expected = {"name": "utter_found", **MEMORY, "model": str(first.model_fingerprint)[:8]}
        assert actions(agent)[1] == {**expected, "predicted": "action_search"}

    def test_one_that_nobody_told_names_the_model_alone(self, models: tuple[str, str], store: str) -> None:
        agent = opened(models[0], store)
        agent.continue_message_handling("default", "utter_hello")
        assert actions(agent)[1] == {"name": "utter_hello", "model": str(agent.model_fingerprint)[:8]}

    def test_an_answer_counts_for_one_action(self, models: tuple[str, str], store: str) -> None:
        agent = opened(models[0], store)
        agent.start_message_handling("/search")
        agent.append_events("default", [ActionExecuted("action_search")])
        agent.continue_message_handling("default", "utter_found")
        assert "predicted" not in actions(agent)[2]

    def test_what_was_told_last_counts(self, models: tuple[str, str], store: str) -> None:
        agent = opened(models[0], store)
        agent.start_message_handling("/search")
        agent.start_message_handling("/greet")
        told = agent.start_message_handling("/greet")["next_action"]
        agent.continue_message_handling("default", "utter_found")
        assert actions(agent)[1]["predicted"] == told

    def test_a_rewind_takes_back_what_was_told(self, models: tuple[str, str], store: str) -> None:
        agent = opened(models[0], store)
        agent.start_message_handling("/search")
        agent.append_events("default", [UserUtteranceReverted()])
        agent.continue_message_handling("default", "utter_hello")
        assert "predicted" not in actions(agent)[1]

    def test_nothing_of_it_is_in_the_answers(self, models: tuple[str, str], store: str) -> None:
        answer = opened(models[0], store).start_message_handling("/search")
        assert set(answer) == {"next_action", "confidence", "policy", "understood", "version", "tracker"}
        assert set(answer["tracker"]["latest_message"]) == {"text", "intent", "intent_ranking", "entities"}


class TestActionsThatRunHere:
    def test_all_of_a_turn_say_who_chose_them(self, tmp_path: Path) -> None:
        agent = Agent.load(trained_model(tmp_path, MOOD_DOMAIN, MOOD_STORIES))
        agent.handle_message("/greet")
        short = str(agent.model_fingerprint)[:8]
        chosen = {**MEMORY, "model": short}
        assert actions(agent)[1:] == [{"name": "utter_hello", **chosen}, {"name": "action_listen", **chosen}]

    def test_a_model_that_is_in_no_file_has_a_fingerprint_too(self, tmp_path: Path) -> None:
        agent, other = (trained_agent(tmp_path, MOOD_DOMAIN, stories) for stories in (MOOD_STORIES, MOOD_STORIES[:60]))
        same = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
        agent.handle_message("/greet")
        assert actions(agent)[1]["model"] == same.policy_ensemble.fingerprint != other.policy_ensemble.fingerprint

    def test_a_restart_that_the_user_wants_is_asked_of_no_policy(self, tmp_path: Path) -> None:
        agent = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
        agent.handle_message("/reset")
        assert actions(agent)[1] == {
            "name": "action_restart", "confidence": 1.0, "model": agent.policy_ensemble.fingerprint,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("interpreter", "text", "named"),
    [
        (Reader("0123456789abcdef"), "hello", "01234567"),
        (Reader(None), "hello", "Reader"),
        (Reader("0123456789abcdef"), "/greet", "RegexInterpreter"),
    ],
    ids=["a model", "one without a model", "a message that names its intent"],
)
@pytest.mark.parametrize("road", ["start_message_handling", "handle_message"])
def test_a_message_says_who_understood_it(
    tmp_path: Path, interpreter: Reader, text: str, named: str, road: str
) -> None:
    agent = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES, interpreter=interpreter)
    getattr(agent, road)(text)
    assert interpreters(agent) == [named]
    assert "interpreter" not in agent.read_tracker("default").latest_message.parse_data


def test_a_message_that_was_understood_elsewhere_names_nobody(tmp_path: Path) -> None:
    agent = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    agent.append_events("default", [UserUttered("hi", {"name": "greet", "confidence": 1.0}, [])])
    assert interpreters(agent) == [None]
    assert "interpreter" not in agent.read_tracker("default").events[-1].as_dict()


def test_logs_of_before_are_read_as_they_were(tmp_path: Path) -> None:
    agent = trained_agent(tmp_path, CONCERT_DOMAIN, CONCERT_STORIES)
    old = [
        {"event": "action", "name": "action_listen", "timestamp": 1.0},
        {
            "event": "user",
            "text": "hi",
            "timestamp": 2.0,
            "parse_data": {"text": "hi", "intent": {"name": "greet", "confidence": 1.0}, "entities": []},
        },
        {"event": "action", "name": "utter_hello", "timestamp": 3.0, "policy": "KerasPolicy", "confidence": 0.5},
    ]
    events = [Event.from_log(json.loads(json.dumps(one))) for one in old]
    tracker = DialogueStateTracker.from_events("anna", events, agent.domain)
    assert [event.as_dict() for event in tracker.events] == old
    snapshot = tracker.snapshot()
    assert snapshot["expected"] is None
