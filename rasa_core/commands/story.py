"""``rasa-core story``: print a stored conversation as a story, which can be appended to a story file."""

from __future__ import annotations

import os
from pathlib import Path

import click

from rasa_core.commands.common import CONTEXT, Command, import_option, load_own_modules, store_at
from rasa_core.commands.store import open_store
from rasa_core.exceptions import ModelError
from rasa_core.project import Project
from rasa_core.server.settings import STORE_VARIABLE, default_store_path, default_store_url
from rasa_core.stories.edits import with_story
from rasa_core.teaching.corrections import story_of

_EXAMPLES = """\b
Examples:
  # Append what Anna and the bot said to the stories of the project in this folder.
  rasa-core story anna >> stories.md
\b
  rasa-core story anna --project bots/concerts --store postgresql://localhost/bot --title "asked twice"
"""


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("sender_id", metavar="ID")
@click.option(
    "--project",
    "folder",
    default=".",
    show_default=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the bot.",
)
@click.option(
    "--store",
    metavar="URL",
    default=lambda: os.environ.get(STORE_VARIABLE),
    help=f"The store.  [default: {STORE_VARIABLE}, or the SQLite file beside the model of the project]",
)
@click.option("--title", metavar="NAME", help="Name of the story.  [default: ID]")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["story", "test"]),
    default="story",
    show_default=True,
    help="A story to learn from, or, for a bot of Rasa 2 or 3, a test story with the user's words.",
)
@import_option
def command(
    sender_id: str, folder: Path, store: str | None, title: str | None, kind: str, imports: tuple[str, ...]
) -> None:
    """Print the conversation ID as a story, since its latest restart, in the format of the project's own stories.

    Events that were taken back are left out, and so are slots that a message sets by its entities.
    """
    try:
        project = Project(folder)
    except ModelError as error:
        raise click.UsageError(f"--project: {error}") from error
    load_own_modules(imports, folder, project.domain_file)
    domain = project.load_domain()
    file = default_store_path(project.model)
    if not (store or os.path.exists(file)):
        raise click.UsageError(f"the bot in {folder} keeps no conversations in {file}; name their store with --store.")
    with open_store(store_at(store) if store else default_store_url(project.model)) as opened:
        opened.domain = domain
        tracker = opened.retrieve(sender_id)
        if tracker is None:
            raise click.ClickException(f"there is no conversation {sender_id!r} in the store.")
        events = story_of(tracker, domain)
    if not events:
        raise click.ClickException(f"nothing has been answered in the conversation {sender_id!r} since its restart.")
    name = "stories.md" if project.rasa is None else "stories.yml"
    text = with_story(b"", name, title or sender_id, events, "test" if kind == "test" else "story")
    click.echo(text.decode("utf-8").rstrip("\n"))  # `echo` adds one line break, for files written with >>.
