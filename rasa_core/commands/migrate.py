"""``rasa-core migrate``: a report on which parts of a project of Rasa 2 or 3 are kept, replaced, or left out."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rasa_core.checks.migration import carried_over, exit_code
from rasa_core.commands.common import CONTEXT, Command, form_option, start_log
from rasa_core.exceptions import ModelError
from rasa_core.project import Project
from rasa_core.support.problems import Note

FAILED = 3  # The exit codes 1 and 2 mean that parts are replaced or left out.

_EXAMPLES = """\b
Examples:
  # What carries over, what is replaced by what, and what is left out.
  rasa-core migrate PROJECT
\b
  # Only what is to be looked at.
  rasa-core migrate PROJECT --brief
\b
  # For programs: what does not carry over?
  rasa-core migrate PROJECT --format json |
    jq '.notes[] | select(.fate == "left out")'
\b
A line looks like this:
  config.yml:8: replaced: TEDPolicy: replaced by KerasPolicy.
"""


class _FailureError(click.ClickException):
    exit_code = FAILED


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("project", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--brief", is_flag=True, help="Leave out what is the same.")
@form_option
def command(project: Path, brief: bool, form: str) -> None:
    """Report how this package treats each part of a project of Rasa 2 or 3, with file and line; nothing is changed.

    The folder PROJECT is trained and served as it is, with rasa-core-serve PROJECT. Each part of it works in the same
    way, is replaced by a part that differs, or is left out without a replacement.

    The exit code is 0 if everything is the same, 1 if a part is replaced, 2 if a part is left out, and 3 if
    PROJECT is no project of Rasa 2 or 3.
    """
    start_log(False, False)
    logging.getLogger("rasa_core").setLevel(logging.ERROR)  # Warnings about files are in the report, too.
    try:
        found = Project(project)
    except ModelError as error:
        raise _FailureError(str(error)) from error
    if found.rasa is None:
        raise _FailureError(f"{project} is a project of Rasa Core 0.9, or of this package, which needs no moving.")
    notes = carried_over(found.rasa, found.nlu_files)
    shown = [note for note in notes if note.fate != "same" or not brief]
    if form == "json":
        click.echo(json.dumps({"notes": [_as_dict(note) for note in shown], **_counts(notes)}, indent=2))
    else:
        for note in shown:
            place, _, rest = str(note).partition(": ")  # A place such as "config.yml:8" has a colon without a space.
            click.echo(f"{place}: {note.fate}: {rest}")
        counts = _counts(notes)
        click.echo(f"{counts['same']} the same, {counts['replaced']} replaced, {counts['left_out']} left out.")
    raise click.exceptions.Exit(exit_code(notes))


def _counts(notes: Sequence[Note]) -> dict[str, int]:
    fates = ("same", "replaced", "left out")
    return {fate.replace(" ", "_"): sum(note.fate == fate for note in notes) for fate in fates}


def _as_dict(note: Note) -> dict[str, Any]:
    place = {"file": note.place.file, "line": note.place.line}
    return {**place, "what": note.what, "fate": note.fate, "message": note.message, "unused": list(note.unused)}
