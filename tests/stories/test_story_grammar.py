"""The meaning of each kind of line in a story file."""

from __future__ import annotations

from datetime import datetime

import pytest
from story_fixtures import names_and_values

from rasa_core.domain import Domain
from rasa_core.events import (
    ActionExecuted,
    ActionReverted,
    AllSlotsReset,
    ConversationPaused,
    ConversationResumed,
    FollowupAction,
    ReminderScheduled,
    Restarted,
    SlotSet,
    StoryExported,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.exceptions import StoryParseError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.stories.builder import LOST
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import STORY_START, Checkpoint, StoryGraph
from rasa_core.support.problems import Problem
from rasa_core.training.dsl import StoryFileReader as OldPathReader


@pytest.mark.parametrize(
    ("line", "name"),
    [
        pytest.param("# a story", "a story", id="one hash"),
        pytest.param("## a story", "a story", id="two hashes"),
        pytest.param("##a story", "a story", id="no space"),
        pytest.param("  #### a story  ", "a story", id="more hashes and space around"),
        pytest.param("## C#", "C#", id="hash in the name"),
        pytest.param("## a story <!-- old -->", "a story", id="comment behind"),
        pytest.param("##", "", id="no name"),
        pytest.param("## größer ☃", "größer ☃", id="unicode"),
    ],
)
def test_a_heading_begins_a_story(read, line, name):
    assert [step.block_name for step in read(f"{line}\n* greet\n - utter_greet")] == [name]


@pytest.mark.parametrize(
    ("line", "intent", "entities"),
    [
        pytest.param("* greet", "greet", [], id="intent"),
        pytest.param("*greet", "greet", [], id="no space"),
        pytest.param("\t*   greet \r", "greet", [], id="space around"),
        pytest.param("* /greet", "greet", [], id="slash"),
        pytest.param('* inform{"name": "Anna"}', "inform", [("name", "Anna")], id="entity"),
        pytest.param('* inform {"name":"Anna"}', "inform", [("name", "Anna")], id="space before the object"),
        pytest.param('* inform{"name": null}', "inform", [], id="null"),
        pytest.param('* inform{"a": null, "b": [1, null]}', "inform", [("b", 1)], id="null among others"),
        pytest.param(
            '* inform{"name": 3, "city": "Rome"}',
            "inform",
            [("name", 3), ("city", "Rome")],
            id="two entities",
        ),
        pytest.param('* inform{"city": ["Rome", "Bonn"]}', "inform", [("city", "Rome"), ("city", "Bonn")], id="list"),
        pytest.param('* inform{"city": []}', "inform", [], id="empty list"),
        pytest.param("* inform{}", "inform", [], id="empty object"),
        pytest.param('* inform{"city": {"zip": [1]}}', "inform", [("city", {"zip": [1]})], id="object as value"),
        pytest.param('* inform{"name": "A OR B"}', "inform", [("name", "A OR B")], id="separator in a string"),
        pytest.param('* inform{"name": "a } b { c"}', "inform", [("name", "a } b { c")], id="braces in a string"),
        pytest.param('* inform{"name": "Zoë ☃ \\u00e9"}', "inform", [("name", "Zoë ☃ é")], id="unicode"),
        pytest.param("* greet or deny", "greet or deny", [], id="lower-case or"),
        pytest.param("* greet ORdeny", "greet ORdeny", [], id="separator without space"),
    ],
)
def test_a_star_is_a_message_of_the_user(read, line, intent, entities):
    [step] = read(f"## s\n{line}")

    [message] = step.events
    assert message.intent == {"name": intent, "confidence": 1.0}
    assert names_and_values(message) == entities


def test_a_message_has_a_whole_parse(read):
    [step] = read('## s\n* inform{"name":"Anna"}')

    [message] = step.events
    assert message.parse_data == {
        "text": '/inform{"name": "Anna"}',
        "intent": {"name": "inform", "confidence": 1.0},
        "entities": [{"entity": "name", "value": "Anna"}],
        "intent_ranking": [{"name": "inform", "confidence": 1.0}],
    }
    assert message.text == message.parse_data["text"]


@pytest.mark.parametrize(
    ("line", "events"),
    [
        pytest.param("- utter_greet", [ActionExecuted("utter_greet")], id="action"),
        pytest.param("-utter_greet", [ActionExecuted("utter_greet")], id="no space"),
        pytest.param('- utter_greet{"k": 1}', [ActionExecuted("utter_greet")], id="parameters are ignored"),
        pytest.param("- topic[x]", [ActionExecuted("topic[x]")], id="topic is an action"),
        pytest.param("- user", [ActionExecuted("user")], id="user is an action"),
        pytest.param("- bot", [ActionExecuted("bot")], id="bot is an action"),
        pytest.param("- action_listen", [ActionExecuted("action_listen")], id="listen"),
        pytest.param('- slot{"city": "Rome"}', [SlotSet("city", "Rome")], id="slot"),
        pytest.param('- slot{"city": null}', [SlotSet("city", None)], id="slot without value"),
        pytest.param('- slot{"city": 1, "name": [2]}', [SlotSet("city", 1), SlotSet("name", [2])], id="two slots"),
        pytest.param("- restart", [Restarted()], id="restart"),
        pytest.param("- reset_slots", [AllSlotsReset()], id="reset_slots"),
        pytest.param("- rewind", [UserUtteranceReverted()], id="rewind"),
        pytest.param("- undo", [ActionReverted()], id="undo"),
        pytest.param("- pause", [ConversationPaused()], id="pause"),
        pytest.param("- resume", [ConversationResumed()], id="resume"),
        pytest.param("- export", [StoryExported()], id="export"),
        pytest.param('- followup{"name": "utter_ok"}', [FollowupAction("utter_ok")], id="followup"),
        pytest.param(
            '- reminder{"action": "utter_ok", "date_time": "2018-09-03T11:41:10", '
            '"name": "r", "kill_on_user_msg": false}',
            [ReminderScheduled("utter_ok", datetime(2018, 9, 3, 11, 41, 10), "r", False)],
            id="reminder",
        ),
    ],
)
def test_a_dash_is_an_action_or_an_event(read, line, events):
    [step] = read(f"## s\n* greet\n{line}")

    assert list(step.events[1:]) == events


def test_or_gives_alternatives_between_generated_checkpoints(read):
    before, first, second, after = read('## s\n* greet\n - utter_ask\n* affirm OR inform{"name": "x"}\n - utter_ok')

    [fork], [join] = before.end_checkpoints, after.start_checkpoints
    assert first.start_checkpoints == second.start_checkpoints == (fork,)
    assert first.end_checkpoints == second.end_checkpoints == (join,)
    assert [step.events[0].intent["name"] for step in (first, second)] == ["affirm", "inform"]
    assert fork.name.startswith("GENR_")
    assert join.name.startswith("GENR_")
    assert fork != join


def test_or_as_the_whole_story_needs_no_checkpoints(read):
    first, second = read("## s\n* affirm OR deny")

    assert first.start_checkpoints == second.start_checkpoints == (Checkpoint(STORY_START),)
    assert first.end_checkpoints == second.end_checkpoints == ()


def test_or_between_checkpoints_uses_them(read):
    first, second = read("## s\n> a\n* affirm OR deny\n> b")

    assert first.start_checkpoints == second.start_checkpoints == (Checkpoint("a"),)
    assert first.end_checkpoints == second.end_checkpoints == (Checkpoint("b"),)


def test_generated_names_differ_between_files_and_lines_and_not_between_runs(domain):
    lines = ["## s", "* affirm OR deny", " - utter_ok", "* affirm OR deny", " - utter_ok"]

    def names(label: str) -> list[str]:
        steps = StoryFileReader(domain).process_lines(lines, label=label)
        return sorted({end.name for step in steps for end in step.end_checkpoints})

    assert names("a.md") == names("a.md")
    assert len({*names("a.md"), *names("b.md")}) == 6


def test_checkpoints_first_in_a_story_are_alternative_starts(read):
    [step] = read('## s\n> a\n> b{"city": "Rome", "name": null}\n* greet')

    assert step.start_checkpoints == (Checkpoint("a"), Checkpoint("b", {"city": "Rome", "name": None}))


def test_a_checkpoint_with_lines_before_and_after_splits_the_story(read):
    before, after = read("## s\n* greet\n> a\n - utter_greet")

    assert before.end_checkpoints == after.start_checkpoints == (Checkpoint("a"),)
    assert [type(event) for event in before.events] == [UserUttered]
    assert [type(event) for event in after.events] == [ActionExecuted]


def test_two_checkpoints_in_a_row_are_both_ends(read):
    before, after = read("## s\n* greet\n> a\n> b\n - utter_greet")

    assert before.end_checkpoints == after.start_checkpoints == (Checkpoint("a"), Checkpoint("b"))


def test_a_story_of_checkpoints_alone_ends_where_it_starts(read):
    [step] = read("## s\n> a")

    assert step.start_checkpoints == (Checkpoint("a"),)
    assert step.events == step.end_checkpoints == ()


@pytest.mark.parametrize("line", ['> b{"city": "Rome"}', '> b{"city": "Rome"}\n - utter_ok'], ids=["end", "middle"])
def test_conditions_elsewhere_than_at_the_start_are_ignored_with_a_warning(read, line, caplog):
    step = read(f"## s\n* greet\n{line}")[0]

    assert step.end_checkpoints == (Checkpoint("b"),)
    assert 'stories.md:3 "s": the conditions of the checkpoint' in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("## s\n* gre<!-- x -->et\n - utter_greet", id="within a line"),
        pytest.param("## s <!-- a --> <!-- b -->\n* greet\n - utter_greet<!-- c -->", id="several"),
        pytest.param("<!-- a\n## t\n* deny\n-->\n## s\n* greet\n - utter_greet", id="over several lines"),
        pytest.param("## s\n* greet <!-- a\n - utter_bye --> <!-- b\n--> - utter_greet", id="lines share comments"),
        pytest.param("## s\n* greet\n<!--\n-->\n\n \n - utter_greet", id="empty lines"),
    ],
)
def test_comments_and_empty_lines_say_nothing(read, text):
    assert read(text) == read("## s\n* greet\n - utter_greet")


