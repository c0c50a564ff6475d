"""The HTTP server: a WSGI application around an `Agent`, and the command that runs it.

`create_app` returns the application, which runs under any WSGI server and may be mounted inside another site. Importing
this package is cheap, since the application is imported when `create_app` is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rasa_core import _legacy

if TYPE_CHECKING:
    from rasa_core.server.app import ServerApp, create_app, create_app_from_settings

__all__ = ["ServerApp", "create_app", "create_app_from_settings"]


def __getattr__(name: str) -> Any:
    if name == "create_argument_parser":
        return _legacy.load(name)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("rasa_core.server.app"), name)
