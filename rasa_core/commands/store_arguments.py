"""The arguments of the commands for stored conversations: stores, ids and durations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from rasa_core.exceptions import StoreError
from rasa_core.tracker_store import EventLogStore, store_from_url
from rasa_core.tracker_store.retention import DurationError, seconds_of


def check_url(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return the URL of a store, unless that store is in the memory of a process."""
    if value.partition(":")[0].lower() == "memory":
        raise click.BadParameter(
            "memory:// would be new and empty here: what a server keeps in memory can be reached over its HTTP API "
            "alone. Name a store that is kept, such as sqlite:///conversations.db."
        )
    return value


def in_seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return a duration such as 90d in seconds."""
    try:
        return None if value is None else seconds_of(value)
    except DurationError as error:
        raise click.BadParameter(str(error)) from error


url_argument = click.argument("url", callback=check_url, metavar="URL")
form_option = click.option(
    "--format",
    "form",
    type=click.Choice(["plain", "json"]),
    default="plain",
    show_default=True,
    help="How ids are written: as they are, or as JSON strings, which can hold any id.",
)


def open_store(url: str, *, may_be_new: bool = False) -> EventLogStore:
    """Return the store; a SQLite file has to exist unless it `may_be_new`."""
    if url.startswith("sqlite:///") and not may_be_new:
        # SQLite would make the file: an empty store for each mistyped path.
        file = Path(unquote(urlsplit(url).path[1:]))
        if not file.exists():
            raise StoreError(f"there is no file {str(file)!r}: check the path, which is relative after three slashes.")
    return store_from_url(url)


def ids_of(values: Iterable[str], form: str) -> list[str]:
    """Return the ids that were given as arguments."""
    if form == "plain":
        return list(values)
    ids = []
    for value in values:
        try:
            sender_id = json.loads(value)
        except ValueError:
            sender_id = None
        if not isinstance(sender_id, str):
            raise click.UsageError(f"{value[:60]!r} is not a JSON string: with --format json, ids are like '\"anna\"'.")
        ids.append(sender_id)
    return ids
