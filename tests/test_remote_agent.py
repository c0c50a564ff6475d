from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from remote_bot import DOMAIN, ActionEndless, ActionFail, make_agent, served
from small_bots import MOOD_DOMAIN, MOOD_STORIES, trained_model

from rasa_core.actions.action import Action
from rasa_core.agent import Agent
from rasa_core.channels.channel import InputChannel, MessageHandler, OutputChannel, UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import (
    ActionExecuted,
    BotUttered,
    ConversationPaused,
    Event,
    Restarted,
    SlotSet,
    StoryExported,
    UserUttered,
)
from rasa_core.exceptions import ClientError, UnknownActionError
from rasa_core.remote import RasaCoreClient, RemoteAgent
from rasa_core.remote import agent as remote
from rasa_core.server import ServerApp, create_app
from rasa_core.trackers import DialogueStateTracker


@pytest.fixture
def agent() -> Agent:
    """Return the agent that the server has."""
    return make_agent()


@pytest.fixture
def client(agent: Agent) -> Iterator[RasaCoreClient]:
    with served(create_app(agent, auth_token="s3cret")) as address:
        yield RasaCoreClient(address, "s3cret")


@pytest.fixture
def bot(client: RasaCoreClient) -> RemoteAgent:
    return RemoteAgent(Domain.from_yaml(DOMAIN), client)


def test_a_turn_is_played_until_the_bot_listens(bot: RemoteAgent) -> None:
    assert bot.process_message(UserMessage("/search", None, "anna")) == [
        {"recipient_id": "anna", "text": "I am looking."},
        {"recipient_id": "anna", "text": "Where?", "data": [{"title": "Here", "payload": "/here"}]},
        {"recipient_id": "anna", "text": "How about Big Arena?"},
    ]


def test_people_may_be_called_by_numbers(bot: RemoteAgent, client: RasaCoreClient) -> None:
    said = bot.process_message(UserMessage("/search", None, 12))  # type: ignore[arg-type]
    assert [message["recipient_id"] for message in said] == [12, 12, 12]
    assert client.tracker_json("12") == client.tracker_json(12)  # type: ignore[arg-type]


def test_what_was_said_is_reported_before_what_was_changed(bot: RemoteAgent, agent: Agent) -> None:
    bot.process_message(UserMessage("/search", None, "anna"))

    events = [event for event in agent.read_tracker("anna").events if not isinstance(event, UserUttered)]
    assert [getattr(event, "action_name", event.type_name) for event in events] == [
        "action_listen",
        "action_search",
        "bot",
        "bot",
        "slot",
        "utter_found",
        "bot",
        "action_listen",
    ]
    assert events[3] == BotUttered("Where?", {"buttons": [{"title": "Here", "payload": "/here"}]})


