"""Answers to exceptions: a caller's own mistake is explained in full, any other error only by the part that failed."""

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

# The first class that fits is used, so `PreconditionError` and `KeyReusedError` come before ValueError, their base.
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
_plain = re.compile(r"[A-Za-z ,;-]+\.?")  # An address or path has a digit, slash, quote or colon.


def is_known(error: Exception) -> bool:
    """Tell whether `as_http_error` has an answer to an error; any other error is a mistake in a program."""
    if isinstance(error, OSError) and not isinstance(error, RasaCoreError):
        return is_of_this_machine(error) or isinstance(error, FileNotFoundError)
    return isinstance(error, RasaCoreError)


def as_http_error(error: Exception) -> HttpError:
    """Return the answer to an exception; 500 if neither the caller caused it nor a retry helps."""
    if isinstance(error, OSError) and not isinstance(error, RasaCoreError):
        why = os.strerror(error.errno or errno.EIO)  # The text of an error may name folders.
        return HttpError(503, f"the server cannot do this now: {why}; its log says where.")
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    # A store is mostly back in a moment; when a failing model or interpreter will be mended, nobody knows.
    retry = (("Retry-After", "1"),) if isinstance(error, StoreUnavailableError) else ()
    said = str(error) if status < 500 or status == 501 else _what_failed(error)
    return HttpError(status, said, retry)


def _what_failed(error: Exception) -> str:
    """Return the message of an internal error for a caller, without addresses, user names and paths.

    Only a sentence of plain words is passed on; any other message is left to the log.
    """
    if _plain.fullmatch(str(error)):
        return str(error)
    what = next(what for kind, what in _FAILED if isinstance(error, kind))
    return f"{what}; the server's log says why."
