"""Which endpoint answers at which path and method.

``/conversation/<id>/...`` is the same as ``/conversations/<id>/...``, and ``/parse``, ``/continue`` and
``/respond`` are those of the conversation ``default``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rasa_core.server import endpoints
from rasa_core.server.endpoints import Request
from rasa_core.server.errors import HttpError
from rasa_core.server.responses import Response

Endpoint = Callable[[Request], Response]
Methods = dict[str, Endpoint]

DEFAULT_SENDER_ID = "default"
PUBLIC: frozenset[Endpoint] = frozenset({endpoints.home, endpoints.version})

_PATHS = (
    "A conversation is at /conversations/<sender_id>/parse (or continue, respond, tracker, tracker/events, explain), "
    "and its sender_id holds no slash."
)

_PARSE: Methods = {"GET": endpoints.parse, "POST": endpoints.parse}
_CONTINUE: Methods = {"POST": endpoints.continue_}
_RESPOND: Methods = {"GET": endpoints.respond, "POST": endpoints.respond}
_GENERAL: dict[str, Methods] = {
    "/": {"GET": endpoints.home, "HEAD": endpoints.home},
    "/version": {"GET": endpoints.version, "HEAD": endpoints.version},
    "/conversations": {"GET": endpoints.conversations, "HEAD": endpoints.conversations},
    "/load": {"POST": endpoints.load},
    "/train": {"POST": endpoints.train},
    "/parse": _PARSE,
    "/continue": _CONTINUE,
    "/respond": _RESPOND,
}
_OF_A_CONVERSATION: dict[str, Methods] = {
    "": {"DELETE": endpoints.delete_conversation},
    "/parse": _PARSE,
    "/continue": _CONTINUE,
    "/respond": _RESPOND,
    "/tracker": {
        "GET": endpoints.read_tracker,
        "HEAD": endpoints.read_tracker,
        "PUT": endpoints.replace_tracker,
    },
    "/tracker/events": {"POST": endpoints.append_events},
    "/explain": {"GET": endpoints.explain, "HEAD": endpoints.explain},
}


_conversation = re.compile(r"/conversations?/([^/]+)(/.+)?", re.DOTALL)


def find(path: str) -> tuple[Methods, str]:
    """Return the endpoints at `path` by method, and the conversation that it names.

    Raises
    ------
    HttpError
        404 if there is nothing.
    """
    named = _conversation.fullmatch(path)
    if named is None:
        methods, sender_id = _GENERAL.get(path), DEFAULT_SENDER_ID
    else:
        methods, sender_id = _OF_A_CONVERSATION.get(named[2] or ""), named[1]
    if methods is None:
        raise HttpError(404, f"there is nothing at {path[:200]!r}. {_PATHS}")
    return methods, sender_id
