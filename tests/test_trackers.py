"""The effect of each event on a tracker, and the tracker's queries."""

from __future__ import annotations

import logging
from datetime import datetime

import pytest
from tracker_oracle import (
    DOMAIN,
    INITIAL,
    LISTEN,
    RESTART,
    REWIND,
    TURN,
    UNDO,
    action,
    said,
    tracker_of,
)

from rasa_core import trackers as module
from rasa_core.events import (
    AgentUttered,
    AllSlotsReset,
    BotUttered,
    ConversationPaused,
    ConversationResumed,
    Event,
    FollowupAction,
    ReminderScheduled,
    SlotSet,
)
from rasa_core.slots import TextSlot
from rasa_core.trackers import DialogueStateTracker, state

# -- what each event does


def test_a_new_conversation_is_empty() -> None:
    assert tracker_of().current_state(should_include_events=True) == {
        "sender_id": "zoë",
        "slots": INITIAL,
        "latest_message": {"intent": {}, "entities": [], "text": None},
        "latest_event_time": None,
        "paused": False,
        "events": [],
    }


def test_a_message_is_the_latest_one() -> None:
    message = said("greet", stamp=5.0)
    tracker = tracker_of(said("bye"), message)
    assert tracker.latest_message is message
    assert tracker.current_state()["latest_message"] == message.parse_data
    assert tracker.latest_event_time == 5.0


def test_what_the_bot_said_is_kept() -> None:
    tracker = tracker_of(BotUttered("hello", {"buttons": []}), AgentUttered("I take over"))
    assert (tracker.latest_bot_utterance.text, tracker.latest_bot_utterance.data) == (
        "hello",
        {"buttons": []},
    )


def test_an_action_is_the_latest_one_and_ends_a_follow_up() -> None:
    tracker = tracker_of(FollowupAction("utter_bye"), action("utter_greet"))
    assert (tracker.latest_action_name, tracker.follow_up_action) == ("utter_greet", None)


def test_a_slot_is_set() -> None:
    assert tracker_of(SlotSet("cuisine", ["thai"])).get_slot("cuisine") == ["thai"]


def test_an_unknown_slot_is_logged_but_not_set(caplog: pytest.LogCaptureFixture) -> None:
    state._warn_about_slot.cache_clear()
    with caplog.at_level(logging.WARNING):
        tracker = tracker_of(SlotSet("shoe_size", 40), SlotSet("shoe_size", 41), UNDO)
    assert tracker.current_slot_values() == INITIAL
    assert caplog.messages == ["the slot 'shoe_size' is not in the domain; its value is not set. This is told once."]
    assert [event.as_dict()["name"] for event in tracker.events if isinstance(event, SlotSet)] == ["shoe_size"] * 2


def test_resetting_the_slots_leaves_all_else() -> None:
    tracker = tracker_of(
        said("greet"), action("utter_greet"), SlotSet("people", 5), SlotSet("tags", []), AllSlotsReset()
    )
    assert tracker.current_slot_values() == INITIAL
    assert (tracker.latest_action_name, tracker.latest_message) == ("utter_greet", said("greet"))


def test_a_restart_resets_everything_and_listens_next() -> None:
    happened = [
        said("greet"),
        action("utter_greet"),
        BotUttered("hi"),
        SlotSet("people", 5),
        ConversationPaused(),
    ]
    tracker = tracker_of(*happened, RESTART)
    assert tracker.current_slot_values() == INITIAL
    assert tracker.follow_up_action == "action_listen"
    assert (tracker.latest_action_name, tracker.is_paused()) == (None, False)
    assert (tracker.latest_message.text, tracker.latest_bot_utterance.text) == (None, None)
    assert tracker.last_states(None) == tracker_of().last_states(None)
    assert tracker.events_after_latest_restart() == []
    assert len(tracker.events) == 6


def test_a_message_right_after_a_restart_is_answered() -> None:
    assert tracker_of(RESTART, said("greet")).follow_up_action is None


def test_another_follow_up_outlives_a_message() -> None:
    assert tracker_of(FollowupAction("utter_bye"), said("greet")).follow_up_action == "utter_bye"


def test_pausing_and_resuming() -> None:
    assert tracker_of(ConversationPaused()).is_paused()
    assert not tracker_of(ConversationPaused(), ConversationResumed()).is_paused()


def test_rewinding_undoes_the_message_what_followed_and_the_listening_before_it() -> None:
    tracker = tracker_of(*TURN, LISTEN, said("inform"), SlotSet("people", 5), action("utter_bye"), REWIND)
    assert tracker.applied_events() == list(TURN)
    assert (tracker.latest_message, tracker.latest_action_name) == (said("greet"), "utter_greet")
    assert tracker.get_slot("people") == 2
    assert len(tracker.events) == 8


