"""The settings of a server, as plain data that can be passed to its worker processes."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Final
from urllib.parse import quote

DEFAULT_MAX_BODY: Final = 1024 * 1024
DEFAULT_JWT_METHOD: Final = "HS256"
STORE_VARIABLE: Final = "RASA_CORE_STORE"
"""The environment variable with the URL of the store, for all commands that take ``--store``."""
MAX_TRAINING_SECONDS: Final = 3600
MAX_TRAINING_MEMORY: Final = 4 * 1024**3
"""Memory limit of a training over HTTP, in bytes."""
OUT_OF_TIME: Final = 75
OUT_OF_MEMORY: Final = 76
"""Exit code of a training that exceeds this limit; Python's own codes are 0, 1 and 2, signals give negative ones."""


@dataclasses.dataclass(frozen=True, slots=True)
class ServerSettings:
    """The settings of the application that each worker makes with `rasa_core.server.create_app_from_settings`.

    Parameters
    ----------
    model
        Directory of the model.
    nlu
        Directory of the NLU model, or address of an NLU server; None for messages such as ``/greet``.
    cors_origins
        Origins of the web pages that may call the server.
    auth_token
        The token that callers must send; None if everybody may call.
    log_file
        File for log records and one line for each request; None for no file.
    log_format
        ``text`` or ``json``.
    log_key
        Key for hashing sender_ids in logs; None to log them unchanged.
    log_level
        Name of the lowest level of log records that are written to standard error.
    store
        URL of the tracker store; None for a SQLite file beside the model.
    max_body
        Largest body of a request, in bytes.
    enable_load
        Whether ``POST /load`` may replace the model.
    retention
        Seconds after which an unchanged conversation is deleted; None to keep all.
    enable_train
        Directory for the NLU models of ``POST /train``; None to refuse training.
    actions
        Address of the action server, or its entry in endpoints.yml; None if actions run where the domain says.
    nlg
        Address of the NLG server, or its entry in endpoints.yml; None to use the responses of the domain.
    allowed_hosts
        Host names under which a server without a token may be called, as in `rasa_core.server.callers.host_check`.
        None for all names, which is right for an application inside a site, as the site checks the host.
    inspect
        The project whose files the inspector may show and change; empty for no project; None for no inspector.
    jwt_secret, jwt_method
        Secret or public key that checks JSON Web Tokens, and the method of signing, as in `rasa_core.server.guards`;
        no secret for no JWTs.
    open_rest_channel
        Whether the REST channel may be used without a token or JWT.
    metrics
        Folder in which the processes of a server write their metrics; None for a single process.
    """

    model: str
    # Settings with secrets or passwords have `repr=False`, so that they are not shown in logs and tracebacks.
    nlu: str | None = dataclasses.field(default=None, repr=False)
    cors_origins: tuple[str, ...] = ()
    auth_token: str | None = dataclasses.field(default=None, repr=False)
    log_file: str | None = None
    log_format: str = "text"
    log_key: str | None = dataclasses.field(default=None, repr=False)
    log_level: str = "WARNING"
    store: str | None = dataclasses.field(default=None, repr=False)
    max_body: int = DEFAULT_MAX_BODY
    enable_load: bool = False
    retention: float | None = None
    enable_train: str | None = None
    actions: str | dict[str, Any] | None = dataclasses.field(default=None, repr=False)
    nlg: str | dict[str, Any] | None = dataclasses.field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] | None = None
    inspect: str | None = None
    jwt_secret: str | None = dataclasses.field(default=None, repr=False)
    jwt_method: str = DEFAULT_JWT_METHOD
    open_rest_channel: bool = False
    metrics: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as data for JSON, for `rasa_core.server.create_app_from_settings`."""
        return dataclasses.asdict(self)


def checked_token(token: str | None) -> bytes | None:
    """Return the bytes of the token; raise `ValueError` for an empty token."""
    if token is None:
        return None
    if not token.strip():
        raise ValueError("the token is empty, which would protect nothing; give one, or none at all.")
    return token.encode()


def default_store_path(model: str | os.PathLike[str]) -> str:
    """Return the SQLite file beside a model: ``<model>.conversations.db``."""
    return f"{os.path.abspath(os.fsdecode(model))}.conversations.db"


def default_store_url(model: str | os.PathLike[str]) -> str:
    """Return the URL of the SQLite file beside a model; special characters in the path are escaped."""
    return f"sqlite:///{quote(default_store_path(model))}"
