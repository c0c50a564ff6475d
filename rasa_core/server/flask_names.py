"""What programs use of the application, which was one of Flask in 0.9; of the rest they are told what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from werkzeug.serving import run_simple
from werkzeug.test import Client

_LEFT_OUT: Final = (
    *("add_template_filter", "add_url_rule", "after_request", "app_context_processor", "before_first_request"),
    *("before_request", "blueprints", "cli", "context_processor", "endpoint", "error_handler_spec"),
    *("errorhandler", "extensions", "jinja_env", "json_encoder", "register_blueprint"),
    *("register_error_handler", "route", "secret_key", "session_interface", "shell_context_processor"),
    *("teardown_appcontext", "teardown_request", "template_filter", "test_cli_runner", "test_request_context"),
    *("url_map", "url_value_preprocessor", "view_functions"),
)


class FlaskNames:
    """The part of Flask's application that `rasa_core.server.app.ServerApp` has."""

    name = import_name = "rasa_core.server"
    testing = debug = False  # A program may set them, without effect.
    logger = logging.getLogger("rasa_core.server")

    if not TYPE_CHECKING:  # Else no name of the application would be checked.

        def __getattr__(self, name: str) -> Any:
            """Say what to do without something of Flask."""
            if name in _LEFT_OUT:
                raise AttributeError(
                    f"the server is an application of WSGI, not of Flask, and has no {name!r}. Mount it below a site "
                    "of your own, which has that: site.wsgi_app = werkzeug.middleware.dispatcher.DispatcherMiddleware("
                    "site.wsgi_app, {'/bot': create_app(model)})."
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request, as PEP 3333 has it."""
        raise NotImplementedError

    def serving_on(self, host: str) -> None:
        """Hear where `run` will serve."""

    @cached_property
    def config(self) -> dict[str, Any]:
        """What a program sets here is kept, and has no effect: the server's settings are those of `create_app`."""
        return {"DEBUG": False, "TESTING": False}

    def app_context(self) -> AbstractContextManager[Any]:
        """Return what a program enters around its tests; nothing depends on it."""
        return nullcontext(self)

    def test_client(self, use_cookies: bool = True) -> TestingClient:
        """Return a client that asks this application without a network, Werkzeug's, as Flask's applications have it."""
        return TestingClient(self, use_cookies=use_cookies)

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: Any,
    ) -> None:
        """Serve with Werkzeug's server, to try something out.

        Parameters
        ----------
        host, port
            This machine alone and 5005, if not given.
        debug, load_dotenv
            Ignored: errors are answers in JSON, and the log has the rest.
        options
            Those of `werkzeug.serving.run_simple`.
        """
        host = host or "127.0.0.1"
        self.serving_on(host)
        run_simple(host, 5005 if port is None else int(port), self, **{"threaded": True, **options})


class TestingClient(Client):
    """Werkzeug's client, also for ``with app.test_client() as client:``."""

    __test__ = False

    def __enter__(self) -> TestingClient:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing more."""
