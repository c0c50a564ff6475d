"""The review queue, a conversation as a story, and the comparison of a new model, on the terminal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from small_bots import MOOD_DOMAIN, MOOD_STORIES, trained_agent

from rasa_core.agent import Agent
from rasa_core.commands.compare import command as compare_command
from rasa_core.commands.review import command as review_command
from rasa_core.commands.story import command as story_command
from rasa_core.tracker_store import store_from_url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a project, two models and a store of conversations."""
    place = tmp_path_factory.mktemp("bots")
    for name in ("project", "other"):
        (place / name).mkdir()
    (place / "project" / "domain.yml").write_text(MOOD_DOMAIN, encoding="utf-8")
    agent = trained_agent(place / "project", MOOD_DOMAIN, MOOD_STORIES)
    agent.persist(place / "old")
    other = MOOD_STORIES.replace("* greet\n  - utter_hello", "* greet\n  - utter_bye")
    trained_agent(place / "other", MOOD_DOMAIN, other).persist(place / "new")
    with store_from_url(f"sqlite:///{place}/talks.db") as store:
        agent.tracker_store = store
        for number in range(3):
            agent.handle_message("/greet", sender_id=f"user {number}")
        agent.handle_message("/sad", sender_id="unsure")
    return place


def run(command: object, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=False)  # type: ignore[arg-type]


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/talks.db"


def test_the_gate_stops_a_model_that_is_worse(folder: Path) -> None:
    told = run(compare_command, folder / "old", folder / "new", "--store", url(folder), "--fail-on-worse")
    assert told.exit_code == 1
    assert "greet: utter_hello -> utter_bye, 3 times (worse)" in told.stdout
    assert "user 2 (at 2)" in told.stdout


def test_the_gate_lets_the_same_model_pass(folder: Path) -> None:
    told = run(compare_command, folder / "old", folder / "old", "--store", url(folder), "--fail-on-worse")
    assert told.exit_code == 0
    assert told.stdout.endswith("Both models do the same.\n")


