"""Closed terminals, full disks and interrupts: a command ends with one line of error, and no traceback."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import forked
import pytest
from click.testing import CliRunner
from programs import font
from small_bots import trained_model

from rasa_core.commands.main import main

ROOT = Path(__file__).parents[2]
DOMAIN = """\
intents: [greet]
actions: [utter_greet]
templates: {utter_greet: ["H\\xe9llo \\u2603"]}
"""
STORIES = "## hello\n* greet\n  - utter_greet\n"


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bot")
    (folder / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    (folder / "stories.md").write_text(STORIES, encoding="utf-8")
    model = trained_model(folder, DOMAIN, STORIES)
    Path(model).rename(folder / "model")
    return folder


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell; ``rasa`` is the command."""
    return subprocess.run(
        ["sh", "-c", f'rasa() {{ "$PYTHON" -m rasa_core.commands "$@"; }}; {line}'],
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable, **environment},
        check=False,
    )


STORED = """echo '{"sender_id": "a", "events": [{"event": "restart"}]}' | rasa store import sqlite:///here.db - 2>&-"""


def called(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that needs no shell."""
    module = "import runpy\nrunpy.run_module('rasa_core.commands', run_name='__main__', alter_sys=True)"
    return forked.run(module, *shlex.split(line), folder=folder)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        pytest.param("rasa run -d model -o '' <&-", 0, id="no input"),
        pytest.param("rasa init elsewhere --no-train --client shell <&- >&-", 0, id="no input of init"),
        pytest.param(f"{STORED}; rasa store list sqlite:///here.db >&-", 0, id="no output of a list"),
        pytest.param(f"{STORED}; rasa store export sqlite:///here.db >&- 2>&-", 0, id="no output of an export"),
        pytest.param("echo /greet | rasa run -d model -o '' >&-", 0, id="no output"),
        pytest.param("rasa check . >&-", 0, id="no output of check"),
        pytest.param("rasa evaluate -d model -s stories.md --failed None | head -1", 0, id="output that ends early"),
    ],
)
def test_closed_ends_are_no_error(bot: Path, line: str, status: int) -> None:
    finished = shell(line, bot)
    assert (finished.returncode, finished.stderr) == (status, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is of Linux")
@pytest.mark.parametrize("line", ["--help", "--version", "check --help", "init --help"])
def test_help_that_goes_to_a_full_disk_is_told_in_a_line(bot: Path, line: str) -> None:
    finished = shell(f"rasa {line} >/dev/full", bot)
    assert (finished.returncode, finished.stderr) == (1, "Error: no space left on device.\n")


def test_an_input_that_is_asked_for_and_closed_is_told(bot: Path) -> None:
    finished = shell("rasa store import sqlite:///here.db - <&-", bot)
    assert finished.returncode == 2
    assert finished.stderr.endswith("the standard input is closed.\n")


@pytest.mark.parametrize("line", ["check $OLDPWD", "run -d $OLDPWD/model -o ''", "models $OLDPWD"])
def test_a_working_folder_that_was_removed_is_not_asked_for(bot: Path, line: str) -> None:
    finished = shell(f"mkdir gone; cd gone; rmdir ../gone; echo /greet | rasa {line}", bot)
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=["ascii", "C", "latin-1"],
)
def test_characters_that_a_terminal_has_not_are_escaped(bot: Path, environment: dict[str, str]) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "rasa_core.run", "-d", "model", "-o", ""],
        input=b"/greet\n",
        capture_output=True,
        cwd=bot,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=True,
    )
    assert process.stdout.splitlines()[-1] in (rb"H\xe9llo \u2603", b"H\xe9llo \\u2603")
    assert process.stderr == b""


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("command", ["train -d d.yml -s stories.md -o m", "check . -d d.yml"])
def test_a_domain_in_another_encoding_is_named(bot: Path, encoding: str, command: str) -> None:
    (bot / "d.yml").write_bytes(DOMAIN.encode(encoding))
    finished = called(command, bot)
    assert finished.returncode in (1, 2)
    assert "d.yml:1" in finished.stdout + finished.stderr
    assert "UTF-8" in finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param("train -d . -s stories.md -o m", "'.': the file cannot be read: Is a directory", id="domain"),
        pytest.param("train domain.yml", "'domain.yml' is a file, not a folder", id="project"),
        pytest.param("run -d domain.yml -o ''", "'domain.yml' is a file, not a model directory", id="model"),
        pytest.param("run -d model -o .", "cannot write the log file '.': Is a directory", id="log"),
        pytest.param("evaluate -d model -s stories.md --failed .", "cannot write the failed stories", id="failed"),
        pytest.param("train --force .", "features.npz: is a directory", id="features"),
    ],
)
def test_a_file_of_the_wrong_kind_is_told_in_a_line(bot: Path, line: str, problem: str) -> None:
    (bot / "models" / "features.npz" / "x").mkdir(parents=True, exist_ok=True)
    finished = called(line, bot)
    assert finished.returncode == 1
    assert problem in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param("evaluate nowhere", "Directory 'nowhere' does not exist", id="evaluate"),
        pytest.param("models nowhere", "the project folder 'nowhere' does not exist", id="models"),
        pytest.param(
            "models domain.yml", "the project folder 'domain.yml' is a file, not a folder", id="models, a file"
        ),
        pytest.param("store list nowhere", "'nowhere' does not exist. Expected is the URL of a store", id="store"),
        pytest.param("review domain.yml", "did you mean sqlite:///domain.yml?", id="store, a file"),
    ],
)
def test_what_is_not_there_is_named(bot: Path, monkeypatch: pytest.MonkeyPatch, line: str, problem: str) -> None:
    monkeypatch.chdir(bot)
    finished = CliRunner().invoke(main, line.split())
    assert finished.exit_code == 2
    assert problem in finished.output


def test_an_interrupted_training_ends_cleanly_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    many = "".join(f"## s{number}\n" + "* greet\n  - utter_greet\n" * (number % 7 + 1) for number in range(300))
    (tmp_path / "stories.md").write_text(many)
    # Whatever started the tests in the background has the signal ignored, and a child inherits that.
    listening = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.executable, sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", listening, sys.executable, "-m", "rasa_core.train", "."],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("training "):
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (130, "Interrupted.\n")
    assert not (tmp_path / "models" / "dialogue").exists()
    assert list(tmp_path.glob("models/.*")) == []


@pytest.mark.parametrize(
    "story", ["* nobody\n  - utter_greet\n", "* greet\n  \u2013 utter_greet\n", "* greet\n  - nothing\n"]
)
def test_a_training_whose_stories_fail_ends_with_an_error_and_no_signal(tmp_path: Path, story: str) -> None:
    (tmp_path / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    (tmp_path / "bad.md").write_text(f"## one\n{story}", encoding="utf-8")
    for _ in range(3):  # A thread that imports a library meanwhile would end the process at some of its moments only.
        finished = called("train -d domain.yml -s bad.md -o model", tmp_path)
        assert finished.returncode == 1
        assert "bad.md:" in finished.stderr
        assert "Traceback" not in finished.stderr
    assert not (tmp_path / "model").exists()


INTERRUPTED_WHILE_DELETING = """
import signal, sys, time
from rasa_core.commands import main, models

class Gone:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        for _ in range(1000):
            pass

def interrupted(folder):
    Gone()
    time.sleep(60)
    print("it went on")

signal.signal(signal.SIGINT, signal.default_int_handler)
models.ProjectModels = interrupted
main.main(["models", "."])
"""


def test_ctrl_c_while_an_object_is_deleted_is_not_forgotten() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_DELETING],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (130, "", "Interrupted.\n")


INTERRUPTED_WHILE_IMPORTING = """
import importlib.abc, runpy, signal, sys

class Impatient(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "click":
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Impatient())
runpy.run_module(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize("module", ["train", "run", "evaluate", "visualize", "restore", "server", "commands"])
def test_ctrl_c_while_a_command_is_imported_leaves_no_traceback(module: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IMPORTING, f"rasa_core.{module}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (130, "", "Interrupted.\n")


def test_none_is_no_file_as_in_the_documents_of_old(bot: Path) -> None:
    before = sorted(bot.iterdir())
    finished = called("evaluate -d model -s stories.md -o None --failed None", bot)
    assert finished.returncode == 0, finished.stderr
    assert sorted(bot.iterdir()) == before


def test_the_picture_of_the_old_documents_is_drawn(bot: Path) -> None:
    font()
    finished = called("visualize -d domain.yml -s stories.md -o graph.png", bot)
    assert finished.returncode == 0, finished.stderr
    assert (bot / "graph.png").read_bytes().startswith(b"\x89PNG")
