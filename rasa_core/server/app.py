"""The WSGI application: from a request to an answer, and whatever goes wrong on the way to JSON.

In this order: the path (404, 405), the token (401), the conversation's name (400), the model (503), then
the body. The application keeps nothing between requests but its settings and the model, so any number of
threads may share it, and it works below any prefix of another site.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from rasa_core.agent import Agent
from rasa_core.exceptions import RasaCoreError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.server.auth import authenticate, checked_token
from rasa_core.server.bodies import DEFAULT_MAX_BODY, discard_body
from rasa_core.server.cors import Cors
from rasa_core.server.endpoints import Request
from rasa_core.server.errors import HttpError, as_http_error
from rasa_core.server.housekeeping import Housekeeper
from rasa_core.server.logs import LogFile, access_logger, log_to_file, request_line
from rasa_core.server.nlu_models import NLUModels
from rasa_core.server.responses import STATUS_LINES, Response
from rasa_core.server.routes import PUBLIC, Methods, find
from rasa_core.server.serving import ServedModel
from rasa_core.tracker_store import TrackerStore, store_from_url

logger = logging.getLogger(__name__)

StartResponse = Callable[..., Any]

MAX_SENDER_ID = 1000
_control = re.compile(r"[\x00-\x1f\x7f]")


class ServerApp:
    """The application; made by `create_app`.

    Parameters
    ----------
    model
        Where the agent comes from.
    cors_origins
        Origins of the web pages that may call the server; ``*`` for all.
    auth_token
        What callers must know; None if everybody may call.
    max_body
        Largest body of a request, in bytes.
    log_file
        Gets one line for each request.
    retention
        Conversations that have not changed for so long are deleted, in seconds; None to keep all.
    enable_train
        Where ``POST /train`` puts NLU models, and where those that a request names are; None for neither.

    Raises
    ------
    ValueError
        If an argument makes no sense.
    """

    def __init__(
        self,
        model: ServedModel,
        *,
        cors_origins: Iterable[str] | str | None = None,
        auth_token: str | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        log_file: LogFile | None = None,
        retention: float | None = None,
        enable_train: str | os.PathLike[str] | None = None,
    ) -> None:
        if max_body < 1:
            raise ValueError(f"max_body is a number of bytes above 0, not {max_body!r}.")
        self.model = model
        self._cors = Cors(cors_origins)
        self._token = checked_token(auth_token)
        self._max_body = max_body
        self._log_file = log_file
        if enable_train is not None and auth_token is None:
            raise ValueError("enable_train needs an auth_token: whoever may train decides what messages mean.")
        self._nlu_models = None if enable_train is None else NLUModels(enable_train)
        self.housekeeper = Housekeeper(model, retention)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        """Answer one request, as PEP 3333 has it."""
        started = time.perf_counter()
        self.housekeeper.start()
        try:
            response = self._answer(environ)
        except RasaCoreError as error:
            response = _failure(error)
        except Exception:  # The outermost edge: a server answers, whatever happens.
            logger.exception("a request failed:")
            response = HttpError(500, "an internal error; the server's log has the details.").response()
        if response.status >= 400:
            discard_body(environ)
        headers = [*response.headers, ("Content-Length", str(len(response.body)))]
        if self._cors.active:
            headers += self._cors.headers(environ)
        start_response(STATUS_LINES[response.status], headers)
        if self._log_file is not None or access_logger.isEnabledFor(logging.INFO):
            self._log(request_line(environ, response.status, time.perf_counter() - started))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]

    def _log(self, line: str) -> None:
        if self._log_file is not None:
            self._log_file.write_request(line)
        access_logger.info("%s", line)

    def _answer(self, environ: dict[str, Any]) -> Response:
        method = environ["REQUEST_METHOD"]
        methods, sender_id = find(_path(environ))
        endpoint = methods.get(method)
        if endpoint is None:
            return self._options(environ, method, methods)
        request = Request(environ, method, sender_id, self.model, self._max_body, self._nlu_models)
        if self._token is not None and endpoint not in PUBLIC:
            authenticate(self._token, environ.get("HTTP_AUTHORIZATION"), request.parameters)
        _check_sender_id(sender_id)
        return endpoint(request)

    def _options(self, environ: dict[str, Any], method: str, methods: Methods) -> Response:
        """Answer a browser that asks what it may do; anything else is not allowed here."""
        allowed = ", ".join([*methods, "OPTIONS"])
        if method != "OPTIONS":
            raise HttpError(405, f"{method[:40]} is not possible here; use one of: {allowed}.", (("Allow", allowed),))
        return Response(200, b"", (("Allow", allowed), *self._cors.preflight_headers(environ, allowed)))


def create_app(
    model_directory: str | os.PathLike[str] | Agent,
    interpreter: str | NaturalLanguageInterpreter | None = None,
    loglevel: str | int = "INFO",
    logfile: str | os.PathLike[str] | None = None,
    cors_origins: Iterable[str] | str | None = None,
    action_factory: str | None = None,
    auth_token: str | None = None,
    tracker_store: TrackerStore | str | None = None,
    *,
    max_body: int = DEFAULT_MAX_BODY,
    enable_load: bool = False,
    retention: float | None = None,
    enable_train: str | os.PathLike[str] | None = None,
) -> ServerApp:
    """Return a WSGI application that serves a model.

    A model that cannot be loaded is logged, and the application answers 503 with the reason.

    Parameters
    ----------
    model_directory
        Where the model is, or an `Agent`, which has its own interpreter and store.
    interpreter
        An interpreter, the ``http(s)://`` address of an NLU server, the directory of an NLU model, or None
        for messages such as ``/greet``.
    loglevel, logfile
        What this package logs from this level on, and one line for each request, is appended to this file.
        Without a file, logging is left as it is; requests are logged to ``rasa_core.server.access`` at the
        level INFO.
    cors_origins
        Origins of the web pages that may call the server; ``*`` for all.
    action_factory
        ``"local"`` or ``"remote"``; wins over domain.yml.
    auth_token
        What callers must send as ``Authorization: Bearer`` or ``?token=``.
    tracker_store
        A store, or the URL of one, which need not be reachable yet; None for a SQLite file beside the model.
    max_body
        Largest body of a request, in bytes.
    enable_load
        Whether ``POST /load`` may replace the model.
    retention
        Conversations that have not changed for so long are deleted, in seconds; None to keep all.
    enable_train
        Directory in which ``POST /train`` puts NLU models, which requests can then name; needs `auth_token`.

    Raises
    ------
    ValueError
        If an argument contradicts another, or makes no sense.
    RasaCoreError
        If the interpreter or the store cannot be made.
    """
    if isinstance(model_directory, Agent):
        if interpreter is not None or action_factory is not None or tracker_store is not None:
            raise ValueError(
                "an Agent has its own interpreter, action_factory and tracker_store: give them to the Agent."
            )
        model = ServedModel(agent=model_directory)
    else:
        model = ServedModel(
            model_directory,
            interpreter=NaturalLanguageInterpreter.create(interpreter),
            action_factory=action_factory,
            tracker_store=_opened(tracker_store),
            replaceable=enable_load,
        )
    return ServerApp(
        model,
        cors_origins=cors_origins,
        auth_token=auth_token,
        max_body=max_body,
        log_file=None if logfile is None else log_to_file(logfile, loglevel),
        retention=retention,
        enable_train=enable_train,
    )


def _opened(store: TrackerStore | str | None) -> TrackerStore | None:
    """Return a store; one that is named by a URL need not be reachable yet, so that a worker can start meanwhile."""
    return store_from_url(store, check=False) if isinstance(store, str) else store


def _path(environ: dict[str, Any]) -> str:
    path: str = environ.get("PATH_INFO") or "/"
    if path.isascii():
        return path
    try:
        return path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise HttpError(400, "the path is not UTF-8; percent-encode it as UTF-8.") from None


def _check_sender_id(sender_id: str) -> None:
    if len(sender_id) > MAX_SENDER_ID:
        raise HttpError(400, f"the sender_id has {len(sender_id)} characters; at most {MAX_SENDER_ID} are kept.")
    if not sender_id.isprintable() and _control.search(sender_id):
        raise HttpError(400, f"the sender_id {sender_id!r} holds a control character; use others.")


def _failure(error: RasaCoreError) -> Response:
    problem = as_http_error(error)
    if problem.status >= 500:
        logger.error("%s", error)
    return problem.response()
