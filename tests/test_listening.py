"""The bot listens before every message, whatever happened before, and however the message came into the log."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import strategies
from callers import Caller, make_processor
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_bot import FOUND, ITALIAN, Script
from tracker_oracle import LISTEN, RESTART, REWIND, UNDO

from rasa_core.actions.action import Action
from rasa_core.channels import UserMessage
from rasa_core.events import ActionExecuted, Event, FollowupAction, SlotSet, UserUttered
from rasa_core.interpreter import RegexInterpreter
from rasa_core.policies import PolicyEnsemble
from rasa_core.processor import MessageProcessor
from rasa_core.tracker_store import InMemoryTrackerStore
from rasa_core.trackers import DialogueStateTracker

Road = Callable[[Caller, list[Event]], object]

ROADS: dict[str, Road] = {
    "continue": lambda caller, events: caller.next(None, *events),
    "continue after listening": lambda caller, events: caller.next("action_listen", *events),
    "append": lambda caller, events: caller.processor.append_events(caller.sender_id, events),
    "replace": lambda caller, events: caller.processor.replace_events(caller.sender_id, [*caller.events(), *events]),
}
by_road = pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
by_revert = pytest.mark.parametrize("revert", [REWIND, UNDO, RESTART], ids=lambda event: event.type_name)


@pytest.fixture
def caller() -> Caller:
    """Return somebody who has had one turn of the bot."""
    caller = Caller(make_processor())
    caller.parse(ITALIAN)
    caller.next("action_search", FOUND)
    caller.next("utter_found")
    return caller


@by_road
@by_revert
def test_the_message_after_it_is_answered_as_if_the_bot_had_listened(caller, road: Road, revert: Event) -> None:
    road(caller, [revert])
    assert caller.parse("/greet")["next_action"] == "utter_greet"
    assert caller.log()[-2:] == ["action_listen", "/greet"]


@by_revert
def test_all_roads_lead_to_one_log(revert: Event) -> None:
    logs = []
    for road in ROADS.values():
        caller = Caller(make_processor())
        caller.parse("/greet")
        caller.next("utter_greet")
        caller.next("utter_ask_cuisine")
        road(caller, [revert])
        caller.parse("/bye")
        logs.append(caller.log())
    assert all(log == logs[0] for log in logs)


@by_road
@pytest.mark.parametrize("revert", [REWIND, RESTART], ids=lambda event: event.type_name)
def test_going_on_after_it_listens(caller, road: Road, revert: Event) -> None:
    road(caller, [revert])
    if caller.log()[-1] != "action_listen":
        assert caller.next(None)["next_action"] == "action_listen"
    assert caller.log()[-2:] == [revert.type_name, "action_listen"]


@pytest.mark.parametrize("events", [[], [UserUttered("/greet", {"name": "greet"}), ActionExecuted("utter_greet")]])
def test_a_replaced_conversation_listens(caller, events: list[Event]) -> None:
    caller.processor.replace_events(caller.sender_id, events)
    assert caller.parse("/greet")["next_action"] == "utter_greet"
    assert caller.log()[-2:] == ["action_listen", "/greet"]


def test_an_action_that_is_fixed_stays_so(caller) -> None:
    for events in ([FollowupAction("utter_bye")], [LISTEN, FollowupAction("utter_bye"), UserUttered("x"), REWIND]):
        caller.processor.replace_events(caller.sender_id, events)
        assert caller.parse("/greet")["next_action"] == "utter_bye"


def test_a_rewind_listens_before_an_action_that_was_fixed_for_the_message(caller) -> None:
    caller.next("action_listen", FollowupAction("utter_bye"))
    assert caller.parse("/greet")["next_action"] == "utter_bye"
    assert caller.next(None, REWIND)["next_action"] == "action_listen"
    assert caller.parse("/thank")["next_action"] == "utter_bye"


@by_revert
def test_an_action_that_takes_something_back_ends_the_turn(revert: Event) -> None:
    processor = _local()

    class Reverting(Action):
        def name(self) -> str:
            return "utter_bye"

        def run(self, dispatcher, tracker, domain):
            return [SlotSet("cuisine", "thai"), revert]

    processor.domain.actions[processor.domain.index_for_action("utter_bye")] = Reverting()
    processor.handle_message(UserMessage("/bye"))
    tracker = processor.tracker_store.peek("default")
    assert [event.type_name for event in tracker.events].count(revert.type_name) == 1
    assert (tracker.is_listening(), tracker.get_slot("cuisine")) == (True, None)
    processor.handle_message(UserMessage("/greet"))
    assert processor.tracker_store.peek("default").latest_bot_utterance.text == "hello"


def test_a_caller_who_takes_back_what_it_reports_is_not_told_to_do_it_for_ever(caller) -> None:
    caller.parse("/greet")
    assert caller.next("utter_greet", UNDO)["next_action"] == "action_listen"


def _local() -> MessageProcessor:
    domain = strategies.small_domain()
    following = {("bye", "action_listen"): "utter_bye", ("greet", "action_listen"): "utter_greet"}
    store = InMemoryTrackerStore(domain)
    return MessageProcessor(RegexInterpreter(), PolicyEnsemble([Script(following)]), domain, store)


def _is_known(processor: MessageProcessor, event: Event) -> bool:
    try:
        processor.check(None, [event])
    except ValueError:
        return False
    return True


chunks = st.lists(st.tuples(st.sampled_from(sorted(ROADS)), strategies.logs(5)), max_size=4)


@settings(deadline=None)
@given(chunks=chunks, revert=st.sampled_from([REWIND, UNDO, RESTART, None]), last=st.sampled_from(sorted(ROADS)))
def test_whatever_happened_the_head_is_that_of_the_log_and_a_message_finds_the_bot_listening(
    chunks: list[tuple[str, list[Event]]], revert: Event | None, last: str
) -> None:
    processor = _local()
    caller = Caller(processor)
    for road, events in chunks:
        ROADS[road](caller, [event for event in events if _is_known(processor, event)])
        caller.parse("/greet")
        _check(processor)
    ROADS[last](caller, [] if revert is None else [revert])
    _check(processor)
    caller.parse("/bye")
    tracker = _check(processor)
    assert "prev_action_listen" in tracker.active_state()
    assert tracker.latest_message.text == "/bye"


def _check(processor: MessageProcessor) -> DialogueStateTracker:
    """Compare the head with a replay of the whole log."""
    stored = processor.tracker_store.retrieve("anna")
    assert stored is not None
    whole = DialogueStateTracker.from_events("anna", stored.events, processor.domain, stored.history.window)
    head, replayed = stored.snapshot(), whole.snapshot()
    for part in ("restarted_at", "expected"):  # What the caller was told to run, and has not run: no event says so.
        del head[part], replayed[part]
    assert json.dumps(head, sort_keys=True) == json.dumps(replayed, sort_keys=True)
    return stored


@pytest.mark.parametrize("events", [[], [UserUttered("/greet", {"name": "greet"}, timestamp=1.0)]], ids=["none", "one"])
def test_the_bot_has_listened_when_the_message_came(caller, events: list[Event]) -> None:
    caller.processor.replace_events(caller.sender_id, events)
    caller.parse("/bye")
    moments = [event.timestamp for event in caller.events()]
    assert caller.log()[-2:] == ["action_listen", "/bye"]
    assert moments == sorted(moments)
