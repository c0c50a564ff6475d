"""The command and the function that train a model from files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from programs import until
from test_project import DOMAIN, STORIES

from rasa_core import Agent
from rasa_core.commands.train import command, policies, train_dialogue_model
from rasa_core.policies import KerasPolicy, MemoizationPolicy


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "d.yml").write_text(DOMAIN)
    (tmp_path / "s.md").write_text(STORIES)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_files_are_trained_into_a_model(files: Path) -> None:
    out = files / "model"
    finished = run("-d", files / "d.yml", "-s", files / "s.md", "-o", out, "--epochs", 2, "--augmentation", 0)
    assert finished.exit_code == 0, finished.output
    assert "trained in" in finished.output
    assert Agent.load(out).start_message_handling("/greet")["next_action"] == "utter_hello"


def test_function_of_old_trains_and_returns_the_agent(files: Path) -> None:
    kwargs: dict[str, Any] = {"epochs": 2, "batch_size": 20, "validation_split": 0.1, "augmentation": 5, "verbose": 0}
    agent = train_dialogue_model(files / "d.yml", files / "s.md", files / "model", max_history=2, kwargs=kwargs)
    memoization, network = agent.policy_ensemble.policies
    assert isinstance(memoization, MemoizationPolicy)
    assert isinstance(network, KerasPolicy)
    assert memoization.max_history == 2
    assert network.current_epoch == 2
    assert (files / "model" / "metadata.json").is_file()


def test_function_of_old_takes_what_is_for_reading_stories(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    load_data = Agent.load_data

    def noting(agent: Agent, *args: Any, **reading: Any) -> Any:
        asked.append(reading)
        return load_data(agent, *args, **reading)

    monkeypatch.setattr(Agent, "load_data", noting)
    kwargs = {"augmentation_factor": 0, "unique_last_num_states": 3, "use_story_concatenation": False}
    memory = files / "policies.yml"
    memory.write_text("policies: [{name: MemoizationPolicy}]", encoding="utf-8")
    for more in ({}, {"remove_duplicates": False, "debug_plots": False}):
        found = {**kwargs, **more, "epochs": 1}
        train_dialogue_model(files / "d.yml", files / "s.md", files / "model", kwargs=found, policy_config=memory)
        assert asked.pop() == {**kwargs, **more}


def test_an_interpreter_is_read_only_where_somebody_talks(files: Path) -> None:
    (files / "policies.yml").write_text("policies: [{name: MemoizationPolicy}]", encoding="utf-8")
    named = ("-d", files / "d.yml", "-s", files / "s.md", "-c", files / "policies.yml")
    finished = run(*named, "-o", files / "model", "-u", "nowhere")
    assert finished.exit_code == 0, finished.output
    assert "-u is ignored" in finished.stderr


def test_memoization_compares_three_states_unless_told() -> None:
    assert policies()[0].max_history == 3
    assert policies(7)[0].max_history == 7
    assert policies(None)[0].max_history == 5


NUMBERS = [("--history", "0"), ("--epochs", "0"), ("--validation_split", "1.0"), ("--batch_size", "0")]
NUMBERS += [("--augmentation", "-1")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--domain is missing"),
        (["-d", "d.yml"], "--stories is missing"),
        (["-d", "d.yml", "-s", "s.md"], "--out is missing"),
        (["bot", "-o", "model"], "--out does not go with a project folder"),
        (["nowhere"], "'nowhere' does not exist"),
        (
            ["nowhere", "--epochs", "3"],
            "--epochs does not go with a project folder: write such settings",
        ),
        (["nowhere", "--debug_plots"], "--debug_plots does not go with a project folder"),
        (["-d", "nowhere.yml", "-s", "s.md", "-o", "model"], "nowhere.yml"),
        *((["bot", option, number], f"{number} is not in the range") for option, number in NUMBERS),
    ],
)
def test_wrong_calls_are_told_in_a_line(arguments: list[str], message: str) -> None:
    finished = run(*arguments)
    assert finished.exit_code != 0
    assert message in finished.output
    assert "Traceback" not in finished.output


# -- with somebody at the terminal, whose answers are written down beforehand

SMALL_BOT = """
import signal, sys
from pathlib import Path
from small_bots import CONCERT_DOMAIN, CONCERT_STORIES, trained_agent

