"""Everything that can be wrong with a request, as a status and a JSON object with the key ``error``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rasa_core.exceptions import (
    InterpreterError,
    KeyReusedError,
    ModelError,
    PreconditionError,
    RasaCoreError,
    RemoteActionError,
    StoreUnavailableError,
    VersionConflictError,
)
from rasa_core.server.responses import Headers, Response, json_response

_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (RemoteActionError, 409),
    (VersionConflictError, 409),
    (PreconditionError, 412),
    (KeyReusedError, 422),
    (StoreUnavailableError, 503),
    (InterpreterError, 503),
    (ModelError, 503),
    (NotImplementedError, 501),
    (ValueError, 400),
)
_RETRY: Headers = (("Retry-After", "1"),)


class HttpError(RasaCoreError):
    """A request that cannot be served.

    Parameters
    ----------
    status
        HTTP status, 400 to 599.
    message
        What is wrong, what was expected, and the remedy; ``error`` in the answer.
    headers
        More headers of the answer.
    details
        More keys of the answer, for programs.
    """

    def __init__(
        self, status: int, message: str, headers: Headers = (), details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.details = details or {}

    def response(self) -> Response:
        """Return the answer."""
        return json_response({**self.details, "error": str(self)}, self.status, self.headers)


def as_http_error(error: RasaCoreError) -> HttpError:
    """Return the answer to an error of the layers below; 500 if it is not the caller's, and not passing."""
    if isinstance(error, HttpError):
        return error
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return HttpError(status, str(error), _RETRY if kind is StoreUnavailableError else ())
    return HttpError(500, str(error))
