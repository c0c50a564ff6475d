"""``rasa-core`` and ``rasa-core-serve`` as a user calls them."""

from __future__ import annotations

import logging
import os
import pwd
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from rasa_core import __version__, commands
from rasa_core.channels.console import LineEditor
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


def options_without_help(command: click.Command, name: str) -> list[str]:
    inner = command.commands if isinstance(command, click.Group) else {}
    found = [option for one, below in inner.items() for option in options_without_help(below, f"{name} {one}")]
    shown = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    return [*found, *(f"{name} {one.opts[0]}" for one in shown if not one.help)]


def test_each_option_has_help() -> None:
    assert options_without_help(serve, "serve") == []
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        assert options_without_help(command, name) == []


def test_version_is_told() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"rasa-core, version {__version__}\n"


def test_an_unknown_command_is_refused() -> None:
    finished = CliRunner().invoke(main, ["trian"])
    assert finished.exit_code == 2
    assert "No such command 'trian'. Did you mean 'train'?" in finished.output


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("data validate --domain d", "'data' is a command of Rasa, and none here: rasa-core check PROJECT looks"),
        ("data split nlu", "'data split' is a command of Rasa, and none here: rasa-core nlu evaluate --folds 5"),
        ("test", "'test' is a command of Rasa, and none here: rasa-core evaluate PROJECT"),
        ("run actions", "'run actions' is a command of Rasa, and none here: python -m rasa_sdk"),
        ("train nlu", "'train nlu' is a command of Rasa, and none here: rasa-core train PROJECT"),
    ],
)
def test_for_a_command_of_rasa_is_told_what_stands_for_it(
    line: str, instead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, line.split())
    assert (result.exit_code, instead in result.output) == (2, True), result.output


def test_a_bot_may_be_called_as_a_part_of_rasa_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nlu").mkdir()
    assert "has no domain" in CliRunner().invoke(main, ["train", "nlu"]).output


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("store lsit x", "Did you mean 'list'?"),
        ("nlu prase", "Did you mean 'parse'?"),
        ("train --epohcs 3", "'--epochs'?"),
    ],
    ids=["of a store", "of nlu", "an option"],
)
def test_the_nearest_is_suggested_wherever_something_is_mistyped(line: str, told: str) -> None:
    finished = CliRunner().invoke(main, line.split())
    assert finished.exit_code == 2
    assert told in finished.output


class TestCompletion:
    @pytest.fixture(autouse=True)
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        return tmp_path

    @pytest.mark.parametrize(
        ("shell", "script", "begins"),
        [
            ("bash", ".local/share/rasa-core/completion.bash", ".bashrc"),
            ("zsh", ".local/share/rasa-core/completion.zsh", ".zshrc"),
            ("fish", ".config/fish/completions/rasa-core.fish", None),
        ],
    )
    def test_it_is_installed_once(self, home: Path, shell: str, script: str, begins: str | None) -> None:
        if begins is not None:
            (home / begins).write_text("alias ll='ls -l'", encoding="utf-8")
        for _ in range(2):
            finished = CliRunner().invoke(main, ["--install-completion", shell])
            assert finished.exit_code == 0, finished.output
        assert "_RASA_CORE_COMPLETE" in (home / script).read_text(encoding="utf-8")
        if begins is not None:
            lines = (home / begins).read_text(encoding="utf-8").splitlines()
            assert lines[0] == "alias ll='ls -l'"
            assert lines.count(f'. "{home / script}"') == 1

    def test_the_shell_of_the_user_is_taken(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHELL", "/usr/bin/fish")
        assert CliRunner().invoke(main, ["--install-completion"]).exit_code == 0
        assert (home / ".config/fish/completions/rasa-core.fish").exists()

    def test_another_shell_is_refused(self) -> None:
        finished = CliRunner().invoke(main, ["--install-completion", "fsh"])
        assert finished.exit_code == 2
        assert "'fsh' is none. Did you mean 'fish'" in finished.output

    def test_a_place_that_cannot_be_written_is_told_in_a_line(self, home: Path) -> None:
        (home / ".local").write_text("a file", encoding="utf-8")
        finished = CliRunner().invoke(main, ["--install-completion", "bash"])
        assert finished.exit_code == 1
        assert finished.output.startswith("Error: cannot write ")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is of Linux")
    def test_a_full_disk_is_told_with_a_place(self, home: Path) -> None:
        (home / ".local/share/rasa-core").mkdir(parents=True)
        (home / ".local/share/rasa-core/completion.bash").symlink_to("/dev/full")
        finished = CliRunner().invoke(main, ["--install-completion", "bash"])
        assert (finished.exit_code, finished.output) == (
            1,
            f"Error: cannot write below {home}: No space left on device.\n",
        )

    def test_whoever_has_no_home_is_told_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def nobody(uid: int) -> object:  # As in a container that runs as a user whom its system does not know.
            raise KeyError(uid)

        monkeypatch.delenv("HOME")
        monkeypatch.setattr(pwd, "getpwuid", nobody)
        finished = CliRunner().invoke(main, ["--install-completion", "bash"])
        assert (finished.exit_code, finished.output) == (1, "Error: it is not known where your home is: set HOME.\n")
        LineEditor().close()  # Of the shell: nothing is kept for the next time.

    @pytest.mark.parametrize(
        ("typed", "offered"),
        [
            ("rasa-core tra", ["plain,train"]),
            ("rasa-core evaluate --form", ["plain,--format"]),
            ("rasa-core init --client p", ["plain,python", "plain,php"]),
            ("rasa-core init --example r", ["plain,remote"]),
            ("rasa-core --install-completion z", ["plain,zsh"]),
            # Whatever may be a file or a folder is completed by the shell itself.
            ("rasa-core evaluate my", ["dir,my"]),
            ("rasa-core evaluate -s my", ["file,my"]),
            ("rasa-core explain my", ["file,my"]),
            ("rasa-core nlu evaluate -d my", ["file,my"]),
            ("rasa-core models my", ["dir,my"]),
            ("rasa-core models use 2", ["plain,20260101-000000-0123abcd"]),
        ],
    )
    def test_what_is_begun_is_completed(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, typed: str, offered: list[str]
    ) -> None:
        (home / "models" / "20260101-000000-0123abcd").mkdir(parents=True)
        monkeypatch.chdir(home)
        environment = {
            "_RASA_CORE_COMPLETE": "bash_complete",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split()) - 1),
        }
        assert CliRunner().invoke(main, prog_name="rasa-core", env=environment).output.split() == offered


