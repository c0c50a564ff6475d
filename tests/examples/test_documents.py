"""Each block of the README and the docs is run, in order, against the served example bot, and does as it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import forked
import pytest
import yaml
from example_bot import ROOT, Served
from programs import program

from rasa_core import Domain
from rasa_core.commands.compare import command as compare_command
from rasa_core.commands.evaluate import command as evaluate_command
from rasa_core.commands.init import command as init_command
from rasa_core.commands.main import main as main_command
from rasa_core.commands.main import serve
from rasa_core.commands.migrate import command as migrate_command
from rasa_core.commands.nlu import command as nlu_command
from rasa_core.commands.serve import main as server_command
from rasa_core.commands.shell import command as shell_command
from rasa_core.commands.store import command as store_command
from rasa_core.commands.train import command as train_command
from rasa_core.remote import RasaCoreClient
from rasa_core.stories import extract_story_graph

DOCUMENTS = [
    "README.rst",
    "examples/remote/README.rst",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.rst")),
]


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


def blocks_of(document: str) -> list[Block]:
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines):
        directive = re.fullmatch(r"( *)\.\. code-block:: (\w+)", line)
        if directive:
            body = []
            for following in lines[number + 1 :]:
                if following.strip() and len(following) - len(following.lstrip()) <= len(directive[1]):
                    break
                body.append(following)
            found.append(Block(directive[2], textwrap.dedent("\n".join(body)).strip() + "\n", number + 1))
    return found


def local(text: str, bot: Served) -> str:
    return text.replace("http://localhost:5005", bot.url).replace("localhost:5005", bot.url)


def run_shell(line: str, bot: Served) -> str:
    """Run one line of a shell block as far as a test should: installing and serving are only checked."""
    words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    if words[0] == "pip":
        assert words[1] == "install"
        return ""
    if words[0] == "rasa-core-serve":
        serve.make_context("rasa-core-serve", words[1:])
        return ""
    if words[:3] == ["python", "-m", "rasa_core.server"]:
        server_command.make_context("server", words[3:])
        return ""
    if re.fullmatch(r"rasa-core [^|<>&;$*`~]+", line):
        done = forked.run(COMMAND, *words[1:], folder=bot.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout
    if words[0] == "rasa-core":  # Of this checkout, installed or not.
        line = f"{shlex.quote(sys.executable)} -m rasa_core.commands {line.partition(' ')[2]}"
    if "curl " in line:
        program("curl", "curl")
    finished = subprocess.run(
        ["bash", "-o", "pipefail", "-c", local(line, bot)],
        cwd=bot.folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


COMMAND = "import runpy\nrunpy.run_module('rasa_core.commands', run_name='__main__', alter_sys=True)"
AS_IN_RASA = {"version", "status", "message", "reason", "code"}
"""What an error has besides for clients of Rasa."""


def check_answer(answer: str, shown: str | None) -> None:
    """Compare an answer with the JSON that a document shows for it: ``...`` stands for what may differ."""
    if answer.lstrip()[:1] not in ("{", "["):
        return
    got = json.loads(answer)
    if shown is None:
        assert "error" not in got or "uter_greet" in answer, answer
        return
    expected = json.loads(shown)
    if isinstance(expected, list):
        assert got == expected
        return
    assert set(got) - (AS_IN_RASA if "error" in got else set()) == set(expected)
    for key, value in expected.items():
        if isinstance(value, str) and value.endswith("..."):
            assert got[key].startswith(value.removesuffix("...")), key
        elif not isinstance(value, dict | float | int) or isinstance(value, bool):
            assert got[key] == value, key
    if "tracker" in expected:
        assert set(got["tracker"]) == set(expected["tracker"])
        assert got["tracker"]["slots"] == expected["tracker"]["slots"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_shell_blocks_do_what_they_show(document: str, bot: Served, request: pytest.FixtureRequest) -> None:
    blocks = blocks_of(document)
    with_form = any("localhost:5006" in block.text for block in blocks)
    form_url = request.getfixturevalue("hotel").url if with_form else ""
    shell = [(index, block) for index, block in enumerate(blocks) if block.language == "shell"]
    if any("conversations/default" in block.text for _, block in shell):
        run_shell("curl -sS -XDELETE localhost:5005/conversations/default", bot)
    for index, block in shell:
        following = blocks[index + 1] if index + 1 < len(blocks) else None
        lines = block.text.splitlines()
        for line in lines:
            for command in re.split(r" && (?=rasa-core|pytest)", line):
                if command == "pytest" or ("client." in command and document == "examples/remote/README.rst"):
                    continue
                command = command.replace("localhost:5006", form_url).replace("curl ", "curl -sS ", 1)
                answer = run_shell(command, bot)
                shown = following.text if following and following.language == "json" and line == lines[-1] else None
                check_answer(answer, shown)


WITH_PYTHON = [name for name in DOCUMENTS if any(block.language == "python" for block in blocks_of(name))]


@pytest.mark.parametrize("document", WITH_PYTHON)
def test_python_blocks_run(document: str, bot: Served) -> None:
    blocks = [local(block.text, bot) for block in blocks_of(document) if block.language == "python"]
    finished = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:rasa_core", "-c", "\n".join(blocks)],
        cwd=bot.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("document", DOCUMENTS)
def test_yaml_and_story_blocks_are_valid(document: str, tmp_path: Path) -> None:
    domain = None
    for block in blocks_of(document):
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)
            domain = Domain.from_yaml(block.text, name=f"{document}:{block.line}")
        elif block.language == "md":
            assert domain is not None
            path = tmp_path / "stories.md"
            path.write_text(block.text, encoding="utf-8")
            assert extract_story_graph(str(path), domain).story_steps


@pytest.mark.parametrize("document", DOCUMENTS)
def test_flags_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    known = {name for command in (serve, server_command) for option in command.params for name in option.opts}
    known |= {name for command in store_command.commands.values() for option in command.params for name in option.opts}
    known |= {
        name
        for command in (compare_command, evaluate_command, migrate_command, train_command)
        for option in command.params
        for name in option.opts
    }
    known |= {name for command in nlu_command.commands.values() for option in command.params for name in option.opts}
    known |= {name for option in init_command.params for name in [*option.opts, *option.secondary_opts]}
    known |= {name for command in (main_command, shell_command) for option in command.params for name in option.opts}
    known |= {"--help"}
    for flag in re.findall(r"``(--[a-z_-]+)", text):
        assert flag in known, flag


@pytest.mark.parametrize("document", DOCUMENTS)
def test_nothing_installs_the_old_project_of_the_package_index(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert not re.search(r"pip3? install [^`&\n]*(?<![\w/.*-])rasa[-_]core(?![-_\w])", text)


def test_the_unit_and_the_container_start_the_server_with_flags_that_it_has() -> None:
    unit = re.search(r"ExecStart=\S+/rasa-core-serve (.+)", (ROOT / "docs/operate.rst").read_text(encoding="utf-8"))
    container = re.search(r"^CMD (\[.+\])$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert unit is not None
    assert container is not None
    for arguments in (shlex.split(unit[1]), json.loads(container[1])):
        given = serve.make_context("rasa-core-serve", list(arguments)).params
        assert (given["core"], given["nlu"]) == ("models/dialogue", "models/nlu")


def test_every_page_is_in_the_index_and_the_first_bot_comes_first() -> None:
    index = (ROOT / "docs/index.rst").read_text(encoding="utf-8")
    listed = re.findall(r"^   ([a-z0-9]+)$", index, re.MULTILINE)
    pages = {path.stem for path in (ROOT / "docs").glob("*.rst")}
    assert listed[0] == "tutorial"
    assert sorted(listed) == sorted(pages - {"index"})


def test_server_says_what_it_does_at_the_start(bot: Served) -> None:
    assert "stories" in bot.said
    assert re.search(r"trained in [\d.]+ s", bot.said)
    assert bot.url.replace("127.0.0.1", "localhost") in bot.said
    assert "curl" in bot.said


@pytest.mark.parametrize("text", ["asdf", "what is the capital of France", "\N{GRINNING FACE}"])
@pytest.mark.parametrize("example", ["bot", "hotel"])
def test_examples_hand_nonsense_to_the_fallback(
    example: str, text: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    served: Served = request.getfixturevalue(example)
    answer = RasaCoreClient(served.url).parse(text, f"nonsense-{tmp_path.name}")
    assert answer["next_action"] in ("utter_default", "action_default_fallback")
    assert answer["messages"][0]["text"].startswith("Sorry, that I did not understand.")


def test_the_explanation_on_the_page_is_that_of_the_example(bot: Served) -> None:
    page = (ROOT / "docs/http.rst").read_text(encoding="utf-8")
    shown = json.loads(page.partition("led to another action::")[2].partition("\n- ")[0])
    client = RasaCoreClient(bot.url)
    client.parse("hello there", "explained")
    client.continue_core("utter_greet", [], "explained")
    got = client.explain("explained", at=2)
    assert set(shown) == set(got)
    for key in ("action", "policy", "executed", "fixed_by", "failed"):
        assert shown[key] == got[key]
    assert shown["policies"][0].keys() == got["policies"][0].keys()
    assert shown["policies"][0]["lessons"] == got["policies"][0]["lessons"]
    assert shown["nearest_miss"].keys() == got["nearest_miss"].keys()
    assert [change["text"] for change in shown["nearest_miss"]["changes"]] == [
        change["text"] for change in got["nearest_miss"]["changes"]
    ]


def commands_of(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a group and every command in it, each with its words."""
    yield " ".join(names), group
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group) and command.list_commands(click.Context(command)):
            yield from commands_of(command, *names, name)
        else:
            yield " ".join((*names, name)), command


EVERY_COMMAND = dict(commands_of(main_command, "rasa-core"))


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_help_of_every_command_shows_an_example_of_it(name: str) -> None:
    text = EVERY_COMMAND[name].get_help(click.Context(EVERY_COMMAND[name], info_name=name))
    _, found, examples = re.split(r"\n *(Examples?)\b.*:\n", text, maxsplit=1)
    assert found
    assert name.replace("rasa-core serve", "rasa-core-serve") in examples
    assert not re.search(r"^ +\S.*\.\.\.$", text.partition("Commands:")[2].partition("\n\n")[0], re.MULTILINE)


def test_help_of_the_server_shows_examples_and_options() -> None:
    for command in (serve, server_command):
        text = command.get_help(click.Context(command, info_name="x"))
        assert "Examples:" in text
        assert "--store" in text
