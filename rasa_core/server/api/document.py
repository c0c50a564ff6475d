"""/openapi.json, in OpenAPI 3.1, and /docs, the page that shows it: made at the first request, and cached.

The document is made from the routing table itself: each route with its entry in `operations`, the names in the domain
of the present model, and the ways of authentication of this server. After a change of these names it is made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path, PurePath
from typing import Any, Final, NamedTuple, Protocol

from werkzeug.wrappers import Response

from rasa_core.agent import Agent
from rasa_core.server.api import inputs, operations, schemas
from rasa_core.server.api.fields import Body, Parameter
from rasa_core.server.api.operations import JSON, TAGS, Operation, of_file
from rasa_core.server.api.schemas import Schema, ref
from rasa_core.server.assets import Asset, assets_in
from rasa_core.server.guards import Guard
from rasa_core.server.paths import DEFAULT_SENDER_ID, MAX_SENDER_ID, SENDER_ID, Paths, View
from rasa_core.server.probes import PUBLIC as PROBES
from rasa_core.server.requests import TAGS as VERSION_TAGS
from rasa_core.server.requests import Request
from rasa_core.support.strict_json import encode_as_ordered
from rasa_core.version import __version__

PAGE: Final = Path(__file__).parent / "static"

_ALIAS, _ALIASED = "/conversation/{", "/conversations/{"
_ABOUT: Final = (
    "rasa_core decides what a bot does next. A body is read as JSON whatever its Content-Type; each error is JSON with "
    "the key error. A method that a path does not have is answered with 405, and a path that is not here with 404."
)
_ERRORS: Final[Mapping[int, str]] = {
    400: "Something in the request is wrong; the error names it, and what was expected.",
    401: "The token is missing or wrong.",
    403: "Not for this caller, this page, or under this name of the server; or it is switched off.",
    404: "There is no such conversation, or no such name.",
    406: "It comes in none of the types that Accept names.",
    408: "The body did not come in time.",
    409: "It cannot be done now, or not here; the error says why.",
    412: "The conversation is at another version than If-Match names.",
    413: "The body is too large.",
    415: "The body is compressed.",
    422: "The key came with another request before, or what is sent has a mistake.",
    500: "An internal error; the log of the server has the details.",
    501: "This server cannot do it.",
    503: "There is no model, or a part that is needed does not answer; Retry-After says when to try again.",
}
_SENDER_ID: Final = {
    "name": "sender_id",
    "in": "path",
    "required": True,
    "description": "Names the conversation; a slash in it is sent as %2F.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_SENDER_ID, "pattern": SENDER_ID},
    "example": "anna",
}
_HEADERS: Final = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Names this change; sent again with the same key, it is done once, and answered as before.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The change is made only if the conversation is at one of these versions, as ETag had it.",
        "schema": {"type": "string", "pattern": f"^({VERSION_TAGS})$"},
        "example": "*",
    },
}
_REQUEST_ID: Final = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Names the request in the log, with up to 128 letters, digits and ._:/+=@~-; else one is made.",
    "schema": {"type": "string"},
}
_NAMED: Final = {"X-Request-ID": {"description": "The name of the request in the log.", "schema": {"type": "string"}}}
_ETAG: Final = {"ETag": {"description": "The version of the conversation.", "schema": {"type": "string"}}}
_RETRY: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}}
_SCHEMES: Final = {
    "token": {"type": "apiKey", "in": "query", "name": "token", "description": "As it always was."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token, which stays out of logs like this."},
    "jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A signed JSON Web Token."},
}


class Names(NamedTuple):
    """The names in the document: of the domain and of the NLU models; and whether logs may have other names, too."""

    actions: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    any_in_logs: bool = False

    @classmethod
    def of(cls, agent: Agent | None, models: tuple[str, ...]) -> Names:
        """Return the names of an agent's domain."""
        if agent is None:
            return cls(models=models)
        domain = agent.domain
        slots = tuple(slot.name for slot in domain.slots)
        return cls(tuple(domain.action_names), tuple(domain.intents), slots, models, inputs.any_name_in_logs(domain))

    def schemas(self) -> dict[str, Schema]:
        """Return a schema for each kind of names."""
        no_model = {"type": "null", "description": "This server has no NLU models with names."}
        model = schemas.names("NLUModel", self.models, "An NLU model that was trained here.")
        return {
            **schemas.names("Action", self.actions, "An action of the domain."),
            **schemas.names("Intent", self.intents, "An intent of the domain."),
            **schemas.names("Slot", self.slots, "A slot of the domain."),
            **(model if self.models else {"NLUModel": no_model}),
        }


