"""``rasa_core.commands.restore``: continuing a conversation that was saved as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from small_bots import (
    CONCERT_DOMAIN,
    CONCERT_STORIES,
    MOOD_DOMAIN,
    MOOD_STORIES,
    trained_agent,
    trained_model,
)

from rasa_core.agent import Agent
from rasa_core.commands import restore
from rasa_core.events import (
    ActionExecuted,
    BotUttered,
    ConversationPaused,
    Event,
    SlotSet,
    UserUttered,
    deserialise_events,
)
from rasa_core.exceptions import EventError, UnknownSlotError
from rasa_core.interpreter import NaturalLanguageInterpreter


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES)


@pytest.fixture
def dump(agent: Agent, tmp_path: Path) -> Path:
    """A conversation in which the bot has greeted."""
    agent.handle_message("/greet", sender_id="anna")
    return write(tmp_path, agent.read_tracker("anna").current_state(should_include_events=True))


def write(folder: Path, content: Any) -> Path:
    path = folder / "dump.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def as_json(*events: Event) -> list[dict[str, Any]]:
    return [event.as_dict() for event in events]


LISTEN = ActionExecuted("action_listen")


def message(intent: str) -> UserUttered:
    return UserUttered(f"/{intent}", {"name": intent, "confidence": 1.0})


def test_a_dump_is_read_as_the_conversation_that_it_was(agent: Agent, dump: Path) -> None:
    tracker = restore.load_tracker_from_json(dump, agent.domain)
    assert tracker.sender_id == "anna"
    assert list(tracker.events) == list(agent.read_tracker("anna").events)


def test_a_dump_without_sender_id_is_of_the_default_conversation(agent: Agent, tmp_path: Path) -> None:
    path = write(tmp_path, {"events": as_json(LISTEN)})
    assert restore.load_tracker_from_json(path, agent.domain).sender_id == "default"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param({"events": None}, r'dump\.json: expected an object with a list "events"', id="no events"),
        pytest.param([1], r'dump\.json: expected an object with a list "events"', id="a list"),
        pytest.param(
            {"events": [{"event": "restart"}, {"event": "slto"}]},
            "event 2: unknown event type 'slto'",
            id="type",
        ),
        pytest.param({"events": ["restart"]}, "event 1: an event is a JSON object", id="event"),
        pytest.param({"events": [], "sender_id": 7}, '"sender_id" is a string', id="sender"),
    ],
)
def test_what_is_wrong_with_a_dump_is_told(agent: Agent, tmp_path: Path, content: Any, problem: str) -> None:
    with pytest.raises(EventError, match=problem):
        restore.load_tracker_from_json(write(tmp_path, content), agent.domain)


def test_a_dump_that_is_not_json_is_an_error(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(EventError, match="this is not JSON"):
        restore.load_tracker_from_json(path, agent.domain)


def test_a_dump_that_is_not_there_is_an_error(agent: Agent, tmp_path: Path) -> None:
    with pytest.raises(EventError, match="cannot read the conversation"):
        restore.load_tracker_from_json(tmp_path / "nowhere.json", agent.domain)


def test_the_same_model_does_what_it_did(agent: Agent, dump: Path, tmp_path: Path) -> None:
    other = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    assert restore.replay_events(restore.load_tracker_from_json(dump, agent.domain), other) == []


def test_after_a_replay_the_agent_is_where_the_conversation_was(dump: Path, tmp_path: Path) -> None:
    other = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    restore.replay_events(restore.load_tracker_from_json(dump, other.domain), other)
    assert other.read_tracker("anna").current_state(True) == json.loads(dump.read_text(encoding="utf-8"))
    assert other.start_message_handling("/great", "anna")["next_action"] == "utter_happy"


def test_another_prediction_is_told_and_what_happened_stays(
    agent: Agent, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    events = as_json(LISTEN, message("greet"), ActionExecuted("utter_bye"), LISTEN)
    tracker = restore.load_tracker_from_json(write(tmp_path, {"events": events}), agent.domain)
    differences = restore.replay_events(tracker, agent)
    assert differences[0].startswith("event 3: the bot did utter_bye; this model would do utter_hello (Memoization")
    assert [record.getMessage() for record in caplog.records] == differences
    assert list(agent.read_tracker("default").events) == deserialise_events(events)


def test_replaying_twice_gives_the_same(agent: Agent, dump: Path) -> None:
    tracker = restore.load_tracker_from_json(dump, agent.domain)
    restore.replay_events(tracker, agent)
    restore.replay_events(tracker, agent)
    assert list(agent.read_tracker("anna").events) == list(tracker.events)


def test_what_was_said_is_printed(agent: Agent, dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    restore.replay_events(restore.load_tracker_from_json(dump, agent.domain), agent)
    assert capsys.readouterr().out == "user: /greet\nbot: Hello! How are you?\n"


def test_what_was_said_without_words_is_printed_too(
    agent: Agent, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = as_json(
        LISTEN, message("greet"), ActionExecuted("utter_hello"), BotUttered(None, {"attachment": "cat.png"})
    )
    restore.replay_events(restore.load_tracker_from_json(write(tmp_path, {"events": events}), agent.domain), agent)
    assert capsys.readouterr().out.splitlines()[-1] == 'bot: {"attachment": "cat.png"}'


def test_a_silent_bot_is_not_compared(agent: Agent, tmp_path: Path) -> None:
    events = as_json(LISTEN, ConversationPaused(), message("greet"), ActionExecuted("utter_bye"))
    tracker = restore.load_tracker_from_json(write(tmp_path, {"events": events}), agent.domain)
    assert restore.replay_events(tracker, agent) == []


def test_another_understanding_is_told(dump: Path, tmp_path: Path) -> None:
    class AlwaysBye(NaturalLanguageInterpreter):
        def parse(self, text: str) -> dict[str, Any]:
            return {"text": text, "intent": {"name": "bye", "confidence": 1.0}, "entities": []}

    other = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES, interpreter=AlwaysBye())
    said = UserUttered("hello there", {"name": "greet", "confidence": 0.9})
    path = write(tmp_path, {"events": as_json(LISTEN, said)})
    differences = restore.replay_events(restore.load_tracker_from_json(path, other.domain), other)
    assert differences == ["event 2: the message 'hello there' was understood as greet; now it would be as bye."]


def test_actions_in_the_callers_code_are_replayed_without_running(tmp_path: Path) -> None:
    agent = trained_agent(tmp_path, CONCERT_DOMAIN, CONCERT_STORIES)
    events = as_json(
        LISTEN,
        message("search"),
        ActionExecuted("action_search"),
        SlotSet("concerts", ["Björk"]),
        ActionExecuted("utter_found"),
        LISTEN,
    )
    tracker = restore.load_tracker_from_json(write(tmp_path, {"events": events}), agent.domain)
    assert restore.replay_events(tracker, agent) == []
    assert agent.read_tracker("default").get_slot("concerts") == ["Björk"]


def test_a_slot_of_another_domain_is_an_error_with_the_nearest_names(agent: Agent, tmp_path: Path) -> None:
    path = write(tmp_path, {"events": as_json(SlotSet("nmae", "Anna"))})
    with pytest.raises(UnknownSlotError, match="name"):
        restore.replay_events(restore.load_tracker_from_json(path, agent.domain), agent)


def test_recreate_agent_loads_both(dump: Path, tmp_path: Path) -> None:
    model = trained_model(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    agent, tracker = restore.recreate_agent(model, None, dump)
    assert agent.domain.intents[0] == "greet"
    assert tracker is not None
    assert tracker.latest_action_name == "action_listen"
    kept = agent.tracker_store.get_or_create_tracker(tracker.sender_id)
    assert kept.events == tracker.events


def test_recreate_agent_needs_no_dump(tmp_path: Path) -> None:
    model = trained_model(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    assert restore.recreate_agent(model)[1] is None


def test_the_command_goes_on_with_the_conversation(dump: Path, tmp_path: Path) -> None:
    model = trained_model(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    result = CliRunner().invoke(restore.command, [str(dump), "-d", model], input="/great\n/stop\n")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        "user: /greet",
        "bot: Hello! How are you?",
        "5 events, 0 differences; the conversation goes on.",
    ]
    assert lines[-1] == "Great, carry on!"


def test_the_command_shows_differences(tmp_path: Path) -> None:
    model = trained_model(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    path = write(tmp_path, {"events": as_json(LISTEN, message("greet"), ActionExecuted("utter_bye"), LISTEN)})
    result = CliRunner().invoke(restore.command, [str(path), "-d", model], input="")
    assert "WARNING: event 3: the bot did utter_bye" in result.stderr
    assert "4 events, 1 difference;" in result.stdout


def test_the_command_tells_errors_without_a_traceback(tmp_path: Path) -> None:
    model = trained_model(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    result = CliRunner().invoke(restore.command, [str(tmp_path / "nowhere.json"), "-d", model])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: cannot read the conversation")
