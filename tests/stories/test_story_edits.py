"""Adding stories to a file, in its style; the rest of the file stays the same, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from rasa_core.events import ActionExecuted, SlotSet, UserUttered
from rasa_core.events.rasa3 import ActiveLoop
from rasa_core.stories.edits import annotated, titles_in, with_story
from rasa_core.support.text_edits import Edit, EditError, NewerEditError, content_of, write_edits
from rasa_core.support.yaml_parts import yaml_part

LISTEN = ActionExecuted("action_listen")


def said(intent: str, text: str = "", **entities: str) -> UserUttered:
    found = [{"entity": name, "value": value} for name, value in entities.items()]
    return UserUttered(text or None, {"name": intent, "confidence": 1.0}, found)


EVENTS = [
    LISTEN,
    said("search", city="Porto"),
    ActionExecuted("action_search"),
    SlotSet("found", ["a: b", 2]),
    ActionExecuted("utter_found"),
    LISTEN,
]


@pytest.mark.parametrize(
    ("before", "added"),
    [
        (
            "## one\n* greet\n  - utter_hello\n",
            '\n## new\n* search{"city": "Porto"}\n  - action_search\n  - slot{"found": ["a: b", 2]}\n  - utter_found\n',
        ),
        (
            "## one\n* greet\n    - utter_hello\n\n",
            '## new\n* search{"city": "Porto"}\n    - action_search\n    - slot{"found": ["a: b", 2]}\n'
            "    - utter_found\n",
        ),
        (
            "## one\n*  greet\n- utter_hello",
            '\n\n## new\n*  search{"city": "Porto"}\n- action_search\n- slot{"found": ["a: b", 2]}\n- utter_found\n',
        ),
        ("", '## new\n* search{"city": "Porto"}\n  - action_search\n  - slot{"found": ["a: b", 2]}\n  - utter_found\n'),
    ],
    ids=["two spaces", "four spaces and an empty line", "no line end", "empty"],
)
def test_a_story_is_appended_as_the_file_is_written(before: str, added: str) -> None:
    after = with_story(before.encode(), "stories.md", "new", EVENTS)
    assert after.decode() == before + added


def test_lines_end_as_in_the_file_and_a_mark_at_its_start_stays() -> None:
    before = "\ufeff## one\r\n* greet\r\n  - utter_hello\r\n".encode()
    after = with_story(before, "stories.md", "new", EVENTS)
    assert after.startswith(before)
    assert after.count(b"\n") == after.count(b"\r\n") == 9


def test_a_story_takes_the_place_of_another() -> None:
    before = b"## one\n* greet\n  - utter_hello\n\n<!-- kept -->\n## two\n* bye\n  - utter_bye\n\n## three\n* x\n"
    after = with_story(before, "stories.md", "two again", [said("bye"), ActionExecuted("utter_hello")], replace="two")
    assert after == before.replace(b"## two\n* bye\n  - utter_bye", b"## two again\n* bye\n  - utter_hello")


def test_names_that_yaml_would_read_as_something_else_are_quoted() -> None:
    events = [LISTEN, said("a", **{"no: x": "1"}), SlotSet("# s", 1)]
    after = with_story(b"stories:\n", "stories.yml", "new", events)
    part = yaml_part(after.decode(), "stories.yml")
    assert part is not None
    message, slots = part.data["stories"][0]["steps"]
    assert message == {"intent": "a", "entities": [{"no: x": "1"}]}
    assert slots == {"slot_was_set": [{"# s": 1}]}


def test_only_line_ends_separate_the_lines_of_a_file() -> None:
    before = "## one\n* say: a\u2028## two\x0c## three\n  - utter_a\n## four\n* x\n".encode()
    assert titles_in(before, "stories.md") == ["one", "four"]
    after = with_story(before, "stories.md", "five", [said("bye"), ActionExecuted("utter_hello")], replace="four")
    assert after == before.replace(b"## four\n* x\n", b"## five\n* bye\n  - utter_hello\n")


def test_a_name_that_there_is_gets_a_number() -> None:
    before = b"## one\n* greet\n  - utter_hello\n"
    after = with_story(before, "stories.md", "one", EVENTS)
    assert titles_in(after, "stories.md") == ["one", "one 2"]


YAML = """\
version: "3.1"   # kept as it is

stories:
- story: one   # a comment
  steps:
  - intent: greet
  - action: utter_hello

rules:

- rule: bye
  steps:
  - intent: bye
  - action: utter_bye

nlu:
- intent: greet
  examples: |
    - hello
"""


def test_a_yaml_story_stands_at_the_end_of_its_section() -> None:
    after = with_story(YAML.encode(), "stories.yml", "new: one", [*EVENTS, ActiveLoop("form"), ActiveLoop(None)])
    new = """\
- story: "new: one"
  steps:
  - intent: search
    entities:
    - city: Porto
  - action: action_search
  - slot_was_set:
    - found: ["a: b", 2]
  - action: utter_found
  - active_loop: form
  - active_loop: null
