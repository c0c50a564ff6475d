"""What each kind of event is in JSON and in stories, and how events are compared, read and registered.

Their effects on a conversation are in test_trackers.py.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import pickle
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import strategies
from hypothesis import given

from rasa_core import events as module
from rasa_core.events import (
    ActionExecuted,
    ActionReverted,
    AgentUttered,
    AllSlotsReset,
    BotUttered,
    ConversationPaused,
    ConversationResumed,
    Event,
    FollowupAction,
    ReminderScheduled,
    Restarted,
    SlotSet,
    StoryExported,
    TopicSet,
    UserUtteranceReverted,
    UserUttered,
    deserialise_events,
)
from rasa_core.events.rasa3 import LegacyForm, ReminderCancelled
from rasa_core.exceptions import EventError
from rasa_core.trackers import DialogueStateTracker

MOMENT = datetime(2018, 9, 3, 11, 41, 10)
PARSE_DATA = {
    "text": "hi from Zoë",
    "intent": {"name": "greet", "confidence": 0.8},
    "entities": [{"entity": "name", "value": "Zoë", "start": 8, "end": 11}],
    "intent_ranking": [{"name": "greet", "confidence": 0.8}, {"name": "bye", "confidence": 0.2}],
    "own": {"key": [1]},
}
REMINDER = {
    "action": "action_remind",
    "date_time": "2018-09-03T11:41:10",
    "name": "lunch",
    "kill_on_user_msg": False,
}
BUTTONS = {"buttons": [{"title": "Yes", "payload": "/affirm"}]}

# Each kind of event: how it is made, its JSON beside event and timestamp, and its line in a story.
KINDS: list[tuple[Event, dict[str, Any], str | None]] = [
    (
        UserUttered("hi from Zoë", parse_data=PARSE_DATA, timestamp=7.5),
        {"text": "hi from Zoë", "parse_data": PARSE_DATA},
        'greet{"name": "Zoë"}',
    ),
    (BotUttered("hello", BUTTONS, 7.5), {"text": "hello", "data": BUTTONS}, None),
    (SlotSet("price", "low", 7.5), {"name": "price", "value": "low"}, 'slot{"price": "low"}'),
    (Restarted(7.5), {}, "restart"),
    (AllSlotsReset(7.5), {}, "reset_slots"),
    (UserUtteranceReverted(7.5), {}, "rewind"),
    (ActionReverted(7.5), {}, "undo"),
    (ActionExecuted("utter_hi", 7.5), {"name": "utter_hi"}, "utter_hi"),
    (
        ActionExecuted("utter_hi", 7.5, policy="KerasPolicy", confidence=0.9),
        {"name": "utter_hi", "policy": "KerasPolicy", "confidence": 0.9},
        "utter_hi",
    ),
    (FollowupAction("utter_hi", 7.5), {"name": "utter_hi"}, 'followup{"name": "utter_hi"}'),
    (FollowupAction(None, 7.5), {"name": None}, 'followup{"name": null}'),
    (
        ReminderScheduled("action_remind", MOMENT, "lunch", False, 7.5),
        REMINDER,
        f"reminder{json.dumps(REMINDER)}",
    ),
    (ConversationPaused(7.5), {}, "pause"),
    (ConversationResumed(7.5), {}, "resume"),
    (StoryExported("stories.md", 7.5), {}, "export"),
    (AgentUttered("one moment", None, 7.5), {"text": "one moment", "data": None}, None),
]
TYPE_NAMES = {
    UserUttered: "user",
    BotUttered: "bot",
    SlotSet: "slot",
    Restarted: "restart",
    AllSlotsReset: "reset_slots",
    UserUtteranceReverted: "rewind",
    ActionReverted: "undo",
    ActionExecuted: "action",
    FollowupAction: "followup",
    ReminderScheduled: "reminder",
    ConversationPaused: "pause",
    ConversationResumed: "resume",
    StoryExported: "export",
    AgentUttered: "agent",
    TopicSet: "topic",
}
by_kind = pytest.mark.parametrize(("event", "extra", "line"), KINDS, ids=lambda part: getattr(part, "type_name", ""))


def as_json(event: Event) -> dict[str, Any]:
    form: dict[str, Any] = json.loads(json.dumps(event.as_dict(), allow_nan=False))
    return form


# -- JSON


@by_kind
def test_json_form_is_exact(event: Event, extra: dict[str, Any], line: str | None) -> None:
    assert event.as_dict() == {"event": TYPE_NAMES[type(event)], "timestamp": 7.5, **extra}


@by_kind
def test_json_form_is_read_back(event: Event, extra: dict[str, Any], line: str | None) -> None:
    found = Event.from_parameters(as_json(event))
    assert found == event
    assert found.timestamp == 7.5


@given(event=strategies.events())
def test_any_event_survives_json(event: Event) -> None:
    found = Event.from_parameters(as_json(event))
    assert json.dumps(found.as_dict()) == json.dumps(event.as_dict())
    assert (found, hash(found), found.as_story_string()) == (event, hash(event), event.as_story_string())


def test_the_path_of_an_export_is_not_stored() -> None:
    found = Event.from_parameters(StoryExported("stories.md").as_dict())
    assert isinstance(found, StoryExported)
    assert found.path is None


@pytest.mark.parametrize("kind", TYPE_NAMES, ids=TYPE_NAMES.get)
def test_a_type_name_leads_to_its_class(kind: type[Event]) -> None:
    assert Event.resolve_by_type(TYPE_NAMES[kind]) is kind


def test_this_file_knows_every_kind_of_event() -> None:
    assert {kind.__name__ for kind in TYPE_NAMES} == {
        name
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, Event) and found is not Event
    } - {"_Said"}


def test_objects_without_the_key_event_are_skipped() -> None:
    found = deserialise_events([{"name": "x"}, {"event": "restart"}, {}])
    assert found == [Restarted()]


def test_what_is_no_object_is_not_skipped() -> None:
    with pytest.raises(EventError, match="an event is a JSON object, not str: 'event'"):
        deserialise_events(["event"])  # type: ignore[list-item]


def test_old_json_without_a_timestamp_is_read() -> None:
    assert Event.from_parameters({"event": "slot", "name": "price"}) == SlotSet("price", None)


def test_intent_null_is_an_empty_intent() -> None:
    found = Event.from_parameters({"event": "user", "text": "hm", "parse_data": {"intent": None, "entities": []}})
    assert isinstance(found, UserUttered)
    assert (found.intent, found.parse_data["intent"]) == ({}, {})


def test_intent_ranking_null_is_no_ranking() -> None:
    parse_data: dict[str, Any] = {"intent": {"name": "greet"}, "entities": [], "intent_ranking": None}
    found = Event.from_parameters({"event": "user", "parse_data": parse_data})
    assert found == UserUttered(None, {"name": "greet"})


@pytest.mark.parametrize("kill", [None, True], ids=["null", "true"])
def test_a_reminder_dies_with_a_message_unless_told_otherwise(kill: bool | None) -> None:
    found = Event.from_parameters({**REMINDER, "event": "reminder", "kill_on_user_msg": kill})
    assert isinstance(found, ReminderScheduled)
    assert found.kill_on_user_message is True


@pytest.mark.parametrize(
    "written",
    [
        "2018-09-03T11:41:10Z",
        "2018-09-03T11:41:10.123Z",
        "2018-09-03T13:41:10.123+0200",
        "2018-09-03T13:41:10+02:00[Europe/Berlin]",
        "2018-09-03 06:41:10-05",
        "2018-09-03 11:41:10 UTC",
    ],
)
def test_a_reminder_with_an_offset_keeps_its_instant(written: str) -> None:
    found = Event.from_parameters({**REMINDER, "event": "reminder", "date_time": written})
    assert isinstance(found, ReminderScheduled)
    assert found.trigger_date_time == MOMENT.replace(tzinfo=UTC)
    assert found.as_dict()["date_time"] == "2018-09-03T11:41:10Z"
    assert Event.from_parameters(as_json(found)) == found


@pytest.mark.parametrize("written", ["2018-09-03T11:41:10", "2018-09-03 11:41:10.999", "20180903T114110"])
def test_a_reminder_without_an_offset_stays_local_time(written: str) -> None:
    found = Event.from_parameters({**REMINDER, "event": "reminder", "date_time": written})
    assert isinstance(found, ReminderScheduled)
    assert (found.trigger_date_time, found.as_dict()["date_time"]) == (MOMENT, "2018-09-03T11:41:10")


@pytest.mark.parametrize("hours", [-5, 0, 2, 5.75])
def test_a_reminder_from_python_keeps_its_instant(hours: float) -> None:
    moment = MOMENT.replace(tzinfo=timezone(timedelta(hours=hours)))
    reminder = ReminderScheduled("action_remind", moment)
    found = Event.from_parameters(as_json(reminder))
    assert isinstance(found, ReminderScheduled)
    assert (found, found.trigger_date_time, found.name) == (reminder, moment, reminder.name)
    assert ReminderScheduled("action_remind", moment.isoformat()) == reminder  # type: ignore[arg-type]


def test_a_reminder_may_be_for_now() -> None:
    before = datetime.now().replace(microsecond=0)
    moment = ReminderScheduled("action_remind", "now").trigger_date_time  # type: ignore[arg-type]
    assert before <= moment <= datetime.now()


@pytest.mark.parametrize(
    "written", ["soon", "2018-09-03T11:41:10 Europe/Berlin", "0001-01-01T00:00:00+02:00", "0001-01-01", 5]
)
def test_a_reminder_at_no_time_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match='"date_time" of event "reminder" is like "2018-09-03T11:41:10Z"'):
        ReminderScheduled("action_remind", written)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min,
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-10))),
    ],
    ids=str,
)
def test_a_reminder_at_a_time_that_no_clock_shows_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match='"date_time" of event "reminder" is out of range: '):
        ReminderScheduled("action_remind", moment)


# -- time


@pytest.mark.parametrize("stamp", [None, 0, 0.0])
def test_no_time_means_now(stamp: float | None) -> None:
    before = time.time()
    made = [
        SlotSet("price", 1, stamp or 0.0),
        Event.from_parameters({"event": "restart", "timestamp": stamp}),
    ]
    assert all(before <= event.timestamp <= time.time() for event in made)


def test_an_event_made_with_the_time_none_is_stamped() -> None:
    before = time.time()
    assert before <= UserUttered("hi", None, None, None, None).timestamp <= time.time()  # type: ignore[arg-type]


@pytest.mark.parametrize("stamp", [95_617_584_000, 1_536_000_000_000, 1_536_000_000_000.5, -1_536_000_000_000])
@pytest.mark.parametrize("make", [SlotSet, Event.from_parameters, setattr], ids=["made", "read", "set"])
def test_milliseconds_are_refused_with_the_remedy(stamp: float, make: Any) -> None:
    calls: dict[Any, tuple[Any, ...]] = {
        SlotSet: ("price", 1, stamp),
        Event.from_parameters: ({"event": "restart", "timestamp": stamp},),
        setattr: (Restarted(), "timestamp", stamp),
    }
    with pytest.raises(ValueError, match=r"is after the year 5000\. It looks like milliseconds: divide it by 1000"):
        make(*calls[make])


@pytest.mark.parametrize("stamp", ["noon", True, float("nan"), float("inf"), 10**400, datetime(2018, 9, 3)], ids=repr)
def test_what_is_no_time_is_refused(stamp: Any) -> None:
    with pytest.raises(ValueError, match="a timestamp is Unix time in seconds, not "):
        Restarted(stamp)


def test_a_log_that_has_milliseconds_is_read() -> None:
    assert Event.from_log({"event": "restart", "timestamp": 1_536_000_000_000}).timestamp == 1_536_000_000_000


def test_negative_times_are_kept() -> None:
    assert Event.from_parameters({"event": "restart", "timestamp": -5.0}).timestamp == -5.0


# -- equality


@by_kind
def test_equality_ignores_the_time(event: Event, extra: dict[str, Any], line: str | None) -> None:
    later = Event.from_parameters({**as_json(event), "timestamp": 9e8})
    assert later == event
    assert hash(later) == hash(event)


def test_events_of_different_content_differ() -> None:
    distinct = [event for event, _, _ in KINDS if not (isinstance(event, ActionExecuted) and event.policy)]
    assert len(set(distinct)) == len(distinct)


def test_the_policy_does_not_make_an_action_another_one() -> None:
    assert ActionExecuted("utter_hi", policy="KerasPolicy", confidence=0.9) == ActionExecuted("utter_hi")


def test_messages_are_equal_by_text_intent_and_entities() -> None:
    sure, unsure = ({"name": "greet", "confidence": confidence} for confidence in (1.0, 0.5))
    assert UserUttered("hi", sure) == UserUttered("hi", unsure)
    assert UserUttered("hi", sure) != UserUttered("hello", sure)
    assert UserUttered("hi", sure) != UserUttered("hi", {"name": "bye"})
    assert UserUttered("hi", sure) != UserUttered("hi", sure, [{"entity": "name", "value": "Zoë"}])


def test_an_event_equals_no_other_object() -> None:
    assert Restarted() != "restart"
    assert Restarted() != ConversationPaused()


@pytest.mark.parametrize(
    "value",
    [["a", ["b"]], {"a": [1], "b": {}}, {1: 2, "a": 3}, {"a"}, bytearray(b"x"), object()],
    ids=["list", "object", "mixed keys", "set", "bytes", "any"],
)
def test_events_with_any_value_are_hashable(value: object) -> None:
    assert len({SlotSet("x", value, 1.0), SlotSet("x", value, 2.0)}) == 1


def test_equal_numbers_of_different_types_have_one_hash() -> None:
    assert len({SlotSet("x", [1]), SlotSet("x", [1.0]), SlotSet("x", [True])}) == 1


def test_events_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SlotSet("x", 1).value = 2  # type: ignore[misc]


@by_kind
def test_the_time_can_be_set_until_the_event_is_in_a_tracker(
    event: Event, extra: dict[str, Any], line: str | None
) -> None:
    own = Event.from_parameters(as_json(event))
    own.timestamp = 8.5
    assert own.timestamp == own.as_dict()["timestamp"] == 8.5
    own.timestamp = None  # type: ignore[assignment]
    assert own.timestamp > 1e9
    DialogueStateTracker("anna", []).update(own)
    with pytest.raises(dataclasses.FrozenInstanceError):
        own.timestamp = 9.5


def test_the_repr_shows_the_content() -> None:
    assert repr(SlotSet("price", "low")) == "SlotSet(name='price', value='low')"


# -- what the user said


def test_parse_data_is_made_from_intent_and_entities() -> None:
    intent, entities = {"name": "greet", "confidence": 1.0}, [{"entity": "name", "value": "Zoë"}]
    said = UserUttered("hi", intent, entities)
    assert said.parse_data == {"text": "hi", "intent": intent, "entities": entities}


def test_intent_and_entities_are_taken_from_parse_data() -> None:
    said = UserUttered("hi", parse_data=PARSE_DATA)
    assert (said.intent, said.entities) == (PARSE_DATA["intent"], PARSE_DATA["entities"])


def test_parse_data_that_lacks_the_intent_is_completed() -> None:
    said = UserUttered("hi", {"name": "greet"}, parse_data={"own": 1})
    assert said.parse_data == {"text": "hi", "own": 1, "intent": {"name": "greet"}, "entities": []}


@pytest.mark.parametrize("text", ["hi", None])
@pytest.mark.parametrize("parsed", [{}, {"text": None}, {"text": "hi"}])
def test_a_message_and_its_meaning_have_one_text(text: str | None, parsed: dict[str, Any]) -> None:
    form = {"event": "user", "text": text, "parse_data": {**parsed, "intent": {}, "entities": []}}
    said = Event.from_parameters(form)
    assert isinstance(said, UserUttered)
    assert said.text == said.parse_data["text"] == (text or parsed.get("text"))


def test_an_empty_message_is_what_an_empty_conversation_shows() -> None:
    assert UserUttered.empty().parse_data == {"intent": {}, "entities": [], "text": None}


# -- stories


@by_kind
def test_story_lines_are_exact(event: Event, extra: dict[str, Any], line: str | None) -> None:
    assert event.as_story_string() == line


@by_kind
def test_story_lines_are_read_back(event: Event, extra: dict[str, Any], line: str | None) -> None:
    if line is None or isinstance(event, UserUttered):
        return
    name, brace, rest = line.partition("{")
    found = Event.from_story_string(name, json.loads(brace + rest) if brace else {}, ActionExecuted)
    assert found == ([event] if isinstance(event, SlotSet) else event)


def test_several_values_of_an_entity_are_a_list_in_stories() -> None:
    entities: list[dict[str, Any]] = [
        {"entity": "a", "value": 1},
        {"entity": "b", "value": [2]},
        {"entity": "a", "value": None},
    ]
    assert UserUttered("", {"name": "i"}, entities).as_story_string() == 'i{"a": [1, null], "b": [[2]]}'


def test_a_message_without_intent_is_told_by_its_text() -> None:
    assert UserUttered("hm").as_story_string() == "hm"
    assert UserUttered("hm", {"name": None, "confidence": 0.0}).as_story_string() == "hm"
    assert UserUttered(None).as_story_string() == ""


def test_a_slot_line_may_name_several_slots() -> None:
    found = Event.from_story_string("slot", {"a": 1, "timestamp": [2]})
    assert found == [SlotSet("a", 1), SlotSet("timestamp", [2])]


def test_a_slot_line_names_at_least_one_slot() -> None:
    with pytest.raises(EventError, match="a slot line names at least one slot"):
        Event.from_story_string("slot", {})


def test_parameters_of_an_action_line_are_ignored() -> None:
    assert Event.from_story_string("utter_hi", {"k": 1}, ActionExecuted) == ActionExecuted("utter_hi")


def test_a_story_line_of_an_unknown_event_needs_a_default() -> None:
    with pytest.raises(EventError, match="unknown event type 'utter_hi'"):
        Event.from_story_string("utter_hi", {})


def test_the_default_name_of_a_reminder_is_the_same_everywhere() -> None:
    precise = MOMENT + timedelta(microseconds=5)
    assert ReminderScheduled("action_remind", precise).name == "action_remind@2018-09-03T11:41:10"


# -- topics


def test_topics_warn_whoever_makes_them_and_not_whoever_reads_them_back() -> None:
    with pytest.warns(DeprecationWarning, match="topics are ignored") as record:
        topic = TopicSet("weather", 7.5)
    assert record[0].filename == __file__
    assert topic.as_dict() == {"event": "topic", "timestamp": 7.5, "topic": "weather"}
    assert topic.as_story_string() == "topic[weather]"
    read = Event.from_parameters(topic.as_dict())  # Any warning would be an error here.
    assert (read, read.timestamp) == (topic, 7.5)


@pytest.mark.parametrize("kind", [BotUttered, AgentUttered])
@pytest.mark.parametrize("data", ["my_data", ["a"], 3, None], ids=repr)
def test_what_comes_with_an_utterance_may_be_anything(kind: type[Event], data: Any) -> None:
    event = kind("hello", data)  # type: ignore[call-arg]
    assert Event.from_parameters(json.loads(json.dumps(event.as_dict()))) == event


def test_an_action_may_be_made_in_the_order_of_rasa_3() -> None:
    action = ActionExecuted("utter_hi", "RulePolicy", 0.9, 12.5)
    assert (action.policy, action.confidence, action.timestamp) == ("RulePolicy", 0.9, 12.5)
    assert ActionExecuted("utter_hi", None, 0.9).confidence == 0.9


WHEN = datetime(2030, 1, 1)


@pytest.mark.parametrize(
    ("values", "metadata", "moment"),
    [
        (("hi", None, {"a": 1}, 12.5), {"a": 1}, 12.5),
        (("hi", None, None, 12.5), None, 12.5),
        (("hi", None, {"a": 1}), {"a": 1}, None),
        (("hi", None, {}), None, None),
        (("hi", None, 12.5), None, 12.5),
        (("hi", None, 12.5, {"a": 1}), {"a": 1}, 12.5),
    ],
    ids=repr,
)
def test_what_the_bot_said_may_be_made_in_either_order(values: Any, metadata: Any, moment: float | None) -> None:
    said = BotUttered(*values)
    assert said.metadata == metadata
    assert said.timestamp == moment or (moment is None and said.timestamp > 1e9)
    assert Event.from_parameters(said.as_dict()) == said


@pytest.mark.parametrize(
    ("values", "named", "expected"),
    [
        (("act", WHEN), {}, {"action": "act", "name": "act@2030-01-01T00:00:00", "kill_on_user_msg": True}),
        (("act", WHEN, "tea", False), {}, {"action": "act", "name": "tea", "kill_on_user_msg": False}),
        (("say", WHEN, ["x"]), {}, {"intent": "say", "entities": ["x"], "kill_on_user_msg": True}),
        (("say", WHEN, {"a": 1}, "tea", False, 9.0), {}, {"intent": "say", "name": "tea", "kill_on_user_msg": False}),
        (("say", WHEN, None, "tea"), {}, {"intent": "say", "entities": None, "name": "tea"}),
        (("say", WHEN, None, None, False), {}, {"intent": "say", "kill_on_user_msg": False}),
        (("say", WHEN, ["x"]), {"kill_on_user_message": False}, {"intent": "say", "kill_on_user_msg": False}),
        (("say", WHEN), {"entities": ["x"], "name": "tea"}, {"intent": "say", "entities": ["x"], "name": "tea"}),
        ((None, WHEN), {"intent": "say", "name": "tea"}, {"intent": "say", "name": "tea"}),
    ],
    ids=repr,
)
def test_a_reminder_may_be_made_in_either_order(values: Any, named: Any, expected: dict[str, Any]) -> None:
    reminder = ReminderScheduled(*values, **named)
    written = reminder.as_dict()
    assert {key: written[key] for key in expected} == expected
    assert ("action" in written) is ("action" in expected)
    assert Event.from_parameters(written) == reminder
    assert reminder.timestamp == (9.0 if 9.0 in values else reminder.timestamp)


def test_an_action_in_a_log_is_one_whatever_stands_beside_it() -> None:
    written = {
        "event": "reminder",
        "action": "act",
        "intent": "say",
        "entities": ["x"],
        "date_time": "2030-01-01T00:00:00",
    }
    assert "intent" not in Event.from_parameters(written).as_dict()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (UserUttered, "text intent entities parse_data timestamp"),
        (BotUttered, "text data"),
        (AgentUttered, "text data"),
        (SlotSet, "key value"),
        (ActionExecuted, "action_name"),
        (ReminderScheduled, "action_name trigger_date_time name kill_on_user_message"),
        (StoryExported, "path"),
        (TopicSet, "topic"),
    ],
)
def test_parameters_come_in_the_order_of_old(kind: type[Event], names: str) -> None:
    assert list(inspect.signature(kind).parameters)[: len(names.split())] == names.split()


def test_an_action_of_rasa_3_without_a_name_is_called_as_what_it_says() -> None:
    told = {"event": "action", "name": None, "action_text": "Hi!", "policy": "MemoizationPolicy", "timestamp": 1.0}

    event = Event.from_parameters(told)

    assert event == ActionExecuted("Hi!")
    assert event.storable().as_dict() == told
    assert ActionExecuted(None, action_text="Hi!", timestamp=1.0, policy="MemoizationPolicy").as_dict() == told


def test_an_event_keeps_its_metadata_also_when_its_time_is_set_and_is_equal_without_them() -> None:
    event = Event.from_parameters({"event": "slot", "name": "s", "value": 1, "metadata": {"k": "v"}})
    event.timestamp = 5.0

    assert event.storable().as_dict() == {**SlotSet("s", 1, 5.0).as_dict(), "metadata": {"k": "v"}}
    assert event == SlotSet("s", 1)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda event: pickle.loads(pickle.dumps(event))])
def test_a_copy_of_an_event_keeps_its_metadata(copied: Callable[[Event], Event]) -> None:
    event = Event.from_parameters({"event": "slot", "name": "s", "value": 1, "metadata": {"k": "v"}})

    assert copied(event).as_dict() == event.as_dict()
    assert copied(SlotSet("s", 1, 5.0)).as_dict() == SlotSet("s", 1, 5.0).as_dict()


@by_kind
def test_an_event_takes_and_has_metadata_and_its_changed_copy_keeps_them(
    event: Event, extra: dict[str, Any], line: str | None
) -> None:
    changed: Any = dataclasses.replace(event, metadata={"k": "v"})  # type: ignore[type-var]

    assert changed.as_dict() == {**event.as_dict(), "metadata": {"k": "v"}}
    assert changed.metadata == {"k": "v"}
    assert dataclasses.replace(changed, timestamp=5.0).as_dict() == {**changed.as_dict(), "timestamp": 5.0}
    assert dataclasses.replace(changed, metadata=None).as_dict() == event.as_dict()


@pytest.mark.parametrize("kind", [LegacyForm, ReminderCancelled, TopicSet])
def test_an_event_of_a_derived_kind_takes_metadata(kind: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Of topics.
        made = kind("x", metadata={"k": "v"})

    assert made.metadata == made.as_dict()["metadata"] == {"k": "v"}
    assert kind.from_parameters({**made.as_dict()}).as_dict() == made.as_dict()


def test_a_pickle_of_an_event_that_has_its_fields_alone_is_read() -> None:
    event = SlotSet.__new__(SlotSet)
    event.__setstate__(SlotSet("s", 1, 5.0).__getstate__()[:-1])

    assert event.as_dict() == SlotSet("s", 1, 5.0).as_dict()


@pytest.mark.parametrize("metadata", [None, {}, "k", []])
def test_metadata_that_are_no_object_are_left_out(metadata: object) -> None:
    event = Event.from_parameters({"event": "restart", "timestamp": 1.0, "metadata": metadata})
    assert event.as_dict() == {"event": "restart", "timestamp": 1.0}
