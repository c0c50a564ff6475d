"""The server's logs: one line for each request, and where the package's log goes when it is told.

A request line has the method, the path, the status and the milliseconds; the value of ``token``, in any case, is
replaced by ``***``, and everything outside printable ASCII is percent-encoded, so that no request can forge a line.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import threading
import time
from collections import deque
from contextlib import suppress
from functools import lru_cache
from io import TextIOWrapper
from typing import Any
from urllib.parse import quote, unquote_plus

from rasa_core.support.folders import make_private

_package_logger = logging.getLogger("rasa_core")
access_logger = logging.getLogger("rasa_core.server.access")

_LINE = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
_SECRETS = ("token", "auth_token", "access_token")
_PLAIN = "/:@!$&'()*+,;=~%?"
_needs_no_quoting = re.compile(r"[\w/.~-]*", re.ASCII).fullmatch


def request_line(environ: dict[str, Any], status: int, seconds: float) -> str:
    """Return the line of one request, without its time."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    if query:
        query = f"?{_printable(without_token(query), _PLAIN)}"
    method = _printable(environ["REQUEST_METHOD"], "")
    return f"{method} {_printable(path, '/:@')}{query} {status} {1000 * seconds:.2f} ms"


def without_token(query_string: str) -> str:
    """Return the parameters of a URL with the value of ``token`` replaced, however its name is written."""
    return "&".join(
        f"{name}=***" if unquote_plus(name).strip().lower() in _SECRETS else f"{name}{equals}{value}"
        for name, equals, value in (part.partition("=") for part in query_string.split("&"))
    )


@lru_cache(maxsize=1000)
def _printable(text: str, plain: str) -> str:
    return text if _needs_no_quoting(text) else quote(text.encode("latin-1", "backslashreplace"), safe=plain)


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

    def __init__(self, path: str) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._second = 0
        self._time = ""
        self._waiting: deque[tuple[float, str]] = deque()
        self._will_be_written = False
        self._written = 0.0

    def _open(self) -> TextIOWrapper:
        make_private(self.baseFilename)  # What people say is in it.
        return super()._open()

    def write_request(self, line: str) -> None:
        """Write the line of a request; a full disk must not fail the request."""
        if self.level > logging.INFO:
            return
        now = time.time()
        self._waiting.append((now, line))
        if abs(now - self._written) >= self.DELAY:
            self._written = now
            self.flush()
        elif not self._will_be_written:
            self._will_be_written = True
            threading.Timer(self.DELAY, self.flush).start()

    def flush(self) -> None:
        """Write what waits."""
        self.acquire()
        try:
            self._will_be_written = False
            self._write_lines()
            super().flush()
        finally:
            self.release()

    def _write_lines(self) -> None:
        lines = []
        with suppress(IndexError):
            while True:
                lines.append(self._formatted(*self._waiting.popleft()))
        if lines and self.stream is not None:
            with suppress(OSError):  # Nor is there another place to say so for each request.
                os.write(self.stream.fileno(), "".join(lines).encode("ascii"))

    def _formatted(self, now: float, line: str) -> str:
        second = int(now)
        if second != self._second:  # What need not be done for every line.
            self._second = second
            self._time = time.strftime(logging.Formatter.default_time_format, time.localtime(second))
            self.reopenIfNeeded()
        return f"{self._time},{int(now % 1 * 1000):03d} {os.getpid()} INFO {access_logger.name}: {line}\n"


def log_to_file(path: str | os.PathLike[str], level: str | int) -> LogFile:
    """Append what this package logs, from `level` on, to a file; asked twice for one file, only once.

    Requests are not logged elsewhere for that: `access_logger` keeps the level that it has.
    """
    number = level_number(level)
    wanted = os.path.abspath(os.fsdecode(path))
    for handler in _package_logger.handlers:
        if isinstance(handler, LogFile) and handler.baseFilename == wanted:
            return handler
    file = LogFile(wanted)
    file.addFilter(lambda record: record.name != access_logger.name)
    access_logger.setLevel(access_logger.getEffectiveLevel())
    _attach(file, number)
    return file


def log_to_console(level: str | int) -> None:
    """Show on standard error what this package logs, from `level` on; for commands, which own it."""
    _package_logger.propagate = False
    _attach(logging.StreamHandler(), level_number(level))


def _attach(handler: logging.Handler, level: int) -> None:
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(_LINE))
    _package_logger.addHandler(handler)
    if _package_logger.getEffectiveLevel() > level:
        _package_logger.setLevel(level)
