"""``rasa-core``: the commands under one name, each of them imported only when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from rasa_core.commands.common import Group
from rasa_core.commands.completion import SHELLS, install
from rasa_core.version import __version__

COMMANDS = {
    "init": "Write a small working bot to begin with.",
    "train": "Train a model from a domain and stories.",
    "models": "List the models of a project, and go back to one.",
    "check": "Look for mistakes in a domain, stories and NLU data.",
    "migrate": "Tell what becomes of a project of Rasa 2 or 3.",
    "shell": "Talk to a bot on the terminal, and see what it makes of it.",
    "run": "Let a bot talk on the terminal, or on a channel of your own.",
    "explain": "Tell why a bot does what it does.",
    "evaluate": "Measure how well models follow stories.",
    "compare": "Tell what another model would do in stored conversations, and in stories.",
    "review": "List stored conversations, those first that need a person.",
    "story": "Print a stored conversation as a story.",
    "visualize": "Draw stories as a graph.",
    "nlu": "Train, measure and try an interpreter of typed text.",
    "restore": "Go on with a conversation that was saved as JSON.",
    "store": "List, delete, export, import and migrate stored conversations.",
    "serve": "Serve a bot over HTTP (also: rasa-core-serve).",
}
"""What each command does; its module has its name, unless `_MODULES` has another."""

_MODULES = {"serve": "serve_project"}


def _command(name: str) -> click.Command:
    module = import_module(f"rasa_core.commands.{_MODULES.get(name, name)}")
    command: click.Command = module.command
    return command


def __getattr__(name: str) -> Any:
    """Return the command that ``rasa-core-serve`` runs, where a script was installed that looks for it here."""
    if name == "serve":
        return _command("serve")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Commands(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Click would ask each command for its help, and so import all of them.
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rasa-core")
@click.option(
    "--install-completion",
    is_flag=False,
    flag_value="",
    metavar="[SHELL]",
    is_eager=True,
    expose_value=False,
    callback=install,
    shell_complete=lambda ctx, param, begun: [shell for shell in SHELLS if shell.startswith(begun)],
    help=f"Let the tab key complete commands and options from the next start of the shell on: {', '.join(SHELLS)}; "
    "that of $SHELL if none is given.",
)
def main() -> None:
    """Decide what a bot does next.

    Each command tells more with --help.
    """


if __name__ == "__main__":
    main(prog_name="rasa-core")
