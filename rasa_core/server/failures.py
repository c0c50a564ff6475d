"""What a caller is told of an error of the layers below: what is theirs in full, and of the rest, only what failed."""

from __future__ import annotations

import re
from typing import Final

from rasa_core.exceptions import (
    InterpreterError,
    KeyReusedError,
    ModelError,
    PreconditionError,
    RasaCoreError,
    RemoteActionError,
    StoreError,
    StoreUnavailableError,
    VersionConflictError,
)
from rasa_core.server.requests import HttpError

# The first class that fits counts: `PreconditionError` and `KeyReusedError` are ValueErrors, too.
_STATUSES: Final[tuple[tuple[type[Exception], int], ...]] = (
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
_FAILED: Final[tuple[tuple[type[Exception], str], ...]] = (
    (StoreUnavailableError, "the store of the conversations cannot be reached now: try again"),
    (StoreError, "the store of the conversations failed"),
    (InterpreterError, "what understands messages failed"),
    (ModelError, "the model cannot be used"),
    (Exception, "the request failed"),
)
_plain = re.compile(r"[A-Za-z ,;-]+\.?")  # No digit, slash, quote or colon, without which there is no address.


def as_http_error(error: RasaCoreError) -> HttpError:
    """Return the answer to an error of the layers below; 500 if it is not the caller's, and not passing."""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    # Of a model or an interpreter that fails, nobody knows when it is mended; a store is mostly back in a moment.
    retry = (("Retry-After", "1"),) if isinstance(error, StoreUnavailableError) else ()
    said = str(error) if status < 500 or status == 501 else _what_failed(error)
    return HttpError(status, said, retry)


def _what_failed(error: RasaCoreError) -> str:
    """Return what a caller may know of an error that is not theirs: no address, no user, no path.

    A plain sentence names none of them; what has more than words is for the log.
    """
    if _plain.fullmatch(str(error)):
        return str(error)
    what = next(what for kind, what in _FAILED if isinstance(error, kind))
    return f"{what}; the server's log says why."
