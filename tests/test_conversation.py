"""Conversations as plain data, and as stories."""

from __future__ import annotations

import pytest
import strategies
from hypothesis import given

from rasa_core.conversation import DefaultTopic, Dialogue, QuestionTopic, Topic, story_lines, story_text
from rasa_core.events import (
    ActionExecuted,
    ActionReverted,
    AgentUttered,
    BotUttered,
    Event,
    FollowupAction,
    Restarted,
    SlotSet,
    UserUttered,
)

TALK: list[Event] = [
    ActionExecuted("action_listen"),
    UserUttered("hi, I am Zoë", {"name": "greet"}, [{"entity": "name", "value": "Zoë"}]),
    SlotSet("name", "Zoë"),
    ActionExecuted("utter_hi"),
    BotUttered("hello"),
    ActionExecuted("action_listen"),
    AgentUttered("I take over"),
    UserUttered("bye", {"name": "bye"}),
    Restarted(),
]


def test_listening_and_what_was_said_are_left_out_of_stories() -> None:
    assert story_lines(TALK) == [
        '* greet{"name": "Zoë"}',
        '    - slot{"name": "Zoë"}',
        "    - utter_hi",
        "* bye",
        "    - restart",
    ]


def test_a_follow_up_and_an_undo_stand_in_stories() -> None:
    lines = story_lines([FollowupAction("utter_hi"), ActionReverted()])
    assert lines == ['    - followup{"name": "utter_hi"}', "    - undo"]


def test_a_story_may_have_a_title() -> None:
    assert story_text([ActionExecuted("utter_hi")], "mine") == "## mine\n    - utter_hi\n"


def test_a_story_without_a_title_is_named_by_its_content() -> None:
    title = story_text(TALK).splitlines()[0]
    assert title == "## Generated Story e44113d7bc409f71"
    assert story_text(TALK[:4]).splitlines()[0] != title


@given(log=strategies.logs())
def test_the_text_of_a_story_does_not_depend_on_times(log: list[Event]) -> None:
    again = [Event.from_parameters({**event.as_dict(), "timestamp": 1.0}) for event in log]
    assert story_text(again) == story_text(log)


def test_half_a_character_does_not_stop_the_naming_of_a_story() -> None:
    assert story_text([SlotSet("name", "\ud800")]).startswith("## Generated Story ")


def test_a_dialogue_is_a_name_and_events() -> None:
    assert Dialogue("default", TALK) == Dialogue("default", list(TALK))
    with pytest.raises(AttributeError, match="name"):
        Dialogue("default", TALK).name = "other"  # type: ignore[misc]


def test_topics_can_still_be_imported() -> None:
    assert [topic.name for topic in (Topic("mine"), DefaultTopic, QuestionTopic)] == [
        "mine",
        "default",
        "question",
    ]
