"""Answers to requests with keys are stored without the values in the log, and restored byte for byte."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from policy_bot import Script, remote_domain

from rasa_core.agent import Agent
from rasa_core.channels import UserMessage
from rasa_core.domain import Domain
from rasa_core.events import BotUttered, Event, Restarted, SlotSet, UserUttered
from rasa_core.exceptions import StoreError
from rasa_core.support.strict_json import encode_known
from rasa_core.tracker_store import EventLogStore, InMemoryTrackerStore, RequestConditions, StoredAnswer

DOMAIN = strategies.small_domain()
LONG = "Lisboa " * 20_000
MESSAGE = UserUttered(
    "where is it", parse_data={"text": "where is it", "intent": {"name": "ask"}, "ranking": [0.25] * 40}
)
numbers = itertools.count()
one_store_for_all = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=25
)


def answered(
    store: EventLogStore, sender_id: str, key: str, events: list[Event], replacing: bool = False, result: Any = None
) -> str:
    """Commit `events` with an answer as the server gives it; return its text."""
    with store.conversation(sender_id) as conversation:
        if replacing:
            conversation.replace(events)
        else:
            for event in events:
                conversation.tracker.update(event)
        tracker = conversation.tracker
        if result is None:
            state = tracker.current_state(should_include_events=replacing)
            result = state if replacing else {"version": tracker.version, "tracker": state}
        conversation.commit_answer(StoredAnswer(key, "digest", tracker.version, True, 1.5, ""), result)
        if not replacing:
            conversation.keep_tracker()
    return encode_known(result)


def given_again(store: EventLogStore, sender_id: str, key: str) -> str | None:
    with store.conversation(sender_id) as conversation:
        answer = conversation.find_answer(key)
    return None if answer is None else answer.text


def stored_size(store: EventLogStore, sender_id: str, key: str) -> int:
    answer = store.read_answer(sender_id, key)
    assert answer is not None
    return len(answer.text)


@one_store_for_all
@given(
    turns=st.lists(
        st.tuples(st.lists(strategies.events() | st.just(MESSAGE), max_size=5), st.booleans(), st.booleans()),
        min_size=1,
        max_size=5,
    )
)
def test_every_answer_comes_back_byte_for_byte(
    engine: EventLogStore, turns: list[tuple[list[Event], bool, bool]]
) -> None:
    engine.bind(DOMAIN, 3, "model-1")
    sender_id = f"conversation {next(numbers)}"
    texts = {}
    for number, (events, replacing, another_model) in enumerate(turns):
        if another_model:
            engine.bind(DOMAIN, 3, f"model-{number}")
        texts[f"key {number}"] = answered(engine, sender_id, f"key {number}", events, replacing)
    assert {key: given_again(engine, sender_id, key) for key in texts} == texts


@pytest.mark.parametrize("between", ["kept", "read again", "another model", "unkeyed"])
def test_a_long_value_is_stored_by_its_event_alone(store: EventLogStore, between: str) -> None:
    if between == "unkeyed":
        with store.conversation("a") as conversation:
            conversation.tracker.update(SlotSet("name", LONG))
            conversation.commit()
    else:
        answered(store, "a", "first", [SlotSet("name", LONG)])
        assert stored_size(store, "a", "first") < 500
    texts = {}
    for number in range(3):
        if between == "read again":
            store.bind(store._bound_domain(), 3, "model-1")
        if between == "another model":
            store.bind(store._bound_domain(), 3, f"another-{number}")
        texts[f"k{number}"] = answered(store, "a", f"k{number}", [MESSAGE])
        assert LONG in texts[f"k{number}"]
        assert stored_size(store, "a", f"k{number}") < 500
    answered(store, "a", "later", [SlotSet("name", "x" * 5000), Restarted()])
    assert {key: given_again(store, "a", key) for key in texts} == texts


def test_what_replaces_a_conversation_is_stored_once(store: EventLogStore) -> None:
    answered(store, "a", "first", [MESSAGE] * 20)
    text = answered(store, "a", "second", [SlotSet("mood", f"mood {number}") for number in range(500)], replacing=True)
    assert len(text) > 30_000
    assert stored_size(store, "a", "second") < 1000
    answered(store, "a", "third", [MESSAGE])
    assert given_again(store, "a", "second") == text


def test_what_the_bot_said_is_stored_once(store: EventLogStore) -> None:
    said = BotUttered(LONG, {"attachment": "data:" + LONG})
    result = [{"recipient_id": "a", "text": LONG, "attachment": "data:" + LONG}]
    text = answered(store, "a", "k", [MESSAGE, said], result=result)
    assert stored_size(store, "a", "k") < 500
    assert given_again(store, "a", "k") == text


def test_a_value_that_was_changed_without_an_event_is_kept_as_it_was_told(store: EventLogStore) -> None:
    answered(store, "a", "first", [SlotSet("mood", ["fine"] * 100)])
    with store.conversation("a") as conversation:
        conversation.tracker.slots["mood"].value.append("tired")
        state = conversation.tracker.current_state()
        conversation.commit_answer(StoredAnswer("k", "digest", conversation.tracker.version, True, 1.5, ""), state)
        text = json.dumps(state, separators=(",", ":"))
    assert '"tired"' in text
    assert given_again(store, "a", "k") == text


def test_a_value_that_two_slots_have_is_found_twice(store: EventLogStore) -> None:
    text = answered(store, "a", "k", [SlotSet("name", LONG), SlotSet("mood", LONG)])
    assert text.count(LONG) == 2
    assert stored_size(store, "a", "k") < 500
    assert given_again(store, "a", "k") == text


def test_the_names_in_what_a_turn_answers_are_not_stored() -> None:
    agent = Agent(remote_domain(), [Script({})])
    answers = [agent.processor.parse(UserMessage("/greet", None, "a"), RequestConditions("k", "digest"))]
    answers.append(agent.processor.continue_("a", "utter_greet", [], RequestConditions("l", "digest")))
    for key, answer in zip("kl", answers, strict=True):
        stored = agent.tracker_store.read_answer("a", key)
        assert stored is not None
        assert not any(f'"{name}"' in stored.text for name in answer.result)


def test_a_short_answer_stays_readable(store: EventLogStore) -> None:
    answered(store, "a", "k", [], result="done")
    answer = store.read_answer("a", "k")
    assert answer is not None
    assert answer.text == '"done"'


def test_an_answer_to_a_conversation_that_was_deleted_is_gone(store: EventLogStore) -> None:
    answered(store, "a", "k", [MESSAGE])
    with store.lock("a"):
        store.delete("a")
    assert given_again(store, "a", "k") is None


def test_other_bytes_than_those_that_were_given_are_never_given(memory: InMemoryTrackerStore) -> None:
    answered(memory, "a", "k", [SlotSet("name", LONG)])
    memory._logs["a"][1] = memory._logs["a"][1].replace("Lisboa", "Lissabon")
    with pytest.raises(
        StoreError, match="conversation 'a' cannot be given again: it, or rows of its log, were changed"
    ):
        given_again(memory, "a", "k")


@pytest.fixture
def memory(domain: Domain) -> InMemoryTrackerStore:
    store = InMemoryTrackerStore()
    store.bind(domain, 3, "model-1")
    return store
