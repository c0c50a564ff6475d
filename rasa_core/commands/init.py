"""``rasa-core init``: write a small working bot, or a copy of an example, into a new folder."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

import rasa_core
from rasa_core.commands.common import CONTEXT, Command
from rasa_core.exceptions import did_you_mean
from rasa_core.project import Project
from rasa_core.support.folders import copy_folder

CLIENTS: Final = {"python": "client.py", "node": "client.mjs", "php": "client.php", "shell": "client.sh"}
RUN: Final = {"python": "python", "node": "node", "php": "php", "shell": "bash"}
LAYOUTS: Final = {"0.9": "markdown", "rasa3": "rasa3"}
START: Final = "start"
_RENAMED: Final = {"gitignore": ".gitignore"}  # A file .gitignore would keep files out of the package.
_MADE: Final = ("models", "__pycache__")

_EXAMPLES = """\b
Examples:
  # A bot, asked for what is not said.
  rasa-core init my-bot
\b
  # Asked nothing: the files of Rasa 3, and a client for Node.
  rasa-core init my-bot --layout rasa3 --client node --no-train
\b
  # A copy of the example that finds concerts, with its clients.
  rasa-core init --example remote my-bot
"""


def examples_folder() -> Path:
    """Return the folder of the examples: in the installed package, or beside the package in a checkout."""
    package = Path(rasa_core.__file__).parent
    installed = package / "examples"  # setup.py copies the examples to this folder.
    return installed if installed.is_dir() else package.parent / "examples"


def example_names() -> list[str]:
    """Return the names of the examples that can be copied."""
    folder = examples_folder()
    found = [path.name for path in folder.iterdir() if path.is_dir() and path.name != START] if folder.is_dir() else []
    return sorted(name for name in found if not name.startswith(("_", ".")))  # Such as __pycache__.


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--layout", type=click.Choice(list(LAYOUTS)), help="How files are written: Markdown, or as in Rasa 3.")
@click.option("--client", type=click.Choice(list(CLIENTS)), help="The language of the code that runs its actions.")
@click.option(
    "--example",
    metavar="NAME",
    shell_complete=lambda ctx, param, begun: [name for name in example_names() if name.startswith(begun)],
    help="Copy this example instead.",
)
@click.option("--train/--no-train", "train", default=None, help="Whether to train the bot.")
def command(folder: Path, layout: str | None, client: str | None, example: str | None, train: bool | None) -> None:
    """Write a small bot into the new folder DIR, train it, and say how to go on.

    It books repairs in a bike workshop: five intents, two slots to fill, an action that runs in your code and may fail,
    an answer to what is not understood, test conversations, and a client for the terminal. On a terminal you are asked
    what the options do not say.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.UsageError(f"{str(folder)!r} exists and is not empty; nothing is written. Choose a new folder.")
    if example is not None:
        if layout is not None or client is not None:
            raise click.UsageError("--layout and --client do not go with --example, which has files of its own.")
        _write(folder, [_example(example)])
        _tell(folder, example)
    else:
        layout = layout or _asked("How are its files written?", list(LAYOUTS))
        client = client or _asked("In which language do you write what it does?", list(CLIENTS))
        start = examples_folder() / START
        _write(folder, [start / LAYOUTS[layout], start / "gitignore", start / "clients" / CLIENTS[client]])
        _tell(folder, None)
    if _wants_training(train):
        Project(folder).train_if_changed(say=click.echo)
    for line in _how_to_go_on(folder, client, example):
        click.echo(line)


def _is_asked() -> bool:
    # Input and output: if the output goes to a file, nobody sees the question.
    return all(end is not None and end.isatty() for end in (sys.stdin, sys.stdout))


def _asked(question: str, choices: list[str]) -> str:
    """Return the choice of the user on a terminal; without a terminal, the first choice."""
    if not _is_asked():
        return choices[0]
    chosen: str = click.prompt(question, type=click.Choice(choices), default=choices[0])
    return chosen


def _wants_training(train: bool | None) -> bool:
    if train is None:
        return not _is_asked() or click.confirm("Train it now? That takes a minute.", default=True)
    return train


def _example(name: str) -> Path:
    known = example_names()
    if name not in known:
        raise click.UsageError(
            f"there is no example {name!r}.{did_you_mean(name, known)} Examples: {', '.join(known)}."
        )
    return examples_folder() / name


def _write(folder: Path, sources: list[Path]) -> None:
    """Copy files, and the content of folders, into a new or empty folder; after an error, nothing is left."""
    is_new, left_out = not folder.exists(), shutil.ignore_patterns(*_MADE, "gitignore")
    try:
        for source in sources:
            if source.is_dir():
                copy_folder(source, folder, ignore=left_out, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, folder / _RENAMED.get(source.name, source.name))
    except OSError as error:
        # The files are removed, so that the command can be repeated with more space or other permissions.
        for written in [folder] if is_new else list(folder.iterdir()):
            shutil.rmtree(written, ignore_errors=True)
            with suppress(OSError):  # It was a folder, or it does not exist.
                written.unlink()
        raise OSError(error.errno, error.strerror, error.filename2 or error.filename) from error


def _tell(folder: Path, example: str | None) -> None:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    what = "a small bot" if example is None else f"the example {example}"
    click.echo(f"{folder}: {what}, in {', '.join(files)}")


def _how_to_go_on(folder: Path, client: str | None, example: str | None) -> Iterator[str]:
    yield ""
    yield "Now type, in one terminal:"
    there = shlex.quote(str(folder))
    yield f"    cd {there} && rasa-core serve ."
    if client is not None:
        yield "and in another, to talk to it:"
        yield f"    cd {there} && {RUN[client]} {CLIENTS[client]}"
        yield "Say: hello, can you repair my racing bike on Friday."
        yield "Then the same on Monday, which is full, on Sunday, when the calendar fails, and asdf."
    elif example is not None:
        yield f"The clients beside its files talk to it: {', '.join(_clients_in(folder)) or 'none'}."
    yield "Change domain.yml and the stories, and start the server again; rasa-core check . finds what does not fit."


def _clients_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("client.*"))
