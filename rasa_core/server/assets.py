"""The files of the server's web pages, and the headers that keep foreign content out of the pages.

The files contain nothing of any conversation, so they are public. If the server has a token, a page asks the user for
it and sends it with each request. The Content-Security-Policy lets a browser load only files of this package and send
requests only to this server; inline scripts, inline styles and frames are forbidden.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from werkzeug.wrappers import Response

from rasa_core.server.requests import Request

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-cache"),  # A browser asks each time whether its copy is current, and mostly gets 304.
)


class Asset:
    """One file of a page.

    Parameters
    ----------
    suffix
        The ending of its name, a key of `TYPES`.
    """

    def __init__(self, content: bytes, suffix: str) -> None:
        self.kind = TYPES[suffix]
        self._content = content
        self._tag = hashlib.blake2b(content, digest_size=12).hexdigest()

    def answer(self, request: Request) -> Response:
        """Return the file, or 304 if the browser has it in its cache."""
        response = Response(self._content, headers=[*_HEADERS, ("Content-Type", self.kind)])
        response.set_etag(self._tag)
        return response.make_conditional(request.environ)

    def view(self) -> Callable[..., Response]:
        """Return the view that answers with the file."""
        return lambda app, request, sender_id: self.answer(request)


def assets_in(folder: Path) -> dict[str, Asset]:
    """Return the files of a page, by name."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in TYPES)
    return {path.name: Asset(path.read_bytes(), path.suffix) for path in paths}
