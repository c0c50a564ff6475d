"""Adding examples to a file of NLU data, in its style."""

from __future__ import annotations

import pytest

from rasa_core.nlu.edits import with_example
from rasa_core.support.text_edits import EditError

MARKDOWN = "# title\n\n## intent:greet\n- hello\n* hi\n\n<!-- kept -->\n## intent:bye\n- bye\n"
YAML = """\
version: "3.1"
nlu:
- intent: greet   # kept
  examples: |
    - hello
    - hi
- lookup: city
  examples: |
    - Porto
- intent: bye
  examples:
  - text: bye
  - see you
stories:
- story: one
  steps:
  - intent: greet
  - action: utter_hello
"""


@pytest.mark.parametrize(
    ("name", "before", "intent", "where", "added"),
    [
        ("nlu.md", MARKDOWN, "greet", "* hi\n", "* to [Porto](city)\n"),
        ("nlu.md", MARKDOWN, "bye", "- bye\n", "- to [Porto](city)\n"),
        ("nlu.md", MARKDOWN, "search", "- bye\n", "\n## intent:search\n- to [Porto](city)\n"),
        ("nlu.yml", YAML, "greet", "    - hi\n", "    - to [Porto](city)\n"),
        ("nlu.yml", YAML, "bye", "  - see you\n", '  - "to [Porto](city)"\n'),
        (
            "nlu.yml",
            YAML,
            "search",
            "  - see you\n",
            "- intent: search\n  examples: |\n    - to [Porto](city)\n",
        ),
    ],
)
def test_an_example_stands_behind_those_of_its_intent(
    name: str, before: str, intent: str, where: str, added: str
) -> None:
    after = with_example(before.encode(), name, intent, "to [Porto](city)").decode()
    assert after == before.replace(where, where + added)


def test_a_file_that_is_not_there_is_made() -> None:
    assert with_example(b"", "nlu.md", "greet", "hello") == b"## intent:greet\n- hello\n"
    made = b'version: "3.1"\nnlu:\n- intent: greet\n  examples: |\n    - hello\n'
    assert with_example(b"", "nlu.yml", "greet", "hello") == made


def test_lines_end_as_in_the_file() -> None:
    before = MARKDOWN.replace("\n", "\r\n").encode()
    assert with_example(before, "nlu.md", "greet", "ahoy") == before.replace(b"* hi\r\n", b"* hi\r\n* ahoy\r\n")


def test_an_example_that_there_is_changes_nothing() -> None:
    assert with_example(MARKDOWN.encode(), "nlu.md", "greet", "hello") == MARKDOWN.encode()
    assert with_example(YAML.encode(), "nlu.yml", "greet", "hi") == YAML.encode()


@pytest.mark.parametrize(
    ("name", "content", "message", "problem"),
    [
        ("nlu.json", b'{"rasa_nlu_data": {}}', "hello", "by hand"),
        ("nlu.md", MARKDOWN.encode(), "", "would not be read"),
        ("nlu.yml", b"nlu:\n- intent: greet\n  examples: [a, b]\n", "hello", "nothing can be added"),
    ],
)
def test_what_would_not_be_read_as_meant_is_refused(name: str, content: bytes, message: str, problem: str) -> None:
    with pytest.raises(EditError, match=problem):
        with_example(content, name, "greet", message)