def test_template_variables_are_replaced_anywhere(read):
    text = '## `title`\n* inform{"name": "`who`"}\n - `does``what`\n> `where`'

    [step] = read(text, template_vars={"title": "t", "who": "Anna", "does": "utter_", "what": "ok", "where": "a"})

    assert step == read('## t\n* inform{"name": "Anna"}\n - utter_ok\n> a')[0]


def test_a_single_backtick_is_text(read):
    [step] = read('## s\n* inform{"name": "a`b"}')

    assert names_and_values(step.events[0]) == [("name", "a`b")]


@pytest.mark.parametrize(
    ("line", "intent", "entities"),
    [
        pytest.param("* _greet", "greet", [], id="no entities"),
        pytest.param("* _greet[]", "greet", [], id="empty brackets"),
        pytest.param("* _inform[name=Anna]", "inform", [("name", "Anna")], id="entity"),
        pytest.param("* _inform[name=Anna, city=Rome]", "inform", [("name", "Anna"), ("city", "Rome")], id="two"),
        pytest.param('* _inform[name="a=b"]', "inform", [("name", "a=b")], id="quotes"),
        pytest.param("* _inform[name={x}]", "inform", [("name", "{x}")], id="braces"),
        pytest.param("* _Inform[name=Anna]", "inform", [("name", "Anna")], id="capital"),
    ],
)
def test_the_old_format_is_read_with_a_warning(read, line, intent, entities):
    with pytest.warns(DeprecationWarning, match=r'stories\.md:2 "s": .* old format; write \* intent\{'):
        [step] = read(f"## s\n{line}")

    assert step.events[0].intent["name"] == intent
    assert names_and_values(step.events[0]) == entities


