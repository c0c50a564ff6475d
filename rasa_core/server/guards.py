"""The check of tokens: a request is admitted with the server's token or a signed JSON Web Token (JWT).

A JWT has ``{"user": {"username": ..., "role": ...}}``. The role ``admin`` may do everything, the role ``user`` may only
use the conversation whose sender_id is the username. A JWT is refused after ``exp`` and before ``nbf``. It is signed
with a secret that both sides know (HS256 ...), or with the private key whose public key the server has (RS256 ...).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

from rasa_core.exceptions import ModelError
from rasa_core.server.requests import HttpError, Request
from rasa_core.server.settings import DEFAULT_JWT_METHOD, checked_token
from rasa_core.support.extras import installing

_CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="rasa_core"'),)

Payload = Mapping[str, Any]


class Guard:
    """Checks the token or JWT of each request.

    Attributes
    ----------
    asks : bool
        Whether the server has a token or checks JWTs.
    schemes : tuple of str
        The ways in which a caller can authenticate: ``token`` (in the URL), ``bearer``, ``jwt``.

    Parameters
    ----------
    token
        The token that callers must send; None for no token.
    jwt_secret, jwt_method
        The secret or public key that checks JWTs, and the method of signing; no secret for no JWTs.

    Raises
    ------
    ValueError
        If the token or the secret is empty, or the method is unknown.
    ModelError
        If PyJWT is missing.
    """

    def __init__(self, token: str | None, jwt_secret: str | None = None, jwt_method: str = DEFAULT_JWT_METHOD) -> None:
        self._token = checked_token(token)
        self._payload_of = None if jwt_secret is None else jwt_reader(jwt_secret, jwt_method)
        by_token, by_jwt = self._token is not None, self._payload_of is not None
        self.asks = by_token or by_jwt
        self.schemes = (*(("token", "bearer") if by_token else ()), *(("jwt",) if by_jwt else ()))

    def admit(self, request: Request, sender_id: str | None) -> None:
        """Raise `HttpError` 401 or 403 unless the request may be carried out.

        A token comes as ``Authorization: Bearer TOKEN``, or as ``?token=TOKEN`` as in 0.9; if there is a token in the
        URL, the header is ignored. The comparison takes constant time, so that the token cannot be guessed letter by
        letter. The header is parsed here, since Werkzeug's `authorization` takes a token such as ``a=b`` for
        parameters.

        Parameters
        ----------
        sender_id
            The conversation of the request; empty if the request is not about a single conversation. None if the
            conversation is not known yet: `Request.only_sender` is then set to the only one that it may be about.
        """
        scheme, _, sent = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        sent = sent.strip(" \t") if scheme.lower() == "bearer" else ""
        if self._token is not None:
            in_url = request.args.get("token")
            # WSGI decodes headers as latin-1; encoding gives back the bytes, so that the token may be any text.
            shown = sent.encode("latin-1", "replace") if in_url is None else in_url.encode()
            if hmac.compare_digest(shown, self._token):
                return
            sent = sent if in_url is None else ""  # With a wrong token in the URL, a JWT in the header is ignored.
        payload = None if self._payload_of is None or not sent else self._payload_of(sent)
        if payload is None:
            raise HttpError(
                401, "the token is missing or wrong; send Authorization: Bearer TOKEN, or ?token=TOKEN.", _CHALLENGE
            )
        self._check_role(payload, request, sender_id)

    @staticmethod
    def _check_role(payload: Payload, request: Request, sender_id: str | None) -> None:
        user = payload.get("user")
        name, role = (user.get("username"), user.get("role")) if isinstance(user, dict) else (None, None)
        if role == "admin":
            return
        # An empty username would match requests that are not about a single conversation, such as the list of all.
        if role == "user" and isinstance(name, str) and name and sender_id in (name, None):
            request.only_sender = name
            return
        raise HttpError(
            403,
            'this JWT may not do that: the role "user" may touch the conversation that is called like its "username" '
            'alone, and the role "admin" everything.',
        )


def jwt_reader(secret: str, method: str) -> Callable[[str], Payload | None]:
    """Return a function that returns the payload of a JWT, or None if its signature or its date is wrong."""
    try:
        import jwt
    except ImportError:
        raise ModelError(f"JSON Web Tokens need PyJWT: {installing('jwt')}.") from None
    if not secret.strip():
        raise ValueError("the secret of JSON Web Tokens is empty, which would protect nothing.")
    # PyJWT has a method "none", which accepts tokens without a signature.
    methods = {name: known for name, known in jwt.algorithms.get_default_algorithms().items() if name != "none"}
    if method not in methods:
        hint = (
            " Methods with a public key need PyJWT[crypto]." if method in jwt.algorithms.requires_cryptography else ""
        )
        raise ValueError(f"there is no method {method!r} to sign JSON Web Tokens; known: {', '.join(methods)}.{hint}")
    try:  # The key is checked now, so that a server with a wrong key does not start.
        methods[method].prepare_key(secret)
    except (jwt.exceptions.PyJWTError, ValueError, TypeError) as error:
        raise ValueError(f"the secret of JSON Web Tokens is no key for {method}: {error}") from error

    def payload_of(sent: str) -> Payload | None:
        try:
            # Only one method is accepted: otherwise a token signed with HS256 and the public key as its secret would
            # pass. The audience is ignored, as in Rasa, since tokens made for Rasa may name one.
            found: Payload = jwt.decode(sent, secret, algorithms=[method], options={"verify_aud": False})
        except (jwt.exceptions.PyJWTError, ValueError, TypeError):
            return None
        return found

    return payload_of
