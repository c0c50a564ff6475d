"""Reminders of Rasa 3: each is sent at its time, once, by any process that runs then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from at_once import at_once
from launched_command import Launched
from programs import until
from rasa3_bots import say, trained, write

from rasa_core.actions.rasa_runner import RasaRunner
from rasa_core.agent import Agent
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.events import BotUttered, Event, ReminderScheduled, Restarted, SlotSet
from rasa_core.events.rasa3 import ReminderCancelled
from rasa_core.exceptions import StoreError
from rasa_core.responses import ResponseDispatcher
from rasa_core.server import create_app, reminders
from rasa_core.server.reminders import ReminderClock
from rasa_core.server.requests import HttpError
from rasa_core.tracker_store.sqlite import SqliteTrackerStore
from rasa_core.trackers import DialogueStateTracker

NOW = datetime(2020, 1, 1, tzinfo=UTC)
"""What the clocks of these tests are told; messages have their real times, which are later."""
LATER = NOW + timedelta(hours=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    domain = """
        version: "3.1"
        intents: [chat, water, call]
        entities: [plant]
        slots: {plant: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: plant}]}}
        responses: {utter_water: [{text: "Water the {plant}."}], utter_chat: [{text: Yes.}]}
        actions: [action_call]
        """
    rules = """
        rules:
        - rule: water
          steps: [{intent: water}, {action: utter_water}]
        - rule: chat
          steps: [{intent: chat}, {action: utter_chat}]
        - rule: call
          steps: [{intent: call}, {action: action_call}, {action: utter_chat}]
        """
    return trained(write(tmp_path_factory.mktemp("plants"), domain=domain, data__rules=rules))


Make = Callable[[], Agent]


@pytest.fixture
def process(model: Agent, tmp_path: Path) -> Make:
    """Return an agent that stands for one process of a server; all agents share one store."""

    def make() -> Agent:
        store = SqliteTrackerStore(model.domain, path=tmp_path / "conversations.db")
        return Agent(model.domain, model.policy_ensemble, tracker_store=store)

    return make


def clock_of(agent: Agent) -> ReminderClock:
    """Return the clock of a process that has just started."""
    clock = ReminderClock(lambda: agent)
    agent.on_commit = agent.processor.on_commit = clock.note
    clock.look()
    return clock


def reminder(intent: str, moment: datetime = NOW, *, name: str = "water", **options: Any) -> ReminderScheduled:
    """Return a reminder that was set the day before."""
    set_at = (NOW - timedelta(days=1)).timestamp()
    return ReminderScheduled(None, moment, name, timestamp=set_at, intent=intent, **options)


def water(**options: Any) -> ReminderScheduled:
    return reminder("water", entities=[{"entity": "plant", "value": "fern"}], **options)


def said(agent: Agent, sender: str = "ada") -> list[str]:
    events = agent.read_tracker(sender).events
    return [event.text or "" for event in events if isinstance(event, BotUttered)]


def test_a_reminder_acts_at_its_time_and_once(process: Make) -> None:
    agent = process()
    clock = clock_of(agent)
    agent.append_events("ada", [water()])

    assert clock.act(NOW.timestamp() - 5) == pytest.approx(5)
    assert said(agent) == []
    clock.act(NOW.timestamp())
    clock.act(LATER.timestamp())

    assert said(agent) == ["Water the fern."]
    assert agent.read_tracker("ada").history.reminders == {}


def test_a_reminder_is_known_after_a_start_and_acts_in_one_process(process: Make) -> None:
    process().append_events("ada", [water()])
    first, second = process(), process()
    clocks = [clock_of(first), clock_of(second)]
    at_once(lambda clock: clock.act(LATER.timestamp()), clocks)

    assert said(process()) == ["Water the fern."]
    clock_of(process()).act(LATER.timestamp())
    assert said(process()) == ["Water the fern."]


@pytest.mark.parametrize(
    "event",
    [ReminderCancelled("water"), ReminderCancelled(), ReminderCancelled(intent="water"), Restarted()],
    ids=["by name", "all", "by intent", "restart"],
)
def test_a_reminder_can_be_cancelled(event: Event, process: Make) -> None:
    agent = process()
    clock = clock_of(agent)
    agent.append_events("ada", [water(kill_on_user_message=False), event])
    clock.act(LATER.timestamp())
    assert said(agent) == []


def test_cancelling_another_reminder_changes_nothing(process: Make) -> None:
    agent = process()
    clock = clock_of(agent)
    agent.append_events("ada", [water(), ReminderCancelled("feed"), ReminderCancelled(intent="chat")])
    clock.act(LATER.timestamp())
    assert said(agent) == ["Water the fern."]


@pytest.mark.parametrize("kills", [True, False])
def test_a_message_cancels_a_reminder_unless_told_otherwise(kills: bool, process: Make) -> None:
    agent = process()
    clock = clock_of(agent)
    agent.append_events("ada", [water(kill_on_user_message=kills)])
    say(agent, "/chat", "/action_session_start")
    clock.act(LATER.timestamp())
    assert ("Water the fern." in said(agent)) is not kills


def test_a_later_reminder_of_the_same_name_replaces_the_earlier(process: Make) -> None:
    agent = process()
    clock = clock_of(agent)
    agent.append_events("ada", [water()])
    agent.append_events("ada", [reminder("chat", LATER)])
    clock.act(NOW.timestamp() + 1)
    assert said(agent) == []
    clock.act(LATER.timestamp())
    assert said(agent) == ["Yes."]


class Stop(BaseException):
    """The process ends here."""


class Calls:
    """An action server that ends the process the first time it is asked."""

    sends_domain = False

    def __init__(self, failures: int) -> None:
        self.calls, self.failures = 0, failures

    def run(self, name: str, dispatcher: Any, tracker: DialogueStateTracker, domain: Any) -> list[Event]:
        self.calls += 1
        if self.calls <= self.failures:
            raise Stop
        return [SlotSet("plant", "called")]


def test_a_turn_that_was_cut_off_goes_on_at_the_next_start(process: Make) -> None:
    calls = Calls(failures=1)
    call = reminder("call")
    for expected in (pytest.raises(Stop), None):
        agent = process()
        agent.processor.runner = RasaRunner(agent.domain, calls)  # type: ignore[arg-type]
        clock = clock_of(agent)
        if expected is not None:
            agent.append_events("ada", [call])
            with expected:
                clock.act(LATER.timestamp())
        else:
            clock.act(LATER.timestamp())

    tracker = process().read_tracker("ada")
    assert [event.type_name for event in tracker.events].count("user") == 1
    assert (tracker.get_slot("plant"), said(process())) == ("called", ["Yes."])
    assert calls.calls == 2


def test_a_server_looks_at_the_clock_itself(process: Make) -> None:
    agent = process()
    agent.append_events("ada", [reminder("chat")])
    app = create_app(agent)
    done = threading.Event()
    noted = agent.on_commit
    assert noted is not None
    agent.processor.on_commit = lambda tracker: (noted(tracker), done.set())
    app.housekeeper.start()
    assert done.wait(30)
    assert said(agent) == ["Yes."]


def test_two_workers_of_a_server_act_on_each_reminder_once(model: Agent, process: Make, tmp_path: Path) -> None:
    model.persist(tmp_path / "model")
    names = [f"ada {number}" for number in range(8)]
    for name in names:
        process().append_events(name, [water()])

    reader = process()
    with Launched(tmp_path / "model", "--workers", "2", "--store", f"sqlite:///{tmp_path / 'conversations.db'}"):
        until(lambda: all(said(reader, name) for name in names))

    assert [said(reader, name) for name in names] == [["Water the fern."]] * 8


def test_what_stood_before_a_late_start_of_the_model_and_its_store_acts(
    process: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reminders, "_AGAIN_AFTER", 0.01)
    process().append_events("ada", [reminder("chat")])
    agent, done = process(), threading.Event()
    agent.processor.on_commit = lambda tracker: done.set()
    missing: list[Exception] = [HttpError(503, "no model"), StoreError("the database is away"), IndexError("x")]

    def served() -> Agent:
        if missing:
            raise missing.pop(0)
        return agent

    threading.Thread(target=ReminderClock(served).run, args=(lambda: True,), daemon=True).start()

    assert done.wait(30)
    assert said(agent) == ["Yes."]
    assert [record.getMessage() for record in caplog.records] == [
        "reminders wait: the database is away",
        "reminders wait, because of an unexpected error:",
    ]


def test_a_reminder_for_a_time_that_had_passed_does_nothing(process: Make) -> None:
    agent = process()
    clock = clock_of(agent)
    agent.append_events("ada", [ReminderScheduled(None, NOW, "old", intent="chat")])
    clock.act(LATER.timestamp())
    assert said(agent) == []


def test_a_reminder_that_is_gone_does_nothing(process: Make) -> None:
    agent = process()
    dispatcher = ResponseDispatcher("ada", RestOutputChannel(), agent.domain)
    agent.turns().handle_reminder(water(), dispatcher)
    assert said(agent) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [(StoreError("the store is away"), " the store is away"), (HttpError(503, "none"), " none"), (IndexError(), "")],
    ids=["the store", "no model", "unexpected"],
)
def test_a_reminder_that_meets_an_error_is_tried_again(
    error: Exception, told: str, process: Make, caplog: pytest.LogCaptureFixture
) -> None:
    agent, errors = process(), [error]

    def served() -> Agent:
        if errors:
            raise errors.pop()
        return agent

    clock = ReminderClock(served)
    agent.on_commit = agent.processor.on_commit = clock.note
    agent.append_events("ada", [water(kill_on_user_message=False)])

    clock.act(NOW.timestamp())
    agent.append_events("ada", [SlotSet("plant", "palm")])

    assert clock.act(NOW.timestamp()) == pytest.approx(10)
    assert said(agent) == []
    clock.act(NOW.timestamp() + 11)
    assert said(agent) == ["Water the fern."]
    assert caplog.messages == [f"the reminder 'water' of conversation 'ada' waits:{told}"]
