"""Test stories of Rasa 3: the same ones are right and wrong as with ``rasa test``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from rasa3_bots import trained, write

from rasa_core.agent import Agent
from rasa_core.evaluation.stories import StoryEvaluation, evaluate_stories
from rasa_core.events import ActionExecuted, UserUttered
from rasa_core.stories import extract_story_graph
from rasa_core.stories.sessions import sessions_as_stories
from rasa_core.stories.yaml import YamlStoryReader
from rasa_core.support.problems import Problem

DOMAIN = """
version: "3.1"
intents: [book, chat, inform, hours]
entities: [city]
slots:
  city: {type: text, mappings: [{type: from_entity, entity: city}]}
forms:
  book_form: {required_slots: [city]}
responses:
  utter_ask_city: [{text: Which?}]
  utter_booked: [{text: Booked.}]
  utter_chat: [{text: Chat.}]
  utter_city: [{text: A city.}]
"""
RULES = """
rules:
- rule: begin
  steps:
  - intent: book
  - action: book_form
  - active_loop: book_form
- rule: end
  condition: [{active_loop: book_form}]
  steps:
  - action: book_form
  - active_loop: null
  - slot_was_set: [{requested_slot: null}]
  - action: utter_booked
- rule: chat
  steps:
  - intent: chat
  - action: utter_chat
stories:
- story: a city
  steps:
  - intent: inform
    entities: [{city: paris}]
  - action: utter_city
