"""Reading story files and folders of story files."""

from __future__ import annotations

import time

import pytest

from rasa_core.events import ActionExecuted
from rasa_core.exceptions import StoryParseError
from rasa_core.stories import extract_story_graph, load_data, persist_data
from rasa_core.stories.files import holds_stories, story_files
from rasa_core.stories.markdown import StoryFileReader

STORY = "## s\n* greet\n - utter_greet\n"


def _names(folder, domain):
    return [step.block_name for step in extract_story_graph(folder, domain).story_steps]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(STORY.encode(), id="plain"),
        pytest.param(b"\xef\xbb\xbf" + STORY.encode(), id="byte order mark"),
        pytest.param(STORY.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(STORY.replace("\n", "\r").encode(), id="CR"),
        pytest.param(STORY.rstrip().encode(), id="no end of the last line"),
    ],
)
def test_any_line_ends_and_a_byte_order_mark_are_read(tmp_path, domain, read, content):
    path = tmp_path / "stories.md"
    path.write_bytes(content)

    assert StoryFileReader.read_from_file(path, domain) == read(STORY)


def test_text_that_is_not_utf_8_is_an_error_with_its_place(tmp_path, domain):
    path = tmp_path / "stories.md"
    path.write_bytes("## s\n* greet\n - ütter".encode("latin-1"))

    with pytest.raises(StoryParseError, match=r"stories\.md:3:4: this is not UTF-8; save the file in that encoding"):
        load_data(path, domain)


def test_a_missing_file_is_an_error(tmp_path, domain):
    with pytest.raises(StoryParseError, match=r"nothing\.md: there is no such file; check the path"):
        load_data(str(tmp_path / "nothing.md"), domain)
    for read in (StoryFileReader.read_from_file, StoryFileReader.read_from_folder):
        with pytest.raises(FileNotFoundError, match=r"nothing: there is no such file; check the path"):
            read(tmp_path / "nothing", domain)


def test_an_error_names_the_file(tmp_path, domain):
    path = tmp_path / "stories.md"
    path.write_text("## s\n- slot{} x")

    with pytest.raises(StoryParseError) as caught:
        load_data(path, domain)

    assert (caught.value.file, caught.value.line, caught.value.column) == (str(path), 2, 9)


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path, domain):
    for name in ("b.md", "a/z.md", "a/b/c.markdown", "c.TXT"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"## {name}\n* greet")

    assert _names(tmp_path, domain) == ["a/b/c.markdown", "a/z.md", "b.md", "c.TXT"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".hidden.md", STORY),
        (".git/stories.md", STORY),
        ("domain.yml", "intents: []"),
        ("README.md", "# About\n- a point"),
        ("nlu.md", "## intent:greet\n- hello"),
        ("comment.md", "<!-- What people say. -->\n\n## intent:greet\n- hello"),
        ("nlu.txt", "## intent:greet\n- hello"),
        ("sub/nlu.md", "\ufeff\n\n# synonym:x\n- hello"),
        ("picture.png", "\x00"),
    ],
)
def test_a_folder_may_hold_other_files(tmp_path, domain, name, content):
    (tmp_path / "stories.md").write_text(STORY)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content, encoding="utf-8")

    assert _names(tmp_path, domain) == ["s"]


@pytest.mark.parametrize("name", ["stories", "one.story", "two.stories.old", "drei.größer", "x.d/y"])
def test_a_file_of_any_name_that_holds_stories_is_read(tmp_path, domain, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(STORY)

    assert _names(tmp_path, domain) == ["s"]


def test_what_is_left_out_of_a_folder_is_told(tmp_path, domain, caplog):
    (tmp_path / "stories.md").write_text(STORY)
    (tmp_path / "notes.doc").write_text("")
    (tmp_path / "nlu.md").write_text("## intent:greet\n- hello")
    (tmp_path / "rules.yml").write_text("rules:\n- rule: x")
    (tmp_path / "README").write_text("# About\n* greet\n- utter_greet")
    _names(tmp_path, domain)

    assert (
        "left out, as no stories: README (about the project), nlu.md (NLU data), notes.doc (no stories)" in caplog.text
    )
    assert "rules.yml (stories and rules in YAML, as Rasa 2 and 3 have them, are not read" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("nlu.md", "## intent:greet\n- hello\n", "this is NLU data, and no stories"),
        ("domain.yml", "# A bot.\nintents: [greet]\nactions: [utter_greet]\n", "this is a domain, and no stories"),
    ],
)
def test_a_file_that_is_named_for_stories_and_is_something_else_is_told(tmp_path, domain, name, text, told):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(StoryParseError, match=rf"{name}: {told}; stories are like ## name"):
        load_data(path, domain)


