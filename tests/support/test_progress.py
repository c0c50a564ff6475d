from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from rasa_core.support import progress
from rasa_core.support.progress import Progress

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")


class Terminal:
    """Both ends of a pseudo-terminal."""

    def __init__(self, columns: int | None) -> None:
        self.master, slave = pty.openpty()
        if columns is not None:
            import termios

            termios.tcsetwinsize(slave, (24, columns))
        self.stream: TextIO = os.fdopen(slave, "w")

    def written(self) -> str:
        self.stream.write("<end>")
        self.stream.flush()
        found = b""
        while not found.endswith(b"<end>"):
            found += os.read(self.master, 65536)
        return found.decode().removesuffix("<end>").replace("\r\n", "\n")

    def close(self) -> None:
        self.stream.close()
        os.close(self.master)


@pytest.fixture(params=[None, 80], ids=["unknown-width", "80-columns"])
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    found = Terminal(request.param)
    yield found
    found.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose only item is the time that the progress sees, in seconds."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_shows_one_line_that_is_rewritten(terminal, clock) -> None:
    with Progress("training, epoch", 4, stream=terminal.stream) as told:
        clock[0] += 2
        told.step(1, {"loss": 0.5, "accuracy": 0.25})
        clock[0] += 6
        told.step(4)
    first, last = "training, epoch 1/4  6 s left  loss 0.5000  accuracy 0.2500", "training, epoch 4/4  8.0 s"
    assert terminal.written() == f"\r{first}\r{last.ljust(len(first))}\n"


def test_a_line_never_breaks(terminal) -> None:
    with Progress("x" * 200, 4, stream=terminal.stream) as told:
        told.step(1)
    assert terminal.written() == "\r" + "x" * 79 + "\n"


def test_the_line_ends_where_the_work_fails(terminal) -> None:
    with contextlib.suppress(ZeroDivisionError), Progress("work", 4, stream=terminal.stream) as told:
        told.step(1)
        raise ZeroDivisionError
    assert terminal.written().endswith("\n")


def test_work_without_a_step_shows_nothing(terminal) -> None:
    with Progress("work", 4, stream=terminal.stream):
        pass
    assert terminal.written() == ""


def test_a_silent_progress_says_nothing(terminal, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with Progress("work", 1, silent=True, stream=terminal.stream) as told:
        told.step(1)
    assert terminal.written() == ""
    assert not caplog.records


def test_a_file_gets_nothing_and_the_log_an_entry_every_few_seconds(caplog, clock) -> None:
    caplog.set_level(logging.INFO)
    stream = io.StringIO()
    with Progress("work", 20, stream=stream) as told:
        for step in range(1, 21):
            clock[0] += 1
            told.step(step, {"loss": 1 / step})
    assert stream.getvalue() == ""
    assert [record.getMessage() for record in caplog.records] == [
        "work 5/20  15 s left  loss 0.2000",
        "work 10/20  10 s left  loss 0.1000",
        "work 15/20  5 s left  loss 0.0667",
        "work 20/20  20.0 s  loss 0.0500",
    ]


def test_standard_error_is_where_progress_goes(monkeypatch, terminal) -> None:
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    with Progress("work", 2) as told:
        told.step(1)
    assert "work 1/2" in terminal.written()


def test_a_process_without_standard_error_is_no_problem(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with Progress("work", 1) as told:
        told.step(1)
