"""``rasa-core init``: the new bot works as it is, and nothing is asked without a terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from remote_bot import served
from small_disk import SmallDisk

from rasa_core.agent import Agent
from rasa_core.commands.check import command as check
from rasa_core.commands.init import CLIENTS, RUN, command, example_names
from rasa_core.commands.models import command as models
from rasa_core.domain import Domain
from rasa_core.policies import MemoizationPolicy
from rasa_core.project import Project
from rasa_core.server import create_app
from rasa_core.stories import extract_story_graph

ROOT = Path(__file__).resolve().parents[2]


def run(*words: object) -> Result:
    return CliRunner().invoke(command, [*map(str, words), "--no-train"])


@pytest.mark.parametrize("layout", ["0.9", "rasa3"])
def test_the_bot_has_no_mistakes(tmp_path: Path, layout: str) -> None:
    made = run(tmp_path / "bot", "--layout", layout)
    assert made.exit_code == 0, made.output
    checked = CliRunner().invoke(check, [str(tmp_path / "bot"), "--strict"])
    assert (checked.exit_code, checked.output) == (0, "0 errors, 0 warnings.\n")


def test_the_bot_does_what_is_promised(tmp_path: Path) -> None:
    run(tmp_path / "bot")
    project = Project(tmp_path / "bot")
    domain = project.load_domain()
    assert len(domain.intents) == 5
    assert "utter_default" in domain.action_names
    assert len(extract_story_graph(tmp_path / "bot" / "tests" / "conversations.md", domain).story_steps) == 3
    assert project.story_files == [tmp_path / "bot" / "stories.md"]
    assert (tmp_path / "bot" / ".gitignore").read_text().startswith("# What is made")


@pytest.mark.parametrize("language", CLIENTS)
def test_the_client_is_in_the_language_that_is_named(tmp_path: Path, language: str) -> None:
    made = run(tmp_path / "bot", "--client", language)
    assert [path.name for path in (tmp_path / "bot").glob("client*")] == [CLIENTS[language]]
    assert f"&& {RUN[language]} {CLIENTS[language]}" in made.output


NEEDED = {"python": (), "node": ("node",), "php": ("php",), "shell": ("bash", "curl", "jq")}


@pytest.mark.parametrize("language", [name for name, needed in NEEDED.items() if all(map(shutil.which, needed))])
def test_the_client_sends_the_token_of_the_environment(tmp_path: Path, language: str) -> None:
    run(tmp_path / "bot", "--client", language)
    agent = Agent(tmp_path / "bot" / "domain.yml", policies=[MemoizationPolicy()])
    agent.train(agent.load_data(tmp_path / "bot" / "stories.md", augmentation_factor=0))
    program = sys.executable if language == "python" else RUN[language]
    with served(create_app(agent, auth_token="secret")) as address:
        talks = [
            subprocess.run(
                [program, tmp_path / "bot" / CLIENTS[language], address],
                input="/greet\n",
                env={**os.environ, "PYTHONPATH": str(ROOT), "RASA_CORE_TOKEN": token},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            for token in ("secret", "")
        ]
    assert "bot: Hello! This is the bike workshop." in talks[0].stdout, talks[0].stderr
    assert "Hello!" not in talks[1].stdout
    assert talks[1].returncode != 0


@pytest.mark.parametrize("name", example_names())
def test_an_example_is_copied_without_what_was_made_of_it(tmp_path: Path, name: str) -> None:
    made = run(tmp_path / "bot", "--example", name)
    assert made.exit_code == 0, made.output
    assert not (tmp_path / "bot" / "models").exists()
    Project(tmp_path / "bot").load_domain()
    assert CliRunner().invoke(check, [str(tmp_path / "bot"), "--strict"]).output == "0 errors, 0 warnings.\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--example", "remot"], "no example 'remot'. Did you mean 'remote'?"),
        (["--example", "remote", "--client", "php"], "do not go with --example"),
        (["--layout", "rasa4"], "'rasa4' is not one of '0.9', 'rasa3'. Did you mean 'rasa3'?"),
        (["--client", "pyton"], "Did you mean 'python'?"),
    ],
)
def test_what_does_not_fit_writes_nothing(tmp_path: Path, options: list[str], message: str) -> None:
    made = run(tmp_path / "bot", *options)
    assert made.exit_code == 2
    assert message in made.output
    assert not (tmp_path / "bot").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    made = run(tmp_path)
    assert (made.exit_code, [path.name for path in tmp_path.iterdir()]) == (2, ["mine.txt"])
    assert "exists and is not empty" in made.output


def test_what_is_said_to_type_can_be_typed(tmp_path: Path) -> None:
    made = run(tmp_path / "my bot")
    assert f"cd '{tmp_path / 'my bot'}' && rasa-core serve ." in made.output


def test_models_are_listed_and_one_is_gone_back_to(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text("intents: [greet]\nactions: [utter_hi]\ntemplates: {utter_hi: Hi!}\n")
    (tmp_path / "stories.md").write_text("## hi\n* greet\n  - utter_hi\n")
    (tmp_path / "config.yml").write_text("policies: [MemoizationPolicy]\n")
    runner = CliRunner()
    assert "no model yet" in runner.invoke(models, [str(tmp_path)]).output
    for word in ("Hi!", "Hello!"):
        (tmp_path / "domain.yml").write_text((tmp_path / "domain.yml").read_text().replace("Hi!", word))
        Project(tmp_path).train_if_changed(say=lambda line: None)
    first, second = Project(tmp_path).models.list()
    listed = runner.invoke(models, [str(tmp_path)]).output.splitlines()
    assert [line.split()[0] for line in listed[-2:]] == [first.name, second.name]
    assert ["*" in line for line in listed[-2:]] == [False, True]
    assert listed[-1].endswith("domain.yml")
    narrow = runner.invoke(models, [str(tmp_path)], env={"COLUMNS": "60"}).output.splitlines()
    assert max(map(len, narrow)) <= 60
    assert [f"{first.name}", f"{second.name} *"] == [line for line in narrow if not line.startswith(" ")]
    assert narrow[-1] == "  Changed: domain.yml"
    assert "Did you mean 'use'?" in runner.invoke(models, ["usee", first.name]).output
    used = runner.invoke(models, ["use", first.name, str(tmp_path)])
    assert used.exit_code == 0
    assert "This version was trained from other files (domain.yml). Put those back too" in used.output
    assert "Put those back" not in runner.invoke(models, ["use", second.name, str(tmp_path)]).output
    assert runner.invoke(models, ["use", first.name, str(tmp_path)]).exit_code == 0
    assert Domain.load(tmp_path / "models" / "dialogue" / "domain.yml").templates["utter_hi"][0]["text"] == "Hi!"
    wrong = runner.invoke(models, ["use", "20260101-000000-00000000", str(tmp_path)])
    assert (wrong.exit_code, "no version" in wrong.output) == (1, True)


@pytest.mark.parametrize("is_there", [False, True], ids=["new folder", "empty folder"])
def test_on_a_full_disk_nothing_is_left_of_a_bot(small_disk: SmallDisk, is_there: bool) -> None:
    folder = small_disk.path / "bot"
    if is_there:
        folder.mkdir()
    small_disk.fill()
    finished = CliRunner().invoke(command, [str(folder), "--no-train"])
    assert finished.exit_code == 1
    assert finished.output.startswith(f"Error: {folder}/")
    assert finished.output.endswith(": no space left on device.\n")
    assert (folder.exists(), list(small_disk.path.rglob("bot/*"))) == (is_there, [])
    small_disk.empty()
    assert CliRunner().invoke(command, [str(folder), "--no-train"]).exit_code == 0
