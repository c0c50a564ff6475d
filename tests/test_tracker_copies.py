"""Trackers as stories, copies, dialogues and dumps, and their pending events."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from tracker_oracle import (
    DOMAIN,
    INITIAL,
    LISTEN,
    RESTART,
    REWIND,
    TURN,
    UNDO,
    Log,
    Oracle,
    action,
    as_json,
    check,
    said,
    tracker_of,
)

from rasa_core.domain import Domain
from rasa_core.events import (
    ConversationPaused,
    Event,
    SlotSet,
    StoryExported,
)
from rasa_core.trackers import Dialogue, DialogueStateTracker

# -- exporting


def test_an_export_with_a_path_appends_the_story_once(tmp_path: Path) -> None:
    path = tmp_path / "stories.md"
    tracker = tracker_of(*TURN, LISTEN, said("bye"), REWIND, StoryExported(str(path)))
    written = path.read_text(encoding="utf-8")
    tracker.update(said("bye"))
    tracker.update(REWIND)
    tracker.copy()
    tracker.travel_back_in_time(9e9)
    tracker.last_states(None)
    list(tracker.generate_all_prior_trackers())
    assert path.read_text(encoding="utf-8") == written
    assert written.splitlines()[1:] == ["* greet", "    - utter_greet", "    - export", ""]


def test_an_export_without_a_path_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tracker_of(StoryExported())
    assert list(tmp_path.iterdir()) == []


def test_stories_are_appended_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        tracker_of(*TURN).export_stories_to_file()
    assert (tmp_path / "debug.md").read_text() == (tracker_of(*TURN).export_stories() + "\n") * 2


def test_half_a_character_is_written_as_json_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "stories.md"
    tracker_of(said("greet", ("cuisine", "\ud800"))).export_stories_to_file(path)
    assert '* greet{"cuisine": "\\ud800"}' in path.read_text(encoding="utf-8").splitlines()


@given(log=strategies.logs())
def test_an_exported_story_is_the_same_every_time(log: list[Event]) -> None:
    again = [Event.from_parameters({**event.as_dict(), "timestamp": 1.0}) for event in log]
    other = DialogueStateTracker.from_events("another", again, DOMAIN, 0)
    assert other.export_stories() == tracker_of(*log).export_stories()


def test_an_exported_story_holds_what_applies() -> None:
    lines = tracker_of(*TURN, LISTEN, said("bye"), REWIND).export_stories().splitlines()
    assert lines[1:] == ["* greet", "    - utter_greet"]
    assert lines[0].startswith("## Generated Story ")


# -- committing


def test_pending_events_become_stored_ones() -> None:
    tracker = tracker_of(*TURN)
    assert (tracker.pending_events, tracker.version) == (TURN, 3)
    tracker.mark_committed()
    assert (tracker.pending_events, tracker.version, list(tracker.events)) == ((), 3, list(TURN))
    tracker.update(LISTEN)
    assert (tracker.pending_events, tracker.version) == ((LISTEN,), 4)


def test_events_that_were_read_once_are_not_read_again() -> None:
    store = Log(1)
    tracker = store.started()
    for event in TURN:
        tracker.update(event)
    tracker = store.stored(tracker)
    assert [list(tracker.events) for _ in range(2)] == [list(TURN)] * 2
    tracker.update(LISTEN)
    store.keep(tracker)
    tracker.mark_committed()
    tracker.update(UNDO)
    assert list(tracker.events) == [*TURN, LISTEN, UNDO]
    assert store.reads == 1


# -- copies


copies: dict[str, Callable[[DialogueStateTracker], DialogueStateTracker]] = {
    "copy": lambda tracker: tracker.copy(),
    "travel": lambda tracker: tracker.travel_back_in_time(9e9),
}


@pytest.mark.parametrize("name", copies)
@given(log=strategies.logs(), origin=st.sampled_from([0, 3]))
def test_a_copy_is_equal_and_has_the_same_sender_id(name: str, log: list[Event], origin: int) -> None:
    store = Log(1, origin)
    tracker = store.started()
    for event in log:
        tracker.update(event)
    twin = copies[name](store.stored(tracker))
    check(twin, Oracle(log))
    assert twin.sender_id == "zoë"
    assert list(twin.events) == log


def test_a_copy_is_independent() -> None:
    tracker = tracker_of(*TURN)
    twin = tracker.copy()
    twin.update(SlotSet("people", 7))
    assert (tracker.get_slot("people"), len(tracker.events)) == (2, 3)


def test_an_init_copy_has_the_slots_and_the_sender_id_but_no_events() -> None:
    twin = tracker_of(*TURN, SlotSet("people", 7)).init_copy()
    assert (twin.sender_id, list(twin.events), twin.current_slot_values()) == ("zoë", [], INITIAL)


def test_travelling_in_time_includes_the_moment_itself() -> None:
    tracker = tracker_of(*(said("greet", stamp=stamp) for stamp in (1.0, 2.0, 3.0)))
    past = tracker.travel_back_in_time(2.0)
    assert [event.timestamp for event in past.events] == [1.0, 2.0]
    assert (past.sender_id, past.latest_event_time) == ("zoë", 2.0)
    assert tracker.travel_back_in_time(0.5).latest_event_time is None


def test_travelling_in_time_ends_where_the_conversation_was_though_the_clock_was_set_back() -> None:
    """The events that are left of a conversation are its first ones, never later events without the earlier ones."""
    tracker = tracker_of(*(said("greet", stamp=stamp) for stamp in (50.0, 60.0, 1.0, 2.0, 61.0)))
    assert [event.timestamp for event in tracker.travel_back_in_time(2.5).events] == [50.0, 60.0, 1.0, 2.0]
    assert [event.timestamp for event in tracker.travel_back_in_time(0.5).events] == []
    assert len(tracker.travel_back_in_time(61.0).events) == 5


def test_prior_trackers_are_those_before_each_action() -> None:
    tracker = tracker_of(*TURN)
    assert [prior.latest_action_name for prior in tracker.generate_all_prior_trackers()] == [
        None,
        "action_listen",
        "utter_greet",
    ]


# -- dialogues and dumps


@given(log=strategies.logs())
def test_a_dialogue_recreates_the_conversation(log: list[Event]) -> None:
    dialogue = tracker_of(*log).as_dialogue()
    assert dialogue == Dialogue("zoë", log)
    tracker = tracker_of(*TURN, RESTART)
    tracker.recreate_from_dialogue(dialogue)
    check(tracker, Oracle(log))
    assert (list(tracker.events), tracker.version) == (log, len(log))


def test_only_a_dialogue_recreates_a_conversation() -> None:
    with pytest.raises(ValueError, match="expected a Dialogue, not list"):
        tracker_of().recreate_from_dialogue([])  # type: ignore[arg-type]


@given(log=strategies.logs())
def test_a_dump_recreates_the_conversation(log: list[Event]) -> None:
    dump = tracker_of(*log).current_state(should_include_events=True)["events"]
    check(DialogueStateTracker.from_dict("zoë", json.loads(as_json(dump)), DOMAIN), Oracle(log))


def test_a_dump_may_hold_objects_that_are_no_events() -> None:
    tracker = DialogueStateTracker.from_dict("zoë", [{"name": "x"}, {"event": "pause"}], DOMAIN)
    assert list(tracker.events) == [ConversationPaused()]


def test_a_domain_of_its_own_needs_no_history() -> None:
    tracker = DialogueStateTracker("zoë", Domain.from_yaml("slots: {a: {type: text}}").slots)
    tracker.update(said("mumble"))
    tracker.update(action("anything"))
    assert tracker.history.actions == {"anything": (1, 1)}
