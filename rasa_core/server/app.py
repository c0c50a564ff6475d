"""The WSGI application: it turns each request into an answer, and each error into an answer in JSON.

A request is checked in this order: the path (404, 405), the token (401) or, without a token, the host and the web page
(403), the conversation's name (400), the model (503), then the body. Between requests the application only keeps its
settings and the model, so any number of threads may share it, and it works below any prefix of another site.

Werkzeug provides requests, headers, forms, answers and errors. Four steps of every turn are written by hand, since
Werkzeug's own are slow. With the first three of them, a server with a store in memory reaches 0.76 of the turns per
second of an application that only lets Werkzeug route, read JSON and answer with JSON of the same size, and 0.57 with
eight clients; without them, 0.64 and 0.47; without Werkzeug altogether, 0.79 and 0.61
(``benchmarks/turns_over_http.py``). The fourth step saves a tenth of the time of a turn in the application.

- A body of known length is read with one call (`Request._read_declared`): Werkzeug's stream, which guards its end,
  costs as much as decoding the JSON in it.
- A path is looked up in a cache of the latest paths, and otherwise matched by one expression (`Paths.match`).
- The headers of an answer are given in one list, and its body as another (`json_response`, `Visit.answer`).
- The attributes of Werkzeug's request and response are created when they are first used (`Request`, `JsonResponse`).
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from werkzeug.wrappers import Response

from rasa_core.actions.nlg import NlgServer
from rasa_core.actions.webhook import ActionServer
from rasa_core.agent import Agent
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.server import bot_routes, conversations, probes, rasa3
from rasa_core.server.api import routes as docs
from rasa_core.server.callers import ANY, Cors, check_link, check_page, host_check, hosts_of, unknown_host
from rasa_core.server.flask_names import FlaskNames
from rasa_core.server.guards import Guard
from rasa_core.server.log_lines import LogStyle
from rasa_core.server.logs import AccessLog, access_logger, level_number, log_to_console, log_to_file
from rasa_core.server.metrics import Metrics
from rasa_core.server.metrics import can_be_read as metrics_can_be_read
from rasa_core.server.paths import Paths, View, Views, check_id_in_path, decoded_path, read_by
from rasa_core.server.requests import HttpError, Request, json_response
from rasa_core.server.served_model import Housekeeper, ServedModel
from rasa_core.server.settings import DEFAULT_JWT_METHOD, DEFAULT_MAX_BODY, ServerSettings
from rasa_core.server.visits import Visit
from rasa_core.support.outages import Outages
from rasa_core.tracker_store.base import TrackerStore
from rasa_core.tracker_store.urls import store_from_url
from rasa_core.version import __version__

if TYPE_CHECKING:
    from rasa_core.server.nlu import NLUModels

logger = logging.getLogger(__name__)

StartResponse = Callable[..., Any]
_A_CONVERSATION: Final = "/conversations/<sender_id>"

_STATUS_LINES: Final = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
# The parameters of `create_app` that have the same names in `ServerSettings`.
_ABOUT_CALLERS: Final = (
    *("cors_origins", "auth_token", "max_body", "enable_load"),
    *("retention", "enable_train", "allowed_hosts", "inspect", "jwt_secret", "jwt_method", "open_rest_channel"),
    *("metrics", "log_format", "log_key"),
)
_READING: Final = ("GET", "HEAD")  # Methods that change nothing, except at the paths of `conversations.TALKS`.
_HOW_TO_TRAIN: Final = "start the server with --enable-train DIR and a token to allow it."


class ServerApp(FlaskNames):
    """The WSGI application; `create_app` makes it.

    Parameters
    ----------
    model
        Loads the agent and provides it to the views.
    settings
        The settings of the server; those about the model are not used here.
    access_log
        The log of requests, which gets one line for each.

    Raises
    ------
    ValueError
        If a setting is invalid.
    """

    def __init__(self, model: ServedModel, settings: ServerSettings, access_log: AccessLog | None = None) -> None:
        if settings.max_body < 1:
            raise ValueError(f"max_body is a number of bytes above 0, not {settings.max_body!r}.")
        if settings.enable_train is not None and settings.auth_token is None and settings.jwt_secret is None:
            raise ValueError("enable_train needs an auth_token or JWT: whoever may train decides what messages mean.")
        self.model = model
        self.cors = Cors(settings.cors_origins)
        self.outages = Outages(logger)
        self.guard = Guard(settings.auth_token, settings.jwt_secret, settings.jwt_method)
        self._open = rasa3.REST_CHANNEL if settings.open_rest_channel else ()
        self._hosts_are_open = settings.allowed_hosts is None
        self._is_known_host = host_check((ANY,) if settings.allowed_hosts is None else settings.allowed_hosts)
        self._max_body = settings.max_body
        self._access_log = access_log or AccessLog(LogStyle())
        self.nlu_models = None if settings.enable_train is None else _nlu_models(settings.enable_train)
        self.inspector = None if settings.inspect is None else _inspector(settings)
        self.paths = _PATHS if self.inspector is None else self.inspector.paths(_GENERAL, _OF_A_CONVERSATION)
        self.described: Any = None
        self.metrics = Metrics(settings.metrics) if metrics_can_be_read() else None
        if self.metrics is not None:
            model.watch_store(self.metrics.committed)
        self.housekeeper = Housekeeper(model, settings.retention, weakref.ref(self))

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one WSGI request (PEP 3333); a program may replace `wsgi_app` by middleware around it."""
        return self.wsgi_app(environ, start_response)

    def wsgi_app(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one WSGI request, without middleware of a program."""
        status, headers, body = self.receive(environ).answer()
        start_response(_STATUS_LINES[status], headers)
        if not isinstance(body, bytes):
            return body
        return [body] if body else []

    def receive(self, environ: dict[str, Any]) -> Visit:
        """Check the head of a request; the launcher calls this before it waits for the body."""
        if os.getpid() not in self.housekeeper.threads:  # A server may fork after it has made the application.
            self.housekeeper.start()
        return Visit(self, environ)

    def serving_on(self, host: str) -> None:
        """Note the address that `run` will listen on; if no allowed hosts were given, all other hosts are refused."""
        if self._hosts_are_open:  # Inside another site, the site checks the host; here nobody else does.
            self._is_known_host = host_check(hosts_of(host))

    def log(self, environ: dict[str, Any], status: int, seconds: float) -> None:
        """Log a request, and count it."""
        if self.metrics is not None:
            route = environ["rasa_core.work"].route
            self.metrics.request(route, environ["REQUEST_METHOD"] if route != "other" else route, status, seconds)
        if self._access_log.has_file or access_logger.isEnabledFor(logging.INFO):
            self._access_log.write(environ, status, seconds)

    def view_for(self, request: Request) -> tuple[View, str]:
        """Return the view for a request, and the sender_id; raise `HttpError` for a request that is refused."""
        environ = request.environ
        path, method = environ.get("PATH_INFO") or "/", environ["REQUEST_METHOD"]
        written = environ.get("RAW_URI") or environ.get("REQUEST_URI", "")
        if "%" in written or not path.isascii():  # Most paths need no decoding, the slowest step of this method.
            path = decoded_path(path, written, environ.get("SCRIPT_NAME", ""))
        endpoint, sender_id = self.paths.match(path, not written, method == "DELETE")
        views = self.paths.views[endpoint]
        view = views.get(method)
        if view is None:
            return self._options_for(method, ", ".join([*views, "OPTIONS"])), sender_id
        work = environ["rasa_core.work"]
        work.route = endpoint or _A_CONVERSATION
        work.sender = sender_id if endpoint in self.paths.of_a_conversation else None
        if not self.guard.asks:
            if view not in probes.PUBLIC and not self._is_known_host(host := environ.get("HTTP_HOST", "")):
                raise unknown_host(host)
            if "HTTP_ORIGIN" not in environ and "HTTP_SEC_FETCH_SITE" not in environ:
                if method in _READING and endpoint in conversations.TALKS:
                    check_link(self.cors, environ)
            elif endpoint not in bot_routes.NO_PAGES and (method not in _READING or endpoint in conversations.TALKS):
                check_page(self.cors, environ)
        elif not self.is_public(view, endpoint):
            unnamed = None if endpoint in rasa3.REST_CHANNEL else ""  # The REST channel has the sender in the body.
            self.guard.admit(request, sender_id if endpoint in _OF_A_CONVERSATION else unnamed)
        check_id_in_path(sender_id)
        return view, sender_id

    def is_brief(self, view: View) -> bool:
        """Tell whether a view needs no body and is answered at once, also while all threads are busy."""
        return view in probes.BRIEF

    def is_public(self, view: View, endpoint: str) -> bool:
        """Tell whether a view may be called without a token or JWT."""
        in_inspector = self.inspector is not None and view in self.inspector.public
        return view in _PUBLIC or in_inspector or endpoint in self._open

    def _options_for(self, method: str, allowed: str) -> View:
        """Return the view for the method OPTIONS; raise `HttpError` 405 for any other method."""
        if method != "OPTIONS":
            raise HttpError(405, f"{method[:40]} is not possible here; use one of: {allowed}.", [("Allow", allowed)])
        return partial(ServerApp.options, allowed=allowed)

    def options(self, request: Request, sender_id: str, allowed: str) -> Response:
        """List the methods that a path allows."""
        answer = Response(b"", headers=[("Allow", allowed), *self.cors.preflight_headers(request.environ, allowed)])
        del answer.headers["Content-Type"]  # The answer has no content.
        return answer

    def request(self, environ: dict[str, Any]) -> Request:
        """Return a `Request` with the settings of this application."""
        return Request(environ, self._max_body, self._interpreter_named)

    def _interpreter_named(self, name: str) -> NaturalLanguageInterpreter:
        if self.nlu_models is None:
            raise HttpError(400, f'this server has no models with names; leave out "model", or {_HOW_TO_TRAIN}')
        return self.nlu_models.interpreter(name)

    # -- views that are not about one conversation

    def home(self, request: Request, sender_id: str) -> Response:
        """Greet people and health checks, or show the page of the inspector if it is on."""
        if self.inspector is not None:
            shown: Response = self.inspector.page(request)
            return shown
        return Response(f"hello from Rasa Core: {__version__}", mimetype="text/html")

    def version(self, request: Request, sender_id: str) -> Response:
        """Return the version of this package, and the fingerprints of the loaded models."""
        agent = self.model.agent_or_none()
        models = {
            "core_model": None if agent is None else agent.model_fingerprint,
            "nlu_model": None if agent is None else agent.interpreter.model_fingerprint,
        }
        return json_response({"version": __version__, **models})

    def load(self, request: Request, sender_id: str) -> Response:
        """Replace the served model by an uploaded model."""
        self.model.replace(request)
        return json_response({"success": 1})

    def train(self, request: Request, sender_id: str) -> Response:
        """Train an NLU model from the data in the body, and answer when the training has ended."""
        if self.nlu_models is None:
            raise HttpError(403, f"training is off; {_HOW_TO_TRAIN}")
        body = request.body()
        return json_response(
            self.nlu_models.train(request.args.to_dict(), body, self.nlu_models.hung_up(request.environ))
        )


def _nlu_models(directory: str) -> NLUModels:
    from rasa_core.server.nlu import NLUModels  # Imported here, since a server without named models does not need it.

    return NLUModels(directory)


def _inspector(settings: ServerSettings) -> Any:
    """Return the `Inspector`; its module is only imported by servers with the page."""
    return import_module("rasa_core.server.inspector.routes").Inspector(settings)


def _with_agent(view: Callable[[Request, Agent, str], Response]) -> View:
    """Return a view that gets the agent first, so that a server without a model answers 503 before reading the body."""

    @wraps(view)
    def answer(app: ServerApp, request: Request, sender_id: str) -> Response:
        return view(request, app.model.agent(), sender_id)

    return answer


def _with_agents(table: Mapping[str, Mapping[str, View]]) -> dict[str, Views]:
    return {path: {method: _with_agent(view) for method, view in views.items()} for path, views in table.items()}


_PUBLIC: Final = frozenset({ServerApp.home, ServerApp.version}) | probes.PUBLIC | docs.PUBLIC
_OF_A_CONVERSATION: Final = _with_agents({**conversations.OF_A_CONVERSATION, **rasa3.OF_A_CONVERSATION})
_GENERAL: Final[dict[str, Views]] = {
    "/": read_by(ServerApp.home),
    "/version": read_by(ServerApp.version),
    **{path: read_by(view) for path, view in {**probes.GENERAL, **docs.GENERAL}.items()},
    "/load": {"POST": ServerApp.load},
    "/train": {"POST": ServerApp.train},
    **bot_routes.GENERAL,
    **_with_agents({**conversations.GENERAL, **rasa3.GENERAL}),
}
_PATHS: Final = Paths(_GENERAL, _OF_A_CONVERSATION)


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
    actions: str | Mapping[str, Any] | ActionServer | None = None,
    nlg: str | Mapping[str, Any] | NlgServer | None = None,
    allowed_hosts: Iterable[str] | str | None = None,
    inspect: str | os.PathLike[str] | None = None,
    metrics: str | os.PathLike[str] | None = None,
    jwt_secret: str | None = None,
    jwt_method: str = DEFAULT_JWT_METHOD,
    open_rest_channel: bool = False,
    log_format: str = "text",
    log_key: str | None = None,
) -> ServerApp:
    """Return a WSGI application that serves a model.

    If the model cannot be loaded, the reason is logged, and the application answers 503 with the reason.

    Parameters
    ----------
    model_directory
        The directory of the model, or an `Agent`, which has its own interpreter and store.
    interpreter
        An interpreter, the ``http(s)://`` address of an NLU server, the directory of an NLU model, or None
        for messages such as ``/greet``.
    loglevel, logfile
        Log records of this package from this level on, and one line for each request, are appended to this
        file. Without a file, logging is not configured; requests are logged to ``rasa_core.server.access`` at
        the level INFO.
    action_factory
        ``"local"`` or ``"remote"``; goes before the value in domain.yml.
    tracker_store
        A store, or its URL, which need not be reachable yet; None for a SQLite file beside the model.
    cors_origins, auth_token, max_body, enable_load, retention, enable_train, actions, nlg, allowed_hosts, inspect, \
    jwt_secret, jwt_method, open_rest_channel, log_format, log_key
        The same as in `ServerSettings`. Training needs a token or a JWT.

    Raises
    ------
    ValueError
        If an argument is invalid, or contradicts another argument.
    RasaCoreError
        If the interpreter or the store cannot be made.
    """
    if isinstance(model_directory, Agent):
        if any(given is not None for given in (interpreter, action_factory, tracker_store, actions, nlg)):
            raise ValueError(
                "an Agent has its own interpreter, action_factory, tracker_store, actions, nlg: give them to the Agent."
            )
        model = ServedModel(agent=model_directory)
    else:
        if isinstance(tracker_store, str):  # The store may be down now; a worker starts nevertheless.
            tracker_store = store_from_url(tracker_store, check=False)
        model = ServedModel(
            model_directory,
            interpreter=NaturalLanguageInterpreter.create(interpreter),
            action_factory=action_factory,
            tracker_store=tracker_store,
            replaceable=enable_load,
            actions=actions,
            nlg=nlg,
        )
    settings = ServerSettings(
        model="",
        cors_origins=_several(cors_origins),
        allowed_hosts=None if allowed_hosts is None else _several(allowed_hosts),
        auth_token=auth_token,
        jwt_secret=jwt_secret,
        jwt_method=jwt_method,
        open_rest_channel=open_rest_channel,
        max_body=max_body,
        retention=retention,
        enable_train=None if enable_train is None else os.fsdecode(enable_train),
        inspect=None if inspect is None else os.fsdecode(inspect),
        metrics=None if metrics is None else os.fsdecode(metrics),
        log_format=log_format,
        log_key=log_key,
    )
    style = LogStyle(log_format, log_key)
    file = None if logfile is None else log_to_file(logfile, loglevel, style)
    return ServerApp(model, settings, AccessLog(style, file))


def _several(given: Iterable[str] | str | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def create_app_from_settings(settings: Mapping[str, Any]) -> ServerApp:
    """Return the application for the settings of `ServerSettings.as_dict`, and set up logging as they say.

    Only for processes that do nothing but serve, since this replaces the package's logging handlers.
    """
    given = ServerSettings(**settings)
    log_to_console(given.log_level, LogStyle(given.log_format, given.log_key))
    app = create_app(
        given.model,
        given.nlu,
        loglevel=min(logging.INFO, level_number(given.log_level)),  # A log file gets more than a terminal.
        logfile=given.log_file,
        tracker_store=given.store,
        actions=given.actions,
        nlg=given.nlg,
        **{name: getattr(given, name) for name in _ABOUT_CALLERS},
    )
    app.housekeeper.start()  # Reminders of an idle server must not wait for its first request.
    return app
