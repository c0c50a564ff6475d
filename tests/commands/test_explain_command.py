"""``rasa-core explain``: the reasons of a decision, for a model and for a project."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from small_bots import MOOD_DOMAIN, MOOD_STORIES

from rasa_core.commands.common import model_at, store_at
from rasa_core.commands.explain import command
from rasa_core.commands.store import open_store
from rasa_core.project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    (folder / "domain.yml").write_text(f"{MOOD_DOMAIN}\naction_factory: remote\n")
    (folder / "stories.md").write_text(MOOD_STORIES)
    (folder / "config.yml").write_text("policies: [MemoizationPolicy, FallbackPolicy]\n")
    Project(folder).train_if_changed(say=lambda line: None)
    return folder


@pytest.mark.parametrize("place", [".", "models/dialogue"])
def test_the_lines_that_taught_it_are_named(project: Path, place: str) -> None:
    told = CliRunner().invoke(command, [str(project / place), "/greet", "/great"])
    assert told.exit_code == 0, told.output
    assert told.output.startswith("utter_happy: 1.00, by MemoizationPolicy\nthe message was understood with 1.00\n")
    assert 'stories.md:6 "happy"' in told.output


def test_the_action_that_came_second_is_told_with_what_would_have_led_to_it(project: Path) -> None:
    told = CliRunner().invoke(command, [str(project), "/greet", "/great"])
    _, second = told.output.split("action_listen came second; it would have been chosen\n")
    assert "    if the intent were 'greet' (it is 'great')\n" in second


def test_programs_get_all_of_it(project: Path) -> None:
    told = json.loads(CliRunner().invoke(command, [str(project), "/bye@0.1", "--format", "json"]).output)
    assert (told["policy"], told["understood"]) == ("FallbackPolicy", 0.1)


def test_a_bot_that_is_not_trained_is_told(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text(MOOD_DOMAIN)
    told = CliRunner().invoke(command, [str(tmp_path), "/greet"])
    assert (told.exit_code, "is not trained yet: rasa-core train" in told.output) == (1, True)


def test_the_folder_of_a_bot_stands_for_its_model_and_its_store(project: Path) -> None:
    assert model_at(str(project)) == (str(project / "models" / "dialogue"), None)
    assert model_at(str(project / "models" / "dialogue"), "nlu") == (str(project / "models" / "dialogue"), "nlu")
    file = project / "models" / "dialogue.conversations.db"
    with pytest.raises(click.BadParameter, match="keeps no conversations in"):
        store_at(str(project))
    file.touch()
    assert store_at(str(project)) == store_at(str(project / "models" / "dialogue")) == f"sqlite:///{file}"
    assert store_at("sqlite:///own.db") == "sqlite:///own.db"


@pytest.mark.parametrize("name", ["100%20", "a#b", "what?", "my bot"])
def test_the_store_of_a_bot_is_found_whatever_its_folder_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "models" / "dialogue").mkdir(parents=True)
    file = tmp_path / name / "models" / "dialogue.conversations.db"
    file.touch()
    with open_store(store_at(str(tmp_path / name))) as store:
        assert store.path == str(file)