def test_the_old_format_is_warned_of_once_a_file(domain):
    lines = ["## s", "* _greet", "* _greet", "* _deny OR _affirm"]

    def read_two_files() -> None:
        reader = StoryFileReader(domain)
        reader.process_lines(lines, "a.md")
        reader.process_lines(lines, "b.md")

    with pytest.warns(DeprecationWarning, match="old format") as warned:
        read_two_files()

    assert [str(warning.message).partition(":")[0] for warning in warned] == ["a.md", "b.md"]


def test_an_intent_of_the_domain_may_start_with_an_underscore():
    with_underscore = Domain(["_odd"], [], [], {})

    [step] = StoryFileReader(with_underscore).process_lines(["## s", "* _odd"])

    assert step.events[0].intent["name"] == "_odd"


@pytest.mark.parametrize("line", ["some words", "= x", "---", "***", ">>>", "1. first"])
def test_any_other_line_is_skipped_with_a_warning(read, line, caplog):
    assert read(f"## s\n* greet\n{line}\n - utter_greet") == read("## s\n* greet\n - utter_greet")
    assert f'stories.md:3 "s": skipped {line!r}' in caplog.text


def test_words_before_the_first_story_are_skipped(read):
    assert len(read("About these stories:\n\n## s\n* greet")) == 1


