"""A snapshot of a tracker is of bounded size, and replaces the whole log for everything but past events."""

from __future__ import annotations

from typing import Any

import pytest
import strategies
from hypothesis import example, given
from hypothesis import strategies as st
from tracker_oracle import (
    DOMAIN,
    INITIAL,
    LISTEN,
    RESTART,
    REWIND,
    UNDO,
    Log,
    Oracle,
    action,
    as_json,
    check,
    said,
    tracker_of,
)

from rasa_core.events import BotUttered, ConversationPaused, Event, FollowupAction, SlotSet
from rasa_core.trackers import DialogueStateTracker

windows = st.sampled_from([0, 1, 3, None])
cuts = st.lists(st.sampled_from(["go on", "go on", "store", "commit", "keep"]), max_size=20)


@given(log=strategies.logs(), cuts=cuts, window=windows, origin=st.sampled_from([0, 3]))
@example(log=[LISTEN, SlotSet("cuisine", "x"), REWIND], cuts=["store"] * 3, window=1, origin=3)
@example(log=[RESTART, LISTEN, said("greet"), RESTART, UNDO, REWIND], cuts=["store"] * 6, window=1, origin=3)
@example(
    log=[
        said("greet", ("tags", {"b": 1, "a": 2})),
        LISTEN,
        said("bye", ("tags", {"b": 1, "a": 2})),
        UNDO,
        LISTEN,
        said("bye"),
    ],
    cuts=["store"] * 6,
    window=1,
    origin=0,
)
@example(log=[SlotSet("happy", 1), SlotSet("people", 2.0), UNDO], cuts=["store"] * 2, window=0, origin=0)
def test_a_tracker_agrees_with_a_full_replay_however_often_it_was_stored(
    log: list[Event], cuts: list[str], window: int | None, origin: int
) -> None:
    store = Log(window, origin)
    tracker = store.started()
    for index, event in enumerate(log):
        tracker.update(event)
        happened = log[: index + 1]
        cut = cuts[index] if index < len(cuts) else "go on"
        if cut == "store":
            tracker = store.stored(tracker)
        elif cut in ("commit", "keep"):
            store.keep(tracker)
            tracker.mark_committed()
            if cut == "keep" and tracker.can_be_kept():
                tracker.detach()
        whole = DialogueStateTracker.from_events("zoë", happened, DOMAIN, window)
        oracle = Oracle(happened)
        check(tracker, oracle)
        check(whole, oracle)
        here, there = tracker.snapshot(), whole.snapshot()
        here["restarted_at"] = max(here["restarted_at"] - origin, 0)
        assert as_json(here) == as_json(there)
        assert tracker.version == origin + len(happened)


PARTS: list[Event] = [
    said("greet", ("cuisine", "thai"), ("tags", {"b": 1, "a": [2]}), stamp=5.0),
    action("utter_greet"),
    SlotSet("cuisine", {"a": [1]}),
    BotUttered("hi", {"buttons": []}, 5.0),
    FollowupAction("utter_bye"),
    ConversationPaused(5.0),
    RESTART,
]


@pytest.mark.parametrize("event", PARTS, ids=lambda event: event.type_name)
def test_each_part_of_the_state_is_in_a_snapshot(event: Event) -> None:
    store = Log(1, origin=3)
    tracker = store.started()
    tracker.update(event)
    restored = store.stored(tracker)
    check(restored, Oracle([event]))
    assert as_json(restored.snapshot()) == as_json(tracker.snapshot())
    assert restored.idx_after_latest_restart() == (1 if event is RESTART else 0)


@given(log=strategies.logs(), cut=st.integers(0, 20), window=windows, origin=st.sampled_from([0, 3]))
def test_what_needs_the_log_agrees_too(log: list[Event], cut: int, window: int | None, origin: int) -> None:
    store = Log(window, origin)
    tracker = store.started()
    for event in log[:cut]:
        tracker.update(event)
    tracker = store.stored(tracker)
    for event in log[cut:]:
        tracker.update(event)
    oracle = Oracle(log)
    for count in (None, 1, 2, 50):
        assert tracker.last_states(count) == oracle.last_states(count)
    assert tracker.applied_events() == oracle.applied
    assert tracker.events_after_latest_restart() == oracle.since_restart
    assert tracker.past_states(DOMAIN) == oracle.last_states(None)
    assert list(tracker.events) == log
    assert list(tracker.events)[tracker.idx_after_latest_restart() :] == oracle.since_restart
    assert tracker.events_after_latest_restart() == oracle.since_restart
    assert tracker.pending_events == tuple(log[cut:])


