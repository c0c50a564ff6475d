"""Methods of a Flask application that programs for 0.9 use; an error for any other name says what to use instead."""

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
    """The attributes and methods of a Flask application that `rasa_core.server.app.ServerApp` has, too."""

    name = import_name = "rasa_core.server"
    testing = debug = False  # Programs may set both, without effect.
    logger = logging.getLogger("rasa_core.server")

    if not TYPE_CHECKING:  # With `__getattr__`, a type checker would accept any attribute.

        def __getattr__(self, name: str) -> Any:
            """Raise `AttributeError` that tells how to get a feature of Flask."""
            if name in _LEFT_OUT:
                raise AttributeError(
                    f"the server is an application of WSGI, not of Flask, and has no {name!r}. Mount it below a site "
                    "of your own, which has that: site.wsgi_app = werkzeug.middleware.dispatcher.DispatcherMiddleware("
                    "site.wsgi_app, {'/bot': create_app(model)})."
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one WSGI request (PEP 3333)."""
        raise NotImplementedError

    def serving_on(self, host: str) -> None:
        """Note the address that `run` will listen on."""

    @cached_property
    def config(self) -> dict[str, Any]:
        """A dictionary for settings of Flask, which have no effect; the settings are the parameters of `create_app`."""
        return {"DEBUG": False, "TESTING": False}

    def app_context(self) -> AbstractContextManager[Any]:
        """Return a context manager that does nothing, for tests that enter Flask's application context."""
        return nullcontext(self)

    def test_client(self, use_cookies: bool = True) -> TestingClient:
        """Return Werkzeug's test client, which calls this application without a network."""
        return TestingClient(self, use_cookies=use_cookies)

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: Any,
    ) -> None:
        """Serve with Werkzeug's development server.

        Parameters
        ----------
        host, port
            The address to listen on; by default 127.0.0.1 and 5005.
        debug, load_dotenv
            Ignored: errors are answered in JSON, and tracebacks are logged.
        options
            The options of `werkzeug.serving.run_simple`.
        """
        host = host or "127.0.0.1"
        self.serving_on(host)
        run_simple(host, 5005 if port is None else int(port), self, **{"threaded": True, **options})


class TestingClient(Client):
    """Werkzeug's test client, which can also be used as ``with app.test_client() as client:``."""

    __test__ = False

    def __enter__(self) -> TestingClient:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing more."""
