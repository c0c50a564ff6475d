"""Errors in story files: each names the place, what was expected, and the remedy."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_core.domain import Domain
from rasa_core.exceptions import StoryParseError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.yaml import read_yaml_stories
from rasa_core.support.problems import Problem


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        pytest.param("* greet", 1, 1, "belongs to no story; begin one with a line like ## name", id="no story yet"),
        pytest.param("\n  - utter_greet", 2, 3, "belongs to no story", id="no story yet, action"),
        pytest.param('## s\n -{"a": 1}', 2, 3, "of an action or event is missing; write - utter_greet", id="no action"),
        pytest.param('## s\n> {"a": 1}', 2, 2, "name of a checkpoint is missing; write > name", id="no checkpoint"),
        pytest.param('## s\n* greet{"name": NaN}', 2, 8, "NaN is not a JSON number", id="NaN"),
        pytest.param('## s\n* greet{"name": 1e999}', 2, 8, "the number 1e999 is too large", id="infinite number"),
        pytest.param('## s\n* greet{"a": ' + "9" * 5000 + "}", 2, 8, "not a JSON object", id="endless number"),
        pytest.param('## s\n* greet{"a": ' + "[" * 100_000, 2, 8, "nested deeper than 100 levels", id="deep JSON"),
        pytest.param("## s\n* _[name=1]", 2, 3, "name of an intent is missing", id="old, no intent"),
        pytest.param("## s\n- slot", 2, 3, "a slot line names at least one slot", id="slot without parameters"),
        pytest.param("## s\n- slot{}", 2, 3, "a slot line names at least one slot", id="slot without names"),
        pytest.param('## s\n- slot{"a" "b": 1}', 2, 12, "expecting ':' delimiter", id="slot, no object"),
        pytest.param('## s\n- slot{"a": 1} x', 2, 15, "'x' stands after the JSON object", id="slot, rest"),
        pytest.param("## s\n- reminder", 2, 3, '"reminder" is missing', id="reminder without what it needs"),
        pytest.param('## s\n> a{"city": }', 2, 13, "expecting value", id="condition"),
        pytest.param("## s\n* `nam`", 2, 3, "variable 'nam' is not defined.*'name'.*Known: name", id="variable"),
        pytest.param('## s\n<!-- x --> - slot{"a": 1} x', 2, 26, "'x' stands after", id="column behind a comment"),
        pytest.param('## s\n- `name`{"a": 1} y', 2, 17, "'y' stands after", id="column behind a variable"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*old format")
def test_an_error_tells_where_and_what(read, text, line, column, message):
    with pytest.raises(StoryParseError, match=f"(?s)^stories.md:{line}:{column}: .*{message}") as caught:
        read(text, template_vars={"name": "greet"})

    assert (caught.value.file, caught.value.line, caught.value.column) == ("stories.md", line, column)


class _BrokenInterpreter(NaturalLanguageInterpreter):
    def parse(self, text):
        return {"text": text}


def test_an_interpreter_without_a_parse_is_an_error_of_the_line(read):
    with pytest.raises(StoryParseError, match=r"stories\.md:2:2: the interpreter gave no valid parse of 'hello'"):
        read("## s\n* hello", interpreter=_BrokenInterpreter())


_MARKS = [*"""#*->{}[]="'\\,:`é☃""", "##", "<!--", "-->", "OR", "[a=b]", "NaN", "1e999"]
_WORDS = [
    "greet",
    "_inform",
    "name",
    "slot",
    "reminder",
    "followup",
    "restart",
    "rewind",
    "undo",
    "topic",
    "user",
]
_OBJECTS = [
    '{"a": 1}',
    '{"name": [1, null]}',
    '{"date_time": "2018"}',
    '{"action": "a", "date_time": "2018-01-01"}',
]
_SPACES = [
    "\n",
    "\r",
    "\t",
    "\x00",
    "\x1c",
    "\u2028",
    "\ufeff",
    "\ud800",
    " ",
    " OR ",
    "\n## s\n",
    "\n* ",
    "\n- ",
]
_LINE_PARTS = st.sampled_from([*_MARKS, *_WORDS, *_OBJECTS, *_SPACES])


