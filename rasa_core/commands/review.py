"""``rasa-core review``: list the conversations that need a person, and mark them with notes and tags."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from rasa_core.commands.common import CONTEXT, ImportingCommand, form_option
from rasa_core.commands.store import open_store, url_argument
from rasa_core.evaluation.tables import one_line
from rasa_core.exceptions import counted
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.reviews import Mark
from rasa_core.tracker_store.search import UNSURE_BELOW, Search
from rasa_core.tracker_store.search_index import ConversationIndex
from rasa_core.tracker_store.sqlite import SqliteTrackerStore

_EXAMPLES = """\b
Examples:
  # The conversations that need a person, the most urgent first.
  rasa-core review sqlite:///conversations.db
\b
  # What the bot was unsure of since Monday, and where an action failed.
  rasa-core review sqlite:///conversations.db "only:unsure,failed after:2026-11-23"
  rasa-core review sqlite:///conversations.db "intent:greet slot:city=Porto price" --format json
\b
  # Looked at: it comes back when the conversation goes on.
  rasa-core review sqlite:///conversations.db --done anna --note "asked twice" --tag prices
\b
Fields of a search: id:, text:, intent:, action:, slot:NAME=VALUE, tag:, after:DATE, before:DATE,
only: (unsure, failed, paused, fallback, deviates), reviewed: (yes, no, all). Other words are looked for everywhere.
"""


@click.command(cls=ImportingCommand, epilog=_EXAMPLES, context_settings=CONTEXT)
@url_argument
@click.argument("search", default="reviewed:no")
@click.option(
    "--below",
    type=click.FloatRange(0, 1),
    default=UNSURE_BELOW,
    show_default=True,
    help="Confidence below which the bot counts as unsure.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 200),
    default=20,
    show_default=True,
    metavar="N",
    help="List at most N conversations.",
)
@click.option("--done", multiple=True, metavar="ID", help="Mark this conversation as reviewed; repeatable.")
@click.option("--again", multiple=True, metavar="ID", help="Mark this conversation for another review; repeatable.")
@click.option("--note", default="", metavar="TEXT", help="Note about the marked conversation.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag for the marked conversation; repeatable.")
@form_option
def command(
    url: str,
    search: str,
    below: float,
    limit: int,
    done: tuple[str, ...],
    again: tuple[str, ...],
    note: str,
    tags: tuple[str, ...],
    form: str,
) -> None:
    """List the conversations in the store URL that match SEARCH; the conversations that need a person come first.

    Each line shows the problem, the lowest confidence of the bot, and the beginning of the conversation.
    """
    if (note or tags) and not (done or again):
        raise click.UsageError("--note and --tag say something of a conversation: name it with --done or --again.")
    with open_store(url) as store, tempfile.TemporaryDirectory(prefix="rasa_core-") as folder:
        # The index is beside a SQLite file, where the inspector uses it, too; for other stores it is made each time.
        path = f"{store.path}-index" if isinstance(store, SqliteTrackerStore) else str(Path(folder) / "index")
        index = ConversationIndex(store, path)
        try:
            index.catch_up()
            for sender_id in (*done, *again):
                _mark(index, store, sender_id, sender_id in done, note, tags)
            if done or again:
                return
            found = index.find(Search.from_text(search, below), limit)
        finally:
            index.close()
    if form == "json":
        click.echo(json.dumps({"conversations": found.conversations, "count": found.count}, indent=2))
        return
    for one in found.conversations:
        click.echo(_line(one))
    click.echo(f"{counted(found.count, 'conversation')} of {found.total}.")


def _mark(
    index: ConversationIndex, store: EventLogStore, sender_id: str, is_done: bool, note: str, tags: tuple[str, ...]
) -> None:
    head = store.read_head(sender_id)
    if head is None:
        raise click.ClickException(f"there is no conversation {sender_id!r}.")
    index.mark(sender_id, Mark.from_json({"reviewed": is_done, "note": note, "tags": list(tags)}, head.version))


def _line(one: dict[str, Any]) -> str:
    updated = datetime.fromtimestamp(one["updated"], UTC).strftime("%Y-%m-%d %H:%M")
    problems = ", ".join(f"{name} at {at}" for name, at in one["problems"].items()) or "-"
    text, sender_id = one_line(one["first"]), one_line(one["sender_id"])
    tags = f" [{', '.join(one['tags'])}]" if one["tags"] else ""
    return f"{sender_id}  {updated}  {one['confidence']:.2f}  {problems}{tags}  {text}"
