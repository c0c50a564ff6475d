"""What a server is told, as plain data, so that it can be handed to the processes that do the work."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from rasa_core.server.app import ServerApp, create_app
from rasa_core.server.bodies import DEFAULT_MAX_BODY
from rasa_core.server.logs import level_number, log_to_console


@dataclasses.dataclass(frozen=True, slots=True)
class ServerSettings:
    """The application that each worker makes.

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
    """

    model: str
    nlu: str | None = None
    cors_origins: tuple[str, ...] = ()
    auth_token: str | None = dataclasses.field(default=None, repr=False)
    log_file: str | None = None
    log_level: str = "WARNING"
    store: str | None = dataclasses.field(default=None, repr=False)
    max_body: int = DEFAULT_MAX_BODY
    enable_load: bool = False
    retention: float | None = None
    enable_train: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-able data, for `create_app_from_settings`."""
        return dataclasses.asdict(self)


def create_app_from_settings(settings: Mapping[str, Any]) -> ServerApp:
    """Return the application for the settings of `ServerSettings.as_dict`, and start logging as they say.

    For processes that do nothing else than serve: this takes over the logging of the package.
    """
    given = ServerSettings(**settings)
    log_to_console(given.log_level)
    app = create_app(
        given.model,
        interpreter=given.nlu,
        loglevel=min(logging.INFO, level_number(given.log_level)),
        logfile=given.log_file,
        cors_origins=given.cors_origins,
        auth_token=given.auth_token,
        tracker_store=given.store,
        max_body=given.max_body,
        enable_load=given.enable_load,
        retention=given.retention,
        enable_train=given.enable_train,
    )
    app.housekeeper.start()
    return app
