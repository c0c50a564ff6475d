"""Progress of long work: one line that is rewritten on a terminal, log entries elsewhere.

The progress bar of Click, with which the commands are made, writes nothing where there is no terminal, and shows
no figures; besides, the rooms below the commands do without Click.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from typing import Self, TextIO

logger = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 5.0
REDRAW_EVERY_SECONDS = 0.1


class Progress:
    """Tells how far a piece of work has come.

    Parameters
    ----------
    title
        What is being done.
    total
        Number of steps.
    silent
        Whether to say nothing at all.
    stream
        Where to write; standard error if not given.

    Examples
    --------
    >>> with Progress("counting", 3, silent=True) as progress:
    ...     progress.step(1, {"loss": 0.5})
    """

    def __init__(self, title: str, total: int, *, silent: bool = False, stream: TextIO | None = None) -> None:
        self._title = title
        self._total = total
        self._silent = silent
        self._stream = stream if stream is not None else sys.stderr
        self._on_terminal = not silent and self._stream is not None and self._stream.isatty()
        self._every = REDRAW_EVERY_SECONDS if self._on_terminal else LOG_EVERY_SECONDS
        self._started = time.monotonic()
        # A terminal shows the first step at once; a log is told nothing of what is over in a moment.
        self._told = -math.inf if self._on_terminal else self._started
        self._width = 0

    def step(self, done: int, figures: Mapping[str, float] | None = None) -> None:
        """Tell that `done` steps are done, with figures such as the loss; but not so often that it takes the time."""
        now = time.monotonic()
        if self._silent or (done < self._total and now - self._told < self._every):
            return
        self._told = now
        line = self._line(done, figures or {}, now - self._started)
        if not self._on_terminal:
            logger.info(line)
            return
        line = line[: self._columns() - 1]  # A longer one would break, and could not be rewritten.
        # Spaces cover what a longer line before has left.
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _line(self, done: int, figures: Mapping[str, float], elapsed: float) -> str:
        told = [f"{name} {value:.4f}" for name, value in figures.items()]
        running = 0 < done < self._total
        clock = f"{elapsed / done * (self._total - done):.0f} s left" if running else f"{elapsed:.1f} s"
        return "  ".join([f"{self._title} {done}/{self._total}", clock, *told])

    def __enter__(self) -> Self:
        """Return the progress itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End the line."""
        self.close()

    def close(self) -> None:
        """End the line on a terminal."""
        if self._on_terminal and self._width:
            self._stream.write("\n")
            self._stream.flush()
            self._width = 0
