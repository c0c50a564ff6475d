"""The files of the page, and the headers that keep anything else out of it.

They hold nothing of any conversation, so they are public: with a token, the page asks for it and sends it with each
request. The Content-Security-Policy lets a browser load what stands in this package alone, and send requests to this
server alone; there is no inline script, no inline style, and no frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from werkzeug.wrappers import Response

from rasa_core.server.requests import Request

FOLDER: Final = Path(__file__).parent / "static"
PREFIX: Final = "/inspector/"
PAGE: Final = "index.html"

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-cache"),  # A browser asks whether its copy is still right, and mostly gets 304.
)


class Asset:
    """One file of the page, as it is answered."""

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()
        self._type = _TYPES[path.suffix]
        self._tag = hashlib.blake2b(self._content, digest_size=12).hexdigest()

    def answer(self, request: Request) -> Response:
        """Return the file, or that the browser has it already."""
        response = Response(self._content, headers=[*_HEADERS, ("Content-Type", self._type)])
        response.set_etag(self._tag)
        return response.make_conditional(request.environ)

    def view(self) -> Callable[..., Response]:
        """Return what answers at the path of the file."""
        return lambda app, request, sender_id: self.answer(request)


def assets() -> dict[str, Asset]:
    """Return the files of the page, by name."""
    return {path.name: Asset(path) for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}
