"""The format of the server's log lines, as text or JSON, and the hashing of sender_ids in them.

The line of a request has the method, the path, the status and the milliseconds. The values of ``token``, in any case,
and of parameters with similar names are replaced by ``***``, and everything but printable ASCII is percent-encoded, so
that no request can forge a line. In other lines, control characters are escaped. In JSON, each line is one object in
ASCII.

If sender_ids are hashed, every sender_id in a line is replaced by sixteen digits, which depend on a key: without
the key, the sender_id cannot be found from the digits, but all lines about one conversation have the same digits.
Values of parameters are then left out, since some of them are sender_ids.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final
from urllib.parse import quote, unquote_plus

from rasa_core.exceptions import brief
from rasa_core.support.work import UNDER_WAY, Work

FORMATS: Final = ("text", "json")
ACCESS: Final = "rasa_core.server.access"

_is_secret = re.compile("token|secret|passw|jwt|api_?key|auth").search  # Also matches mistyped names of the token.
_PLAIN: Final = "/:@!$&'()*+,;=~%?"
_DIGEST_BYTES: Final = 8
_LINE: Final = "%(asctime)s %(process)d%(work)s %(levelname)s %(name)s: %(message)s"
_unprintable = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_needs_no_quoting = re.compile(r"[\w/.~-]*", re.ASCII).fullmatch
_of_a_conversation = re.compile(r"/conversations?/+(?=.)", re.DOTALL)


def query_without_secrets(query_string: str) -> str:
    """Return the query of a URL with ``***`` for the values of ``token`` and parameters with similar names."""
    return "&".join(
        f"{name}=***" if _is_secret(unquote_plus(name).lower()) else f"{name}{equals}{value}"
        for name, equals, value in (part.partition("=") for part in query_string.split("&"))
    )


def _without_values(query_string: str) -> str:
    names = (part.partition("=")[:2] for part in query_string.split("&"))
    return "&".join(f"{name}=***" if equals else "***" for name, equals in names)


@lru_cache(maxsize=1000)
def _printable(text: str, plain: str) -> str:
    return text if _needs_no_quoting(text) else quote(text.encode("latin-1", "backslashreplace"), safe=plain)


class LogStyle:
    """The format of log lines.

    Parameters
    ----------
    log_format
        ``text`` or ``json``.
    key
        The key for hashing sender_ids; None to write them unchanged.

    Raises
    ------
    ValueError
        If the format is unknown, or the key is empty.
    """

    def __init__(self, log_format: str = "text", key: str | None = None) -> None:
        if log_format not in FORMATS:
            raise ValueError(f"the format of a log is text or json, not {log_format!r}.")
        if key is not None and not key.strip():
            raise ValueError("the key that hashes names of conversations is empty, which would hide nothing.")
        self.is_json = log_format == "json"
        self._key = None if key is None else hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        self._hashed = lru_cache(maxsize=1000)(self._digest)

    def _digest(self, sender_id: str) -> str:
        content = sender_id.encode("utf-8", "surrogatepass")  # Invalid sender_ids, which are refused, are logged, too.
        return hashlib.blake2b(content, key=self._key or b"", digest_size=_DIGEST_BYTES).hexdigest()

    def formatter(self) -> logging.Formatter:
        """Return a formatter for log records in this format."""
        return _JsonFormatter(self) if self.is_json else _TextFormatter(self)

    def sender(self, sender_id: str) -> str:
        """Return a sender_id as it is logged: hashed if there is a key."""
        return sender_id if self._key is None else self._hashed(sender_id)

    def hidden(self, text: str, work: Work | None) -> str:
        """Return a log message in which the sender_id of the present request is hashed, if there is a key."""
        if self._key is None or work is None or not work.sender:
            return text
        # A message may have the sender_id unchanged, or as Python, JSON or a URL write it. The longest form is
        # replaced first, since a shorter form may be a part of it.
        sender = work.sender
        encoded = quote(sender, safe="", errors="replace")
        written = {sender, repr(sender)[1:-1], json.dumps(sender)[1:-1], encoded, encoded.replace("%2F", "/")}
        names = "|".join(re.escape(name) for name in sorted(written, key=len, reverse=True))
        return re.sub(rf"(?<!\w)(?:{names})(?!\w)", self._hashed(sender), text)

    def request_line(self, environ: Mapping[str, Any], status: int, seconds: float) -> str:
        """Return the line of a request: method, path, status and milliseconds."""
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        query = environ.get("QUERY_STRING", "")
        if self._key is not None:
            path, query = self._hidden_path(path, environ["rasa_core.work"]), _without_values(query) if query else ""
        elif query:
            query = query_without_secrets(query)
        if query:
            query = f"?{_printable(query, _PLAIN)}"
        method = _printable(environ["REQUEST_METHOD"], "")
        return f"{method} {_printable(path, '/:@')}{query} {status} {1000 * seconds:.2f} ms"

    def _hidden_path(self, path: str, work: Work) -> str:
        """Return a path with the sender_id hashed; for an unknown path, all after ``/conversations/`` is hashed."""
        found = _of_a_conversation.search(path)
        if found is None:
            return path
        if work.sender is None:  # The path is unknown, so it is not known where the sender_id in it ends.
            return path[: found.end()] + self._hashed(path[found.end() :])
        end = work.route if path.endswith(work.route) else ""
        return path[: found.end()] + self._hashed(work.sender) + end

    def request_fields(self, environ: Mapping[str, Any], status: int, seconds: float) -> dict[str, Any]:
        """Return the further keys of a request's line in JSON."""
        return {"method": environ["REQUEST_METHOD"], "status": status, "duration": round(seconds, 6)}

    def line(self, level: str, name: str, message: str, more: Mapping[str, Any] | None = None) -> str:
        """Return a line of JSON with the present time, without the line break."""
        now = time.time()
        said = self.object_of(level, name, message, UNDER_WAY.get(), more or {})
        return f'{self.time_of(int(now))}{self.milliseconds(now)}Z", {json.dumps(said)[1:]}'

    # -- lines of requests, which are written without log records, since they would be slow

    def time_of(self, second: int) -> str:
        """Return the beginning of a line: the time up to the second."""
        if self.is_json:
            return time.strftime('{"time": "%Y-%m-%dT%H:%M:%S', time.gmtime(second))
        return time.strftime(logging.Formatter.default_time_format, time.localtime(second))

    def after_time(self, environ: Mapping[str, Any], line: str, status: int, seconds: float) -> str:
        """Return the rest of a request's line, after the milliseconds of its time."""
        work: Work = environ["rasa_core.work"]
        if not self.is_json:
            return f" {os.getpid()}/{work.request_id} INFO {ACCESS}: {line}\n"
        # The same text as `json.dumps` of `object_of`, made by hand in less than half of the time.
        sender = "" if work.sender is None else f' "sender": {quoted(self.sender(work.sender))},'
        return (
            f'Z", "level": "INFO", "logger": "{ACCESS}", "message": {quoted(line)}, "process": {os.getpid()}, '
            f'"request_id": {quoted(work.request_id)}, "route": {quoted(work.route)},{sender} '
            f'"method": {quoted(environ["REQUEST_METHOD"])}, "status": {status}, "duration": {round(seconds, 6)}}}\n'
        )

    def milliseconds(self, moment: float) -> str:
        """Return the milliseconds of a moment as a line has them after the seconds."""
        return f"{'.' if self.is_json else ','}{int(moment % 1 * 1000):03d}"

    def object_of(
        self, level: str, name: str, message: str, work: Work | None, more: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the keys of a JSON line, except its time."""
        said: dict[str, Any] = {"level": level, "logger": name, "message": message, "process": os.getpid()}
        if work is not None:
            said |= {"request_id": work.request_id, "route": work.route}
            if work.sender is not None:
                said["sender"] = self.sender(work.sender)
        return {**said, **more}


def without_advice() -> Callable[[logging.LogRecord], bool]:
    """Return a log filter for a warning of Granian about many threads, most of which only wait for bodies here."""
    return lambda record: not str(record.msg).startswith("Configuration allows spawning")


def json_formatter() -> logging.Formatter:
    """Return a formatter that writes log records as JSON, for the other processes of the server."""
    return LogStyle("json").formatter()


class _Formatter(logging.Formatter):
    """Formats a log record; the thread that logs it may have a present request (`Work`)."""

    def __init__(self, style: LogStyle) -> None:
        super().__init__(_LINE)
        self._lines = style


class _TextFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        work = UNDER_WAY.get()
        told = {"msg": _message_of(record), "args": None, "work": "" if work is None else f"/{work.request_id}"}
        return self._lines.hidden(super().format(logging.makeLogRecord({**vars(record), **told})), work)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        if not record.message.isprintable():  # A message may quote a user's text, which must not forge a line.
            record.message = _unprintable.sub(lambda found: ascii(found[0])[1:-1], record.message)
        return super().formatMessage(record)


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        work, lines = UNDER_WAY.get(), self._lines
        more = dict(getattr(record, "of_a_request", ()))  # Set by `AccessLog.write`.
        if record.exc_info:
            more["exception"] = lines.hidden(self.formatException(record.exc_info), work)
        if record.stack_info:
            more["stack"] = lines.hidden(self.formatStack(record.stack_info), work)
        message = lines.hidden(_message_of(record), work)
        said = lines.object_of(record.levelname, record.name, message, work, more)
        begin = lines.time_of(int(record.created)) + lines.milliseconds(record.created)
        return f'{begin}Z", {json.dumps(said, default=repr)[1:]}'


def _message_of(record: logging.LogRecord) -> str:
    """Return the message of a record; if its values do not fit the format, the format itself."""
    try:
        return record.getMessage()
    except Exception:  # Any code may log a message that cannot be formatted; it must not be lost.
        # `record.msg` may be an object whose `__str__` raises, which `brief` can handle.
        return record.msg if isinstance(record.msg, str) else brief(record.msg)
