"""A minimal Werkzeug application with our routes: it routes, reads JSON, and answers with JSON of the same size.

As in our server, the body is a list: Granian would send the iterator of a Werkzeug response in a separate packet, which
is slower.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

ROUTES = Map(
    [
        Rule("/version", endpoint="version"),
        Rule("/conversations", endpoint="conversations"),
        Rule("/conversations/<sender_id>/parse", endpoint="parse", methods=["GET", "POST"]),
        Rule("/conversations/<sender_id>/continue", endpoint="continue", methods=["POST"]),
        Rule("/conversations/<sender_id>/respond", endpoint="respond", methods=["GET", "POST"]),
        Rule("/conversations/<sender_id>/tracker", endpoint="tracker", methods=["GET", "PUT"]),
        Rule("/conversations/<sender_id>/tracker/events", endpoint="events", methods=["POST"]),
        Rule("/webhooks/rest/webhook", endpoint="webhook", methods=["POST"]),
    ]
)


def create(settings: dict[str, Any]) -> Callable[..., Iterable[bytes]]:
    """Return the application; ``settings["answers"]`` maps each endpoint to its answer."""
    answers = settings["answers"]

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        response = answer(request)
        start_response(response.status, response.get_wsgi_headers(environ).to_wsgi_list())
        return [response.get_data()]

    def answer(request: Request) -> Response:
        try:
            endpoint, _ = ROUTES.bind_to_environ(request.environ).match()
        except HTTPException as error:
            return Response(str(error), status=error.code)
        if request.method == "POST":
            request.get_json(force=True)
        return Response(json.dumps(answers.get(endpoint, {}), sort_keys=True) + "\n", mimetype="application/json")

    return application


def load(settings: dict[str, Any], target: str) -> Callable[..., Iterable[bytes]]:
    """Return the application; Granian calls this function by its name."""
    return create(settings)
