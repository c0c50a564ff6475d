"""``rasa-core``, the commands under one name; and ``rasa-core-serve``, which trains what it serves."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from rasa_core.server.command import ServerCommand, server_options
from rasa_core.server.command import serve as serve_model
from rasa_core.version import __version__

COMMANDS = {
    "train": "Train a model from a domain and stories.",
    "check": "Look for mistakes in a domain and stories.",
    "run": "Talk to a bot on the terminal.",
    "evaluate": "Measure how well models follow stories.",
    "visualize": "Draw stories as a graph.",
    "restore": "Go on with a conversation that was saved as JSON.",
    "store": "List, delete, export, import and migrate stored conversations.",
}

_EXAMPLES = """\b
Examples:
  # Train the bot in a folder if its files have changed, and serve it.
  rasa-core-serve examples/remote
\b
  # Serve a trained model; understand plain text with a running NLU server.
  rasa-core-serve -d models/dialogue -u http://localhost:5000
\b
  # Four processes, with a token.
  RASA_CORE_TOKEN=secret rasa-core-serve examples/remote --workers 4
\b
Then:
  curl localhost:5005/conversations/default/parse -d '{"query": "/greet"}'
"""


@click.command(cls=ServerCommand, epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("project_dir", required=False)
@click.option("-d", "--core", metavar="MODEL", help="Directory of a trained model, in place of PROJECT_DIR.")
@server_options
def serve(project_dir: str | None, core: str | None, **flags: Any) -> None:
    """Serve the bot in PROJECT_DIR (domain.yml, stories.md) over HTTP, after training it if its files have changed."""
    if (project_dir is None) == (core is None):
        raise click.UsageError("give either PROJECT_DIR, the folder of a bot, or -d MODEL, a trained model.")
    serve_model(core if core is not None else str(_trained(str(project_dir))), **flags)


def _trained(project_dir: str) -> Path:
    """Train in a process of its own, so that the server never holds what only training needs."""
    finished = subprocess.run([sys.executable, "-m", "rasa_core.train", project_dir], check=False)
    if finished.returncode:
        raise click.exceptions.Exit(finished.returncode)
    return Path(project_dir, "models", "dialogue")


class _Commands(click.Group):
    """Imports a command only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, "serve"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "serve":
            return serve
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"rasa_core.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items(), ("serve", "Serve a bot over HTTP (also: rasa-core-serve).")])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rasa-core")
def main() -> None:
    """Decide what a bot does next.

    Each command tells more with --help.
    """


if __name__ == "__main__":
    main()
