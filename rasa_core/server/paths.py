"""The path of a request: what answers there, and slashes in the name of a conversation.

A sender_id may be any text, in a path percent-encoded UTF-8. WSGI decodes ``%2F`` like all else, so that a slash in
a sender_id looks like one between the parts of a path. Servers that hand on the path as it was written (``RAW_URI`` or
``REQUEST_URI``: Werkzeug, gunicorn, uWSGI) tell the two apart. Of others, Granian among them, what stands between
``/conversations/`` and the end that names what to do is taken for the sender_id. There, one that ends like such an end
(``a/tracker``) cannot be deleted, and a slash that was not encoded passes for one that was.
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
"""What answers at one path, by method."""

DEFAULT_SENDER_ID: Final = "default"

MAX_SENDER_ID: Final = 1000
SENDER_ID: Final = r"^[^\x00-\x1f\x7f]+$"
"""What a sender_id is made of: anything but control characters."""
SLASH: Final = "\udc2f"
"""Stands for a slash that was encoded; half a character is in no decoded path."""

_control = re.compile(r"[\x00-\x1f\x7f]")
_MARK: Final = "\x00/\x00"  # Stands for the same until the path is decoded, since no sender_id may hold a NUL.


def decoded_path(path: str, written: str, script: str) -> str:
    """Return the path with `SLASH` for each slash that is known to have been encoded.

    Parameters
    ----------
    path, script
        ``PATH_INFO`` and ``SCRIPT_NAME`` of WSGI.
    written
        The address as it came; empty where the server does not tell.

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
    """Return the decoded path with `SLASH` for each ``%2F``, if it is the path of the address that was `written`."""
    address = re.sub(r"^[a-z]+://[^/]*", "", written.partition("?")[0], flags=re.IGNORECASE)
    if unquote(address, "latin-1") == script + path:
        marked = unquote(re.sub("%2f", quote(_MARK), address, flags=re.IGNORECASE), "latin-1")
        return marked[len(script) :].encode("latin-1").decode("utf-8").replace(_MARK, SLASH)
    return path.encode("latin-1").decode("utf-8")


_OF_RASA: Final = {
    "/model": "a server takes another model when it is started again, or at POST /load, with --enable-load",
    "/model/train": "rasa-core train PROJECT trains a bot",
    "/model/test/stories": "rasa-core evaluate PROJECT tells whether a bot does what its test stories say",
    "/model/test/intents": "rasa-core nlu evaluate tells how well texts are understood",
    "/socket.io": "of the channels of Rasa, rest is here; write another one as an InputChannel",
}
"""What stands for paths of Rasa that nothing answers at."""


def _told_instead(path: str) -> str | None:
    """Return what stands for a path of Rasa, None if it has no such path."""
    return _OF_RASA["/socket.io"] if path.startswith(("/webhooks/", "/socket.io")) else _OF_RASA.get(path.rstrip("/"))


class Paths:
    """What answers at which path.

    Parameters
    ----------
    general
        By path.
    of_a_conversation
        By what stands behind ``/conversations/<sender_id>``, or ``/conversation/<sender_id>``.

    Attributes
    ----------
    views
        What answers, by the path without the sender_id.
    of_a_conversation
        The keys of `views` that are about a conversation.
    """

    def __init__(self, general: Mapping[str, Views], of_a_conversation: Mapping[str, Views]) -> None:
        self.views = {**general, **of_a_conversation}
        self.of_a_conversation = dict.fromkeys(of_a_conversation)
        self._general = dict.fromkeys(general)
        ends = "|".join(map(re.escape, of_a_conversation))
        # The routing of Werkzeug makes a function for the addresses of each rule, which took 20 ms of each start.
        self._conversation = re.compile(rf"/conversations?/([^/]+)({ends})")
        # What a server that does not tell how a path was written leaves of a sender_id with slashes.
        self._with_slashes = re.compile(rf"/conversations?/(.+?)({ends})", re.DOTALL)
        # One conversation is asked for again and again.
        self.match: Callable[[str, bool, bool], tuple[str, str]] = lru_cache(maxsize=1000)(self._match)

    def all(self) -> Iterator[tuple[str, str]]:
        """Yield each path as documents write it, ``/conversations/{sender_id}/parse``, and by what `views` has it."""
        yield from zip(self._general, self._general, strict=True)
        for end in self.of_a_conversation:
            yield f"/conversations/{{sender_id}}{end}", end
            yield f"/conversation/{{sender_id}}{end}", end

    def _match(self, path: str, is_decoded: bool, is_deletion: bool) -> tuple[str, str]:
        """Return the path without its sender_id, and the sender_id; raise `HttpError` 404 if nothing is there."""
        for general in path, f"{path}/":
            if general in self._general:
                return general, DEFAULT_SENDER_ID
        found = self._conversation.fullmatch(path)
        if found is not None:
            return found[2], found[1].replace(SLASH, "/")
        found = self._with_slashes.fullmatch(path) if is_decoded else None
        if found is None or not (found[2] or is_deletion):
            if instead := _told_instead(path):
                raise HttpError(404, f"there is nothing at {path[:200]!r}: {instead}.")
            raise HttpError(
                404,
                f"there is nothing at {path[:200]!r}. A conversation is at /conversations/<sender_id>/parse (or "
                "continue, respond, tracker, tracker/events, explain); a slash in its sender_id is sent as %2F.",
            )
        return found[2], found[1]


def check_id_in_path(sender_id: str) -> None:
    """Raise `HttpError` 400 for a name that no conversation may have."""
    if len(sender_id) > MAX_SENDER_ID:
        raise HttpError(400, f"the sender_id has {len(sender_id)} characters; at most {MAX_SENDER_ID} are kept.")
    if not sender_id.isprintable() and _control.search(sender_id):
        raise HttpError(400, f"the sender_id {sender_id!r} holds a control character; use others.")