# Where tests run in the background, Ctrl+C may be switched off.
signal.signal(signal.SIGINT, signal.default_int_handler)
agent = trained_agent(Path(sys.argv[1]), CONCERT_DOMAIN, CONCERT_STORIES)
agent.train_online([])
print(agent.start_message_handling("/search")["next_action"])
"""


def start_python(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    tests = Path(__file__).resolve().parents[1]
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
    )


def read_until(process: subprocess.Popen[str], expected: str) -> None:
    """Read the output of the process up to the end of `expected`; kill the process after a minute."""
    assert process.stdout is not None
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    seen = ""
    while not seen.endswith(expected):
        character = process.stdout.read(1)
        assert character, seen
        seen += character
    watchdog.cancel()


def ended(process: subprocess.Popen[str], *typed: str) -> str:
    """Type some lines and the end of the input; return the output since then."""
    out, errors = process.communicate("".join(f"{line}\n" for line in typed), timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    return out


def wait_until_asleep(process: subprocess.Popen[str]) -> None:
    """Wait until the process waits for its input: a signal that comes a moment before would not wake it."""
    stat = Path(f"/proc/{process.pid}/stat")
    until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "S")


def test_a_bot_is_trained_taught_and_written(files: Path) -> None:
    options = ["-d", "d.yml", "-s", "s.md", "-o", "model", "--epochs", "2", "--augmentation", "0", "--online"]
    answers = ["1", "2", "utter_bye", "", "2", "action_listen", "/bye", "3", "greet", "0", "s.md", "n"]
    with start_python(files, "-m", "rasa_core.train", *options) as process:
        out = ended(process, "/greet", *answers)
    assert "next action: utter_hello (1.00, MemoizationPolicy)" in out
    assert "Hello!" in out
    assert "user: /bye  (greet, 1.00)" in out
    assert "the model is in model." in out
    stories = (files / "s.md").read_text()
    assert stories.startswith(STORIES)
    assert stories.endswith("* greet\n  - utter_hello\n  - utter_bye\n")
    agent = Agent.load(files / "model")
    agent.start_message_handling("/greet")
    assert agent.continue_message_handling("default", "utter_hello")["next_action"] == "utter_bye"


def test_the_end_of_the_input_loses_nothing(tmp_path: Path) -> None:
    with start_python(tmp_path, "-c", SMALL_BOT, str(tmp_path)) as process:
        out = ended(process, "/greet", "1", "1", "/search", "1", 'slot{"concerts": []}', "", "2", "utter_hello")
    assert "Appended to 'stories.md'." in out
    taught = '* greet\n  - utter_hello\n* search\n  - action_search\n  - slot{"concerts": []}\n  - utter_hello\n'
    assert (tmp_path / "stories.md").read_text().endswith(taught)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells when a process waits from /proc")
@pytest.mark.parametrize("question", ["1, 2, 3, 4 or 0? ", "by number or name (Enter: back)? "])
def test_ctrl_c_loses_nothing(tmp_path: Path, question: str) -> None:
    with start_python(tmp_path, "-c", SMALL_BOT, str(tmp_path)) as process:
        assert process.stdin is not None
        process.stdin.write("/search\n2\nutter_hello\n" + ("" if question.startswith("1") else "2\n"))
        process.stdin.flush()
        read_until(process, "next action:")
        read_until(process, "next action:")
        read_until(process, question)
        wait_until_asleep(process)
        process.send_signal(signal.SIGINT)
        read_until(process, "none)? ")
        out = ended(process, "taught.md")
    assert "Appended to 'taught.md'." in out
    assert (tmp_path / "taught.md").read_text().endswith("* search\n  - utter_hello\n")
    assert out.endswith("utter_hello\n")
