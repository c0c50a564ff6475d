"""Which web pages may call the server from a browser: those of the given origins, and no others.

The headers go on every answer, also on errors, because a browser hides an answer without them from the page.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rasa_core.server.responses import Headers

_ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match"
_EXPOSED_HEADERS = "Allow, ETag, Retry-After"
_REMEMBER_SECONDS = "600"


class Cors:
    """The origins whose pages may read answers.

    Parameters
    ----------
    origins
        Such as ``https://example.org``; ``*`` stands for all; None or nothing for none.
    """

    def __init__(self, origins: Iterable[str] | str | None) -> None:
        given = [origins] if isinstance(origins, str) else list(origins or ())
        self._origins = frozenset(origin.strip().rstrip("/").lower() for origin in given)
        self._open = "*" in self._origins
        self.active = bool(self._origins)

    def headers(self, environ: dict[str, Any]) -> Headers:
        """Return the headers for any answer to this request."""
        if self._open:
            return (("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", _EXPOSED_HEADERS))
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or origin.lower() not in self._origins:
            return (("Vary", "Origin"),)
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", _EXPOSED_HEADERS),
            ("Vary", "Origin"),
        )

    def preflight_headers(self, environ: dict[str, Any], methods: str) -> Headers:
        """Return the further headers for a browser that asks, before a request, whether it may send it."""
        origin = environ.get("HTTP_ORIGIN", "").lower()
        asks = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        if not asks or not (self._open or origin in self._origins):
            return ()
        return (
            ("Access-Control-Allow-Methods", methods),
            ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
            ("Access-Control-Max-Age", _REMEMBER_SECONDS),
        )
