"""``rasa-core``, the commands under one name; and ``rasa-core-serve``, which trains what it serves."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import click

from rasa_core.commands.serve import ServerCommand, server_options
from rasa_core.commands.serve import serve as serve_model
from rasa_core.project import Project
from rasa_core.version import __version__

COMMANDS = {
    "train": "Train a model from a domain and stories.",
    "check": "Look for mistakes in a domain, stories and NLU data.",
    "run": "Talk to a bot on the terminal.",
    "evaluate": "Measure how well models follow stories.",
    "visualize": "Draw stories as a graph.",
    "nlu": "Train, measure and try an interpreter of typed text.",
    "restore": "Go on with a conversation that was saved as JSON.",
    "store": "List, delete, export, import and migrate stored conversations.",
}
_EXAMPLES = """\b
Examples:
  # Train the bot in a folder if its files have changed, and serve it.
  rasa-core-serve examples/remote
\b
  # Serve a trained model; understand typed text with a trained interpreter, or with a running NLU server.
  rasa-core-serve -d models/dialogue -u models/nlu
  rasa-core-serve -d models/dialogue -u http://localhost:5000
\b
  # Four processes, with a token.
  RASA_CORE_TOKEN=secret rasa-core-serve examples/remote --workers 4
\b
Then:
  curl localhost:5005/conversations/default/parse -d '{"query": "hello there"}'
"""


@click.command(cls=ServerCommand, epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("project_dir", required=False)
@click.option("-d", "--core", metavar="MODEL", help="Directory of a trained model, in place of PROJECT_DIR.")
@server_options
def serve(project_dir: str | None, core: str | None, **flags: Any) -> None:
    """Serve the bot in PROJECT_DIR over HTTP, after training it if its files have changed.

    The files are domain.yml, stories.md and, to understand typed text, NLU data such as nlu.md.
    """
    if (project_dir is None) == (core is None):
        raise click.UsageError("give either PROJECT_DIR, the folder of a bot, or -d MODEL, a trained model.")
    if core is None:
        project = _trained(str(project_dir), flags["nlu"])
        core = str(project.model)
        if flags["nlu"] is None and project.interpreter is not None:
            flags["nlu"] = str(project.interpreter)
    serve_model(core, **flags)


def _trained(project_dir: str, nlu: str | None) -> Project:
    """Train in a process of its own, so that the server never holds what only training needs."""
    interpreter = [] if nlu is None else ["--nlu", nlu]
    finished = subprocess.run([sys.executable, "-m", "rasa_core.train", project_dir, *interpreter], check=False)
    if finished.returncode:
        raise click.exceptions.Exit(finished.returncode)
    return Project(project_dir)


class _Commands(click.Group):
    """Imports a command only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, "serve"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "serve":
            return serve
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"rasa_core.commands.{cmd_name}").command
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