def test_a_story_that_says_nothing_is_skipped_with_a_warning(read, caplog):
    assert [step.block_name for step in read("## empty\n## s\n* greet")] == ["s"]
    assert 'stories.md:1 "empty": the story has no lines' in caplog.text


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        pytest.param("* gret", "the domain has no intent 'gret'. Did you mean 'greet'?", id="intent"),
        pytest.param('* greet{"nam": 1}', "the domain has no entity 'nam'. Did you mean 'name'?", id="entity"),
        pytest.param('- slot{"citi": 1}', "the domain has no slot 'citi'. Did you mean 'city'?", id="slot"),
        pytest.param("- greet", "the domain has no action 'greet'. It is an intent; a message is", id="dash"),
        pytest.param("- utter_gret", "the domain has no action 'utter_gret'. Did you mean 'utter_greet'", id="action"),
        pytest.param(
            '- followup{"name": "utter_k"}', "the domain has no action 'utter_k'. Did you mean", id="followup"
        ),
    ],
)
def test_unknown_names_are_warned_of_once_with_the_nearest(read, line, warning, caplog):
    read(f"## s\n* greet\n{line}\n{line}")

    [record] = caplog.records
    assert f'stories.md:3 "s": {warning}' in record.getMessage()


def test_an_unknown_slot_in_a_condition_is_warned_of(read, caplog):
    read('## s\n> a{"citi": 1}\n* greet')

    assert "stories.md:2 \"s\": the domain has no slot 'citi'" in caplog.text


def test_the_restart_intent_is_known_without_standing_in_the_domain(read, caplog):
    read("## s\n* restart\n - action_restart")

    assert not caplog.records


def test_without_a_domain_no_name_is_unknown(caplog):
    assert len(StoryFileReader().process_lines(["## s", "* anything", "- whatever"])) == 1
    assert not caplog.records


class _Interpreter(NaturalLanguageInterpreter):
    def parse(self, text):
        intent = {"name": "inform", "confidence": 0.8}
        return {
            "text": text,
            "intent": intent,
            "intent_ranking": [intent],
            "entities": [{"entity": "name", "value": "Anna"}],
        }


def test_an_interpreter_reads_messages_that_are_no_intents(domain):
    [step] = StoryFileReader(domain, _Interpreter()).process_lines(["## s", "* I am Anna", "* greet"])

    spoken, named = step.events
    assert (spoken.text, spoken.intent["name"], names_and_values(spoken)) == (
        "I am Anna",
        "inform",
        [("name", "Anna")],
    )
    assert named.intent == {"name": "greet", "confidence": 1.0}