"""


class Words:
    """An interpreter that understands messages about a few cities."""

    def parse(self, text: str) -> dict[str, Any]:
        """Return the intent ``inform``, and the entity that stands in the text."""
        found = [
            {"entity": "city", "start": text.index(city), "end": text.index(city) + len(city), "value": city}
            for city in ("paris", "rome")
            if city in text
        ]
        return {"text": text, "intent": {"name": "inform", "confidence": 1.0}, "entities": found}


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    """Return a bot with a form, which may be left for a chat."""
    return trained(write(tmp_path_factory.mktemp("bot"), domain=DOMAIN, data__all=RULES))


def measured(bot: Agent, folder: Path, *steps: str, parser: Words | None = None) -> StoryEvaluation:
    """Return how a bot does in one test story."""
    told = "".join(f"  - {step}\n" for step in steps)
    graph = extract_story_graph(
        write(folder, test=f"stories:\n- story: one\n  steps:\n{told}") / "test.yml", bot.domain
    )
    return evaluate_stories(bot, graph, None, parser=parser)


def is_right(bot: Agent, folder: Path, *steps: str, parser: Words | None = None) -> bool:
    """Tell whether a bot does what one test story says."""
    return all(story.is_right for story in measured(bot, folder, *steps, parser=parser).stories)


BEGIN = ("intent: book", "action: book_form", "active_loop: book_form")


def test_a_story_that_leaves_a_form_is_right_where_rules_answer_so(bot: Agent, tmp_path: Path) -> None:
    assert is_right(bot, tmp_path, *BEGIN, "intent: chat", "action: utter_chat", "action: book_form")


def test_a_story_that_leaves_a_form_otherwise_is_wrong_and_tells_the_answer(bot: Agent, tmp_path: Path) -> None:
    found = measured(bot, tmp_path, *BEGIN, "intent: chat", "action: utter_city", "action: book_form")
    assert found.stories[0].first_wrong()[0].prediction.action == "utter_chat"


def test_a_story_that_goes_on_with_the_form_needs_no_refusal(bot: Agent, tmp_path: Path) -> None:
    end = ("active_loop: null", "action: utter_booked")
    assert is_right(bot, tmp_path, *BEGIN, "intent: inform", "action: book_form", *end)


def test_slots_that_a_story_begins_with_come_before_what_is_measured(bot: Agent, tmp_path: Path) -> None:
    found = measured(bot, tmp_path, "slot_was_set: [{city: rome}]", "intent: chat", "action: utter_chat")
    assert [action.expected for action in found.actions] == ["utter_chat", "action_listen"]
    assert found.stories[0].is_right


@pytest.mark.parametrize(
    "user", ["'go to [paris](city)'", """'/inform{"city": "paris"}'""", """'[paris]{"entity": "city"} please'"""]
)
def test_entities_that_are_marked_in_the_words_are_those_of_the_story(bot: Agent, tmp_path: Path, user: str) -> None:
    assert is_right(bot, tmp_path, f"{{user: {user}, intent: inform}}", "action: utter_city")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("go to [paris](city)", ""),
        ("go to paris", 'found city "paris"'),
        ("go to [oslo](city)", 'missed city "oslo"'),
        ("go to [paris](city:Paris)", "found the value 'paris' of city instead of 'Paris'"),
    ],
)
def test_a_message_is_understood_if_it_has_the_entities_that_are_marked(
    bot: Agent, tmp_path: Path, said: str, told: str
) -> None:
    found = measured(bot, tmp_path, f"{{user: '{said}', intent: inform}}", "action: utter_city", parser=Words())
    assert "; ".join(one.described() for one in found.misunderstood) == told


def test_listed_entities_are_not_compared_with_words(bot: Agent, tmp_path: Path) -> None:
    step = "{user: 'go to paris', intent: inform, entities: [city]}"
    assert not measured(bot, tmp_path, step, "action: utter_city", parser=Words()).misunderstood


def test_a_failed_story_has_its_words_as_they_were_typed(bot: Agent, tmp_path: Path) -> None:
    found = measured(
        bot, tmp_path, "user: |\n      go to [paris](city)\n    intent: inform", "action: utter_chat", parser=Words()
    )
    assert "  - user: go to [paris](city)\n    intent: inform\n  - action: utter_chat" in found.stories[0].export_yaml()


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("action: [utter_a, utter_b]", "action: needs one name, as in action: utter_greet."),
        ("intent:", "intent: needs one name, as in intent: greet."),
        ("active_loop: [book_form]", "active_loop: needs one name, as in active_loop: booking_form."),
        ("checkpoint:", "checkpoint: needs one name, as in checkpoint: after greeting."),
        ("{intent: a, entities: city}", "entities: is a list such as [city], or [city: Rome]."),
        ("{user: '[a](', intent: a}", "'(' is not closed; an entity is marked like"),
        ("or: {intent: a}", "or: is a list of messages or slots, each after a dash."),
        ("or: [{action: utter_a}]", "or: takes messages (intent:) or slots (slot_was_set:), nothing else."),
        ("slot_was_set: city", "slot_was_set: is a list such as [city: Rome], or [city] for any value."),
        ("{intent: a, entities: [{role: to}]}", "an entity is like - city, or - city: Rome; one here has no name."),
    ],
)
def test_what_a_step_does_not_say_is_an_error_with_its_line(tmp_path: Path, step: str, told: str) -> None:
    problems: list[Problem] = []
    file = write(tmp_path, all=f"stories:\n- story: one\n  steps:\n  - {step}\n  - action: utter_a\n") / "all.yml"
    read = YamlStoryReader(None, problems).read_files([file])
    assert [(one.severity, one.place.line) for one in problems] == [("error", 4)]
    assert problems[0].message.startswith(told)
    assert read.steps == []


def test_a_condition_of_an_unknown_kind_is_an_error_with_its_line(tmp_path: Path) -> None:
    problems: list[Problem] = []
    text = "rules:\n- rule: one\n  condition:\n  - slot_was_se: [city]\n  steps: [{intent: a}, {action: utter_a}]\n"
    YamlStoryReader(None, problems).read_files([write(tmp_path, all=text) / "all.yml"])
    assert [(one.severity, one.place.line) for one in problems] == [("error", 4)]
    assert "no key 'slot_was_se'. Did you mean 'slot_was_set'? Known: slot_was_set, active_loop." in problems[0].message


@pytest.mark.parametrize("kind", ["story", "rule"])
def test_steps_that_are_not_indented_below_their_story_are_errors(tmp_path: Path, kind: str) -> None:
    of = {"story": "stories", "rule": "rules"}[kind]
    text = f"{of}:\n- {kind}: one\n  steps:\n- intent: a\n- action: utter_a\n"
    problems: list[Problem] = []
    YamlStoryReader(None, problems).read_files([write(tmp_path, all=text) / "all.yml"])
    told = [(one.place.line, one.message) for one in problems if one.severity == "error"]
    assert told == [
        (line, f"a step stands in the place of a {kind}; indent it below the steps: of its {kind}.") for line in (4, 5)
    ]


@pytest.mark.parametrize("entities", ["{city: Rome}", "[{city: Rome}]", "[{entity: city, value: Rome}]"])
def test_entities_may_be_written_in_several_ways(tmp_path: Path, entities: str) -> None:
    text = f"stories:\n- story: one\n  steps: [{{intent: a, entities: {entities}}}]\n- steps: [{{intent: a}}]\n"
    problems: list[Problem] = []
    read = YamlStoryReader(None, problems).read_files([write(tmp_path, all=text) / "all.yml"])
    assert [event.as_story_string() for event in read.steps[0][0].events] == ['a{"city": "Rome"}']
    assert [(one.severity, one.message[:32]) for one in problems] == [("warning", "an entry without story: is skipp")]


def test_a_loop_may_end_with_null(tmp_path: Path) -> None:
    file = write(tmp_path, all="stories:\n- story: one\n  steps:\n  - intent: a\n  - active_loop: null\n") / "all.yml"
    assert len(YamlStoryReader().read_files([file]).steps) == 1


def test_an_action_without_a_name_is_passed_over_and_told(tmp_path: Path) -> None:
    problems: list[Problem] = []
    text = "stories:\n- story: one\n  steps:\n  - intent: a\n  - action:\n  - action: utter_a\n"
    read = YamlStoryReader(None, problems).read_files([write(tmp_path, all=text) / "all.yml"])
    assert [(one.kind, one.place.line) for one in problems] == [("lost-turn", 5)]
    assert len(read.steps[0][0].events) == 2


@pytest.mark.parametrize(
    "found",
    [
        pytest.param([("city", "Rome", 6, 10), ("city", "Rome", 6, 10)], id="by two extractors"),
        pytest.param([("city", "Rome", 6, 10), ("part", "om", 7, 9)], id="one inside of another"),
        pytest.param([("city", "Roma", 6, 10), ("when", "today", None, None)], id="one that stands nowhere"),
    ],
)
def test_a_conversation_that_is_written_as_a_story_has_all_entities(tmp_path: Path, found: list[Any]) -> None:
    entities = [{"entity": name, "value": value, "start": start, "end": end} for name, value, start, end in found]
    said = UserUttered("go to Rome", {"name": "inform", "confidence": 1.0}, entities)
    (tmp_path / "test.yml").write_text(sessions_as_stories([said, ActionExecuted("utter_a")], "ada"))
    ((step,),) = YamlStoryReader().read_files([tmp_path / "test.yml"]).steps
    message = step.events[0]
    assert isinstance(message, UserUttered)
    assert {(one["entity"], one["value"]) for one in message.entities} == {(name, value) for name, value, *_ in found}


def test_a_message_that_nothing_interpreted_is_told_without_an_intent() -> None:
    said = [UserUttered("hello", {}), UserUttered("", {"name": None}), ActionExecuted("utter_a")]
    (told,) = yaml.safe_load(sessions_as_stories(said, "ada"))["stories"]
    assert told["steps"] == [{"user": "hello"}, {"action": "utter_a"}]