def test_stories_in_yaml_are_named_as_such(tmp_path, domain):
    (tmp_path / "stories.yml").write_text("version: '2.0'\nstories:\n- story: x\n  steps: []\n")

    with pytest.raises(StoryParseError, match=r"stories\.yml: stories and rules in YAML, .* write them in Markdown"):
        load_data(tmp_path / "stories.yml", domain)


def test_links_to_folders_are_followed_and_circles_are_told(tmp_path, domain, caplog):
    (tmp_path / "bot").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a.md").write_text(STORY)
    (tmp_path / "bot" / "linked").symlink_to(tmp_path / "shared")
    (tmp_path / "shared" / "back").symlink_to(tmp_path / "bot")

    assert _names(tmp_path / "bot", domain) == ["s"]
    assert f"linked/back: the link leads back to {tmp_path / 'bot'}, and is not followed" in caplog.text

    story_files(tmp_path / "bot")
    assert caplog.text.count("leads back") == 1  # Told once, however often the folder is gone through.


def test_several_files_are_read_in_their_order(tmp_path, domain):
    for name in ("b.md", "a.md"):
        (tmp_path / name).write_text(STORY.replace("## s", f"## {name}"))

    assert _names([tmp_path / "b.md", tmp_path / "a.md"], domain) == ["b.md", "a.md"]


def test_files_may_be_named_by_texts_and_none_is_an_error(tmp_path, domain):
    for name in ("b.md", "a.md"):
        (tmp_path / name).write_text(f"## {name}\n* greet\n - utter_greet\n", encoding="utf-8")

    graph = extract_story_graph(sorted(map(str, tmp_path.glob("*.md"))), domain)
    assert [step.block_name for step in graph.story_steps] == ["a.md", "b.md"]
    with pytest.raises(StoryParseError, match="the list names no story files"):
        load_data([], domain)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_a_file_in_utf_16_is_an_error_that_says_so(tmp_path, domain, encoding):
    path = tmp_path / "stories.md"
    path.write_bytes(STORY.encode(encoding))

    with pytest.raises(StoryParseError, match=r"stories\.md:1.*UTF-(16|8); save the file"):
        load_data(path, domain)


def test_looking_for_stories_takes_little_time(tmp_path):
    path = tmp_path / "changes"
    path.write_text("# a\n* b\n" * 200_000)
    began = time.process_time()

    assert not holds_stories(path)
    assert time.process_time() - began < 2


def test_a_folder_without_stories_is_an_error(tmp_path, domain):
    with pytest.raises(StoryParseError, match="the folder has no story files; a story is like"):
        load_data(tmp_path, domain)


def test_checkpoints_join_files_of_a_folder(tmp_path, domain):
    (tmp_path / "a.md").write_text("## one\n* greet\n> there")
    (tmp_path / "b.md").write_text("## two\n> there\n - utter_greet")

    [tracker] = load_data(tmp_path, domain, augmentation_factor=0)

    assert [event.action_name for event in tracker.events if isinstance(event, ActionExecuted)] == [
        "action_listen",
        "utter_greet",
        "action_listen",
    ]
    assert [source.file for source in tracker.sources] == [
        str(tmp_path / name) for name in ("a.md", "a.md", "b.md", "b.md")
    ]


def test_generated_names_do_not_depend_on_where_the_folder_is(tmp_path, domain):
    texts = []
    for folder in (tmp_path / "one", tmp_path / "two" / "deep"):
        folder.mkdir(parents=True)
        (folder / "stories.md").write_text("## s\n* greet\n - utter_ask\n* affirm OR deny\n - utter_ok")
        texts.append(extract_story_graph(folder, domain).as_story_string())

    assert texts[0] == texts[1]


def test_conversations_are_written_as_stories(tmp_path, domain):
    (tmp_path / "stories.md").write_text("## a\n* greet\n - utter_greet\n\n## b\n* deny\n - utter_bye")
    trackers = load_data(tmp_path / "stories.md", domain, augmentation_factor=0)

    persist_data(trackers, tmp_path / "out.md")

    again = load_data(tmp_path / "out.md", domain, augmentation_factor=0)
    assert [list(tracker.events) for tracker in again] == [list(tracker.events) for tracker in trackers]


def test_the_old_name_of_the_limit_is_accepted_with_a_warning(tmp_path, domain):
    (tmp_path / "stories.md").write_text(STORY)

    with pytest.warns(DeprecationWarning, match="max_number_of_trackers is called tracker_limit now"):
        load_data(tmp_path / "stories.md", domain, max_number_of_trackers=5)
