"""The command and the function that train a model from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from test_project import DOMAIN, STORIES

from rasa_core import Agent
from rasa_core.policies import KerasPolicy, MemoizationPolicy
from rasa_core.train import command, policies, train_dialogue_model


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


def test_memoization_compares_three_states_unless_told() -> None:
    assert policies()[0].max_history == 3
    assert policies(7)[0].max_history == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--domain is missing"),
        (["-d", "d.yml"], "--stories is missing"),
        (["-d", "d.yml", "-s", "s.md"], "--out is missing"),
        (["bot", "-o", "model"], "--out does not go with a project folder"),
        (["nowhere"], "'nowhere' does not exist"),
        (["-d", "nowhere.yml", "-s", "s.md", "-o", "model"], "nowhere.yml"),
    ],
)
def test_wrong_calls_are_told_in_a_line(arguments: list[str], message: str) -> None:
    finished = run(*arguments)
    assert finished.exit_code != 0
    assert message in finished.output
    assert "Traceback" not in finished.output


def test_training_with_a_person_is_refused(files: Path) -> None:
    finished = run("-d", files / "d.yml", "-s", files / "s.md", "-o", files / "model", "--online")
    assert finished.exit_code == 1
    assert "train_online is not part of this version" in finished.output
    assert not (files / "model").exists()
