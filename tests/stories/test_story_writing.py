"""Writing stories: the written text is read as the same steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from story_fixtures import names_and_values

from rasa_core.domain import Domain
from rasa_core.events import (
    ActionExecuted,
    ActionReverted,
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
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.exceptions import StoryParseError
from rasa_core.stories import extract_story_graph, persist_data
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.messages import Wording, story_message
from rasa_core.stories.steps import STORY_END, STORY_START, Checkpoint, Story, StoryGraph, StoryStep
from rasa_core.trackers import DialogueStateTracker

_characters = st.characters(codec="utf-8", exclude_characters="{}<>`#*[]/", exclude_categories=["Cc", "Zl", "Zp"])
_names = st.text(_characters, min_size=1, max_size=8).map(str.strip).filter(lambda name: name and " OR" not in name)
_intents = _names.filter(lambda name: name[0] != "_")
_texts = st.text(st.characters(codec=None), max_size=8) | st.sampled_from(
    ["<!-- x -->", "`a`", " OR ", '"', "{'}", "\ud800"]
)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=2),
    max_leaves=4,
)
_entity_values = _scalars | st.dictionaries(_texts, _scalars, max_size=2)


@st.composite
def _messages(draw: st.DrawFn) -> UserUttered:
    values = draw(st.dictionaries(_texts, st.lists(_entity_values, min_size=1, max_size=3), max_size=3))
    entities = [(name, value) for name, several in values.items() for value in several]
    return story_message(Wording(draw(_intents), entities))


_reminders = st.builds(
    ReminderScheduled,
    _texts,
    st.datetimes(datetime(1000, 1, 1), datetime(9999, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),
    _texts.filter(bool),
    st.booleans(),
)
_plain = [
    Restarted,
    AllSlotsReset,
    UserUtteranceReverted,
    ActionReverted,
    ConversationPaused,
    ConversationResumed,
    StoryExported,
]
_EVENT_NAMES = {
    "slot",
    "restart",
    "reset_slots",
    "rewind",
    "undo",
    "pause",
    "resume",
    "export",
    "reminder",
    "followup",
}
_events: st.SearchStrategy[Event] = st.one_of(
    _messages(),
    _names.filter(lambda name: name not in _EVENT_NAMES and name.strip("-")).map(ActionExecuted),
    st.just(ActionExecuted("action_listen")),
    st.builds(SlotSet, _texts, _values),
    st.sampled_from(_plain).map(lambda event: event()),
    st.builds(FollowupAction, st.none() | _texts),
    _reminders,
)
_ends = st.lists(st.builds(Checkpoint, _names.filter(lambda name: name.strip(">"))), max_size=2)
_starts = st.lists(
    st.builds(Checkpoint, _names, st.none() | st.dictionaries(_texts, _values, min_size=1, max_size=2)),
    max_size=2,
)
_steps = st.builds(
    StoryStep, _names | st.just(""), _starts, _ends, st.lists(_events, min_size=1, max_size=4)
) | st.builds(StoryStep, _names, _starts)


def _read(text: str) -> list[StoryStep]:
    return StoryFileReader().process_lines(text.split("\n"))


@settings(max_examples=100, deadline=None)
@given(st.lists(_steps, max_size=4))
def test_steps_that_were_written_are_read_as_the_same_steps(steps):
    assert _read(StoryGraph(steps).as_story_string()) == steps


STORIES = """
## all kinds
> begin
> other{"city": "Rome", "tags": [1, null]}
* greet
    - utter_greet
* affirm OR inform{"name": ["a", "b"], "city": "`x` <!-- y -->"}
    - utter_ok
    - slot{"tags": ["x"], "note": null}
> middle
    - action_listen
    - utter_bye
    - restart
