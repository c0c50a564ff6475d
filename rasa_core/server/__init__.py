"""The HTTP server: a WSGI application around an `Agent`, and the command that runs it.

`create_app` gives the application; it works under any WSGI server and mounted inside another site. Importing this
package is cheap: the application itself is loaded when it is first asked for.
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
