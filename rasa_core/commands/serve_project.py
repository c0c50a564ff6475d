"""``rasa-core serve``, also ``rasa-core-serve``: serve the folder of a bot; it is trained if its files have changed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from rasa_core.commands.common import CONTEXT, ignore_option
from rasa_core.commands.serve import MODEL_PARSE, PARSE, REST_WEBHOOK, serve
from rasa_core.commands.serve_options import ServerCommand, server_options
from rasa_core.project import Project
from rasa_core.server.ports import LaunchError, check_port
from rasa_core.support.forks import ends_with_this_process
from rasa_core.support.problems import told

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
@click.option(
    "-d",
    "--core",
    metavar="MODEL",
    help="Directory of a trained model, in place of PROJECT_DIR; or the domain file of the bot in PROJECT_DIR.",
)
@click.option("-s", "--stories", metavar="STORIES", help="Story file or folder, if it is in another place.")
@click.option("--lenient", is_flag=True, help="Train in spite of mistakes in the stories, and warn of them.")
@ignore_option
@server_options
def command(
    project_dir: str | None, core: str | None, stories: str | None, lenient: bool, ignore_components: bool, **flags: Any
) -> None:
    """Serve the bot in PROJECT_DIR over HTTP, after training it if its files have changed.

    The files are domain.yml, stories.md and, to understand typed text, NLU data such as nlu.md.
    """
    # -d names a model, as in python -m rasa_core.server; but if it names a file, this is the domain of the bot.
    domain = (
        None if core is None or not any(Path(place, core).is_file() for place in (".", project_dir or ".")) else core
    )
    if domain is None and (project_dir is None) == (core is None):
        raise click.UsageError("give either PROJECT_DIR, the folder of a bot, or -d MODEL, a trained model.")
    if stories is not None and project_dir is None and domain is None:
        raise click.UsageError("-s goes with PROJECT_DIR or the domain of a bot, not with a trained model.")
    if domain is None and project_dir is None:
        serve(str(core), **flags)
        return
    folder = project_dir or str(Path(str(domain)).parent)
    further = [name for name, is_on in (("--lenient", lenient), ("--ignore-components", ignore_components)) if is_on]
    project = _trained(folder, domain, stories, flags, further)
    if flags["nlu"] is None and project.interpreter is not None:
        flags["nlu"] = str(project.interpreter)
    endpoints = project.endpoints()
    for line in told(endpoints.notes):
        click.echo(line)
    # The command line and environment variables go before endpoints.yml.
    for name, given in (("actions", endpoints.actions), ("nlg", endpoints.nlg), ("store", endpoints.store)):
        flags[name] = given if flags.get(name) is None else flags[name]
    is_open, tried_at = project.has_open_rest_channel, first_message_at(project)
    serve(str(project.model), project=folder, **flags, open_rest_channel=is_open, tried_at=tried_at)


def first_message_at(project: Project) -> str:
    """Return the path that is proposed for the first message: for a project of Rasa, a path of Rasa's HTTP API."""
    if project.rasa is None:
        return PARSE
    return REST_WEBHOOK if project.story_files else MODEL_PARSE


def _trained(
    folder: str, domain: str | None, stories: str | None, flags: Mapping[str, Any], further: Sequence[str]
) -> Project:
    """Train in a process of its own, so that the server does not import the modules for training."""
    given = {"--domain": domain, "--stories": stories, "--nlu": flags["nlu"]}
    options = [part for name, value in given.items() if value is not None for part in (name, value)]
    options += [part for module in flags["imports"] for part in ("--import", module)]
    try:
        check_port(flags["host"], flags["port"])
    except LaunchError as error:
        raise click.ClickException(str(error)) from error
    code = _run_here([sys.executable, "-m", "rasa_core.train", folder, *options, *further])
    if code:
        raise click.exceptions.Exit(code if code > 0 else 128 - code)
    return Project(folder, domain, stories)


def _run_here(command: Sequence[str]) -> int:
    """Run a program and return its exit code; if this process is stopped, stop the program, too."""
    with subprocess.Popen(command, env=ends_with_this_process()) as process:
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            return process.wait()
        except BaseException:  # Such as Ctrl+C, which the terminal sends to the program, too.
            process.kill()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
