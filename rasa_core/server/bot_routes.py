"""The paths of `rasa_core.server.bots`; that module is only imported when one of them is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from werkzeug.wrappers import Response

from rasa_core.server.paths import View
from rasa_core.server.requests import Request


def _view(name: str, what: str) -> View:
    def view(app: Any, request: Request, sender_id: str) -> Response:
        answer: Response = getattr(import_module("rasa_core.server.bots"), name)(app, request, sender_id)
        return answer

    view.__doc__ = what
    return view


NO_PAGES: Final = ("/load", "/model")
"""The paths that refuse every web page, also pages that ``--cors`` names."""

GENERAL: Final = {
    "/model": {"PUT": _view("use", "Serve another model of the project.")},
    "/model/train": {"POST": _view("train", "Train a bot from the data in the body; answer with its model as a file.")},
    "/model/test/stories": {"POST": _view("test_stories", "Tell how well a model does what test stories say.")},
    "/model/test/intents": {"POST": _view("test_intents", "Tell how well a model understands examples.")},
}
"""Views by path and method."""
