"""Trackers in the engines: what is stored and when, and what a turn reads."""

from __future__ import annotations

import pytest
from at_once import at_once
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_commits import HI, LISTEN, TURN, take_turn

from rasa_core.domain import Domain
from rasa_core.events import (
    ActionReverted,
    AllSlotsReset,
    ConversationPaused,
    ConversationResumed,
    Event,
    FollowupAction,
    Restarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.exceptions import EventError, StoreError, VersionConflictError
from rasa_core.tracker_store import EventLogStore, Head, InMemoryTrackerStore
from rasa_core.trackers import DialogueStateTracker

any_event = st.sampled_from(
    [
        *TURN,
        UserUttered("bye", {"name": "bye"}, []),
        SlotSet("mood", {"nested": ["\x00", "\ud800", None, 1.5]}),
        SlotSet("unknown", 1),
        Restarted(),
        AllSlotsReset(),
        UserUtteranceReverted(),
        ActionReverted(),
        ConversationPaused(),
        ConversationResumed(),
        FollowupAction("utter_hi"),
    ]
)


def head_of(store: EventLogStore) -> Head:
    head = store.read_head("a")
    assert head is not None
    return head


def values_of_slots(tracker: DialogueStateTracker) -> list[object]:
    return [event.value for event in tracker.events if isinstance(event, SlotSet)]


def visible(tracker: DialogueStateTracker | None) -> dict[str, object]:
    assert tracker is not None
    return tracker.current_state(should_include_events=True)


def test_a_new_conversation_listens(store: EventLogStore) -> None:
    with store.conversation("a") as conversation:
        assert list(conversation.tracker.events) == [LISTEN]


def test_leaving_without_a_commit_stores_nothing(store: EventLogStore) -> None:
    with store.conversation("a") as conversation:
        conversation.tracker.update(HI)
    assert store.retrieve("a") is None


def test_an_error_in_the_block_stores_nothing(store: EventLogStore) -> None:
    def fail() -> None:
        with store.conversation("a") as conversation:
            conversation.tracker.update(HI)
            raise KeyError("oops")

    with pytest.raises(KeyError, match="oops"):
        fail()
    assert store.retrieve("a") is None


def test_a_commit_stores_the_events_and_the_state(store: EventLogStore) -> None:
    take_turn(store, "a")
    tracker = store.retrieve("a")
    assert tracker is not None
    assert list(tracker.events) == [LISTEN, *TURN]
    assert tracker.current_slot_values() == {"name": "Ada", "mood": "fine"}
    assert (tracker.version, tracker.pending_events) == (6, ())


def test_a_conversation_can_be_committed_several_times(store: EventLogStore) -> None:
    with store.conversation("a") as conversation:
        for event in TURN:
            conversation.tracker.update(event)
            conversation.commit()
        conversation.commit()
    assert list(store.peek("a").events) == [LISTEN, *TURN]


def test_a_commit_without_news_writes_nothing(store: EventLogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    take_turn(store, "a")
    monkeypatch.setattr(store, "commit", lambda *arguments: pytest.fail("committed"))
    with store.conversation("a") as conversation:
        conversation.commit()


def test_a_commit_after_the_block_is_refused(store: EventLogStore) -> None:
    with store.conversation("a") as conversation:
        pass
    with pytest.raises(StoreError, match="'a' was left already"):
        conversation.commit()
    with pytest.raises(StoreError, match="'a' was left already"):
        conversation.replace([])


def test_one_turn_reads_no_event(store: EventLogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    take_turn(store, "a")
    monkeypatch.setattr(store, "read_events", lambda *arguments: pytest.fail("read the log"))
    take_turn(store, "a")
    assert store.peek("a").current_slot_values()["name"] == "Ada"


def test_the_head_does_not_grow_with_the_log(store: EventLogStore) -> None:
    sizes = []
    for _ in range(40):
        take_turn(store, "a")
        sizes.append(len(head_of(store).state))
    assert sizes[-1] - sizes[4] < 50


def test_rows_are_the_json_of_events(store: EventLogStore) -> None:
    take_turn(store, "a", SlotSet("name", "é", timestamp=7.0))
    assert store.read_events("a", 1, 2) == ['{"event":"slot","timestamp":7.0,"name":"name","value":"\\u00e9"}']


def test_peeking_creates_nothing(store: EventLogStore) -> None:
    assert list(store.peek("a").events) == [LISTEN]
    assert store.keys() == []


def test_peeking_does_not_wait_for_the_lock(store: EventLogStore) -> None:
    take_turn(store, "a")
    with store.conversation("a") as conversation:
        conversation.tracker.update(HI)
        assert list(store.peek("a").events) == [LISTEN, *TURN]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()], ids=["nan", "inf", "object"])
def test_what_json_cannot_express_is_refused_and_nothing_is_stored(store: EventLogStore, value: object) -> None:
    take_turn(store, "a")
    with store.conversation("a") as conversation:
        conversation.tracker.update(HI)
        with pytest.raises(EventError, match='the event "slot" cannot be stored as JSON'):
            conversation.tracker.update(SlotSet("mood", value))
        conversation.tracker.take(SlotSet("mood", value))
        with pytest.raises(EventError, match=r"event SlotSet\(name='mood'.* cannot be stored as JSON"):
            conversation.commit()
    assert list(store.peek("a").events) == [LISTEN, *TURN]


def test_a_change_behind_the_lock_is_a_conflict(store: EventLogStore) -> None:
    take_turn(store, "a")
    with store.conversation("a") as conversation:
        other = store.peek("a")
        other.update(HI)
        store.save(other)
        conversation.tracker.update(SlotSet("name", "late"))
        with pytest.raises(VersionConflictError, match="at version 7, not 6"):
            conversation.commit()
    assert list(store.peek("a").events) == [LISTEN, *TURN, HI]


def test_turns_of_many_threads_do_not_interleave(store: EventLogStore) -> None:
    def work(number: int) -> None:
        for sender_id in "abcde":
            with store.conversation(sender_id) as conversation:
                conversation.tracker.update(SlotSet("name", number))
                conversation.commit()
                conversation.tracker.update(SlotSet("mood", number))
                conversation.commit()

    at_once(work, range(8))
    for sender_id in "abcde":
        log = values_of_slots(store.peek(sender_id))
        assert log[::2] == log[1::2]
        assert set(log) == set(range(8))


# -- replacing


def test_replacing_puts_events_in_the_place_of_the_earlier_ones(store: EventLogStore) -> None:
    take_turn(store, "a")
    with store.conversation("a") as conversation:
        conversation.replace([LISTEN, HI])
        assert conversation.tracker.current_slot_values()["name"] is None
        conversation.commit()
    tracker = store.peek("a")
    assert list(tracker.events) == [LISTEN, HI]
    assert (tracker.origin, tracker.version) == (6, 8)


def test_a_replaced_conversation_goes_on_like_any_other(store: EventLogStore) -> None:
    take_turn(store, "a")
    with store.conversation("a") as conversation:
        conversation.replace([LISTEN])
        conversation.commit()
        conversation.tracker.update(HI)
        conversation.commit()
    take_turn(store, "a", UserUtteranceReverted())
    tracker = store.peek("a")
    assert list(tracker.events) == [LISTEN, HI, UserUtteranceReverted()]
    assert tracker.applied_events() == []


def test_replacing_without_a_commit_stores_nothing(store: EventLogStore) -> None:
    take_turn(store, "a")
    with store.conversation("a") as conversation:
        conversation.replace([LISTEN])
    assert list(store.peek("a").events) == [LISTEN, *TURN]


def test_the_last_of_several_replacements_counts(store: EventLogStore) -> None:
    take_turn(store, "a")
    with store.conversation("a") as conversation:
        conversation.replace([])
        conversation.replace([HI])
        conversation.replace([LISTEN])
        conversation.commit()
    assert list(store.peek("a").events) == [LISTEN]


def test_replacing_by_nothing_changes_the_version(store: EventLogStore) -> None:
    take_turn(store, "a")
    with store.conversation("a") as conversation:
        conversation.replace([])
        conversation.commit()
    tracker = store.retrieve("a")
    assert tracker is not None
    assert list(tracker.events) == []
    assert tracker.version == 7


def test_an_unknown_conversation_can_be_replaced_by_nothing(store: EventLogStore) -> None:
    with store.conversation("a") as conversation:
        conversation.replace([])
        conversation.commit()
    assert store.keys() == ["a"]
    assert list(store.peek("a").events) == []


# -- heads of another model


def test_the_head_of_another_model_is_computed_anew_once(
    store: EventLogStore, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_turn(store, "a")
    store.bind(domain, 3, "model-2")
    take_turn(store, "a", HI)
    monkeypatch.setattr(store, "read_events", lambda *arguments: pytest.fail("read the log"))
    assert store.peek("a").current_slot_values()["name"] == "Ada"


def test_a_new_domain_gives_stored_conversations_its_slots(store: EventLogStore) -> None:
    take_turn(store, "a", SlotSet("city", "Oslo"))
    store.bind(Domain.from_yaml("slots: {city: {type: text}}"), 3, "model-2")
    assert store.peek("a").current_slot_values() == {"city": "Oslo"}


def test_another_window_computes_the_head_anew(store: EventLogStore, domain: Domain) -> None:
    for _ in range(5):
        take_turn(store, "a")
    store.bind(domain, 6, "model-1")
    assert len(store.peek("a").history.states) == 6


def test_without_an_agent_heads_belong_to_the_domain_of_the_store(
    engine: EventLogStore, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.domain = domain
    take_turn(engine, "a")
    engine.domain = Domain.from_yaml("slots: {mood: {type: text}}")
    assert engine.peek("a").current_slot_values() == {"mood": None}


def test_a_store_without_a_domain_says_so(engine: EventLogStore) -> None:
    with pytest.raises(StoreError, match="has no domain yet"):
        engine.peek("a")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(turns=st.lists(st.lists(any_event, max_size=6), min_size=1, max_size=6))
def test_computing_a_head_anew_gives_the_same_state(turns: list[list[Event]]) -> None:
    domain = Domain.from_yaml(
        "intents: [greet, bye]\nentities: [name]\nslots: {name: {type: text}, mood: {type: list}}"
    )
    store = InMemoryTrackerStore(domain)
    store.bind(domain, 3, "model-1")
    for events in turns:
        take_turn(store, "a", *events)
    kept = store.peek("a")
    store.bind(domain, 3, "model-2")
    anew = store.peek("a")
    assert visible(anew) == visible(kept)
    assert anew.history.snapshot() == kept.history.snapshot()
    assert (anew.version, anew.follow_up_action) == (kept.version, kept.follow_up_action)
