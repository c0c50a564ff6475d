"""``rasa_core.commands.visualize``: the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from programs import font
from small_bots import MOOD_DOMAIN, MOOD_STORIES

from rasa_core.agent import Agent
from rasa_core.commands import visualize

NLU = """
## intent:greet
- good morning
## intent:sad
- I feel [awful](feeling)
"""


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    (tmp_path / "domain.yml").write_text(MOOD_DOMAIN, encoding="utf-8")
    (tmp_path / "stories.md").write_text(MOOD_STORIES, encoding="utf-8")
    (tmp_path / "nlu.md").write_text(NLU, encoding="utf-8")
    return tmp_path


def drawn(bot: Path, output: str, *flags: str) -> Result:
    arguments = [
        "-d",
        str(bot / "domain.yml"),
        "-s",
        str(bot / "stories.md"),
        "-o",
        str(bot / output),
        *flags,
    ]
    return CliRunner().invoke(visualize.command, arguments)


@pytest.mark.parametrize("ending", ["html", "svg", "dot", "mmd", "HTML"])
def test_the_ending_decides_what_is_written(bot: Path, ending: str) -> None:
    result = drawn(bot, f"picture.{ending}")
    assert result.exit_code == 0
    beginning = {"html": "<!DOCTYPE html>", "svg": "<?xml", "dot": "digraph", "mmd": "flowchart"}[ending.lower()]
    text = (bot / f"picture.{ending}").read_text(encoding="utf-8")
    assert text.startswith(beginning)
    assert "utter_comfort" in text


@pytest.mark.parametrize("name", ["picture.gif", "picture.pdf", "picture"])
def test_other_endings_are_an_error_that_names_the_known_ones(bot: Path, name: str) -> None:
    result = drawn(bot, name)
    assert result.exit_code == 1
    assert "its name must end in .html, .svg, .png, .dot or .mmd" in result.stderr
    assert not (bot / name).exists()


def test_stories_are_drawn_as_png(bot: Path) -> None:
    font()
    assert drawn(bot, "picture.png").exit_code == 0
    assert (bot / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_cannot_be_written_is_an_error(bot: Path) -> None:
    result = drawn(bot, "nowhere/picture.svg")
    assert result.exit_code == 1
    assert "cannot write" in result.stderr


def test_an_error_in_the_stories_tells_file_and_line(bot: Path) -> None:
    (bot / "stories.md").write_text("* greet\n", encoding="utf-8")
    result = drawn(bot, "picture.svg")
    assert result.exit_code == 1
    assert f"{bot / 'stories.md'}:1" in result.stderr


def test_examples_of_messages_take_the_place_of_intents(bot: Path) -> None:
    drawn(bot, "picture.mmd", "-nlu", str(bot / "nlu.md"))
    text = (bot / "picture.mmd").read_text(encoding="utf-8")
    assert '|"“good morning”"|' in text
    assert "“I feel awful”" in text
    assert "great" in text


def test_max_history_is_at_least_one(bot: Path) -> None:
    assert drawn(bot, "picture.svg", "-m", "0").exit_code == 2


def test_max_history_keeps_histories_apart(bot: Path) -> None:
    stories = "## twice\n* greet\n  - utter_hello\n* greet\n  - utter_hello\n"
    (bot / "stories.md").write_text(stories, encoding="utf-8")
    drawn(bot, "one.dot", "-m", "1")
    drawn(bot, "two.dot")
    assert (bot / "one.dot").read_text(encoding="utf-8").count("utter_hello") == 1
    assert (bot / "two.dot").read_text(encoding="utf-8").count("utter_hello") == 2


def test_the_code_of_actions_need_not_be_there(bot: Path) -> None:
    domain = MOOD_DOMAIN.replace("actions: [", "actions: [no_such_module.ActionX, ")
    (bot / "domain.yml").write_text(domain, encoding="utf-8")
    assert drawn(bot, "picture.svg").exit_code == 0


def test_a_domain_that_is_not_there_is_an_error(bot: Path) -> None:
    (bot / "domain.yml").unlink()
    result = drawn(bot, "picture.svg")
    assert result.exit_code == 1
    assert "domain.yml" in result.stderr


def test_an_agent_draws_its_stories(bot: Path) -> None:
    Agent(bot / "domain.yml").visualize(bot / "stories.md", bot / "picture.svg", max_history=2)
    drawn(bot, "other.svg")
    assert (bot / "picture.svg").read_bytes() == (bot / "other.svg").read_bytes()


def test_it_runs_as_a_module(bot: Path) -> None:
    files = ["-d", str(bot / "domain.yml"), "-s", str(bot / "stories.md"), "-o", str(bot / "x.html")]
    command = [sys.executable, "-m", "rasa_core.visualize", *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, f"The stories are drawn in {bot / 'x.html'}.\n")
