"""The example bot understands what people type: ``rasa-core-serve`` has trained its interpreter with it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from example_bot import Served

from rasa_core.commands import main as cli
from rasa_core.commands import serve_project
from rasa_core.nlu.model import NLUModel
from rasa_core.nlu.training_data import NLUDataError
from rasa_core.project import Project


class _TrainsError(Exception):
    """Ends a training before it begins."""


@pytest.fixture
def project(bot: Served, tmp_path: Path) -> Project:
    """The trained example, as a copy of the test's own."""
    ignored = shutil.ignore_patterns("*.db*")
    return Project(shutil.copytree(bot.folder / "examples" / "remote", tmp_path / "remote", ignore=ignored))


def train(project: Project, **options: bool) -> list[str]:
    """Return the output of a training, in which an error is raised in place of training a network."""
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("training "):
            raise _TrainsError(said)

    project.train_if_changed(say=say, **options)
    return said


def what_it_trains(project: Project, **options: bool) -> list[str]:
    with pytest.raises(_TrainsError) as stopped:
        train(project, **options)
    said: list[str] = stopped.value.args[0]
    return said


def ask(bot: Served, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(bot.url + path, data) as response:
        return json.load(response)


@pytest.mark.parametrize(
    ("text", "action", "city"),
    [
        ("hello there", "utter_greet", None),
        ("Hi!", "utter_greet", None),
        ("which concerts are there in Lisbon?", "search_concerts", "Lisbon"),
        ("concerts in Oporto please", "search_concerts", "Porto"),
        ("which venues are there in Berlin", "search_venues", "Berlin"),
        ("goodbye", "utter_goodbye", None),
        ("asdf", "utter_default", None),
        ("what is the capital of France", "utter_default", None),
        ("😀", "utter_default", None),
    ],
)
def test_typed_text_leads_to_the_action(bot: Served, text: str, action: str, city: str | None) -> None:
    answer = ask(bot, f"/conversations/{urllib.parse.quote(text)}/parse", {"query": text})

    assert (answer["next_action"], answer["tracker"]["slots"]["city"]) == (action, city)
    assert answer["tracker"]["latest_message"]["text"] == text


def test_the_server_says_what_it_trains_and_understands(bot: Served) -> None:
    assert re.search(r"nlu\.md: \d+ messages of 9 intents, 2 entities", bot.said)
    assert "models/nlu: the interpreter is written" in bot.said
    assert "Typed text is understood by examples/remote/models/nlu." in bot.said
    assert '{"query": "hello there"}' in bot.said


def test_the_version_tells_which_interpreter_is_served(bot: Served) -> None:
    model = NLUModel.load(bot.folder / "examples" / "remote" / "models" / "nlu")

    assert ask(bot, "/version")["nlu_model"] == model.fingerprint


def test_nothing_is_trained_when_nothing_has_changed(project: Project) -> None:
    said = train(project)

    assert [line.rpartition(": ")[2] for line in said[1:]] == [
        "the model is up to date",
        "the interpreter of typed text is up to date",
    ]
    assert project.is_current()
    assert project.interpreter == project.nlu_model


def test_a_changed_story_makes_only_the_dialogue_model_old(project: Project) -> None:
    with (project.folder / "stories.md").open("a") as stories:
        stories.write("\n## one more\n* thank\n  - utter_goodbye\n")

    assert (project.dialogue_is_current(), project.nlu_is_current()) == (False, True)


@pytest.mark.parametrize("file", ["nlu.md", "data/more.yml", "nlu/a/b.json"])
def test_changed_examples_make_only_the_interpreter_old(project: Project, file: str) -> None:
    formats = {
        ".md": "## intent:greet\n- cheerio\n",
        ".yml": "nlu:\n- intent: greet\n  examples: |\n    - cheerio\n",
        ".json": '{"rasa_nlu_data": {"common_examples": [{"text": "cheerio", "intent": "greet"}]}}',
    }
    path = project.folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(formats[path.suffix], encoding="utf-8")

    assert (project.dialogue_is_current(), project.nlu_is_current()) == (True, False)
    assert what_it_trains(project)[-1] == "training the interpreter of typed text ..."


def test_a_comment_in_the_examples_changes_nothing(project: Project) -> None:
    with (project.folder / "nlu.md").open("a") as examples:
        examples.write("\n<!-- That was all. -->\n")

    assert project.is_current()


def test_a_damaged_interpreter_is_trained_anew(project: Project) -> None:
    (project.nlu_model / "nlu_weights.npz").write_bytes(b"")

    assert what_it_trains(project)[-1] == "training the interpreter of typed text ..."


def test_force_trains_both(project: Project) -> None:
    assert what_it_trains(project, force=True)[-1] == "training the interpreter of typed text ..."
    (project.folder / "nlu.md").unlink()
    assert what_it_trains(project, force=True)[-1] == "training MemoizationPolicy, KerasPolicy and FallbackPolicy ..."


def test_what_looks_wrong_is_told_in_brief(project: Project) -> None:
    with (project.folder / "nlu.md").open("a") as examples:
        examples.write("## intent:greetings\n- hello\n- hi\n## intent:thank\n- hey\n- howdy\n")

    warnings = [line for line in what_it_trains(project) if "warning" in line]

    assert len(warnings) == 4
    assert "the domain has no intent 'greetings'. Did you mean 'greet'?" in warnings[0]
    assert warnings[3] == f"and 3 more warnings; rasa-core check {project.folder} shows all"


def test_wrong_examples_are_told_before_anything_is_trained(project: Project) -> None:
    (project.folder / "nlu.md").write_text("## intent:greet\n- [x](\n", encoding="utf-8")
    (project.folder / "stories.md").write_text("## a\n* greet\n  - utter_greet\n", encoding="utf-8")

    with pytest.raises(NLUDataError, match=r"nlu\.md:2"):
        train(project)


def test_without_examples_there_is_no_interpreter(project: Project) -> None:
    (project.folder / "nlu.md").unlink()

    assert not any(line.startswith("training") for line in train(project))
    assert project.interpreter is None
    assert not project.nlu_model.exists()


def test_another_interpreter_takes_the_place_of_the_projects(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.folder / "nlu.md").write_text("## intent:greet\n- [x](\n", encoding="utf-8")  # Would be an error.
    served: list[tuple[str, str | None]] = []
    monkeypatch.setattr(serve_project, "serve", lambda core, nlu, **_: served.append((core, nlu)))
    monkeypatch.setenv("PYTHONPATH", str(Path(cli.__file__).parents[2]))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    finished = CliRunner().invoke(cli.main, ["serve", str(project.folder), "-u", "http://localhost:5000", "-p", port])

    assert finished.exit_code == 0, finished.output
    assert served == [(str(project.model), "http://localhost:5000")]
