"""What a server is told, as plain data, so that it can be handed to the processes that do the work."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Final
from urllib.parse import quote

DEFAULT_MAX_BODY: Final = 1024 * 1024
DEFAULT_JWT_METHOD: Final = "HS256"
STORE_VARIABLE: Final = "RASA_CORE_STORE"
"""Of the environment: the URL of the store, for all commands that take ``--store``."""
MAX_TRAINING_SECONDS: Final = 3600
MAX_TRAINING_MEMORY: Final = 4 * 1024**3
"""Bytes that a training over HTTP may hold."""
OUT_OF_TIME: Final = 75
OUT_OF_MEMORY: Final = 76
"""What its process ends with if it takes more; Python itself ends with 0, 1 or 2, and a signal gives less than 0."""


@dataclasses.dataclass(frozen=True, slots=True)
class ServerSettings:
    """The application that each worker makes; `rasa_core.server.create_app_from_settings` makes it.

    Parameters
    ----------
    model
        Directory of the model.
    nlu
        Directory of the NLU model, or address of an NLU server; None for messages such as ``/greet``.
    cors_origins
        Origins of the web pages that may call the server.
    auth_token
        What callers must know; None if everybody may call.
    log_file
        Gets one line for each request, and what is logged; None for no file.
    log_format
        ``text`` or ``json``.
    log_key
        With what names of conversations are hashed in logs; None if they stand there as they are.
    log_level
        Name of the level from which on messages are shown on standard error.
    store
        URL of the tracker store; None for a SQLite file beside the model.
    max_body
        Largest body of a request, in bytes.
    enable_load
        Whether ``POST /load`` may replace the model.
    retention
        Conversations that have not changed for so long are deleted, in seconds; None to keep all.
    enable_train
        Directory in which ``POST /train`` puts NLU models; None if it may not.
    actions
        Address of the action server, or what endpoints.yml says of it; None if actions run where the domain says.
    nlg
        Address of the server that words responses, or what endpoints.yml says of it; None if the domain words them.
    allowed_hosts
        Names under which the server may be called while it asks for no token, as `rasa_core.server.callers.host_check`
        reads them. None for all names: an application inside a site leaves them to the site, and whoever starts a
        server names them.
    inspect
        The project whose files the page of the inspector may show and change, empty for none; None for no such page.
    jwt_secret, jwt_method
        Secret or public key with which a JSON Web Token is checked, and how it is signed, as `rasa_core.server.guards`
        tells; None if there are none.
    open_rest_channel
        Whether the REST channel asks neither for a token nor for a JWT.
    metrics
        Folder in which the processes of a server add up what they count; None if there is one process.
    """

    model: str
    # What is secret, or may have a password in it, is not shown where settings are logged, or stand in a traceback.
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
        """Return the settings as JSON-able data, for `rasa_core.server.create_app_from_settings`."""
        return dataclasses.asdict(self)


def checked_token(token: str | None) -> bytes | None:
    """Return the token to compare with; raise `ValueError` for one that protects nothing."""
    if token is None:
        return None
    if not token.strip():
        raise ValueError("the token is empty, which would protect nothing; give one, or none at all.")
    return token.encode()


def default_store_path(model: str | os.PathLike[str]) -> str:
    """Return the SQLite file beside a model: ``<model>.conversations.db``."""
    return f"{os.path.abspath(os.fsdecode(model))}.conversations.db"


def default_store_url(model: str | os.PathLike[str]) -> str:
    """Return the URL of that file, in which a folder may have any name."""
    return f"sqlite:///{quote(default_store_path(model))}"