class DescribedApplication(Protocol):
    """The part of `rasa_core.server.app.ServerApp` that the document uses."""

    described: tuple[object, Asset] | None
    paths: Paths
    guard: Guard
    inspector: Any
    nlu_models: Any
    model: Any

    def is_public(self, view: View, endpoint: str) -> bool:
        """Tell whether a view may be called without a token or JWT."""
        ...


def openapi_response(app: DescribedApplication, request: Request) -> Response:
    """Return the document."""
    models = () if app.nlu_models is None else tuple(app.nlu_models.names())
    key = Names.of(app.model.agent_or_none(), models), request.environ.get("SCRIPT_NAME", "")
    # No lock is needed: two threads that make the document at once make the same document.
    if app.described is None or app.described[0] != key:
        content = encode_as_ordered(Document(app, *key).as_dict()).encode("ascii")
        app.described = key, Asset(content, ".json")
    return app.described[1].answer(request)


@cache
def _page() -> dict[str, Asset]:
    return assets_in(PAGE)


def page(request: Request, name: str) -> Response:
    """Return a file of the page."""
    return _page()[name].answer(request)


class Document:
    """The description of an application.

    Parameters
    ----------
    prefix
        The path at which the application is mounted.
    """

    def __init__(self, app: DescribedApplication, names: Names, prefix: str = "") -> None:
        self._app = app
        self._names = names
        self._prefix = prefix
        self._schemes = app.guard.schemes
        self._paths = {path for path, _ in app.paths.all()}
        self._operations = dict(operations.OPERATIONS)
        self._schemas = {**schemas.ANSWERS, **schemas.events(names.any_in_logs), **names.schemas()}
        self._of_files: Mapping[str, Operation] = {}
        if app.inspector is not None:
            described, shapes = app.inspector.described()
            self._of_files = {path: of_file("inspector", PurePath(path).suffix) for path in app.inspector.files}
            self._operations |= described
            self._schemas |= shapes

    def as_dict(self) -> dict[str, Any]:
        """Return the document."""
        paths: dict[str, dict[str, Any]] = {}
        for path, endpoint, method, view in sorted(self._routes(), key=self._order):
            paths.setdefault(path, {})[method.lower()] = self._operation(path, endpoint, method, view)
        used = {operation["tags"][0] for item in paths.values() for operation in item.values()}
        components: dict[str, Any] = {
            "schemas": self._schemas,
            "responses": _error_responses(),
            "parameters": {"SenderId": _SENDER_ID, **_HEADERS, "RequestId": _REQUEST_ID},
        }
        if self._schemes:
            components["securitySchemes"] = {name: _SCHEMES[name] for name in self._schemes}
        return {
            "openapi": "3.1.0",
            "info": {"title": "rasa_core", "version": __version__, "description": _ABOUT},
            "servers": [{"url": self._prefix or "/"}],
            "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in used],
            **({"security": [{name: []} for name in self._schemes]} if self._schemes else {}),
            "paths": paths,
            "components": components,
        }

    def _routes(self) -> Iterator[tuple[str, str, str, View]]:
        """Yield path, endpoint, method and view of each route, except HEAD, which is described by GET."""
        for path, endpoint in self._app.paths.all():
            for method, view in self._app.paths.views[endpoint].items():
                if method != "HEAD":
                    yield path, endpoint, method, view

    def described(self, endpoint: str, method: str) -> Operation:
        """Return the entry of a route in `operations`."""
        return self._of_files.get(endpoint) or self._operations[endpoint, method]

    def _order(self, route: tuple[str, str, str, View]) -> tuple[object, ...]:
        path, endpoint, method, _ = route
        tags, known = list(TAGS), list(self._operations)
        key = (endpoint, method)
        place = known.index(key) if key in known else len(known)  # Files of the page are in no table, and come last.
        return tags.index(self.described(endpoint, method).tag), path.startswith(_ALIAS), place, -len(path)

    def _operation(self, path: str, endpoint: str, method: str, view: View) -> dict[str, Any]:
        known = self.described(endpoint, method)
        about = (view.__doc__ or "").partition("\n")[0]
        made: dict[str, Any] = {
            "operationId": _identifier(method, path),
            "tags": [known.tag],
            "summary": known.summary or about,
        }
        if path.startswith(_ALIAS):
            made["x-alias-of"] = path.replace(_ALIAS, _ALIASED, 1)
        if f"{_ALIASED}sender_id}}{path}" in self._paths:
            # A path such as /parse is the same as that below /conversations/, for the default conversation.
            made["description"] = f'Of the conversation "{DEFAULT_SENDER_ID}".'
        made["parameters"] = list(self._parameters(path, known))
        if known.body is not None:
            content = known.body.described() if isinstance(known.body, Body) else known.body
            made["requestBody"] = {"required": True, "content": {known.body_type: {"schema": content}}}
        made["responses"] = self._responses(path, known, self._is_guarded(view, endpoint), view in PROBES)
        if self._schemes and not self._is_guarded(view, endpoint):
            made["security"] = []  # If it were missing, the security of the whole document would apply.
        return made

    def _is_guarded(self, view: View, endpoint: str) -> bool:
        return bool(self._schemes) and not self._app.is_public(view, endpoint)

    def _parameters(self, path: str, known: Operation) -> Iterator[dict[str, Any]]:
        if "{" in path:
            yield {"$ref": "#/components/parameters/SenderId"}
        for parameter in known.parameters:
            described = parameter.described()
            if described != ref("NLUModel") or self._names.models:  # A server without NLU models takes no such name.
                yield _in_query(parameter, described)
        if known.is_change:
            yield from ({"$ref": f"#/components/parameters/{name}"} for name in _HEADERS)
        yield {"$ref": "#/components/parameters/RequestId"}

    def _responses(self, path: str, known: Operation, is_guarded: bool, is_probe: bool) -> dict[str, Any]:
        found = {
            str(status): {
                "description": HTTPStatus(status).phrase,
                "headers": {**_NAMED, **(_ETAG if known.has_version and status == 200 else {})},
                "content": {kind: {"schema": schema} for kind, schema in content.items()},
            }
            for status, content in known.answers.items()
        }
        for status in sorted(set(_errors(path, known, is_guarded, is_probe))):
            # `setdefault` keeps the route's own answer with this status, such as 503 of /ready.
            found.setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
        return found


