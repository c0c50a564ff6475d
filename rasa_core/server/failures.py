"""What a caller is told of an error of the layers below: what is theirs in full, and of the rest, only what failed."""

from __future__ import annotations

import errno
import os
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
from rasa_core.support.folders import is_of_this_machine

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


def is_known(error: Exception) -> bool:
    """Tell whether `as_http_error` has an answer to an error; any other is a mistake in a program."""
    if isinstance(error, OSError) and not isinstance(error, RasaCoreError):
        return is_of_this_machine(error) or isinstance(error, FileNotFoundError)
    return isinstance(error, RasaCoreError)


def as_http_error(error: Exception) -> HttpError:
    """Return the answer to an error of the layers below; 500 if it is not the caller's, and not passing."""
    if isinstance(error, OSError) and not isinstance(error, RasaCoreError):
        why = os.strerror(error.errno or errno.EIO)  # The text of an error may name folders.
        return HttpError(503, f"the server cannot do this now: {why}; its log says where.")
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    # Of a model or an interpreter that fails, nobody knows when it is mended; a store is mostly back in a moment.
    retry = (("Retry-After", "1"),) if isinstance(error, StoreUnavailableError) else ()
    said = str(error) if status < 500 or status == 501 else _what_failed(error)
    return HttpError(status, said, retry)


def _what_failed(error: Exception) -> str:
    """Return what a caller may know of an error that is not theirs: no address, no user, no path.

    A plain sentence names none of them; what has more than words is for the log.
    """
    if _plain.fullmatch(str(error)):
        return str(error)
    what = next(what for kind, what in _FAILED if isinstance(error, kind))
    return f"{what}; the server's log says why."
