"""``rasa-core check``: mistakes in the domain, the stories and the NLU data of a project, found without training."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from rasa_core.checks import Finding, finding, finding_in, words_of_code
from rasa_core.checks.checks import DEFAULT_MAX_HISTORY, check_stories
from rasa_core.checks.contradictions import LONGEST_HISTORY
from rasa_core.checks.rasa3 import check_rasa
from rasa_core.commands.common import (
    CONTEXT,
    Command,
    form_option,
    ignore_option,
    import_option,
    load_own_modules,
    log_options,
    start_log,
)
from rasa_core.exceptions import DomainError, ModelError, counted
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.rules import RulePolicy
from rasa_core.project import Project
from rasa_core.project.layout import misspelled_headings, told_unread
from rasa_core.rasa_project.config import RasaConfig, read_rasa_config
from rasa_core.rasa_project.training import contradictions
from rasa_core.support.own_code import CONFIG_NAME
from rasa_core.support.places import Place
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
@click.option("-d", "--domain", metavar="FILE", help="Domain file, if the project has it in another place.")
@click.option("-s", "--stories", metavar="STORIES", help="Story file or folder, if it is in another place.")
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@click.option(
    "--max-history",
    type=click.IntRange(min=1),
    metavar="N",
    help="States that have to be equal for two histories to be the same.  [default: as the memory of the project "
    f"compares them, else {DEFAULT_MAX_HISTORY}]",
)
@form_option
@ignore_option
@import_option
@log_options
def command(
    project: Path,
    domain: str | None,
    stories: str | None,
    strict: bool,
    max_history: int | None,
    form: str,
    ignore_components: bool,
    imports: tuple[str, ...],
    verbose: bool,
    debug: bool,
) -> None:
    """Look for mistakes in the domain, the stories and the NLU data of the folder PROJECT, without training.

    It finds stories that contradict each other, checkpoints without a counterpart, names and values that only the
    stories or only the domain have, turns in which the bot never listens, and messages that are examples of two intents
    or whose entities are marked wrongly. In a project of Rasa 2 or 3, it also finds rules that contradict each other or
    a story, forms that do not ask, mappings to unknown names, responses that are never used, and mistakes in
    config.yml.

    The exit code is 0 if there are no errors (there may be warnings), 1 if there are, and 2 if the command was called
    wrongly.
    """
    if verbose or debug:
        start_log(verbose, debug)
    else:  # Warnings that are logged while stories are read are among the findings, too.
        logging.getLogger("rasa_core").addHandler(_SILENT)
    try:
        findings = _findings(project, domain, stories, max_history, ignore_components, imports)
    finally:
        logging.getLogger("rasa_core").removeHandler(_SILENT)
    if strict:
        findings = [replace(found, severity="error") for found in findings]
    if form == "json":
        click.echo(json.dumps({"findings": [found.as_dict() for found in findings]}, indent=2, ensure_ascii=False))
    else:
        for line in _told(findings):
            click.echo(line)
    if any(found.severity == "error" for found in findings):
        raise click.exceptions.Exit(1)


def _findings(
    folder: Path,
    domain: str | None,
    stories: str | None,
    max_history: int | None,
    ignores_own: bool,
    imports: tuple[str, ...],
) -> list[Finding]:
    try:
        project = Project(folder, domain, stories)
        text = read_text(project.domain_file)
    except TextFileError as error:
        return [finding("domain", "error", error.problem, [error.place])]
    except ModelError as error:
        raise click.UsageError(f"PROJECT: {error}") from error
    load_own_modules(imports, folder, project.domain_file)
    found = [*_of_models(project), *_unreadable(project.story_files if project.rasa else project.stories)]
    found += [
        finding("not-read", "warning", told_unread(project.stories), [Place(str(path))])
        for path in project.unread_stories
    ]
    if project.rasa is not None:
        config = _config_of_rasa(project)
        most = max_history or _history_of_rasa(config)
        told = check_rasa(project.rasa, contradictions, most, ignores_own=ignores_own, nlu_files=project.nlu_files)
        return [*_unread_options(config), *found, *told]
    name, files = str(project.domain_file), project.nlu_files
    found += [finding("not-read", "warning", text, [place]) for place, text in misspelled_headings(folder)]
    history = _history(project, found)
    try:
        project.pipeline(ignores_own)
    except ModelError as error:
        told = [finding_in(line, "configuration", CONFIG_NAME) for line in str(error).splitlines()]
        found += [one for one in told if one not in found]  # Both checks report a file that cannot be read.
    words = words_of_code(project.folder) | words_of_code(project.domain_file.parent)
    most = max_history or history
    told = check_stories(text, project.stories, most, domain_name=name, nlu_files=files, words=words)
    return [*found, *told]


def _history(project: Project, found: list[Finding]) -> int:
    """Return how many states the project's memoization compares; mistakes in its policies are added to `found`."""
    try:
        config = project.policies()
        if config is None:
            return DEFAULT_MAX_HISTORY
        found += [finding_in(line, "unknown-key", CONFIG_NAME, "warning") for line in config.passed_over]
        with suppress(DomainError):  # Another check reports it.
            config.choose_action(project.load_domain().action_names)
    except ModelError as error:
        found += [finding_in(line, "configuration", CONFIG_NAME) for line in str(error).splitlines()]
        return DEFAULT_MAX_HISTORY
    memories = [policy.max_history for policy in config.policies if isinstance(policy, MemoizationPolicy)]
    return max([history for history in memories if history is not None], default=DEFAULT_MAX_HISTORY)


