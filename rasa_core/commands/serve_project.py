"""``rasa-core serve``, also ``rasa-core-serve``: serve a folder that holds a bot, trained if its files have changed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import click

from rasa_core.commands.common import CONTEXT
from rasa_core.commands.serve import ServerCommand, serve, server_options
from rasa_core.project import Project

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


@click.command(cls=ServerCommand, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("project_dir", required=False)
@click.option("-d", "--core", metavar="MODEL", help="Directory of a trained model, in place of PROJECT_DIR.")
@server_options
def command(project_dir: str | None, core: str | None, **flags: Any) -> None:
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
    serve(core, **flags)


def _trained(project_dir: str, nlu: str | None) -> Project:
    """Train in a process of its own, so that the server never holds what only training needs."""
    interpreter = [] if nlu is None else ["--nlu", nlu]
    finished = subprocess.run([sys.executable, "-m", "rasa_core.train", project_dir, *interpreter], check=False)
    if finished.returncode:
        raise click.exceptions.Exit(finished.returncode)
    return Project(project_dir)
