"""Odd clocks, sizes and characters, in every engine."""

from __future__ import annotations

import time

import pytest

from rasa_core.domain import Domain
from rasa_core.events import (
    ActionExecuted,
    AgentUttered,
    BotUttered,
    ConversationPaused,
    Event,
    SlotSet,
    UserUttered,
)
from rasa_core.tracker_store import EventLogStore, RequestConditions
from rasa_core.tracker_store.idempotency import IdempotentRequest
from rasa_core.trackers import DialogueStateTracker

ODD = "\U0001f600\x00 e\u0301 \u202e\U0010ffff\x7f\\u0000 '\";--"
NUMBER_OF_SLOTS = 1000


@pytest.fixture
def many_slots() -> Domain:
    slots = "".join(f"  slot {number}: {{type: text}}\n" for number in range(NUMBER_OF_SLOTS))
    return Domain.from_yaml(f"intents: [greet]\nentities: [name]\nslots:\n{slots}")


@pytest.fixture
def big(engine: EventLogStore, many_slots: Domain) -> EventLogStore:
    engine.bind(many_slots, 3, "model-1")
    return engine


def take_turn(store: EventLogStore, *events: Event, sender_id: str = "a") -> None:
    with store.conversation(sender_id) as conversation:
        for event in events:
            conversation.tracker.update(event)
        conversation.commit()
        conversation.keep_tracker()


def read(store: EventLogStore, sender_id: str = "a") -> DialogueStateTracker:
    found = store.retrieve(sender_id)
    assert found is not None
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the clock show the times in the list."""
    shown = [2e9]
    monkeypatch.setattr(time, "time", lambda: shown[0])
    return shown


def test_events_stay_in_order_when_the_clock_goes_back(store: EventLogStore, clock: list[float]) -> None:
    for number in range(5):
        clock[0] -= 3600.0
        take_turn(store, SlotSet("name", str(number)))
    tracker = read(store)
    assert [event.value for event in tracker.events if isinstance(event, SlotSet)] == ["0", "1", "2", "3", "4"]
    stamps = [event.timestamp for event in tracker.events]
    assert stamps[1:] == sorted(stamps[1:], reverse=True)
    assert tracker.get_slot("name") == "4"
    assert tracker.latest_event_time == clock[0]


def test_a_repeated_request_is_known_when_the_clock_has_gone_back(store: EventLogStore, clock: list[float]) -> None:
    answers = []
    for _ in range(2):
        with store.conversation("a") as conversation:
            exchange = IdempotentRequest(conversation, RequestConditions("k"))
            answers.append(exchange.repeated() or exchange.commit("first"))
        clock[0] -= 1e6
    assert answers == answers[:1] * 2


def test_events_of_one_moment_stay_in_order(store: EventLogStore) -> None:
    events = [SlotSet("name", str(number), timestamp=5.0) for number in range(20)]
    take_turn(store, *events[:10])
    take_turn(store, *events[10:])
    assert [event.value for event in read(store).events if isinstance(event, SlotSet)] == [str(n) for n in range(20)]


def test_a_value_of_a_megabyte_comes_back_and_goes(store: EventLogStore) -> None:
    value = "x" * 1_000_000
    take_turn(store, SlotSet("name", value))
    take_turn(store, ConversationPaused())
    assert read(store).get_slot("name") == value
    take_turn(store, SlotSet("name", None))
    assert read(store).get_slot("name") is None
    assert len(read(store).events) == 4


def test_odd_characters_come_back_in_every_place(store: EventLogStore) -> None:
    sender_id = f"id {ODD}"
    parse = {
        "text": ODD,
        "intent": {"name": ODD, "confidence": 0.5},
        "entities": [{"entity": ODD, "value": {ODD: ODD}}],
    }
    events = [
        UserUttered(ODD, parse_data=parse),
        SlotSet("name", ODD),
        SlotSet(ODD, [ODD]),
        ActionExecuted(ODD, policy=ODD, confidence=0.5, error=ODD),
        BotUttered(ODD, {ODD: ODD}),
        AgentUttered(ODD, {ODD: [ODD]}),
    ]
    for _ in range(2):
        take_turn(store, *events, sender_id=sender_id)
    tracker = read(store, sender_id)
    assert [event.as_dict() for event in tracker.events][1:] == [event.as_dict() for event in events] * 2
    assert tracker.get_slot("name") == ODD
    assert tracker.latest_message.entities == parse["entities"]
    assert tracker.latest_action_name == ODD
    assert store.keys() == [sender_id]
    with store.conversation(sender_id) as conversation:
        assert IdempotentRequest(conversation, RequestConditions("k", "digest")).commit(ODD).result == ODD
    with store.conversation(sender_id) as conversation:
        repeated = IdempotentRequest(conversation, RequestConditions("k", "digest")).repeated()
    assert repeated is not None
    assert repeated.result == ODD


def test_a_thousand_slots(big: EventLogStore) -> None:
    names = [f"slot {number}" for number in range(NUMBER_OF_SLOTS)]
    take_turn(big, *(SlotSet(name, f"value of {name}") for name in names))
    take_turn(big, SlotSet("slot 7", ODD))
    expected = {name: f"value of {name}" for name in names} | {"slot 7": ODD}
    assert read(big).current_slot_values() == expected
    with big.conversation("a") as conversation:
        assert conversation.tracker.current_slot_values() == expected
