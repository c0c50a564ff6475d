"""Routing: which views a path has, and how a sender_id with slashes is found in a path.

A sender_id may be any text; in a path it is percent-encoded UTF-8. WSGI also decodes ``%2F``, so that a slash in a
sender_id looks like a slash between the parts of a path. Servers that pass on the undecoded path (``RAW_URI`` or
``REQUEST_URI``: Werkzeug, gunicorn, uWSGI) allow to tell the two apart. With other servers, such as Granian, the text
between ``/conversations/`` and a known ending such as ``/tracker`` is the sender_id. Then a conversation whose
sender_id ends in a known ending (``a/tracker``) cannot be deleted, and a slash in a sender_id need not be encoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from werkzeug.wrappers import Response

from rasa_core.server.requests import HttpError

View = Callable[..., Response]
Views = Mapping[str, View]
"""The views of one path, by method."""


DEFAULT_SENDER_ID: Final = "default"

MAX_SENDER_ID: Final = 1000
SENDER_ID: Final = r"^[^\x00-\x1f\x7f]+$"
"""The pattern of a sender_id: any characters but control characters."""
SLASH: Final = "\udc2f"
"""Stands for an encoded slash in a decoded path; it is a lone surrogate, which no UTF-8 text can contain."""

_control = re.compile(r"[\x00-\x1f\x7f]")
_MARK: Final = "\x00/\x00"  # Stands for an encoded slash until the path is decoded; no sender_id may contain a NUL.


def decoded_path(path: str, written: str, script: str) -> str:
    """Return the decoded path, with `SLASH` for each slash that was percent-encoded, as far as `written` shows it.

    Parameters
    ----------
    path, script
        ``PATH_INFO`` and ``SCRIPT_NAME`` of WSGI.
    written
        The undecoded address of the request; empty if the server does not provide it.

    Raises
    ------
    HttpError
        400 if the path is not UTF-8.
    """
    try:
        if "%2f" in written.lower():
            return _with_marks(path, written, script)
        return path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise HttpError(400, "the path is not UTF-8; percent-encode it as UTF-8.") from None


def _with_marks(path: str, written: str, script: str) -> str:
    """Return the decoded path with `SLASH` for each ``%2F`` in `written`, if `written` is an address of this path."""
    address = re.sub(r"^[a-z]+://[^/]*", "", written.partition("?")[0], flags=re.IGNORECASE)
    if unquote(address, "latin-1") == script + path:
        marked = unquote(re.sub("%2f", quote(_MARK), address, flags=re.IGNORECASE), "latin-1")
        return marked[len(script) :].encode("latin-1").decode("utf-8").replace(_MARK, SLASH)
    return path.encode("latin-1").decode("utf-8")


_OTHER_CHANNELS: Final = ("/webhooks/", "/socket.io")
"""Beginnings of paths of Rasa's channels, of which this server has one alone."""


def read_by(view: View) -> Views:
    """Return the views of a path that can only be read."""
    return {"GET": view, "HEAD": view}


class Paths:
    """The routing table: finds the views of a path, and the sender_id in the path.

    Parameters
    ----------
    general
        Views by path, for paths without a sender_id.
    of_a_conversation
        Views by the ending of a path after ``/conversations/<sender_id>`` or ``/conversation/<sender_id>``.

    Attributes
    ----------
    views
        All views, by the path without the sender_id.
    of_a_conversation
        The keys of `views` for paths with a sender_id.
    """

    def __init__(self, general: Mapping[str, Views], of_a_conversation: Mapping[str, Views]) -> None:
        self.views = {**general, **of_a_conversation}
        self.of_a_conversation = dict.fromkeys(of_a_conversation)
        self._general = dict.fromkeys(general)
        ends = "|".join(map(re.escape, of_a_conversation))
        # Werkzeug's routing generates code for each rule, which took 20 ms of each start.
        self._conversation = re.compile(rf"/conversations?/([^/]+)({ends})")
        # For servers that do not provide the undecoded path: here the sender_id may contain slashes.
        self._with_slashes = re.compile(rf"/conversations?/(.+?)({ends})", re.DOTALL)
        # Cached, since most requests are about few conversations.
        self.match: Callable[[str, bool, bool], tuple[str, str]] = lru_cache(maxsize=1000)(self._match)

    def all(self) -> Iterator[tuple[str, str]]:
        """Yield each path in the notation of OpenAPI, ``/conversations/{sender_id}/parse``, with its key in `views`."""
        yield from zip(self._general, self._general, strict=True)
        for end in self.of_a_conversation:
            yield f"/conversations/{{sender_id}}{end}", end
            yield f"/conversation/{{sender_id}}{end}", end

    def _match(self, path: str, is_decoded: bool, is_deletion: bool) -> tuple[str, str]:
        """Return the key in `views` and the sender_id for a path; raise `HttpError` 404 if there is no such path."""
        for general in path, f"{path}/":
            if general in self._general:
                return general, DEFAULT_SENDER_ID
        found = self._conversation.fullmatch(path)
        if found is not None:
            return found[2], found[1].replace(SLASH, "/")
        found = self._with_slashes.fullmatch(path) if is_decoded else None
        if found is None or not (found[2] or is_deletion):
            if path.startswith(_OTHER_CHANNELS):
                instead = "of the channels of Rasa, rest is here; write another one as an InputChannel"
                raise HttpError(404, f"there is nothing at {path[:200]!r}: {instead}.")
            raise HttpError(
                404,
                f"there is nothing at {path[:200]!r}. A conversation is at /conversations/<sender_id>/parse (or "
                "continue, respond, tracker, tracker/events, explain); a slash in its sender_id is sent as %2F.",
            )
        return found[2], found[1]


def check_id_in_path(sender_id: str) -> None:
    """Raise `HttpError` 400 for an invalid sender_id."""
    if len(sender_id) > MAX_SENDER_ID:
        raise HttpError(400, f"the sender_id has {len(sender_id)} characters; at most {MAX_SENDER_ID} are kept.")
    if not sender_id.isprintable() and _control.search(sender_id):
        raise HttpError(400, f"the sender_id {sender_id!r} holds a control character; use others.")
