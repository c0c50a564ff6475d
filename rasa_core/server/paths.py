"""From a path to what answers there, and to the conversation that it names.

A sender_id may be any text, in a path percent-encoded UTF-8. WSGI decodes ``%2F`` like all else, so that a slash in
a sender_id looks like one between the parts of a path. Servers that hand on the path as it was written (``RAW_URI`` or
``REQUEST_URI``: Werkzeug, gunicorn, uWSGI) tell the two apart. Of others, Granian among them, what stands between
``/conversations/`` and the end that names what to do is taken for the sender_id. There, one that ends like such an end
(``a/tracker``) cannot be deleted, and a slash that was not encoded passes for one that was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote

from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule

from rasa_core.server.requests import HttpError

DEFAULT_SENDER_ID: Final = "default"

_MARK: Final = "\x00/\x00"  # Stands for %2F until the path is decoded, and then
_SLASH: Final = "\udc2f"  # this, which is in no decoded path.


class Paths:
    """What a server knows.

    Parameters
    ----------
    general
        Paths that are about no conversation, or about `DEFAULT_SENDER_ID`.
    of_a_conversation
        What stands behind the sender_id.
    """

    def __init__(self, general: Iterable[str], of_a_conversation: Iterable[str]) -> None:
        ends = list(of_a_conversation)
        rules = [Rule(path, endpoint=path) for path in general]
        for word in ("conversations", "conversation"):
            rules += [Rule(f"/{word}/<sender_id>{end}", endpoint=end) for end in ends]
        # No address is made of it, so any host will do.
        self._map = Map(rules, merge_slashes=False, redirect_defaults=False).bind("localhost")
        self._with_slashes = re.compile(rf"/conversations?/(.+?)({'|'.join(map(re.escape, ends))})", re.DOTALL)
        # One conversation is asked for again and again.
        self.match = lru_cache(maxsize=1000)(self._find)

    def at(self, environ: dict[str, Any]) -> tuple[str, str]:
        """Return the path without its sender_id, and the sender_id; raise `HttpError` 404 if nothing is there."""
        path: str = environ.get("PATH_INFO") or "/"
        written = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        try:
            if "%" in written and "%2f" in written.lower():
                path = _with_marks(path, written, environ.get("SCRIPT_NAME", ""))
            elif not path.isascii():
                path = path.encode("latin-1").decode("utf-8")
            return self.match(path, not written, environ["REQUEST_METHOD"] == "DELETE")
        except UnicodeError:
            raise HttpError(400, "the path is not UTF-8; percent-encode it as UTF-8.") from None

    def _find(self, path: str, is_decoded: bool, is_deletion: bool) -> tuple[str, str]:
        if path.startswith(
            "//"
        ):  # Werkzeug would leave out one slash; what stands in front, and guards paths, may not.
            raise NotFound
        try:
            endpoint, values = self._map.match(path)
        except NotFound:
            found = self._with_slashes.fullmatch(path) if is_decoded and not path.startswith("//") else None
            if found is None or not (found[2] or is_deletion):
                raise HttpError(
                    404,
                    f"there is nothing at {path[:200]!r}. A conversation is at /conversations/<sender_id>/parse (or "
                    "continue, respond, tracker, tracker/events, explain); a slash in its sender_id is sent as %2F.",
                ) from None
            return found[2], found[1]
        return endpoint, values.get("sender_id", DEFAULT_SENDER_ID).replace(_SLASH, "/")


def _with_marks(path: str, written: str, script: str) -> str:
    """Return the decoded path with `_SLASH` for each ``%2F``, if it is the path of the address that was `written`."""
    address = re.sub(r"^[a-z]+://[^/]*", "", written.partition("?")[0], flags=re.IGNORECASE)
    if unquote(address, "latin-1") == script + path:
        marked = unquote(re.sub("%2f", quote(_MARK), address, flags=re.IGNORECASE), "latin-1")
        return marked[len(script) :].encode("latin-1").decode("utf-8").replace(_MARK, _SLASH)
    return path.encode("latin-1").decode("utf-8")