"""
    assert after.decode() == YAML.replace("  - action: utter_hello\n", "  - action: utter_hello\n" + new)


def test_a_rule_stands_among_the_rules() -> None:
    after = with_story(YAML.encode(), "rules.yml", "new", [said("yes"), ActionExecuted("null")], "rule").decode()
    new = '- rule: new\n  steps:\n  - intent: "yes"\n  - action: "null"\n'
    assert after == YAML.replace("  - action: utter_bye\n", "  - action: utter_bye\n" + new)


def test_indented_items_stay_indented() -> None:
    before = "stories:\n  - story: one\n    steps:\n      - intent: greet\n      - action: utter_hello\n"
    after = with_story(before.encode(), "s.yml", "two", [said("bye"), ActionExecuted("utter_bye")]).decode()
    assert after == before + "  - story: two\n    steps:\n      - intent: bye\n      - action: utter_bye\n"


def test_a_test_has_what_the_user_said() -> None:
    message = UserUttered(
        "in Porto please",
        {"name": "inform"},
        [{"entity": "city", "value": "Porto", "start": 3, "end": 8}],
    )
    after = with_story(b"", "tests/test_stories.yml", "t", [message, ActionExecuted("utter_ok")], "test").decode()
    assert after == (
        'version: "3.1"\n\nstories:\n- story: t\n  steps:\n  - user: |\n      in [Porto](city) please\n'
        "    intent: inform\n  - action: utter_ok\n"
    )


@pytest.mark.parametrize(
    ("name", "kind", "replace", "problem"),
    [
        ("stories.md", "rule", None, "rules are written in YAML"),
        ("stories.md", "story", "none", "no story 'none'"),
    ],
)
def test_what_cannot_be_written_is_told(name: str, kind: str, replace: str | None, problem: str) -> None:
    with pytest.raises(EditError, match=problem):
        with_story(b"## one\n* a\n  - b\n", name, "new", EVENTS, kind, replace)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "entities", "as_json", "expected"),
    [
        ("to Porto", [("city", "Porto", 3, 8)], False, "to [Porto](city)"),
        ("to NYC", [("city", "New York", 3, 6)], False, "to [NYC](city:New York)"),
        ("to NYC", [("city", "New York", 3, 6)], True, 'to [NYC]{"entity": "city", "value": "New York"}'),
        ("\U0001f600 Porto", [("city", "Porto", 2, 7)], False, "\U0001f600 [Porto](city)"),
        ("a\nb", [], False, "a b"),
        ("Porto", [("city", "Porto", 0, 5), ("place", "Por", 0, 3)], False, "[Porto](city)"),
    ],
)
def test_entities_are_marked(text: str, entities: list, as_json: bool, expected: str) -> None:
    given = [{"entity": name, "value": value, "start": start, "end": end} for name, value, start, end in entities]
    assert annotated(text, given, as_json=as_json) == expected


class TestWriting:
    def test_a_file_is_written_whole_with_its_permissions(self, tmp_path: Path) -> None:
        path = tmp_path / "stories.md"
        path.write_bytes(b"before\n")
        path.chmod(0o640)
        write_edits([Edit(path, b"before\n", b"after\n"), Edit(tmp_path / "new/file.md", b"", b"new\n")])
        assert path.read_bytes() == b"after\n"
        assert path.stat().st_mode & 0o777 == 0o640
        assert (tmp_path / "new/file.md").read_bytes() == b"new\n"
        assert sorted(found.name for found in tmp_path.iterdir()) == ["new", "stories.md"]

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "stories.md").write_bytes(b"before\n")
        (tmp_path / "link.md").symlink_to(tmp_path / "stories.md")
        write_edits([Edit(tmp_path / "link.md", b"before\n", b"after\n")])
        assert (tmp_path / "link.md").is_symlink()
        assert (tmp_path / "stories.md").read_bytes() == b"after\n"

    def test_a_full_disk_leaves_the_file_as_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        (tmp_path / "stories.md").write_bytes(b"before\n")
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(EditError, match="No space left"):
            write_edits([Edit(tmp_path / "stories.md", b"before\n", b"after\n")])
        assert [path.name for path in tmp_path.iterdir()] == ["stories.md"]
        assert (tmp_path / "stories.md").read_bytes() == b"before\n"

    def test_a_newer_edit_is_never_written_over(self, tmp_path: Path) -> None:
        one, two = tmp_path / "one.md", tmp_path / "two.md"
        one.write_bytes(b"1")
        two.write_bytes(b"2")
        edits = [Edit(one, b"1", b"x"), Edit(two, b"old", b"y")]
        with pytest.raises(NewerEditError, match=r"two\.md was changed by somebody else"):
            write_edits(edits)
        assert (one.read_bytes(), two.read_bytes()) == (b"1", b"2")

    def test_what_is_not_utf_8_is_not_added_to(self, tmp_path: Path) -> None:
        (tmp_path / "s.md").write_bytes(b"\xff\xfe")
        with pytest.raises(EditError, match="not UTF-8"):
            content_of(tmp_path / "s.md")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("stories.md", '  - action_search{"failed": true}\n'),
        ("stories.yml", "- action: action_search\n    failed: true\n"),
    ],
)
def test_an_action_that_failed_stays_one(name: str, line: str) -> None:
    events = [said("search"), ActionExecuted("action_search", error="no network"), ActionExecuted("utter_sorry")]
    assert line in with_story(b"", name, "new", events).decode()
