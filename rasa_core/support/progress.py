"""Progress of long work: one line that is rewritten on a terminal, and separate lines without a terminal.

The progress bar of Click, which the commands use, writes nothing without a terminal, and shows no figures. Also, only
the commands may import Click.
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
    """Shows the progress of a piece of work.

    Parameters
    ----------
    title
        The name of the work.
    total
        Number of steps.
    silent
        Whether to write nothing.
    stream
        The stream to write to; by default standard error.

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
        # On a terminal, the first step is shown at once; without a terminal, short work writes nothing.
        self._told = -math.inf if self._on_terminal else self._started
        self._width = 0

    def step(self, done: int, figures: Mapping[str, float] | None = None) -> None:
        """Show that `done` steps are done, with figures such as the loss; calls in quick succession show nothing."""
        now = time.monotonic()
        if self._silent or (done < self._total and now - self._told < self._every):
            return
        self._told = now
        line = self._line(done, figures or {}, now - self._started)
        if not self._on_terminal:
            logger.info(line)
            return
        line = line[: self._columns() - 1]  # A wrapped line could not be rewritten.
        # Padded with spaces, which overwrite the rest of a longer line before.
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
        """Return this object."""
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
