"""Sessions: a custom action that starts them, and predictions after a session has expired."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from answering_server import answering_server
from rasa3_bots import fresh, say, trained, types, write
from werkzeug.test import Client

from rasa_core.actions.webhook import ActionServer
from rasa_core.agent import Agent
from rasa_core.server import create_app

BOT = {
    "domain": """
        version: "3.1"
        intents: [chat]
        actions: [action_session_start]
        responses: {utter_chat: [{text: Chat}], utter_default: [{text: What?}]}
        session_config: {session_expiration_time: 1, carry_over_slots_to_new_session: true}
        """,
    "data__rules": """
        version: "3.1"
        rules:
        - rule: chat
          steps: [{intent: chat}, {action: utter_chat}]
        """,
}
STARTED, LISTENS = {"event": "session_started"}, {"event": "action", "name": "action_listen"}

GoesBy = Callable[[float], None]


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    return trained(write(tmp_path_factory.mktemp("bot"), **BOT))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    without = BOT["domain"].replace("actions: [action_session_start]", "")
    return trained(write(tmp_path_factory.mktemp("plain"), **{**BOT, "domain": without}))


@pytest.fixture
def goes_by(monkeypatch: pytest.MonkeyPatch) -> GoesBy:
    """Let time go by, in seconds."""
    real, ahead = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])

    def go(seconds: float) -> None:
        ahead[0] += seconds

    return go


@pytest.mark.parametrize("events", [[], [STARTED], [LISTENS], [STARTED, LISTENS]], ids=str)
def test_a_first_message_that_is_not_understood_is_answered_however_the_session_began(
    bot: Agent, events: list[dict[str, Any]]
) -> None:
    with answering_server({"action_session_start": {"events": events}}) as (url, _):
        agent = Agent(bot.domain, bot.policy_ensemble, actions=ActionServer(url))
        assert set(say(agent, "gibberish")) == {"What?"}
        assert say(agent, "/chat") == ["Chat"]


def test_a_session_that_does_not_say_so_begins_once_though_what_was_said_in_it_was_taken_back(
    bot: Agent, goes_by: GoesBy
) -> None:
    with answering_server({"action_session_start": {"events": [LISTENS]}}) as (url, requests):
        agent = Agent(bot.domain, bot.policy_ensemble, actions=ActionServer(url))
        say(agent, "/chat")
        goes_by(100)
        assert say(agent, "gibberish", "gibberish", "gibberish")[0] == "What?"
        assert [request["next_action"] for request in requests] == ["action_session_start"] * 2
        goes_by(100)
        say(agent, "/chat")
        goes_by(100)
        say(agent, "/chat")
        assert len(requests) == 3


def test_a_prediction_after_a_rest_is_made_in_the_next_session_which_is_not_kept(plain: Agent, goes_by: GoesBy) -> None:
    agent = fresh(plain)
    client = Client(create_app(agent))
    say(agent, "/chat")
    before = types(agent)
    goes_by(100)
    told = client.post("/conversations/ada/predict").get_json()
    assert (told["scores"][0]["action"], told["confidence"]) == ("action_default_fallback", 0.3)
    assert [event["event"] for event in told["tracker"]["events"]][-3:] == ["action", "session_started", "action"]
    assert types(agent) == before


def test_no_action_of_the_bot_s_own_runs_for_a_prediction(bot: Agent, goes_by: GoesBy) -> None:
    with answering_server({"action_session_start": {"events": [STARTED, LISTENS]}}) as (url, requests):
        agent = Agent(bot.domain, bot.policy_ensemble, actions=ActionServer(url))
        say(agent, "/chat")
        goes_by(100)
        assert Client(create_app(agent)).post("/conversations/ada/predict").status_code == 200
        assert len(requests) == 1


def test_a_triggered_intent_is_answered_with_the_session_in_which_it_came(plain: Agent, goes_by: GoesBy) -> None:
    agent = fresh(plain)
    client = Client(create_app(agent))
    say(agent, "/chat")
    goes_by(100)
    events = client.post("/conversations/ada/trigger_intent", json={"name": "chat"}).get_json()["tracker"]["events"]
    assert [event["text"] for event in events if event["event"] == "user"] == ["/chat", "EXTERNAL: chat"]
    again = client.post("/conversations/ada/trigger_intent", json={"name": "chat"}).get_json()["tracker"]["events"]
    assert [event["text"] for event in again if event["event"] == "user"] == ["EXTERNAL: chat"] * 2