def test_rewinding_twice_undoes_two_messages() -> None:
    tracker = tracker_of(*TURN, LISTEN, said("inform"), REWIND, REWIND)
    assert tracker.applied_events() == []
    assert tracker.current_slot_values() == INITIAL


@pytest.mark.parametrize("revert", [REWIND, UNDO], ids=["rewind", "undo"])
def test_reverting_before_any_message_takes_back_the_listening_alone(revert: Event) -> None:
    tracker = tracker_of(RESTART, LISTEN, SlotSet("people", 5), revert, revert)
    assert tracker.applied_events() == [SlotSet("people", 5)]
    assert (tracker.get_slot("people"), tracker.latest_action_name) == (5, None)
    assert tracker.follow_up_action == "action_listen"


SENT: list[Event] = [
    SlotSet("people", 5),
    AllSlotsReset(),
    ConversationPaused(),
    ConversationResumed(),
    FollowupAction("utter_bye"),
    ReminderScheduled("utter_bye", datetime(2030, 1, 1)),
    AgentUttered("one moment"),
    BotUttered("psst"),
]


@pytest.mark.parametrize("revert", [REWIND, UNDO], ids=["rewind", "undo"])
@pytest.mark.parametrize("sent", SENT, ids=lambda event: event.type_name)
def test_what_a_caller_sent_while_the_bot_listened_survives(revert: Event, sent: Event) -> None:
    before = [*TURN, SlotSet("people", 3), LISTEN, sent]
    tracker = tracker_of(*before, said("bye", ("cuisine", "thai")), SlotSet("cuisine", "thai"), revert)
    assert tracker.applied_events() == [*TURN, SlotSet("people", 3), sent]
    assert tracker.latest_message == said("greet")
    assert tracker.must_listen is (revert is REWIND)


@pytest.mark.parametrize("sent", SENT, ids=lambda event: event.type_name)
def test_a_rewind_and_listening_lead_to_what_was_known_before_the_message(sent: Event) -> None:
    before = [*TURN, SlotSet("people", 3), LISTEN, sent]
    then, now = tracker_of(*before), tracker_of(*before, said("bye"), action("utter_bye"), REWIND, LISTEN)
    for tracker in (then, now):
        tracker.latest_event_time = 0.0
    assert now.current_state() == then.current_state()
    assert now.follow_up_action == then.follow_up_action
    assert (now.active_state(), now.is_listening()) == (then.active_state(), True)


def test_of_two_messages_in_a_row_one_is_rewound() -> None:
    tracker = tracker_of(*TURN, LISTEN, said("inform"), said("bye"), REWIND)
    assert tracker.applied_events() == [*TURN, LISTEN, said("inform")]
    tracker.update(REWIND)
    assert tracker.applied_events() == list(TURN)


def test_an_action_before_the_rewound_message_stays_where_the_bot_did_not_listen() -> None:
    assert tracker_of(*TURN, said("bye"), REWIND).applied_events() == list(TURN)


def test_a_human_handover_stays_paused() -> None:
    handover = (*TURN, ConversationPaused(), LISTEN)
    tracker = tracker_of(*handover, said("inform"), REWIND)
    assert tracker.is_paused()
    assert tracker.applied_events() == [*TURN, ConversationPaused()]
    assert tracker_of(*handover, said("inform"), UNDO).is_paused()


def test_another_action_that_is_fixed_after_a_rewind_wins() -> None:
    tracker = tracker_of(*TURN, REWIND, FollowupAction("utter_bye"))
    assert (tracker.follow_up_action, tracker.must_listen) == ("utter_bye", False)


def test_undoing_takes_back_the_last_action_and_what_followed() -> None:
    tracker = tracker_of(*TURN, SlotSet("people", 5), BotUttered("hi"), UNDO)
    assert tracker.applied_events() == list(TURN[:2])
    assert (tracker.latest_action_name, tracker.get_slot("people")) == ("action_listen", 2)
    assert tracker.latest_bot_utterance.text is None


def test_what_happens_after_a_revert_counts() -> None:
    tracker = tracker_of(*TURN, UNDO, action("utter_bye"), SlotSet("people", 1))
    assert (tracker.latest_action_name, tracker.get_slot("people")) == ("utter_bye", 1)
    assert tracker.latest_event_time == tracker.events[-1].timestamp


def test_a_reminder_changes_nothing_but_the_log() -> None:
    tracker = tracker_of(*TURN, ReminderScheduled("utter_bye", datetime(2030, 1, 1)))
    assert len(tracker.events) == 4
    assert tracker.follow_up_action is None


def test_topics_change_nothing_but_the_log() -> None:
    with pytest.warns(DeprecationWarning, match="topics are ignored"):
        tracker = tracker_of(*TURN, module.TopicSet("weather"))
    assert tracker.snapshot()["history"] == tracker_of(*TURN).snapshot()["history"]


