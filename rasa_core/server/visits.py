"""A visit handles one request, from the check of its head to its answer; every error becomes an answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from werkzeug.wrappers import Response

from rasa_core.server.callers import Cors
from rasa_core.server.failures import as_http_error, is_known
from rasa_core.server.requests import HttpError, JsonResponse, Request
from rasa_core.server.waiting import WsgiAnswer
from rasa_core.support.outages import Outages
from rasa_core.support.work import HEADER, UNDER_WAY, Work, request_id, under_way

logger = logging.getLogger(__name__)

MOST_CHARACTERS: Final = 100_000_000
"""The most characters of a conversation's log that a request may read, which take up to a gigabyte of memory."""

_NO_GUESSING: Final = ("X-Content-Type-Options", "nosniff")
"""The header that keeps a browser from treating an answer with a user's text as a page or a script."""


class Application(Protocol):
    """The part of `rasa_core.server.app.ServerApp` that a visit uses."""

    cors: Cors
    outages: Outages

    def request(self, environ: dict[str, Any]) -> Request:
        """Return a `Request` with the settings of this application."""
        ...

    def view_for(self, request: Request) -> tuple[Callable[..., Response], str]:
        """Return the view for a request, and the sender_id."""
        ...

    def is_brief(self, view: Callable[..., Response]) -> bool:
        """Tell whether a view needs no body and is answered at once, also while all threads are busy."""
        ...

    def log(self, environ: dict[str, Any], status: int, seconds: float) -> None:
        """Log a request."""
        ...


class Visit:
    """One request whose head was checked and whose body was not read yet."""

    __slots__ = ("_app", "_refusal", "_request", "_sender_id", "_started", "_view", "is_brief", "work")

    def __init__(self, app: Application, environ: dict[str, Any]) -> None:
        self._started = time.perf_counter()
        self._app = app
        self.work = environ["rasa_core.work"] = Work(
            request_id(environ.get("HTTP_X_REQUEST_ID")), most_read=MOST_CHARACTERS
        )
        self._request = app.request(environ)
        self._refusal: Response | None = None
        try:
            self._view, self._sender_id = app.view_for(self._request)
        except Exception as error:
            with under_way(self.work):
                self._refusal = self._failure(error)
        self.is_brief = self._refusal is not None or app.is_brief(self._view)

    def answer(self) -> WsgiAnswer:
        """Call the view and return its answer, or the answer to its error."""
        token = UNDER_WAY.set(self.work)
        try:
            return self._answer()
        finally:
            UNDER_WAY.reset(token)

    def _answer(self) -> WsgiAnswer:
        request, response = self._request, self._refusal
        if response is None:
            try:
                response = self._view(self._app, request, self._sender_id)
            except Exception as error:  # The outermost level of a request: every error must be answered.
                response = self._failure(error)
        environ = request.environ
        if self._app.cors.active:
            response.headers.extend(self._app.cors.headers(environ))
        whole = response.whole() if isinstance(response, JsonResponse) else None
        status, headers, content = whole or _parts_of(response)
        if status >= 400 or request.has_more():
            request.discard_body()
        elif self._app.outages.is_any:
            self._app.outages.answered(self.work.route)
        self._app.log(environ, status, time.perf_counter() - self._started)
        is_shown = environ["REQUEST_METHOD"] != "HEAD"
        return status, [*headers, _NO_GUESSING, (HEADER, self.work.request_id)], content if is_shown else b""

    def _failure(self, error: Exception) -> Response:
        """Return the answer to an error of a view."""
        if not isinstance(error, HttpError) and not is_known(error):
            logger.exception("a request failed:")
            return HttpError(500, "an internal error; the server's log has the details.").get_response()
        problem = error if isinstance(error, HttpError) else as_http_error(error)
        answer = problem.get_response()
        if answer.status_code >= 500:
            self._app.outages.failed(str(error), self.work.route)
        return answer


def _parts_of(response: Response) -> WsgiAnswer:
    # A body that is not streamed is joined: Granian would send Werkzeug's iterator in packets of its own, more slowly.
    content = iter(response.iter_encoded()) if response.is_streamed else b"".join(response.iter_encoded())
    return response.status_code, response.headers.to_wsgi_list(), content
