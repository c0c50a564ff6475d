"""``rasa-core store``: list, delete, export, import and migrate stored conversations, also while a server runs."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO
from urllib.parse import unquote, urlsplit

import click

from rasa_core.commands.common import CONTEXT, Group, ImportingCommand, logged, store_at
from rasa_core.exceptions import StoreError, StoreUnavailableError, counted
from rasa_core.support.folders import whole_file
from rasa_core.support.progress import Progress
from rasa_core.tracker_store import EventLogStore, retention, store_from_url
from rasa_core.tracker_store.base import ANSWERS_KEPT
from rasa_core.tracker_store.transfer import Outcome, export_conversation, import_lines, migrate, verify

_SHOWN_PROBLEMS = 20
_UNKNOWN = sys.maxsize  # A total that is never reached.

_EXAMPLES = """\b
Examples (each command has its own):
  rasa-core store list sqlite:///conversations.db --idle 90d
  rasa-core store expire sqlite:///conversations.db --retention 90d
  rasa-core store export sqlite:///conversations.db -o talks.jsonl
\b
Stores:
  sqlite:///relative.db, sqlite:////absolute.db,
  postgresql://user:password@host/database, mysql://...,
  redis://:password@host:6379/0, or the folder of a bot that keeps them in a file
"""


def _count(conversations: int) -> str:
    return counted(conversations, "conversation")


def check_url(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return the URL of a store, or, for a bot, of the file beside its model; refuse a store in memory."""
    if (value := store_at(value)).partition(":")[0].lower() == "memory":
        raise click.BadParameter(
            "memory:// would be new and empty here: what a server keeps in memory can be reached over its HTTP API "
            "alone. Name a store that is kept, such as sqlite:///conversations.db."
        )
    return value