def test_only_events_are_taken() -> None:
    with pytest.raises(ValueError, match="a tracker is updated with an Event, not with 'restart'"):
        tracker_of().update("restart")  # type: ignore[arg-type]


def test_an_event_class_of_ones_own_takes_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Event, "_subclasses", dict(Event._subclasses))

    class Fed(Event):
        type_name = "fed"

        def apply_to(self, tracker: DialogueStateTracker) -> None:
            tracker.slots["cuisine"].value = "enough"

    tracker = DialogueStateTracker.from_dict("zoë", [{"event": "fed", "timestamp": 5.0}], DOMAIN)
    assert tracker.get_slot("cuisine") == "enough"
    assert tracker.current_state(should_include_events=True)["events"] == [{"event": "fed", "timestamp": 5.0}]


# -- questions


def test_the_state_includes_events_where_they_are_asked_for() -> None:
    tracker = tracker_of(LISTEN, RESTART, *TURN)
    everything = [event.as_dict() for event in (LISTEN, RESTART, *TURN)]
    assert tracker.current_state()["events"] is None
    assert tracker.current_state(should_include_events=True)["events"] == everything
    assert tracker.current_state(True, only_events_after_latest_restart=True)["events"] == everything[2:]
    assert tracker.current_state(False, True)["events"] is None


def test_an_unknown_slot_is_none_with_a_log_entry(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert tracker_of().get_slot("shoe_size") is None
    assert caplog.messages == ["tried to read the slot 'shoe_size', which the domain does not have."]


def test_slots_are_there_by_name() -> None:
    assert isinstance(tracker_of().slots["cuisine"], TextSlot)


def test_entity_values_are_those_of_the_latest_message() -> None:
    tracker = tracker_of(said("inform", ("tags", "x")), said("inform", ("tags", "a"), ("people", 1), ("tags", "b")))
    values = tracker.get_latest_entity_values("tags")
    assert next(values) == "a"
    assert list(values) == ["b"]
    assert list(tracker.get_latest_entity_values("cuisine")) == []


def test_a_follow_up_is_triggered_by_name_or_action_and_cleared() -> None:
    tracker = tracker_of()
    tracker.trigger_follow_up_action("utter_bye")
    assert tracker.follow_up_action == "utter_bye"
    tracker.trigger_follow_up_action(DOMAIN.action_for_name("utter_greet"))
    assert tracker.follow_up_action == "utter_greet"
    tracker.clear_follow_up_action()
    tracker.clear_follow_up_action()
    assert tracker.follow_up_action is None
    assert len(tracker.events) == 3


def test_a_follow_up_answers_as_an_action_does() -> None:
    tracker = tracker_of(FollowupAction("utter_bye"))
    assert tracker.follow_up_action is not None
    assert tracker.follow_up_action.name() == "utter_bye"


def test_trackers_are_equal_by_sender_events_and_slots() -> None:
    tracker = tracker_of(*TURN, SlotSet("people", 5))
    assert tracker == tracker.copy() == tracker_of(*TURN, SlotSet("people", 5))
    assert tracker != tracker_of(*TURN, SlotSet("people", 4))
    assert tracker != tracker_of(*TURN)
    assert tracker != DialogueStateTracker.from_events("anna", tracker.events, DOMAIN)
    other = tracker.copy()
    other.slots["happy"].value = False
    assert tracker != other
    assert tracker != "zoë"
    assert len({tracker, tracker.copy()}) == 2


def test_no_states_are_none() -> None:
    assert tracker_of(*TURN).last_states(0) == []


def test_conversations_do_not_share_initial_values() -> None:
    first, second = tracker_of(), tracker_of()
    first.slots["notes"].value["seen"].append("x")
    first.slots["tags"].value.append("new")
    assert second.current_slot_values() == tracker_of().current_slot_values() == INITIAL


def test_the_oldest_events_are_dropped_where_a_limit_is_set() -> None:
    tracker = DialogueStateTracker("zoë", DOMAIN.slots, max_event_history=3)
    for event in (LISTEN, RESTART, *TURN):
        tracker.update(event)
    assert list(tracker.events) == list(TURN)
    assert tracker.events.maxlen == 3
    assert (tracker.idx_after_latest_restart(), tracker.version) == (0, 5)
    assert tracker.applied_events() == list(TURN)


def test_topics_are_gone() -> None:
    tracker = DialogueStateTracker("zoë", DOMAIN.slots, [], None)
    with pytest.warns(DeprecationWarning, match="topics are ignored"):
        assert tracker.topic is None
    with pytest.warns(DeprecationWarning, match="topics are ignored"):
        assert tracker.previous_topic is None


def test_event_classes_can_be_imported_from_here() -> None:
    names = "ActionExecuted AllSlotsReset BotUttered Restarted SlotSet StoryExported TopicSet UserUttered"
    assert all(hasattr(module, name) for name in names.split())