def test_own_modules_are_imported_by_every_command_that_may_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_of_store.py").write_text("raise ValueError('imported')", encoding="utf-8")
    url = f"sqlite:///{tmp_path / 'x.db'}"
    for line in (
        ["store", "list", "--import", "own_of_store", url],
        ["nlu", "parse", "--import", "own_of_store", "m", "x"],
    ):
        finished = CliRunner().invoke(main, line)
        assert finished.exit_code == 1
        assert "ValueError: imported" in finished.output
    monkeypatch.setenv("RASA_CORE_IMPORT", "own_of_store")
    assert "ValueError: imported" in CliRunner().invoke(main, ["store", "list", url]).output


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


@pytest.mark.parametrize(
    ("module", "arguments", "expected"),
    [
        (
            "server",
            "-d m -u http://nlu -p 80 --cors a b --auth_token t -o log.txt --debug",
            {
                "core": "m",
                "nlu": "http://nlu",
                "port": 80,
                "cors": ["a", "b"],
                "auth_token": "t",
                "log_file": "log.txt",
            },
        ),
        ("server", "-d m", {"nlu": None, "port": 5005, "auth_token": None, "loglevel": logging.WARNING}),
        (
            "run",
            "-d m -c cmdline --credentials c.yml -v",
            {"core": "m", "port": 5002, "connector": "cmdline", "credentials": "c.yml", "loglevel": logging.INFO},
        ),
        (
            "train",
            "-s s -o o -d d --history 4 --epochs 7 --validation_split 0.1 --batch_size 2 --online --augmentation 3",
            {
                "stories": "s",
                "out": "o",
                "domain": "d",
                "history": 4,
                "epochs": 7,
                "validation_split": 0.1,
                "batch_size": 2,
                "online": True,
                "augmentation": 3,
                "debug_plots": False,
                "nlu": None,
            },
        ),
        (
            "evaluate",
            "-s s -d m -u n -m 5 -o plot.svg --failed failed.txt",
            {"stories": "s", "core": "m", "nlu": "n", "max_stories": 5, "output": "plot.svg", "failed": "failed.txt"},
        ),
        (
            "visualize",
            "-s s -d d -o o.html -m 3 -nlu n.md",
            {"stories": "s", "domain": "d", "output": "o.html", "max_history": 3, "nlu_data": "n.md"},
        ),
        ("restore", "-d m dump.json --verbose", {"core": "m", "nlu": None, "tracker_dump": "dump.json"}),
    ],
)
def test_the_flags_of_a_command_are_read_by_programs_of_old(
    module: str, arguments: str, expected: dict[str, Any]
) -> None:
    parser = import_module(f"rasa_core.{module}").create_argument_parser()
    parser.add_argument("--own", default="mine")
    found = vars(parser.parse_args(arguments.split()))
    assert {name: found[name] for name in expected} == expected
    assert found["own"] == "mine"


def test_a_flag_that_a_command_needs_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        import_module("rasa_core.restore").create_argument_parser().parse_args(["dump.json"])
    assert "-d/--core" in capsys.readouterr().err


def test_ctrl_c_while_modules_are_imported_leaves_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> object:
        raise KeyboardInterrupt(name)

    monkeypatch.setattr(commands, "import_module", interrupted)
    for program in (commands.console, commands.console_serve):
        with pytest.raises(SystemExit, match="130"):
            program()
    assert capsys.readouterr().err == "Interrupted.\nInterrupted.\n"


@pytest.mark.parametrize(
    ("line", "where"),
    [
        pytest.param("check .", "rasa_core.commands.main._command", id="while it looks for a command"),
        pytest.param("store list --limit 1 memory://", "click.IntRange.convert", id="while it reads options"),
        pytest.param("models .", "rasa_core.commands.models.ProjectModels", id="while it runs"),
        pytest.param("init bot", "click.termui.visible_prompt_func", id="while it asks"),
    ],
)
def test_ctrl_c_ends_a_command_in_the_same_way_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, where: str
) -> None:
    def interrupted(*given: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rasa_core.commands.init._is_asked", lambda: True)
    monkeypatch.delitem(sys.modules, "jax", raising=False)  # Where it is loaded, the whole process ends at once.
    monkeypatch.setattr(where, interrupted)
    with pytest.raises(SystemExit, match="130"):
        main(line.split())
    assert capsys.readouterr().err.strip() == "Interrupted."


def test_the_end_of_the_input_is_no_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rasa_core.commands.init._is_asked", lambda: True)
    finished = CliRunner().invoke(main, ["init", "bot"], input="")
    assert (finished.exit_code, finished.stderr.strip()) == (1, "Aborted!")
