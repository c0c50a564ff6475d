"""Who may do what on a server that asks: whoever knows the token, and whoever a signed JSON Web Token names.

A JWT has ``{"user": {"username": ..., "role": ...}}``. The role ``admin`` may do everything, the role ``user`` only
what is about the conversation that is called like the user. What ``exp`` and ``nbf`` say is heeded. It is signed with a
secret that both sides know (HS256 ...), or with the private key that belongs to the public one given here (RS256 ...).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

from rasa_core.exceptions import ModelError
from rasa_core.server.requests import HttpError, Request
from rasa_core.server.settings import DEFAULT_JWT_METHOD, checked_token

_CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="rasa_core"'),)
_NEEDS_PACKAGE: Final = "JSON Web Tokens need PyJWT: pip install 'rasa-core[jwt]'."

Payload = Mapping[str, Any]


class Guard:
    """Asks each request for the token or a JWT.

    Attributes
    ----------
    asks : bool
        Whether there is anything to ask for.
    schemes : tuple of str
        In which ways a caller can show who it is: ``token`` (in the URL), ``bearer``, ``jwt``.

    Parameters
    ----------
    token
        What callers must know; None if that lets nobody in.
    jwt_secret, jwt_method
        The secret or public key with which a JWT is checked, and how it is signed; None if there are none.

    Raises
    ------
    ValueError
        If the token or the secret protects nothing, or there is no such method.
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

        A token comes as ``Authorization: Bearer TOKEN``, or as ``?token=TOKEN`` as it always could; one in the URL
        counts as it always did, whatever a header says. Comparing takes the same time whatever was sent, so that the
        token cannot be guessed letter by letter. Werkzeug's `authorization` takes a token such as ``a=b`` for
        parameters, so the header is read here.

        Parameters
        ----------
        sender_id
            The conversation that the request is about, empty if it is about no single one; None if that is not known
            yet: `Request.only_sender` says then which it may be about.
        """
        scheme, _, sent = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        sent = sent.strip(" \t") if scheme.lower() == "bearer" else ""
        if self._token is not None:
            in_url = request.args.get("token")
            # Headers come as latin-1 in WSGI, so that this gives back their bytes, and a token of any text fits.
            shown = sent.encode("latin-1", "replace") if in_url is None else in_url.encode()
            if hmac.compare_digest(shown, self._token):
                return
            sent = sent if in_url is None else ""  # A wrong token is not helped by a JWT beside it.
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
        # An empty name would fit what is about no single conversation, such as the list of all.
        if role == "user" and isinstance(name, str) and name and sender_id in (name, None):
            request.only_sender = name
            return
        raise HttpError(
            403,
            'this JWT may not do that: the role "user" may touch the conversation that is called like its "username" '
            'alone, and the role "admin" everything.',
        )


def jwt_reader(secret: str, method: str) -> Callable[[str], Payload | None]:
    """Return what reads a JWT, as its payload, or None if it is not signed so, or out of date."""
    try:
        import jwt
    except ImportError:
        raise ModelError(_NEEDS_PACKAGE) from None
    if not secret.strip():
        raise ValueError("the secret of JSON Web Tokens is empty, which would protect nothing.")
    # "none" is a method of PyJWT that takes any token for a signed one.
    methods = {name: known for name, known in jwt.algorithms.get_default_algorithms().items() if name != "none"}
    if method not in methods:
        hint = (
            " Methods with a public key need PyJWT[crypto]." if method in jwt.algorithms.requires_cryptography else ""
        )
        raise ValueError(f"there is no method {method!r} to sign JSON Web Tokens; known: {', '.join(methods)}.{hint}")
    try:  # Now, so that the server does not start; PyJWT would notice with the first request.
        methods[method].prepare_key(secret)
    except (jwt.exceptions.PyJWTError, ValueError, TypeError) as error:
        raise ValueError(f"the secret of JSON Web Tokens is no key for {method}: {error}") from error

    def payload_of(sent: str) -> Payload | None:
        try:
            # One method alone: a token that chose its own could be "signed" with a public key taken for a secret. Rasa
            # does not look at the audience, and tokens that were made for it may name one.
            found: Payload = jwt.decode(sent, secret, algorithms=[method], options={"verify_aud": False})
        except (jwt.exceptions.PyJWTError, ValueError, TypeError):
            return None
        return found

    return payload_of