def _error_of(text: str, **options: object) -> StoryParseError | None:
    domain = Domain(["greet"], ["name"], [], {})
    try:
        StoryFileReader(domain, **options).process_lines(text.split("\n"), "stories.md")
    except StoryParseError as error:
        return error
    return None


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.lists(_LINE_PARTS, max_size=25).map("".join),
        st.binary().map(lambda raw: raw.decode("latin-1")),
    )
)
@pytest.mark.filterwarnings("ignore:.*old format")
def test_no_text_crashes_the_reader(text):
    error = _error_of("## s\n" + text)

    assert error is None or error.line >= 1
    assert error is None or error.column >= 1


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("* " + "a OR " * 10_000 + "b", id="alternatives"),
        pytest.param("* " + "a{} OR " * 10_000 + "b", id="alternatives with objects"),
        pytest.param("* " + "{" * 200_000, id="braces"),
        pytest.param("* " + " " * 200_000 + "{", id="spaces"),
        pytest.param("* _a[" + "b=c," * 50_000 + "]", id="old format"),
        pytest.param("* a" + "<!---->" * 30_000, id="comments"),
        pytest.param("* a" + "<!--" * 50_000 + "-->", id="openings of comments"),
        pytest.param("* " + "`v`" * 50_000, id="variables"),
        pytest.param("- slot" + "{" * 200_000, id="slot braces"),
        pytest.param("## " + "#" * 200_000, id="hashes"),
        pytest.param("- " + "utter_gret" * 20_000, id="long unknown name"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*old format")
def test_a_long_line_takes_little_time(line):
    began = time.process_time()

    error = _error_of(f"## s\n{line}\n- utter_ok", template_vars={"v": "x"})

    assert error is None or error.line == 2
    assert time.process_time() - began < 5


WRONG = """* lost
* lost too
## one
* greet{"a": NaN}
 - utter_ok
 - slot{}
* `what` <!-- a comment
that goes on -->
## `title`
* greet
## fine
* greet
=
## two
* greet <!-- not closed
## three
* greet{"a": NaN}
"""


def test_all_errors_are_told_at_once_in_their_order(read, caplog):
    with pytest.raises(StoryParseError, match=r"^stories.md:1:1: '\* lost' belongs to no story") as caught:
        read(WRONG)

    places = [line.split(": ")[0] for line in str(caught.value).splitlines()]
    assert places == [f"stories.md:{place}" for place in ("1:1", "4:8", "6:4", "7:3", "9:4", "17:8")]
    assert "stories.md:13 \"fine\": skipped '='" in caplog.text


def test_of_very_many_errors_the_first_are_told(read):
    with pytest.raises(StoryParseError, match=r"(?s)^stories.md:2:3: .*\nand 2 more errors$") as caught:
        read("## s\n" + "- slot{}\n" * 12)

    assert len(str(caught.value).splitlines()) == 11


def test_errors_of_all_files_are_told_at_once(tmp_path, domain):
    (tmp_path / "a.md").write_text('## s\n* greet{"a": NaN}')
    (tmp_path / "b.md").write_bytes(b"## s\n* greet\xff")
    (tmp_path / "c.md").write_text("## s\n- slot")

    with pytest.raises(StoryParseError, match=r"a\.md:2:8: ") as caught:
        StoryFileReader.read_from_folder(tmp_path, domain)

    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        str(tmp_path / name) for name in ("a.md:2:8", "b.md:2:8", "c.md:2:3")
    ]


def test_stories_without_errors_are_read_where_problems_are_gathered(domain, caplog):
    problems: list[Problem] = []

    steps = StoryFileReader(domain, problems=problems).process_lines(WRONG.split("\n"), "stories.md")

    assert [step.block_name for step in steps] == ["fine", "two"]
    assert [problem.place.line for problem in problems if problem.severity == "error"] == [1, 4, 6, 7, 9, 17]
    assert [problem.place.line for problem in problems if problem.severity == "warning"] == [13, 15]
    assert not caplog.records


def test_yaml_that_cannot_be_read_does_not_hide_what_is_wrong_in_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("nlu: []\nnlu: []\n")
    (tmp_path / "b.yml").write_text("stories:\n- story: one\n  step: []\n  steps: [{intent: a}, {action: b}]\n")
    domain = Domain.from_yaml('version: "3.1"\nintents: [a]\nactions: [b]\n')

    with pytest.raises(StoryParseError, match=r"(?s)the key 'nlu' stands twice.*b\.yml:3: a story has no key 'step'"):
        read_yaml_stories(tmp_path, domain)


@pytest.mark.parametrize(
    ("line", "said", "column", "warning"),
    [
        pytest.param('* greet{"a": 1} x', 'greet{"a": 1}', "", "expected ' OR ' or the end of the line", id="rest"),
        pytest.param('* greet{"a": 1} or x', 'greet{"a": 1}', "", "'or x', which is passed over", id="lower-case or"),
        pytest.param('* greet{"a": 1} {"b": 2}', 'greet{"a": 1, "b": 2}', "", "two pairs of braces", id="two objects"),
        pytest.param("* _greet[name]", "greet", "", "'name' is not like entity=value", id="old, no value"),
        pytest.param("* _greet[name=1", 'greet{"name": "1"}', "", "bracket after the intent is not closed", id="old"),
        pytest.param("* greet <!-- a", "greet", ":9", "comment is not closed, and is taken to end", id="open comment"),
        pytest.param("<!-- a\n* greet", "greet", ":1", "comment is not closed", id="open comment above"),
        pytest.param(
            "<!-- a --> * greet <!-- b", "greet", ":20", "comment is not closed", id="open after a closed one"
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*old format")
def test_what_0_9_only_warned_about_is_read_as_it_was_meant(read, caplog, line, said, column, warning):
    [step] = read(f"## s\n{line}\n- utter_ok\n")

    assert [event.as_story_string() for event in step.events] == [said, "utter_ok"]
    assert warning in caplog.text
    assert f"stories.md:2{column}" in caplog.text
