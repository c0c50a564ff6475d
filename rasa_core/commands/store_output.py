"""What the commands for stored conversations write, and how far they tell to be."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO

import click

from rasa_core.support.progress import Progress
from rasa_core.tracker_store.transfer import Outcome

_SHOWN_PROBLEMS = 20
_UNKNOWN = sys.maxsize
_REDRAW_EVERY = 0.1  # seconds


class Tally(Progress):
    """Counts what becomes of conversations, and tells the rate and the time that is left.

    Parameters
    ----------
    title
        What is being done.
    total
        Number of conversations, or of other units that `add` is told of; None if it is unknown.
    silent
        Whether to tell problems only.
    """

    def __init__(self, title: str, total: int | None, *, silent: bool = False) -> None:
        super().__init__(title, _UNKNOWN if total is None else total, silent=silent)
        self.conversations = self.changed = self.events = self.problems = 0
        self._redrawn = 0.0

    def add(self, outcome: Outcome, done: int | None = None) -> None:
        """Count `outcome`, and tell a problem; `done` says how far that is, if not one conversation further."""
        self.conversations += 1
        self.changed += bool(outcome.events)
        self.events += outcome.events
        if outcome.problem:
            self.tell(outcome.problem)
        self.step(self.conversations if done is None else done)

    def tell(self, problem: str) -> None:
        """Count a problem, and tell it unless there are too many."""
        self.problems += 1
        if self.problems <= _SHOWN_PROBLEMS:
            self.close()
            click.echo(problem, err=True)
        elif self.problems == _SHOWN_PROBLEMS + 1:
            click.echo("... and more, which are only counted.", err=True)

    def step(self, done: int, figures: Mapping[str, float] | None = None) -> None:
        """Tell how far it is, but not so often that telling takes the time."""
        now = time.monotonic()
        if now - self._redrawn >= _REDRAW_EVERY or done >= self._total:
            self._redrawn = now
            super().step(done, figures)

    def _line(self, done: int, figures: Mapping[str, float], elapsed: float) -> str:
        counts = [count(self.conversations), f"{self.events} events", f"{self.events / (elapsed or 1):.0f} events/s"]
        if self._total == _UNKNOWN or not done:
            return "  ".join([self._title, *counts, f"{elapsed:.1f} s"])
        share = min(1.0, done / self._total)
        clock = f"{elapsed / share - elapsed:.0f} s left" if share < 1 else f"{elapsed:.1f} s"
        return "  ".join([f"{self._title} {share:.0%}", *counts, clock])

    def finish(self) -> None:
        """End the command, with exit code 1 if there were problems."""
        self.close()
        if self.problems:
            raise click.ClickException(f"{self.problems} of {count(self.conversations)} had a problem; see above.")


def count(conversations: int) -> str:
    """Return the number and its noun."""
    return "1 conversation" if conversations == 1 else f"{conversations} conversations"


def shown(sender_id: str, as_json: bool) -> str:
    """Return an id as one line; as a JSON string also where it could be taken for one, or for something else."""
    plain = sender_id.isprintable() and sender_id == sender_id.strip() and sender_id[:1] not in ("", '"')
    return json.dumps(sender_id) if as_json or not plain else sender_id


class CountedLines:
    """The lines of a file, and how many bytes they were so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes_read = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._file:
            self.bytes_read += len(line)
            yield line


def size_of(file: BinaryIO) -> int | None:
    """Return the size of a file, None if it is a pipe or the like."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def whole_file(path: str) -> Iterator[TextIO]:
    """Open a file for a block to write; it takes its place when the block ends well."""
    if path == "-":
        yield sys.stdout
        return
    real = os.path.realpath(path)
    try:
        if os.path.exists(real) and not os.path.isfile(real):  # A pipe or a device keeps its place.
            with open(real, "w", encoding="ascii") as file:
                yield file
            return
        folder, name = os.path.split(real)
        descriptor, written = tempfile.mkstemp(prefix=f".{name}.new-", dir=folder)
        try:
            with open(descriptor, "w", encoding="ascii") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(written, real)
        except BaseException:
            with suppress(OSError):
                os.unlink(written)
            raise
    except OSError as error:
        problem = f"cannot write {path!r}: {error.strerror or error}. What was there is unchanged."
        raise click.ClickException(problem) from error
