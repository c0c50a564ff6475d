"""The HTTP server: a WSGI application around an `Agent`, and the command that runs it.

`create_app` gives the application; it works under any WSGI server and mounted inside another site. Importing this
package is cheap: the application itself is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rasa_core.server.app import ServerApp, create_app, create_app_from_settings

__all__ = ["ServerApp", "create_app", "create_app_from_settings"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rasa_core.server import app

    return getattr(app, name)