def in_seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return a duration such as 90d in seconds."""
    try:
        return None if value is None else retention.seconds_of(value)
    except retention.DurationError as error:
        raise click.BadParameter(str(error)) from error


url_argument = click.argument("url", callback=check_url, metavar="URL")
id_form_option = click.option(
    "--format",
    "form",
    type=click.Choice(["plain", "json"]),
    default="plain",
    show_default=True,
    help="How ids are written: as they are, or as JSON strings, which can hold any id.",
)


def _missing(ids: list[str]) -> None:
    if ids:
        names = ", ".join(shown(sender_id, as_json=True) for sender_id in ids)
        raise click.ClickException(f"no such conversation: {names}. `rasa-core store list` prints the ids of all.")


@click.group(cls=Group, epilog=_EXAMPLES, context_settings=CONTEXT)
def command() -> None:
    """List, delete, export, import and migrate stored conversations.

    All of it may be done while a server uses the store, unless a command says otherwise.
    """


command.command_class = ImportingCommand


@command.command("list", short_help="Print ids.")
@url_argument
@click.option("--after", metavar="ID", help="Only ids that come after this one.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most N ids.")
@click.option("--idle", callback=in_seconds, metavar="90d", help="Only conversations unchanged for this time.")
@id_form_option
def list_command(url: str, after: str | None, limit: int | None, idle: float | None, form: str) -> None:
    """Print the ids of the conversations in the store URL: one a line, in ascending order.

    In the plain form, an id that would not be a line of its own (with line breaks, control characters, spaces at its
    ends, a quote at its start, or empty) is written as a JSON string; no other line begins with a quote.

    \b
    Examples:
      # Every conversation, a page at a time.
      rasa-core store list sqlite:///conversations.db --limit 100
      rasa-core store list sqlite:///conversations.db --limit 100 --after LAST_ID

    \b
      # Delete what has been idle for a year, whatever the ids look like.
      rasa-core store list sqlite:///conversations.db --idle 52w --format json |
        xargs -d '\\n' rasa-core store delete sqlite:///conversations.db --format json
    """
    with open_store(url) as store, output("-") as written:
        idle_since = None if idle is None else time.time() - idle
        ids = retention.each_sender_id(store, after, idle_since=idle_since, page_size=min(limit or 1000, 1000))
        for sender_id in itertools.islice(ids, limit):
            written.write(shown(sender_id, form == "json") + "\n")


@command.command("delete", short_help="Delete conversations by their ids.")
@url_argument
@click.argument("sender_ids", nargs=-1, required=True, metavar="SENDER_ID...")
@id_form_option
def delete_command(url: str, sender_ids: tuple[str, ...], form: str) -> None:
    """Delete conversations from the store URL: their events, their state, and the answers to requests with keys.

    The exit code is 1 if one of them did not exist; the others are deleted all the same.

    \b
    Example:
      rasa-core store delete sqlite:///conversations.db anna ben
    """
    ids = ids_of(sender_ids, form)
    with open_store(url) as store:
        missing = [sender_id for sender_id in ids if not retention.delete_conversation(store, sender_id)]
    click.echo(f"{_count(len(ids) - len(missing))} deleted.")
    _missing(missing)


@command.command("expire", short_help="Delete what has not changed for long.")
@url_argument
@click.option(
    "--retention",
    "idle",
    callback=in_seconds,
    metavar="90d",
    required=True,
    help="Delete conversations that have not changed for this time.",
)
def expire_command(url: str, idle: float) -> None:
    """Delete the conversations in the store URL that have not changed for some time: 45s, 30m, 12h, 90d, 2w.

    A conversation that changes meanwhile is kept. Answers to requests with keys are deleted after a day.

    \b
    Example:
      # What would be deleted; then delete it.
      rasa-core store list sqlite:///conversations.db --idle 90d
      rasa-core store expire sqlite:///conversations.db --retention 90d
    """
    with open_store(url) as store:
        now = time.time()
        expired = retention.expire_conversations(store, now - idle)
        answers = store.expire_answers(now - ANSWERS_KEPT)
    click.echo(f"{_count(expired)} deleted, and {answers} old answers.")


@command.command("export", short_help="Write conversations as JSON lines.")
@url_argument
@click.argument("sender_ids", nargs=-1, metavar="[SENDER_ID...]")
@click.option("-o", "--out", default="-", metavar="FILE", help="Where to write; standard output if not given.")
@id_form_option
@logged
def export_command(url: str, sender_ids: tuple[str, ...], out: str, form: str) -> None:
    """Write conversations of the store URL as JSON lines: all, or only the conversations with the given ids.

    A line is {"format": 1, "sender_id", "version", "origin", "events"}. The events are the whole log; the events before
    position "origin" were replaced, and have no effect. An imported conversation has the same version and ETag.

    FILE is written as a whole or not at all, and only its owner can read it. Each conversation is exported as it is at
    one moment; a conversation that begins while the command runs may be left out.

    \b
    Examples:
      rasa-core store export sqlite:///conversations.db -o talks.jsonl

    \b
      # Two conversations, to be read.
      rasa-core store export sqlite:///conversations.db anna ben | python -m json.tool --json-lines
    """
    ids = ids_of(sender_ids, form)
    missing = []
    # No progress is shown if the conversations themselves are printed to the terminal.
    silent = out == "-" and sys.stdout is not None and sys.stdout.isatty()
    with (
        open_store(url) as store,
        Transferred("exporting", len(ids) or sum(1 for _ in retention.each_sender_id(store)), silent=silent) as tally,
        output(out) as file,
    ):
        for sender_id in ids or retention.each_sender_id(store):
            dump = export_conversation(store, sender_id)
            if dump is not None:
                file.write(dump.as_line())
                tally.add(Outcome(sender_id, dump.version))
            elif ids:
                missing.append(sender_id)
    if out != "-":
        click.echo(f"{_count(tally.conversations)} ({tally.events} events) written to {out}.")
    _missing(missing)


@command.command("import", short_help="Store conversations from JSON lines.")
@url_argument
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option("--replace", is_flag=True, help="Delete other conversations with the same ids, rather than keep them.")
@click.option("--own-events", is_flag=True, help="Accept types of events that your own code defines, without a check.")
@logged
def import_command(url: str, file: BinaryIO, replace: bool, own_events: bool) -> None:
    """Store the conversations of FILE, or of standard input (-), in the store URL.

    A line is a conversation: as `rasa-core store export` writes it, or as a server gives it for
    GET /conversations/<id>/tracker?ignore_restarts=true. (Without ignore_restarts=true the events before the last
    restart are missing. A server gives no events that were replaced, so the version may be another one.)

    A conversation that is stored already is skipped; if only its beginning is stored, the rest is added. If the store
    has a different conversation with the same id, it is kept and reported; lines that cannot be read are reported, too.
    The other lines are imported, and the exit code is 1. To go on after an interruption, run the command again. The
    time of the last event counts as the time of the last change, so that --retention may delete a conversation soon.

    \b
    Examples:
      rasa-core store import sqlite:///conversations.db talks.jsonl
      rasa-core store export redis://localhost anna | rasa-core store import sqlite:///conversations.db -

    \b
      # From a running server of Rasa Core 0.9, or of this version, over HTTP.
      # (A 0.9 server on Redis cannot list its conversations: write the ids
      # into ids.txt yourself, one a line.)
      server=http://localhost:5005
      curl -s "$server/conversations" |
      python3 -c 'import json, sys; from urllib.parse import quote; print(
      *(quote(id, "") for id in json.load(sys.stdin)), sep="\\n")' > ids.txt
      while read -r id; do
        curl -s "$server/conversations/$id/tracker?ignore_restarts=true"
      done < ids.txt > talks.jsonl
      rasa-core store import sqlite:///conversations.db talks.jsonl
    """
    size, name = size_of(file), str(getattr(file, "name", "<stdin>"))
    with open_store(url, may_be_new=True) as store, Transferred("importing", size) as tally, _resumable():
        for outcome in import_lines(store, file, name, replace=replace, own_events=own_events):
            tally.add(outcome, None if size is None else file.tell())
    _conclude(tally, "imported")


@contextmanager
def _resumable() -> Iterator[None]:
    try:
        yield
    except StoreUnavailableError as error:
        raise click.ClickException(f"{error} Run the same command again: it goes on where it stopped.") from error


def _conclude(tally: Transferred, done: str) -> None:
    unchanged = tally.conversations - tally.changed - tally.problems
    click.echo(f"{_count(tally.changed)} {done} ({tally.events} events), {unchanged} were there already.")
    if tally.problems:
        raise click.ClickException(f"{tally.problems} of {_count(tally.conversations)} had a problem; see above.")


@command.command("migrate", short_help="Copy all conversations to another store.")
@click.argument("from_url", callback=check_url, metavar="FROM_URL")
@click.argument("to_url", callback=check_url, metavar="TO_URL")
@click.option("--replace", is_flag=True, help="Delete other conversations with the same ids in TO_URL.")
@logged
def migrate_command(from_url: str, to_url: str, replace: bool) -> None:
    """Copy all conversations of the store FROM_URL to the store TO_URL, which keeps its own conversations.

    Events, versions (ETags) and states are copied as they are; FROM_URL is only read. Stop the server first: answers
    to requests with keys are not copied, so that a key of the last day would count as a new one.

    To go on after an interruption, or to copy new conversations, run the command again. If TO_URL has a conversation
    with the same id that is not the beginning of the conversation in FROM_URL, it is kept and reported; the others are
    copied, and the exit code is 1. At the end, the versions of all conversations are compared.

    \b
    Example:
      # Stop the server first; then start it with --store TO_URL.
      rasa-core store migrate sqlite:///conversations.db postgresql://bot@db/talks
    """
    if from_url == to_url:
        raise click.UsageError("FROM_URL and TO_URL are the same: name two stores.")
    with open_store(from_url) as source, open_store(to_url, may_be_new=True) as target, _resumable():
        total = sum(1 for _ in retention.each_sender_id(source))
        with Transferred("migrating", total) as tally:
            for outcome in migrate(source, target, replace=replace):
                tally.add(outcome)
        with Progress("comparing", total) as progress:
            for number, outcome in enumerate(verify(source, target), 1):
                progress.step(number)
                if outcome.problem and outcome.sender_id not in tally.troubled:  # Each problem is reported once.
                    progress.close()
                    tally.tell(outcome.problem)
    _conclude(tally, "copied")


def open_store(url: str, *, may_be_new: bool = False) -> EventLogStore:
    """Return the store; unless it `may_be_new`, a SQLite file has to exist."""
    if url.startswith("sqlite:///") and not may_be_new:
        # SQLite would create the file, and so an empty store for a mistyped path.
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


class Transferred(Progress):
    """Counts transferred conversations, and shows the rate and the remaining time; None is an unknown total."""

    def __init__(self, title: str, total: int | None, *, silent: bool = False) -> None:
        super().__init__(title, _UNKNOWN if total is None else total, silent=silent)
        self.conversations = self.changed = self.events = self.problems = 0
        self.troubled: set[str] = set()

    def add(self, outcome: Outcome, done: int | None = None) -> None:
        """Count `outcome`, and report its problem; `done` is the new progress, by default one more conversation."""
        self.conversations += 1
        self.changed += bool(outcome.events)
        self.events += outcome.events
        if outcome.problem:
            self.troubled.add(outcome.sender_id)
            self.tell(outcome.problem)
        self.step(self.conversations if done is None else done)

    def tell(self, problem: str) -> None:
        """Count a problem, and report it unless there are too many."""
        self.problems += 1
        if self.problems <= _SHOWN_PROBLEMS:
            self.close()
            click.echo(problem, err=True)
        elif self.problems == _SHOWN_PROBLEMS + 1:
            click.echo("... and more, which are only counted.", err=True)

    def _line(self, done: int, figures: Mapping[str, float], elapsed: float) -> str:
        counts = [_count(self.conversations), f"{self.events} events", f"{self.events / (elapsed or 1):.0f} events/s"]
        if self._total == _UNKNOWN or not done:
            return "  ".join([self._title, *counts, f"{elapsed:.1f} s"])
        share = min(1.0, done / self._total)
        clock = f"{elapsed / share - elapsed:.0f} s left" if share < 1 else f"{elapsed:.1f} s"
        return "  ".join([f"{self._title} {share:.0%}", *counts, clock])


def shown(sender_id: str, as_json: bool) -> str:
    """Return an id as one line; as a JSON string if `as_json`, or if the plain id could be misread."""
    plain = sender_id.isprintable() and sender_id == sender_id.strip() and sender_id[:1] not in ("", '"')
    return json.dumps(sender_id) if as_json or not plain else sender_id


def size_of(file: BinaryIO) -> int | None:
    """Return how many bytes of a file are still to be read; None for a pipe and the like."""
    if not file.seekable():
        return None
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    return size


@contextmanager
def output(path: str) -> Iterator[TextIO]:
    """Open a file for a block to write, which replaces `path` if the block succeeds; ``-`` is standard output."""
    if path == "-" and sys.stdout is not None:
        yield sys.stdout
        return
    try:
        with whole_file(os.devnull if path == "-" else path) as file:  # For "-" if standard output is closed.
            yield file
    except OSError as error:
        problem = f"cannot write {path!r}: {error.strerror or error}. What was there is unchanged."
        raise click.ClickException(problem) from error