def test_each_step_and_event_keeps_its_line(read):
    before, first, second, after = read(
        "\n## s\n* greet\n\n - utter_ask\n* affirm OR deny\n> a\n - utter_ok\n - utter_bye"
    )

    assert [str(source) for source in before.sources] == ['stories.md:3 "s"', 'stories.md:5 "s"']
    assert before.source.line == 2
    assert [source.line for source in (*first.sources, *second.sources)] == [6, 6]
    assert [source.line for source in after.sources] == [8, 9]
    assert after.source.line == 8


def test_a_line_of_several_events_is_the_source_of_each(read):
    [step] = read('## s\n- slot{"city": 1, "name": 2}\n- utter_ok')

    assert [source.line for source in step.sources] == [2, 2, 3]


def test_equal_lines_share_one_event(read):
    [step] = read("## s\n* greet\n - utter_greet\n* greet\n - utter_greet")

    assert step.events[0] is step.events[2]
    assert step.events[1] is step.events[3]


@pytest.mark.parametrize(
    ("line", "intent", "entities"),
    [
        pytest.param("* inform[city=London]", "inform", [("city", "London")], id="one"),
        pytest.param("* inform [city = London, name=Al]", "inform", [("city", "London"), ("name", "Al")], id="two"),
        pytest.param("* /inform[city=12:30]", "inform", [("city", "12:30")], id="slash"),
        pytest.param("* inform[]", "inform", [], id="empty"),
        pytest.param("* inform[city=San Jose, CA]", "inform", [("city", "San Jose, CA")], id="comma in a value"),
        pytest.param("* see the [London](city) guide", "see the [London](city) guide", [], id="an example of NLU data"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*old format")
def test_the_old_format_needs_no_underscore(read, line, intent, entities):
    [step] = read(f"## s\n{line}")

    [message] = step.events
    assert (message.intent["name"], names_and_values(message)) == (intent, entities)


@pytest.mark.filterwarnings("ignore:.*old format")
def test_alternatives_may_be_of_the_old_format(read):
    first, second, _ = read("## s\n* affirm OR inform[city=London]\n- utter_ok")

    assert [step.events[0].intent["name"] for step in (first, second)] == ["affirm", "inform"]
    assert names_and_values(second.events[0]) == [("city", "London")]


_DOUBLED = ", ".join(f"x{number}: &x{number} [*x{number - 1}{f', *x{number - 1}' * 30}]" for number in range(1, 9))


@pytest.mark.parametrize(
    ("line", "entities"),
    [
        pytest.param('* inform{"city": None}', [], id="None"),
        pytest.param('* inform{"city": True, "name": False}', [("city", True), ("name", False)], id="True, False"),
        pytest.param("* inform{'city': 'it''s'}", [("city", "it's")], id="single quotes"),
        pytest.param("* inform{\u201ccity\u201d: \u201cRome\u201d}", [("city", "Rome")], id="curly quotes"),
        pytest.param('* inform{"city": Rome}', [("city", "Rome")], id="no quotes"),
        pytest.param("* inform{city: Rome, name:Al}", [("city", "Rome"), ("name", "Al")], id="no quotes, no space"),
        pytest.param("* inform{city=Rome}", [("city", "Rome")], id="equals sign"),
        pytest.param('* inform{"city": 12:30}', [("city", "12:30")], id="time"),
        pytest.param('* inform{"city": 007}', [("city", "007")], id="leading zeros"),
        pytest.param('* inform{"city": 7,}', [("city", 7)], id="comma too many"),
        pytest.param('* inform{"city": "Rome"', [("city", "Rome")], id="no closing brace"),
        pytest.param('* inform{"city": ["a", None]}', [("city", "a")], id="list"),
        pytest.param("* inform{city=#fff, name:&x}", [("city", "#fff"), ("name", "&x")], id="signs of YAML"),
        pytest.param("* inform{city='it is', name=\"7\"}", [("city", "it is"), ("name", "7")], id="quotes behind ="),
        pytest.param("* inform{[city]: Rome}", [], id="a list as a key"),
        pytest.param("* inform{city: &a [*a]}", [], id="an alias inside of what it names"),
        pytest.param(f"* inform{{city: &x0 [1], {_DOUBLED}}}", [], id="aliases that stand for millions"),
        pytest.param("* inform{", [], id="empty"),
    ],
)
def test_what_is_not_json_is_read_as_it_is_meant_and_told(read, caplog, line, entities):
    first, second, _ = read(f"## s\n* greet\n{line} OR deny\n- utter_ok")[1:]

    assert (first.events[0].intent["name"], names_and_values(first.events[0])) == ("inform", entities)
    assert second.events[0].intent["name"] == "deny"
    assert 'stories.md:3 "s": what stands in braces' in caplog.text
    assert caplog.records[0].levelname == "WARNING"


def test_an_event_that_is_not_json_is_read_as_it_is_meant_wherever_it_stands(read, caplog):
    [step] = read('## s\n- slot{"city": None}\n- slot{"city": None}')

    assert step.events == (SlotSet("city", None), SlotSet("city", None))
    assert [record.getMessage().split(" ")[0] for record in caplog.records] == ["stories.md:2", "stories.md:3"]


def test_what_nobody_can_read_in_braces_is_left_out_and_told(read, caplog):
    [step] = read('## s\n* inform{"city" "name": 1}')

    assert names_and_values(step.events[0]) == []
    assert "The message is read without entities" in caplog.text


@pytest.mark.parametrize(
    ("line", "entities"),
    [("*", []), ("* ", []), ('* {"city": "Rome"}', [("city", "Rome")]), ("* /", []), ("* _", [])],
)
@pytest.mark.filterwarnings("ignore:.*old format")
def test_a_message_without_an_intent_is_one_of_which_none_is_known(read, caplog, line, entities):
    [step] = read(f"## s\n{line}\n- utter_ok")

    message = step.events[0]
    assert (message.intent["name"], names_and_values(message)) == (None, entities)
    assert 'stories.md:2 "s": the name of an intent is missing' in caplog.text
    assert "has no intent" not in caplog.text


@pytest.mark.parametrize("mark", ["-", " - ", ">"])
def test_a_mark_with_no_name_behind_it_is_passed_over_and_told(read, caplog, mark):
    [step] = read(f"## s\n* greet\n{mark}\n- utter_ok")

    assert [event.type_name for event in step.events] == ["user", "action"]
    assert (
        f'stories.md:3 "s": skipped {mark.strip()!r}: the name of an action or a checkpoint is missing' in caplog.text
    )


def test_a_story_may_stand_in_a_fence(read, caplog):
    [step] = read("```\n## s\n* greet\n- utter_ok\n```")

    assert len(step.events) == 2
    assert "stories.md:1: skipped '```'" in caplog.text


@pytest.mark.parametrize("line", ["1. greet", "+ greet", "[ ] greet", "~ utter_ok", "utter_ok", "greet"])
def test_a_line_that_is_skipped_and_says_something_is_lost(line):
    problems: list[Problem] = []
    reader = StoryFileReader(Domain(["greet"], [], [], {"utter_ok": [{"text": "ok"}]}, ["utter_ok"]), problems=problems)
    reader.process_lines(["## s", line, "* greet", "- utter_ok"])

    assert [problem.kind for problem in problems] == [LOST]


@pytest.mark.parametrize(
    ("line", "entities", "is_told"),
    [
        ("inform[city=Rome][people=2]", [("city", "Rome"), ("people", "2")], True),
        ("inform[city=Rome]]", [("city", "Rome")], True),
        ("_inform[city=Rome] ", [("city", "Rome")], False),
    ],
)
@pytest.mark.filterwarnings("ignore:.*old format")
def test_brackets_that_are_not_one_pair_are_read_as_one_and_told(read, caplog, line, entities, is_told):
    [step] = read(f"## s\n* {line}\n- utter_ok")

    assert names_and_values(step.events[0]) == entities
    assert ("the brackets after the intent are not one pair" in caplog.text) == is_told


@pytest.mark.parametrize("behind", ['{"people": 2}', "{}", " please", "x"])
@pytest.mark.filterwarnings("ignore:.*old format")
def test_what_stands_behind_a_bracket_is_no_value_and_told(read, caplog, behind):
    [step] = read(f"## s\n* _inform[city=Rome]{behind}\n- utter_ok")

    assert names_and_values(step.events[0]) == [("city", "Rome")]
    assert f"{behind.strip()!r} stands behind the bracket" in caplog.text


@pytest.mark.parametrize("line", ["* affirm OR  OR deny", "* affirm OR deny OR", "* OR affirm OR deny"])
def test_an_alternative_that_is_missing_is_left_out_and_told(read, caplog, line):
    steps = read(f"## s\n{line}")

    assert [step.events[0].intent["name"] for step in steps] == ["affirm", "deny"]
    assert 'stories.md:2 "s": an alternative is missing' in caplog.text


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("\ufeff", r"zero width no-break space \(U\+FEFF\)"),
        ("\u200b", r"zero width space \(U\+200B\)"),
        ("\u2013 ", r"en dash \(U\+2013\)"),
        ("\u2014", r"em dash \(U\+2014\)"),
        ("\u2022", r"bullet \(U\+2022\)"),
        ("\u201c", r"left double quotation mark \(U\+201C\)"),
        ("\u2018", r"left single quotation mark \(U\+2018\)"),
        ("\uff03", r"fullwidth number sign \(U\+FF03\)"),
    ],
)
@pytest.mark.parametrize("rest", ["## other", "- utter_ok", "* greet"])
def test_a_character_that_looks_like_a_mark_is_an_error_with_its_column(read, first, name, rest):
    with pytest.raises(
        StoryParseError, match=rf"^stories\.md:3:3: the line begins with {name}, which only looks right"
    ):
        read(f"## s\n* greet\n  {first}{rest}")


def test_the_old_import_path_leads_to_the_reader():
    assert OldPathReader is StoryFileReader


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (["* greet", "- utter_ok", "- action_listen", "- utter_ok"], 4),
        (["* greet", "- action_listen", "- restart", "- action_listen", "- utter_ok"], 3),
        (["* greet", "- utter_ok", "- action_listen", "* greet", "- utter_ok"], None),
        (["* greet OR greet", "- action_listen", "* greet OR greet", "- utter_ok"], None),
    ],
)
def test_listening_before_an_action_is_said_in_vain(lines: list[str], number: int | None) -> None:
    problems: list[Problem] = []
    domain = Domain(["greet"], [], [], {"utter_ok": [{"text": "ok"}]}, ["utter_ok"])
    StoryFileReader(domain, problems=problems).process_lines(["## s", *lines])
    told = [problem for problem in problems if "listens before messages of the user alone" in problem.message]
    assert [problem.place.line for problem in told] == ([] if number is None else [number])
    assert {problem.severity for problem in told} <= {"warning"}


def test_listening_is_said_where_it_counts_in_stories_of_rasa() -> None:
    problems: list[Problem] = []
    domain = Domain.from_yaml("version: '2.0'\nintents: [greet]\nresponses: {utter_ok: [{text: ok}]}\nslots: {}\n")
    assert domain.rasa is not None
    lines = ["## s", "* greet", "- utter_ok", "- action_listen", "- utter_ok"]
    steps = StoryFileReader(domain, problems=problems).process_lines(lines)
    [tracker] = TrainingDataGenerator(StoryGraph(steps), domain, augmentation_factor=0).generate()
    names = [event.action_name for event in tracker.events if isinstance(event, ActionExecuted)]
    assert names[-4:] == ["utter_ok", "action_listen", "utter_ok", "action_listen"]
    assert not any("listens before" in problem.message for problem in problems)
