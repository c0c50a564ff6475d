"""The views of ``/openapi.json`` and ``/docs``; the module that makes the document is imported at the first request."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from werkzeug.wrappers import Response

from rasa_core.server.paths import View
from rasa_core.server.requests import Request


def _document() -> Any:
    return import_module("rasa_core.server.api.document")


def openapi(app: Any, request: Request, sender_id: str) -> Response:
    """Return the description of this API in OpenAPI 3.1."""
    answer: Response = _document().openapi_response(app, request)
    return answer


def _file(name: str) -> View:
    def docs(app: Any, request: Request, sender_id: str) -> Response:
        """Show the description of this API as a page, with a form to try each request."""
        shown: Response = _document().page(request, name)
        return shown

    return docs


FILES: Final = {"/docs": "docs.html", **{f"/docs/{name}": name for name in ("docs.js", "docs.css", "icon.svg")}}
"""The files of the page, by path."""

_FILES: Final = {path: _file(name) for path, name in FILES.items()}

GENERAL: Final[dict[str, View]] = {"/openapi.json": openapi, **_FILES}
"""Views by path."""

PUBLIC: Final = frozenset(_FILES.values())
"""Views that need no token: the files of the page, which contain nothing of any bot."""