@given(
    log=st.lists(strategies.events(), max_size=8),
    more=st.lists(strategies.ordinary_events(), max_size=8),
    window=st.sampled_from([0, 1, 3]),
)
def test_ordinary_events_never_read_the_log(log: list[Event], more: list[Event], window: int) -> None:
    store = Log(window)
    tracker = store.started()
    for event in log:
        tracker.update(event)
    tracker = store.stored(tracker)
    store.reads = 0
    for event in more:
        tracker.update(event)
        tracker.current_state()
        tracker.active_state()
        tracker.snapshot()
        tracker.last_states(window + 1)
        tracker.mark_committed()
    assert store.reads == 0
    assert tracker.version == len(log) + len(more)


@pytest.mark.parametrize("event", [REWIND, UNDO])
def test_reverting_reads_no_further_back_than_the_latest_restart(event: Event) -> None:
    store = Log(window=1)
    tracker = store.started()
    for one in (LISTEN, said("greet"), RESTART, LISTEN, said("bye"), action("utter_bye")):
        tracker.update(one)
    tracker = store.stored(tracker)
    read: list[tuple[int, int]] = []
    tracker._read_events = lambda start, stop: read.append((start, stop)) or store.read(start, stop)  # type: ignore[func-returns-value]
    tracker.update(event)
    assert read == [(3, 6)]


def test_a_restart_that_is_not_stored_yet_spares_the_log() -> None:
    store = Log(window=1)
    tracker = store.started()
    tracker.update(LISTEN)
    tracker = store.stored(tracker)
    for event in (RESTART, LISTEN, said("greet"), UNDO):
        tracker.update(event)
    assert store.reads == 0
    assert tracker.events_after_latest_restart() == [LISTEN, said("greet"), UNDO]


# -- the size of a snapshot


def test_a_snapshot_does_not_grow_with_the_conversation() -> None:
    store = Log(window=3)
    tracker = store.started()
    sizes = {}
    for turn in range(1, 1001):
        name = f"a thing that was never said before: {turn:06}"
        message = said(name, ("cuisine", name), (f"kind {turn:06}", turn))
        for event in (
            LISTEN,
            message,
            SlotSet("cuisine", name),
            SlotSet(name, turn),
            action(f"do {turn:06}"),
        ):
            tracker.update(event)
        tracker = store.stored(tracker)
        if turn in (10, 100, 1000):
            sizes[turn] = len(as_json(tracker.snapshot()))
    assert sizes[1000] - sizes[10] < 50
    assert store.reads == 0


def test_a_snapshot_of_nothing_is_small_and_the_same_every_time() -> None:
    first, second = (as_json(tracker_of().snapshot()) for _ in range(2))
    assert first == second
    assert len(first) < 400


def test_a_snapshot_leaves_out_slots_at_their_initial_value() -> None:
    tracker = tracker_of(SlotSet("happy", True), SlotSet("people", 2), SlotSet("tags", ["old"]), SlotSet("cuisine", ""))
    assert tracker.snapshot()["slots"] == {"cuisine": ""}


@pytest.mark.parametrize("value", [2.0, True, "2", None], ids=repr)
def test_a_slot_that_merely_equals_its_initial_value_keeps_its_type(value: Any) -> None:
    restored = Log(None).stored(tracker_of(SlotSet("people", value), SlotSet("happy", 1)))
    assert as_json(restored.current_slot_values()["people"]) == as_json(value)
    assert restored.get_slot("happy") is not True


def test_a_snapshot_that_knows_more_slots_than_the_domain_is_taken() -> None:
    snapshot = tracker_of(SlotSet("cuisine", "thai")).snapshot()
    snapshot["slots"]["gone"] = 1
    assert Log(None).fetch(snapshot).current_slot_values() == {**INITIAL, "cuisine": "thai"}


def test_a_snapshot_does_not_change_with_the_tracker() -> None:
    tracker = tracker_of(LISTEN, said("greet", ("cuisine", "thai")))
    snapshot = tracker.snapshot()
    before = as_json(snapshot)
    for event in (action("utter_greet"), said("bye"), SlotSet("cuisine", 1)):
        tracker.update(event)
    twins = [
        DialogueStateTracker.from_snapshot(
            "zoë", DOMAIN, snapshot, version=2, origin=0, window=None, read_events=lambda start, stop: []
        )
        for _ in range(2)
    ]
    twins[0].update(action("utter_greet"))
    assert as_json(snapshot) == as_json(twins[1].snapshot()) == before