* deny OR goodbye
> end
> begin
"""


def test_stories_that_were_read_are_written_as_the_same_stories(read):
    steps = read(STORIES, template_vars={"x": "X"})

    written = StoryGraph(steps).as_story_string()

    assert len(steps) == 7
    assert read(written) == steps
    assert StoryGraph(read(written)).as_story_string() == written


def test_a_plain_story_looks_as_it_was_written(read):
    text = '## a story\n* inform{"name": "Zoë"}\n    - utter_ok\n    - slot{"city": null}\n'

    assert StoryGraph(read(text)).as_story_string() == text


def test_sample_stories_survive_writing(sample_data):
    for path in sorted(sample_data.rglob("stories*.md")):
        steps = StoryFileReader.read_from_file(path, None)
        assert _read(StoryGraph(steps).as_story_string()) == steps


def test_what_was_said_is_left_out(read):
    step = StoryStep("s", events=[ActionExecuted("utter_greet"), BotUttered("Hello")])

    assert step.as_story_string() == "## s\n    - utter_greet\n"


def test_a_flat_step_is_its_events_alone(read):
    [step] = read("## s\n> a\n* greet\n - utter_greet\n> b")

    assert step.as_story_string(flat=True) == "* greet\n    - utter_greet\n"


EVIL_NAMES = ["a\nb", "a\r\n## t\n* greet", "a\r* greet", "a <!-- b", "a `b` c", "a\n- utter_ok", "half \ud800"]


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_no_name_of_a_story_writes_another_story_or_a_line(name):
    steps = [StoryStep(name, events=[Restarted()]), StoryStep("next", events=[ActionExecuted("utter_ok")])]

    read_again = _read(StoryGraph(steps).as_story_string())

    assert [step.events for step in read_again] == [step.events for step in steps]
    assert [step.events for step in _read(Story(steps[:1], name).as_story_string(flat=True))] == [steps[0].events]


@pytest.mark.parametrize("name", [name for name in EVIL_NAMES if "`" not in name and "<" not in name])
def test_no_other_name_writes_another_story_or_a_line(name):
    checkpoint = Checkpoint(name, {"city": "Rome"})
    events = [ActionExecuted(name), story_message(Wording(name, [("city", "a\nb")])), Restarted()]
    step = StoryStep("s", [checkpoint], [checkpoint], events)

    [again] = _read(step.as_story_string())

    assert [type(event) for event in again.events] == [type(event) for event in step.events]
    assert len(again.start_checkpoints) == len(again.end_checkpoints) == 1


def test_half_characters_stay_in_memory_and_are_escaped_in_files(tmp_path, domain):
    text = '* inform{"name": "half \\ud800"}\n    - utter_ok\n'
    [step] = _read(f"## s\n{text}")
    graph = StoryGraph([step])

    assert names_and_values(step.events[0]) == [("name", "half \ud800")]
    assert graph.as_story_string() == f"## s\n{text}"
    Story([StoryStep("half \ud800", events=step.events)]).dump_to_file(tmp_path / "s.md")
    assert StoryFileReader.read_from_file(tmp_path / "s.md", domain) == [replace(step, block_name="half \\ud800")]
    persist_data(TrainingDataGenerator(graph, domain, augmentation_factor=0).generate(), tmp_path / "t.md")
    assert StoryFileReader.read_from_file(tmp_path / "t.md", domain)[0].events[0] == step.events[0]


def test_an_end_without_events_cannot_be_written():
    step = StoryStep("s", [Checkpoint("a")], [Checkpoint("b")])

    with pytest.raises(StoryParseError, match="'s' ends with a checkpoint but has no events"):
        step.as_story_string()


def test_a_step_starts_and_ends_a_story_unless_told_otherwise():
    step = StoryStep("s", None, None, None)

    assert step.start_checkpoints == (Checkpoint(STORY_START),)
    assert step.end_checkpoints == ()
    assert STORY_END is None


def test_steps_are_equal_wherever_they_stand(read):
    assert read("## s\n* greet") == read("\n\n## s\n\n* greet")


LISTEN = ActionExecuted("action_listen")
CONVERSATION = [
    LISTEN,
    story_message(Wording("greet")),
    ActionExecuted("utter_greet"),
    BotUttered("Hi"),
    LISTEN,
]


def test_a_story_from_a_conversation_leaves_listening_out():
    story = Story.from_events(CONVERSATION, "chat")

    assert story.as_story_string() == story.as_story_string(flat=True) == "## chat\n* greet\n    - utter_greet\n"


def test_a_story_without_a_name_is_named_after_its_events():
    first, second = (Story.from_events(CONVERSATION).as_story_string() for _ in range(2))
    other = Story.from_events(CONVERSATION[:2]).as_story_string()

    assert first == second
    assert first.startswith("## Generated Story ")
    assert first.partition("\n")[0] != other.partition("\n")[0]


def test_a_flat_story_has_one_heading_and_no_checkpoints(read):
    story = Story(read("## s\n* greet\n> a\n - utter_greet"), "s")

    assert story.as_story_string(flat=True) == "## s\n* greet\n    - utter_greet\n"
    assert story.as_story_string() == "## s\n* greet\n> a\n\n## s\n> a\n    - utter_greet\n"


def test_a_story_is_appended_to_a_file(tmp_path):
    path = tmp_path / "stories.md"
    for name in ("a", "b"):
        Story.from_events(CONVERSATION, name).dump_to_file(path)

    assert [step.block_name for step in StoryFileReader.read_from_file(path, None)] == ["a", "b"]


@pytest.mark.parametrize("value", ["a `b` c", "<!-- not a comment -->", "`"])
def test_marks_of_story_files_in_values_come_back_as_values(value: str, tmp_path: Path) -> None:
    text = "intents: [say]\nentities: [name]\nslots: {name: {type: text}}\nactions: [utter_ok]\naction_factory: remote"
    domain = Domain.from_yaml(text)
    tracker = DialogueStateTracker.from_events("a", [ActionExecuted("action_listen")], domain)
    tracker.update(UserUttered("x", {"name": "say"}, [{"entity": "name", "value": value}]))
    tracker.update(SlotSet("name", value))
    tracker.update(ActionExecuted("utter_ok"))
    (tmp_path / "stories.md").write_text(tracker.export_stories(), encoding="utf-8")
    (step,) = extract_story_graph(str(tmp_path / "stories.md"), domain).story_steps
    said, slot = (event for event in step.events if isinstance(event, UserUttered | SlotSet))
    assert (said.entities[0]["value"], slot.value) == (value, value)
