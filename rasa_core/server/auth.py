"""Who may ask: the bearer of the token that the server was started with, where it was started with one.

The token comes as ``Authorization: Bearer TOKEN``, or as ``?token=TOKEN`` as it always could. A token in a
URL ends up in the logs of every proxy on the way; our own log leaves it out. Comparing takes the same time
whatever was sent, so that the token cannot be guessed letter by letter.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from rasa_core.server.errors import HttpError

_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="rasa_core"'),)


def checked_token(token: str | None) -> bytes | None:
    """Return the token to compare with; raise `ValueError` for one that protects nothing."""
    if token is None:
        return None
    if not token.strip():
        raise ValueError("the token is empty, which would protect nothing; give one, or none at all.")
    return token.encode()


def authenticate(token: bytes, header: str | None, parameters: Callable[[], Mapping[str, str]]) -> None:
    """Raise `HttpError` 401 unless a request brings `token`.

    Parameters
    ----------
    token
        What the server was started with.
    header
        The header ``Authorization``, as WSGI gives it (Latin-1).
    parameters
        Gives the parameters of the URL.
    """
    if header is not None:
        scheme, _, sent = header.partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode("latin-1", "replace"), token):
            return
    if hmac.compare_digest(parameters().get("token", "").encode(), token):
        return
    raise HttpError(
        401, "the token is missing or wrong; send Authorization: Bearer TOKEN, or ?token=TOKEN.", _CHALLENGE
    )
