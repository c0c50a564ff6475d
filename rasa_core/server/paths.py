"""The path of a request, and slashes in the name of a conversation.

A sender_id may be any text, in a path percent-encoded UTF-8. WSGI decodes ``%2F`` like all else, so that a slash in
a sender_id looks like one between the parts of a path. Servers that hand on the path as it was written (``RAW_URI`` or
``REQUEST_URI``: Werkzeug, gunicorn, uWSGI) tell the two apart. Of others, Granian among them, what stands between
``/conversations/`` and the end that names what to do is taken for the sender_id. There, one that ends like such an end
(``a/tracker``) cannot be deleted, and a slash that was not encoded passes for one that was.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

from rasa_core.server.requests import HttpError

_MARK: Final = "\x00/\x00"  # Stands for %2F until the path is decoded, and then
SLASH: Final = "\udc2f"  # this, which is in no decoded path.


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