def _errors(path: str, known: Operation, is_guarded: bool, is_probe: bool) -> Iterator[int]:
    """Yield the statuses of errors that a route may answer with."""
    yield from known.errors
    yield 500
    if not is_probe:  # Probes may be called under any host name.
        yield 403
    if is_guarded:
        yield 401
    if "{" in path or known.parameters or known.body is not None or is_guarded:
        yield 400
    if known.body is not None:
        yield from (408, 413, 415)
    if known.is_change:
        yield from (400, 412, 422)
    if known.needs_model:
        yield 503


def _error_responses() -> dict[str, Schema]:
    """Return the descriptions of error answers, by status."""
    content = {JSON: {"schema": ref("Error")}}
    return {
        str(status): {
            "description": text,
            "headers": {**_NAMED, **(_RETRY if status == 503 else {})},
            "content": content,
        }
        for status, text in _ERRORS.items()
    }


def _in_query(parameter: Parameter, described: Schema) -> dict[str, Any]:
    made = {"name": parameter.name, "in": "query", "description": parameter.text, "schema": described}
    return {**made, "required": True} if parameter.is_required else made


def _identifier(method: str, path: str) -> str:
    """Return a unique name for a route, such as ``post_conversations_parse``."""
    parts = path.replace("{sender_id}", "").replace(".", "_").replace("-", "_").split("/")
    return "_".join([method.lower(), *filter(None, parts)])
