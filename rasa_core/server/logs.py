"""Where the server's logs go: one line for each request, and what the package logs.

`rasa_core.server.log_lines` tells what stands in a line.
"""

from __future__ import annotations

import errno
import logging
import logging.handlers
import math
import os
import time
from collections import deque
from contextlib import suppress
from io import TextIOWrapper
from typing import Any

from rasa_core.server.log_lines import ACCESS, LogStyle
from rasa_core.support.folders import make_private
from rasa_core.support.threads import started

_package_logger = logging.getLogger("rasa_core")
access_logger = logging.getLogger(ACCESS)


def level_number(level: str | int) -> int:
    """Return the number of a log level; raise `ValueError` for a name that is none."""
    if isinstance(level, int):
        return level
    found = logging.getLevelNamesMapping().get(level.upper())
    if found is None:
        raise ValueError(f"the log level {level!r} is none of DEBUG, INFO, WARNING, ERROR, CRITICAL.")
    return found


class LogFile(logging.handlers.WatchedFileHandler):
    """A file that gets log records and the lines of requests; opened anew when it was moved away.

    Lines of requests take a short way: as log records, they would cost more than all else that the server
    itself does for a request. Under load they are written several at a time, at the latest after `DELAY` seconds;
    a write for each lets another thread in, and cost a seventh of the throughput.
    """

    DELAY = 0.1
    TOLD_EVERY = 60.0  # Seconds between two complaints of a full disk.

    def __init__(self, path: str, style: LogStyle) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.style = style
        self._second = 0
        self._time = ""
        self._waiting: deque[tuple[float, str]] = deque()
        self._will_be_written = False
        self._written = 0.0
        self._told = -math.inf

    def _open(self) -> TextIOWrapper:
        make_private(self.baseFilename)  # What people say is in it.
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, behind the requests that wait."""
        try:
            self.reopenIfNeeded()
            self._write_lines()
            self._append(f"{self.format(record)}{self.terminator}".encode("utf-8", "backslashreplace"))
        except Exception:  # As each handler of logging: what cannot be logged must not fail whoever logs it.
            self.handleError(record)

    def write_request(self, rest: str) -> None:
        """Write the line of a request, given without its time; a full disk must not fail the request."""
        if self.level > logging.INFO:
            return
        now = time.time()
        self._waiting.append((now, rest))
        # A timer that runs writes it, unless a fork has lost that. The clock may have been set back.
        if abs(now - self._written) >= (3 * self.DELAY if self._will_be_written else self.DELAY):
            self._written = now
            self.flush()
        elif not self._will_be_written:
            self._will_be_written = True
            if started(self._flush_late, "log", after=self.DELAY) is None:
                self._flush_late()

    def _flush_late(self) -> None:
        # Here alone, or there would be another timer beside one that still runs, and in the end one for each request.
        self._will_be_written = False
        self._written = time.time()
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self.acquire()
        try:
            self._write_lines()
            super().flush()
        finally:
            self.release()

    def _write_lines(self) -> None:
        lines = []
        with suppress(IndexError):
            while True:
                lines.append(self._formatted(*self._waiting.popleft()))
        if lines:
            self._append("".join(lines).encode("ascii"))

    def _append(self, text: bytes) -> None:
        """Write whole lines, as many as there is room for; tell other handlers, at times, where there is none."""
        if self.stream is None:
            return
        try:
            # Past Python's buffer, which would keep what does not fit, and write it in the middle of a later line.
            file = self.stream.fileno()
            done = os.write(file, text)
            if done < len(text):
                _take_back(file, done - text.rfind(b"\n", 0, done) - 1)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            now = time.monotonic()
            if now - self._told >= self.TOLD_EVERY:
                self._told = now  # Before it is told, since that comes back to here.
                said = "%s: %s; what does not go into this log is lost."
                _package_logger.error(said, self.baseFilename, error.strerror or error)

    def _formatted(self, now: float, rest: str) -> str:
        second = int(now)
        if second != self._second:  # What need not be done for every line.
            self._second = second
            self._time = self.style.time_of(second)
            self.reopenIfNeeded()
        return f"{self._time}{self.style.milliseconds(now)}{rest}"


def _take_back(file: int, size: int) -> None:
    """Shorten a file by the last `size` bytes that were written, half a line, unless another process has gone on."""
    end = os.lseek(file, 0, os.SEEK_CUR)
    if end == os.fstat(file).st_size:
        os.ftruncate(file, end - size)


class AccessLog:
    """Where lines of requests go.

    Parameters
    ----------
    style
        How they are written.
    file
        What gets them; None if only those do that listen to `access_logger`.
    """

    def __init__(self, style: LogStyle, file: LogFile | None = None) -> None:
        self._style = style
        self._file = file
        self.has_file = file is not None

    def write(self, environ: dict[str, Any], status: int, seconds: float) -> None:
        """Write the line of a request."""
        line = self._style.request_line(environ, status, seconds)
        if self._file is not None:
            self._file.write_request(self._style.after_time(environ, line, status, seconds))
        if access_logger.isEnabledFor(logging.INFO):
            access_logger.info("%s", line, extra={"of_a_request": self._style.request_fields(environ, status, seconds)})


def log_to_file(path: str | os.PathLike[str], level: str | int, style: LogStyle | None = None) -> LogFile:
    """Append what this package logs, from `level` on, to a file; asked twice for one file, only once.

    Requests are not logged elsewhere for that: `access_logger` keeps the level that it has.
    """
    number = level_number(level)
    wanted = os.path.abspath(os.fsdecode(path))
    for handler in _package_logger.handlers:
        if isinstance(handler, LogFile) and handler.baseFilename == wanted:
            return handler
    file = LogFile(wanted, style or LogStyle())
    file.addFilter(lambda record: record.name != access_logger.name)  # Requests come by `write_request`.
    access_logger.setLevel(access_logger.getEffectiveLevel())
    _attach(file, number, file.style)
    return file


def log_to_console(level: str | int, style: LogStyle | None = None) -> None:
    """Show on standard error what this package logs, from `level` on; for commands, which own it.

    As JSON, what other packages warn of is shown so too, so that all of standard error can be read by a program.
    """
    style = style or LogStyle()
    _package_logger.propagate = False  # Or a handler of the root logger, as below, would show each line once more.
    _attach(logging.StreamHandler(), level_number(level), style)
    if style.is_json:
        others = logging.StreamHandler()
        others.setFormatter(style.formatter())
        logging.getLogger().addHandler(others)
        logging.captureWarnings(True)


def _attach(handler: logging.Handler, level: int, style: LogStyle) -> None:
    handler.setLevel(level)
    handler.setFormatter(style.formatter())
    _package_logger.addHandler(handler)
    if _package_logger.getEffectiveLevel() > level:
        _package_logger.setLevel(level)
