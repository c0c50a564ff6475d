"""``rasa-core models``: the versions of a project's model, and going back to one of them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from rasa_core.commands.common import CONTEXT, Command, form_option
from rasa_core.evaluation.tables import fitted, table, width_of_terminal
from rasa_core.exceptions import did_you_mean
from rasa_core.project.models import About, ProjectModels
from rasa_core.support.kept_versions import KEPT

_EXAMPLES = """\b
Examples:
  # Which models are there of the bot in this folder, what has changed, and which one serves?
  rasa-core models .
\b
  # Go back to an older one. Servers that serve the project follow within a second.
  rasa-core models use 20261129-103508-3fa94c1e
"""
_HEADS = ("Model", "", "Made (UTC)", "Stories", "Messages", "Right when unseen", "Changed")


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return completions: after `use` the names of models, otherwise folders."""
    if tuple(ctx.params.get("words") or ()) != ("use",):
        return [CompletionItem(incomplete, type="dir")]
    known = ProjectModels(Path("models")).versions.names()
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("words", nargs=-1, metavar="[PROJECT] | use NAME [PROJECT]", shell_complete=_complete)
@form_option
def command(words: tuple[str, ...], form: str) -> None:
    """List the models of a PROJECT, the folder of a bot (by default this folder), or choose the model that serves.

    Training keeps the last five models. A star marks the model that serves. `Right when unseen` is the share of actions
    that the network predicted right in stories that it was not trained on; `Changed` names the files that differ from
    the files of the model before.
    """
    if words[:1] == ("use",):  # `use` is no subcommand, since Click would then take a PROJECT for a subcommand, too.
        _use(*words[1:3]) if 2 <= len(words) <= 3 else _wrong("give the NAME of a model: rasa-core models use NAME")
    elif len(words) > 1:
        _wrong(f"give one PROJECT, or: use NAME [PROJECT].{did_you_mean(words[0], ['use'])}")
    else:
        _list(words[0] if words else ".", form)


def _wrong(problem: str) -> None:
    raise click.UsageError(problem)


def _models_of(project: str) -> ProjectModels:
    folder = Path(project)
    if not folder.is_dir():
        problem = "is a file, not a folder" if folder.exists() else "does not exist"
        raise click.UsageError(f"the project folder {project!r} {problem}.")
    return ProjectModels(folder / "models")


def _use(name: str, project: str = ".") -> None:
    models = _models_of(project)
    models.versions.use(name)  # Raises an error with the known names for an unknown name.
    click.echo(f"{models.versions.folder}: {name} serves from now on; the others are kept, the last {KEPT} of them")
    changed = models.differences(name, Path(project))
    if changed:
        click.echo(
            f"This version was trained from other files ({', '.join(changed)}). Put those back too: the next training, "
            "or start of rasa-core-serve with the project, makes a model of the files as they are."
        )


def _list(project: str, form: str) -> None:
    models = _models_of(project)
    found = models.list()
    if form == "json":
        content = [
            {
                "name": one.name,
                "current": one.is_current,
                "made": one.made,
                "figures": one.figures,
                "changed": one.changed,
            }
            for one in found
        ]
        click.echo(json.dumps({"models": content}, indent=1))
    elif found:
        for line in _fitting([_row(one) for one in found]):
            click.echo(line)
    else:
        click.echo(f"{models.versions.folder}: no model yet; rasa-core train {shlex.quote(project)} makes one")


def _fitting(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows as a table, or, if it is too wide, one field per line: names must not be cut off for `models use`."""
    width, lines = width_of_terminal(), table(_HEADS, rows, names=0)
    if width is None or max(map(len, lines)) <= width:
        return lines
    told = []
    for name, star, *rest in rows:
        parts = [f"{head}: {cell}" for head, cell in zip(_HEADS[2:], rest, strict=True) if cell]
        told += [f"{name} {star}".rstrip(), f"  {', '.join(parts[:-1] if rest[-1] else parts)}"]
        told += [f"  {parts[-1]}"] if rest[-1] else []
    return list(fitted(told, width))


def _row(about: About) -> tuple[str, ...]:
    figures = about.figures
    counts = (f"{figures[name]:.0f}" if name in figures else "" for name in ("stories", "messages"))
    accuracy = f"{figures['accuracy']:.1%}" if "accuracy" in figures else ""
    return (about.name, "*" if about.is_current else "", about.made, *counts, accuracy, ", ".join(about.changed))