def test_actions_see_what_those_before_them_did(bot: RemoteAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run(self: Action, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        seen.append((tracker.get_slot("venue"), tracker.latest_action_name, len(tracker.events)))
        return [SlotSet("venue", f"number {len(seen)}")] if len(seen) < 3 else [Restarted()]

    monkeypatch.setattr(ActionEndless, "run", run)
    bot.process_message(UserMessage("/endless", None, "anna"))

    assert seen == [
        (None, "action_listen", 2),
        ("number 1", "action_endless", 4),
        ("number 2", "action_endless", 6),
    ]


def test_answers_go_to_the_channel_of_the_message(bot: RemoteAgent) -> None:
    class Printed(OutputChannel):
        def __init__(self) -> None:
            self.texts: list[str] = []

        def send_text_message(self, recipient_id: str, message: str) -> None:
            self.texts.append(message)

    channel = Printed()

    assert bot.process_message(UserMessage("/search", channel, "anna")) is None
    assert channel.texts == ["I am looking.", "Where?", "1: Here (/here)", "How about Big Arena?"]


def test_each_message_of_a_channel_is_processed(bot: RemoteAgent) -> None:
    output = CollectingOutputChannel()

    class TwoMessages(InputChannel):
        def start_sync_listening(self, message_handler: MessageHandler) -> None:
            message_handler(UserMessage("/search", output, "anna"))
            message_handler(UserMessage("/search", output, "bea"))

    bot.handle_channel(TwoMessages())

    assert [message["recipient_id"] for message in output.messages] == ["anna"] * 3 + ["bea"] * 3


def test_a_paused_bot_does_nothing(bot: RemoteAgent, client: RasaCoreClient) -> None:
    client.append_events_to_tracker("anna", [ConversationPaused()])

    assert bot.process_message(UserMessage("/search", None, "anna")) == []


def test_a_restart_is_played(bot: RemoteAgent, client: RasaCoreClient) -> None:
    bot.process_message(UserMessage("/search", None, "anna"))
    bot.process_message(UserMessage("/restart", None, "anna"))

    assert client.tracker_json("anna")["slots"] == {"venue": None}


def test_a_bot_that_never_listens_is_stopped(bot: RemoteAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_ACTIONS", 5)

    with pytest.raises(ClientError, match=r"'anna': 5 actions ran for one message, and 'action_endless' is to be"):
        bot.process_message(UserMessage("/endless", None, "anna"))


def test_an_action_that_fails_is_reported_with_what_it_said_and_the_turn_goes_on(
    bot: RemoteAgent, agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def run(self: Action, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        dispatcher.utter_message("I am trying.")
        raise ZeroDivisionError("this action is broken")

    monkeypatch.setattr(ActionFail, "run", run)
    said = bot.process_message(UserMessage("/fail", None, "anna"))

    assert [message["text"] for message in said or []] == ["I am trying.", "The action action_fail failed."]
    failed, spoken, listening = list(agent.read_tracker("anna").events)[2:]
    assert isinstance(failed, ActionExecuted)
    assert failed.error == "ZeroDivisionError: this action is broken"
    assert (spoken, listening) == (BotUttered("I am trying."), ActionExecuted("action_listen"))
    assert any(record.exc_info for record in caplog.records if "'action_fail' failed" in record.message)


@pytest.mark.parametrize(
    ("events", "error"),
    [
        pytest.param([SlotSet("venue", object())], "cannot be stored as JSON", id="value of no JSON"),
        pytest.param(["venue"], "list of Event objects", id="no event"),
        pytest.param(SlotSet("venue", "x"), "", id="no list"),
    ],
)
def test_an_action_whose_events_cannot_be_stored_has_failed(
    events: object, error: str, bot: RemoteAgent, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ActionFail, "run", lambda *_: events)
    bot.process_message(UserMessage("/fail", None, "anna"))

    failed, listening = list(agent.read_tracker("anna").events)[2:]
    assert isinstance(failed, ActionExecuted)
    assert error in (failed.error or "")
    assert failed.error
    assert listening == ActionExecuted("action_listen")


def test_an_action_whose_events_the_server_refuses_has_failed(
    client: RasaCoreClient, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = DOMAIN.replace("slots: {venue: {type: text}}", "slots: {venue: {type: text}, here_alone: {type: text}}")
    monkeypatch.setattr(ActionFail, "run", lambda *_: [SlotSet("here_alone", "x")])
    RemoteAgent(Domain.from_yaml(more), client).process_message(UserMessage("/fail", None, "anna"))

    failed, listening = list(agent.read_tracker("anna").events)[2:]
    assert "no slot 'here_alone'" in (getattr(failed, "error", None) or "")
    assert listening == ActionExecuted("action_listen")


def test_stories_that_an_action_exports_are_written_here(
    bot: RemoteAgent, agent: Agent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exported = [StoryExported(str(tmp_path / "said.md")), SlotSet("venue", "Big Arena")]
    monkeypatch.setattr(ActionFail, "run", lambda *_: exported)
    bot.process_message(UserMessage("/fail", None, "anna"))

    assert "* fail" in (tmp_path / "said.md").read_text(encoding="utf-8")
    assert agent.read_tracker("anna").get_slot("venue") == "Big Arena"


def test_what_an_action_sets_besides_a_slot_that_there_is_not_is_kept(
    bot: RemoteAgent, agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ActionFail, "run", lambda *_: [SlotSet("venu", "x"), SlotSet("venue", "Big Arena")])
    bot.process_message(UserMessage("/fail", None, "anna"))

    assert agent.read_tracker("anna").get_slot("venue") == "Big Arena"
    assert agent.read_tracker("anna").latest_action_name == "action_listen"
    assert not any(getattr(event, "error", None) for event in agent.read_tracker("anna").events)
    assert any("'action_fail' is not reported: the domain has no slot 'venu'" in line for line in caplog.messages)


def test_an_action_sees_what_others_have_changed_in_the_meantime(
    bot: RemoteAgent, client: RasaCoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def run(self: Action, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        seen.append(tracker.get_slot("venue"))
        if len(seen) == 1:
            client.append_events_to_tracker("anna", [SlotSet("venue", "of somebody else")])
        return [] if len(seen) < 3 else [Restarted()]

    monkeypatch.setattr(ActionEndless, "run", run)
    bot.process_message(UserMessage("/endless", None, "anna"))

    assert seen == [None, "of somebody else", "of somebody else"]


def test_a_channel_goes_on_though_a_message_fails(caplog: pytest.LogCaptureFixture) -> None:
    output = CollectingOutputChannel()

    class Talk(InputChannel):
        def start_sync_listening(self, message_handler: MessageHandler) -> None:
            with served(create_app(make_agent(), auth_token="s3cret")) as address:
                bot.core_client = RasaCoreClient(address, "s3cret", retries=0)
                message_handler(UserMessage("/search", output, "anna"))
                bot.core_client = RasaCoreClient(address, "wrong", retries=0)
                message_handler(UserMessage("/search", output, "bea"))
            message_handler(UserMessage("/search", output, "cleo"))
            with served(create_app(make_agent())) as address:
                bot.core_client = RasaCoreClient(address, retries=0)
                message_handler(UserMessage("/search", output, "dora"))

    bot = RemoteAgent(Domain.from_yaml(DOMAIN), RasaCoreClient("http://127.0.0.1:9"))
    bot.handle_channel(Talk())

    assert {message["recipient_id"] for message in output.messages} == {"anna", "dora"}
    assert sum("'bea' was not processed to its end" in line for line in caplog.messages) == 1
    assert sum("'cleo' was not processed to its end" in line for line in caplog.messages) == 1


def test_an_action_that_is_not_here_is_an_error(client: RasaCoreClient) -> None:
    domain = Domain.from_yaml("intents: [search]\nactions: [utter_found]\ntemplates: {utter_found: Found.}")

    with pytest.raises(UnknownActionError, match="action_search"):
        RemoteAgent(domain, client).process_message(UserMessage("/search"))


def test_an_agent_is_loaded_from_the_directory_of_a_model(
    client: RasaCoreClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "domain.yml").write_text(DOMAIN + "action_factory: remote\n", encoding="utf-8")

    bot = RemoteAgent.load(tmp_path, client.host, client.token, action_factory="local")

    said = bot.process_message(UserMessage("/search"))
    assert json.dumps(said).count("Big Arena") == 1
    assert any("keeps its own model" in message and "--enable-load" in message for message in caplog.messages)


MOOD = """
intents: [greet]
slots: {name: {type: text}}
entities: [name]
templates: {utter_greet: "hey there {name}!"}
actions: [utter_greet]
"""


def other_model(folder: Path) -> ServerApp:
    """Return a server that takes models, and has one that knows nothing of `MOOD`."""
    (folder / "other").mkdir()
    return create_app(trained_model(folder / "other", MOOD_DOMAIN, MOOD_STORIES), enable_load=True)


def test_the_server_uses_the_model_of_an_agent_that_is_loaded(tmp_path: Path) -> None:
    model = trained_model(tmp_path, MOOD, '## hi\n* greet{"name": "Anna"}\n  - utter_greet\n')
    with served(other_model(tmp_path)) as address:
        bot = RemoteAgent.load(model, address)
        said = bot.process_message(UserMessage('/greet{"name": "Rasa"}'))
        events = bot.core_client.tracker_json("default")["events"]

    assert said == [{"recipient_id": "default", "text": "hey there Rasa!"}]
    assert [event["event"] for event in events] == ["action", "user", "slot", "action", "bot", "action"]


def test_a_server_that_is_starting_gets_the_model(tmp_path: Path) -> None:
    model = trained_model(tmp_path, MOOD, "## hi\n* greet\n  - utter_greet\n")
    app, unready = other_model(tmp_path), 3

    def starting(environ: dict[str, Any], start_response: Any) -> Any:
        nonlocal unready
        if environ["REQUEST_METHOD"] == "POST" and unready:
            unready -= 1
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            start_response("503 Service Unavailable", [("Content-Length", "0"), ("Retry-After", "0")])
            return []
        return app(environ, start_response)

    with served(starting) as address:
        bot = RemoteAgent.load(model, address)
        assert bot.core_client.status()["core_model"] == Agent.load(model).model_fingerprint


def test_a_model_that_the_server_refuses_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    with served(other_model(tmp_path)) as address, pytest.raises(ClientError, match="400"):
        RemoteAgent.load(tmp_path, address)


def test_messages_of_a_channel_are_changed_before_they_are_sent(bot: RemoteAgent, agent: Agent) -> None:
    class OneMessage(InputChannel):
        def start_sync_listening(self, message_handler: MessageHandler) -> None:
            message_handler(UserMessage("search", CollectingOutputChannel(), "anna"))

    bot.handle_channel(OneMessage(), message_preprocessor=lambda text: f"/{text}")

    assert agent.read_tracker("anna").latest_message.text == "/search"


def test_a_decision_of_the_server_is_explained(bot: RemoteAgent, client: RasaCoreClient) -> None:
    client.parse("/search", "Anna Müller")

    assert bot.explain("Anna Müller")["action"] == "action_search"
    assert client.explain("Anna Müller", at=0)["executed"] == "action_listen"
    with pytest.raises(ClientError, match="from 0 to 2"):
        bot.explain("Anna Müller", 99)
