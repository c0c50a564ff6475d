"""``rasa-core check``: mistakes in the domain, the stories and the NLU data of a project, found without training."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from rasa_core.checks import Finding
from rasa_core.checks.checks import DEFAULT_MAX_HISTORY, check_stories
from rasa_core.checks.rasa3 import check_rasa
from rasa_core.commands.common import CONTEXT, Command, counted, lines_of, load_modules, log_options, start_log
from rasa_core.exceptions import ModelError
from rasa_core.project import Project
from rasa_core.rasa_project import contradictions
from rasa_core.support.text_files import TextFileError, read_text

_SILENT = logging.NullHandler()

_EXAMPLES = """\b
Examples:
  # What is wrong, with file and line.
  rasa-core check examples/remote
\b
  # In a build: warnings count as errors.
  rasa-core check examples/remote --strict
\b
  # For programs: where do the stories contradict each other?
  rasa-core check examples/remote --format json |
    jq '.findings[] | select(.kind == "contradiction") | .places'
\b
A finding looks like this:
  stories.md:9: error: in "a greeting": the domain has no action 'utter_helo'.
  Did you mean 'utter_hello'? ... [undeclared-action]
"""


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("project", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-d", "--domain", metavar="FILE", help="Domain file, if it is not to be found in the project.")
@click.option("-s", "--stories", metavar="STORIES", help="Story file or folder, if not to be found in the project.")
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@click.option(
    "--max-history",
    type=click.IntRange(min=1),
    default=DEFAULT_MAX_HISTORY,
    show_default=True,
    metavar="N",
    help="States that have to be equal for two histories to be the same, as MemoizationPolicy compares them.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help='Text, or one JSON object for programs: {"findings": [...]}.',
)
@log_options
def command(
    project: Path,
    domain: str | None,
    stories: str | None,
    strict: bool,
    max_history: int,
    form: str,
    verbose: bool,
    debug: bool,
) -> None:
    """Look for mistakes in the domain, the stories and the NLU data of the folder PROJECT, without training.

    Told are stories that contradict each other, checkpoints that join nothing, names and values that only the stories
    or only the domain have, turns in which the bot never listens, and messages that are examples of two intents or
    whose entities are marked wrongly. The exit code is 0 if there are no errors
    (there may be warnings), 1 if there are, and 2 if the command was called wrongly.
    """
    if verbose or debug:
        start_log(verbose, debug)
    else:  # What is logged of stories while they are gone through, the findings tell, too.
        logging.getLogger("rasa_core").addHandler(_SILENT)
    findings = _findings(project, domain, stories, max_history)
    if strict:
        findings = [replace(found, severity="error") for found in findings]
    if form == "json":
        click.echo(json.dumps({"findings": [found.as_dict() for found in findings]}, indent=2, ensure_ascii=False))
    else:
        for line in _told(findings):
            click.echo(line)
    if any(found.severity == "error" for found in findings):
        raise click.exceptions.Exit(1)


def _findings(folder: Path, domain: str | None, stories: str | None, max_history: int) -> list[Finding]:
    try:
        project = Project(folder, domain, stories)
        if project.rasa is not None:
            return check_rasa(project.rasa, contradictions)
        text = read_text(project.domain_file)
    except (ModelError, TextFileError) as error:
        raise click.UsageError(f"PROJECT: {error}") from error
    load_modules((), folder, project.domain_file)
    name, files = str(project.domain_file), project.nlu_files
    return check_stories(text, project.stories, max_history, domain_name=name, nlu_files=files)


def _told(findings: Sequence[Finding]) -> list[str]:
    lines = [line for found in findings for line in lines_of(found)]
    errors = sum(found.severity == "error" for found in findings)
    return [*lines, f"{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}."]