def _config_of_rasa(project: Project) -> RasaConfig | None:
    """Return the content of config.yml; None if it has mistakes, which another check reports."""
    try:
        # Any policy can stand for the network here; the network's own class would import the modules for training.
        return read_rasa_config(project.folder / "config.yml", lambda max_history: RulePolicy(), ignores_own=True)
    except ModelError:
        return None


def _history_of_rasa(config: RasaConfig | None) -> int:
    """Return how many states have to be equal for two histories to be the same, as the policies compare them."""
    if config is None:
        return DEFAULT_MAX_HISTORY
    memories = [policy for policy in config.policies if isinstance(policy, MemoizationPolicy)]
    if any(policy.knows_whole for policy in memories):
        return LONGEST_HISTORY
    return max([policy.max_history for policy in memories], default=DEFAULT_MAX_HISTORY)


def _unread_options(config: RasaConfig | None) -> Iterator[Finding]:
    """Find options of policies that have no effect; those of a policy that is replaced, ``migrate`` tells."""
    for note in () if config is None else config.notes:
        if note.unused and note.fate != "replaced":
            text = f"{note.what}: nothing is done with {', '.join(note.unused)}; remove what you do not need elsewhere."
            yield finding("unread-option", "warning", text, [note.place])


def _of_models(project: Project) -> Iterator[Finding]:
    models = project.models
    try:
        models.check_own(replaces_nlu=bool(project.nlu_files) and not models.nlu_is_readable())
    except ModelError as error:
        for line in str(error).splitlines():
            at = models.nlu if line.startswith(f"{models.nlu} ") else models.dialogue
            yield finding("foreign-model", "error", line, [Place(str(at))])


def _unreadable(stories: Path | Sequence[Path]) -> Iterator[Finding]:
    """Find links and folders among the stories that cannot be read; training skips them without a message."""
    wrong: list[OSError] = []
    for top in [stories] if isinstance(stories, Path) and stories.is_dir() else ():
        for place, _, names in os.walk(top, onerror=wrong.append):
            for path in (Path(place, name) for name in sorted(names)):
                if path.is_symlink() and not path.exists():
                    yield finding("unreadable", "error", "the link leads nowhere.", [Place(str(path))])
    for error in wrong:
        yield finding("unreadable", "error", f"{error.strerror or error}.", [Place(str(error.filename))])


def _told(findings: Sequence[Finding]) -> list[str]:
    lines = [line for found in findings for line in found.lines("--format json has all")]
    errors = sum(found.severity == "error" for found in findings)
    return [*lines, f"{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}."]
