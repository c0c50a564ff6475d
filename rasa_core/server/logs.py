"""The server's log file and its log on the console: one line for each request, and the log records of the package.

`rasa_core.server.log_lines` has the format of a line.
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
    """Return the number of a log level; raise `ValueError` for an unknown name."""
    if isinstance(level, int):
        return level
    found = logging.getLevelNamesMapping().get(level.upper())
    if found is None:
        raise ValueError(f"the log level {level!r} is none of DEBUG, INFO, WARNING, ERROR, CRITICAL.")
    return found


class LogFile(logging.handlers.WatchedFileHandler):
    """A file for log records and the lines of requests; it is opened again after it was moved away.

    Lines of requests are not log records, which would take more time than everything else that the server itself does
    for a request. Under load several lines are written together, at the latest after `DELAY` seconds: a write for each
    line makes the thread give up the interpreter lock, which cost a seventh of the throughput.
    """

    DELAY = 0.1
    TOLD_EVERY = 60.0  # Seconds between two messages about a full disk.

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
        make_private(self.baseFilename)  # The log may quote messages of users.
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, after the lines of requests that are still to be written."""
        try:
            self.reopenIfNeeded()
            self._write_lines()
            self._append(f"{self.format(record)}{self.terminator}".encode("utf-8", "backslashreplace"))
        except Exception:  # As in every logging handler, an error here must not reach the code that logs.
            self.handleError(record)

    def write_request(self, rest: str) -> None:
        """Write the line of a request, `rest` being the line without its time; a full disk raises no error."""
        if self.level > logging.INFO:
            return
        now = time.time()
        self._waiting.append((now, rest))
        # A running timer will write the line, unless it was lost in a fork. `abs`, as the clock may be set back.
        if abs(now - self._written) >= (3 * self.DELAY if self._will_be_written else self.DELAY):
            self._written = now
            self.flush()
        elif not self._will_be_written:
            self._will_be_written = True
            if started(self._flush_late, "log", after=self.DELAY) is None:
                self._flush_late()

    def _flush_late(self) -> None:
        # Reset nowhere else: otherwise a second timer would be started beside a running one, and so on.
        self._will_be_written = False
        self._written = time.time()
        self.flush()

    def flush(self) -> None:
        """Write the lines that are still to be written."""
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
        """Write as many whole lines as the disk has room for; a full disk is logged to other handlers now and then."""
        if self.stream is None:
            return
        try:
            # Without Python's buffer, which would keep a part that did not fit and write it into a later line.
            file = self.stream.fileno()
            done = os.write(file, text)
            if done < len(text):
                _take_back(file, done - text.rfind(b"\n", 0, done) - 1)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            now = time.monotonic()
            if now - self._told >= self.TOLD_EVERY:
                self._told = now  # Set before logging, since that message also comes to this handler.
                said = "%s: %s; what does not go into this log is lost."
                _package_logger.error(said, self.baseFilename, error.strerror or error)

    def _formatted(self, now: float, rest: str) -> str:
        second = int(now)
        if second != self._second:  # The time is formatted once a second, not for every line.
            self._second = second
            self._time = self.style.time_of(second)
            self.reopenIfNeeded()
        return f"{self._time}{self.style.milliseconds(now)}{rest}"


def _take_back(file: int, size: int) -> None:
    """Remove the last `size` bytes, half a line, from a file, unless another process has written after them."""
    end = os.lseek(file, 0, os.SEEK_CUR)
    if end == os.fstat(file).st_size:
        os.ftruncate(file, end - size)


class AccessLog:
    """The log of requests.

    Parameters
    ----------
    file
        The file for the lines; None if they only go to the handlers of `access_logger`.
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
    """Append the log records of this package, from `level` on, to a file; a second call for the same file does nothing.

    The level of `access_logger` is not changed, so this makes no other handler log requests.
    """
    number = level_number(level)
    wanted = os.path.abspath(os.fsdecode(path))
    for handler in _package_logger.handlers:
        if isinstance(handler, LogFile) and handler.baseFilename == wanted:
            return handler
    file = LogFile(wanted, style or LogStyle())
    file.addFilter(lambda record: record.name != access_logger.name)  # Requests are logged by `write_request`.
    access_logger.setLevel(access_logger.getEffectiveLevel())
    _attach(file, number, file.style)
    return file


def log_to_console(level: str | int, style: LogStyle | None = None) -> None:
    """Write the log records of this package, from `level` on, to standard error; only for commands.

    If the format is JSON, warnings of other packages are written as JSON, too, so that programs can parse all lines.
    """
    style = style or LogStyle()
    _package_logger.propagate = False  # Otherwise a handler of the root logger would write each line once more.
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
