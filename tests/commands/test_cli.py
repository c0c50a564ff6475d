"""``rasa-core`` and ``rasa-core-serve`` as a user calls them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rasa_core import __version__
from rasa_core.commands.main import COMMANDS, main, serve

ROOT = Path(__file__).parents[2]


def test_help_lists_every_command() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    for name in [*COMMANDS, "serve"]:
        assert f"\n  {name} " in text


@pytest.mark.parametrize("name", [*COMMANDS, "serve"])
def test_each_command_has_help(name: str) -> None:
    finished = CliRunner().invoke(main, [name, "--help"])
    assert finished.exit_code == 0
    assert "Usage:" in finished.output


def test_version_is_told() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"rasa-core, version {__version__}\n"


def test_an_unknown_command_is_refused() -> None:
    finished = CliRunner().invoke(main, ["trian"])
    assert finished.exit_code == 2
    assert "No such command 'trian'" in finished.output


@pytest.mark.parametrize("arguments", [[], ["bot", "-d", "model"]], ids=["neither", "both"])
def test_serve_wants_a_project_or_a_model(arguments: list[str]) -> None:
    finished = CliRunner().invoke(serve, arguments)
    assert finished.exit_code == 2
    assert "give either PROJECT_DIR" in finished.output


def test_serve_stops_with_the_error_of_training(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text("intents: [a, a]\n")
    (tmp_path / "stories.md").write_text("")
    finished = subprocess.run(
        [sys.executable, "-c", "from rasa_core.commands.main import serve; serve()", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 1
    assert "domain.yml:1" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_the_group_itself_imports_no_training(tmp_path: Path) -> None:
    unwanted = "{'keras', 'rasa_core.commands.train'}"
    code = f"import sys, rasa_core.commands.main; sys.exit(bool({unwanted} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode == 0