def test_names_of_any_kind_stay_on_their_line(folder: Path, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/odd.db"
    with store_from_url(address) as store:
        odd = Agent.load(folder / "old", tracker_store=store)
        odd.handle_message("/greet", sender_id="\x1b[31mred\nline \u202e")
    told = run(compare_command, folder / "old", folder / "new", "--store", address)
    assert r"\u001b[31mred\nline \u202e (at 2)" in told.stdout


def test_the_list_shows_what_people_typed_as_they_typed_it(folder: Path, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/typed.db"
    with store_from_url(address) as store:
        Agent.load(folder / "old", tracker_store=store).handle_message('Grüße "🍕"\x1b[31m', sender_id="größe")
    told = run(review_command, address)
    assert 'Grüße "🍕"\\u001b[31m' in told.stdout
    assert told.stdout.startswith("größe  ")


def test_a_gate_with_nothing_to_look_at_says_so(folder: Path, tmp_path: Path) -> None:
    with store_from_url(f"sqlite:///{tmp_path}/empty.db"):
        told = run(compare_command, folder / "old", folder / "new", "--store", f"sqlite:///{tmp_path}/empty.db")
    assert "the store has no conversation to compare: check --store." in told.stderr


def test_the_gate_looks_at_stories(folder: Path) -> None:
    stories = folder / "project" / "stories.md"
    told = run(compare_command, folder / "old", folder / "new", "-s", stories, "--fail-on-worse")
    assert told.exit_code == 1
    assert f'fails now: {stories}:3 "happy"' in told.stdout


def test_programs_and_build_servers_hear_of_stories_both_ways(folder: Path) -> None:
    stories = folder / "project" / "stories.md"
    happy = f'{stories}:3 "happy"'
    (told,) = json.loads(
        run(compare_command, folder / "old", folder / "new", "-s", stories, "--format", "json").stdout
    )["stories"]
    assert (told["name"], happy in told["broken"], told["mended"]) == (str(stories), True, [])
    (back,) = json.loads(
        run(compare_command, folder / "new", folder / "old", "-s", stories, "--format", "json").stdout
    )["stories"]
    assert (back["broken"], back["mended"], back["failing"]) == ([], told["broken"], 0)
    suite = ElementTree.fromstring(
        run(compare_command, folder / "old", folder / "new", "-s", stories, "--format", "junit").stdout
    )
    passing = told["total"] - len(told["broken"])
    names = [case.attrib["name"] for case in suite.findall("testcase")]
    assert names[0] == f"{stories}: {passing} of {told['total']} stories do not fail anew"
    assert names[1:] == [f"{stories}: {name}" for name in told["broken"]]
    assert suite.attrib["failures"] == str(len(told["broken"]))


def test_the_folder_of_a_bot_stands_for_its_model(folder: Path, tmp_path: Path) -> None:
    stories = folder / "project" / "stories.md"
    (tmp_path / "domain.yml").write_text(MOOD_DOMAIN, encoding="utf-8")
    told = run(compare_command, tmp_path, folder / "new", "-s", stories)
    assert (told.exit_code, f"is not trained yet: rasa-core train {tmp_path}" in told.output) == (1, True)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "dialogue").symlink_to(folder / "old")
    told = run(compare_command, tmp_path, folder / "new", "-s", stories)
    assert (told.exit_code, f'fails now: {stories}:3 "happy"' in told.stdout) == (0, True)


def test_only_the_newest_conversations_are_compared(folder: Path) -> None:
    told = run(compare_command, folder / "old", folder / "new", "--store", url(folder), "--last", 1, "--format", "json")
    assert json.loads(told.stdout)["conversations"] == 1


def test_build_servers_get_their_own_form(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "compare.xml"
    run(compare_command, folder / "old", folder / "new", "--store", url(folder), "--format", "junit", "-o", file)
    suite = ElementTree.parse(file).getroot()
    assert suite.tag == "testsuite"
    failures = suite.findall("testcase/failure")
    assert len(failures) == int(suite.attrib["failures"]) > 0
    assert "utter_hello -> utter_bye" in failures[0].attrib["message"]


def test_names_are_written_into_a_file_as_they_are(folder: Path, tmp_path: Path) -> None:
    stories = tmp_path / "stories.md"
    stories.write_text("## schöner Tag\n* greet\n  - utter_hello\n", encoding="utf-8")
    file = tmp_path / "compare.txt"
    run(compare_command, folder / "old", folder / "new", "-s", stories, "-o", file)
    assert f'fails now: {stories}:2 "schöner Tag"' in file.read_text(encoding="utf-8")


def test_the_modules_of_both_models_are_imported(folder: Path, tmp_path: Path) -> None:
    bot = tmp_path / "bot"
    shutil.copytree(folder / "new", bot / "models" / "dialogue")
    (bot / "config.yml").write_text("imports: [no_such_module]\n")
    told = run(compare_command, folder / "old", bot / "models" / "dialogue", "--store", url(folder))
    assert (told.exit_code, "there is no module 'no_such_module'" in told.output) == (1, True)


def test_something_has_to_be_compared(folder: Path) -> None:
    told = run(compare_command, folder / "old", folder / "new")
    assert told.exit_code == 2
    assert "give --store URL" in told.stderr


def test_the_queue_lists_marks_and_finds(folder: Path) -> None:
    assert "4 conversations of 4." in run(review_command, url(folder)).stdout
    run(review_command, url(folder), "--done", "user 1", "--note", "seen", "--tag", "prices")
    assert "3 conversations of 4." in run(review_command, url(folder)).stdout
    found = json.loads(run(review_command, url(folder), "tag:prices", "--format", "json").stdout)
    assert [(one["sender_id"], one["note"]) for one in found["conversations"]] == [("user 1", "seen")]


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["only:unsur"], 1, "Did you mean 'unsure'"),
        (["--note", "x"], 2, "name it with --done"),
        (["--done", "nobody"], 1, "no conversation 'nobody'"),
    ],
)
def test_mistakes_are_told(folder: Path, arguments: list[str], code: int, problem: str) -> None:
    told = run(review_command, url(folder), *arguments)
    assert told.exit_code == code
    assert problem in told.stderr


def test_a_conversation_is_printed_as_a_story(folder: Path) -> None:
    arguments = ("--project", folder / "project", "--store", url(folder))
    assert run(story_command, "user 0", *arguments).stdout == "## user 0\n* greet\n  - utter_hello\n"
    missing = run(story_command, "nobody", *arguments)
    assert (missing.exit_code, "no conversation 'nobody'" in missing.stderr) == (1, True)
    silent = run(story_command, "user 0", *arguments[:2])
    assert (silent.exit_code, "keeps no conversations in" in silent.stderr) == (2, True)
