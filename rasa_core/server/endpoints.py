"""What the server does at each path: check the request, ask the `Agent`, answer.

An endpoint takes a `Request` and returns a `Response`. It asks for the agent first, so that a server
without a model says so before it looks at the body.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from rasa_core.channels.channel import UserMessage
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.processor import MessageProcessor
from rasa_core.server import payloads
from rasa_core.server.bodies import parse_json, parse_query_string, read_body
from rasa_core.server.conditions import matching_versions
from rasa_core.server.errors import HttpError
from rasa_core.server.nlu_models import DISABLED, NLUModels
from rasa_core.server.nlu_training import train_model
from rasa_core.server.responses import Response, json_response
from rasa_core.server.serving import ServedModel
from rasa_core.server.uploads import replace_model
from rasa_core.tracker_store import RequestConditions
from rasa_core.tracker_store.idempotency import RequestResult
from rasa_core.version import __version__

_HTML = (("Content-Type", "text/html; charset=utf-8"),)


@dataclass(slots=True)
class Request:
    """One request, as far as endpoints look at it.

    Attributes
    ----------
    environ : dict
        What WSGI gives.
    method : str
        ``GET``, ``POST`` ...
    sender_id : str
        The conversation that the path names.
    model : ServedModel
        Where the agent comes from.
    max_body : int
        Largest body that is read, in bytes.
    nlu_models : NLUModels or None
        The interpreters that the request can name; None if there are none.
    """

    environ: dict[str, Any]
    method: str
    sender_id: str
    model: ServedModel
    max_body: int
    nlu_models: NLUModels | None = None
    _parameters: dict[str, str] | None = field(default=None, init=False)
    _body: bytes = field(default=b"", init=False)

    def parameters(self) -> dict[str, str]:
        """Return the parameters behind the ``?`` of the URL."""
        if self._parameters is None:
            self._parameters = parse_query_string(self.environ.get("QUERY_STRING", ""))
        return self._parameters

    def body(self) -> bytes:
        """Read the body, and return it."""
        self._body = read_body(self.environ, self.max_body)
        return self._body

    def json(self) -> Any:
        """Read the body, and return it as a JSON value."""
        return parse_json(self.body())

    def conditions(self, operation: str) -> RequestConditions | None:
        """Return what the headers ask of a change, None if nothing; call it when the body has been read.

        Parameters
        ----------
        operation
            What the request is to do: the same key with another body, or another operation, is a mistake.
        """
        key = self.environ.get("HTTP_IDEMPOTENCY_KEY")
        versions = self.environ.get("HTTP_IF_MATCH")
        if key is None and versions is None:
            return None
        content = self.message()[0].encode("utf-8", "surrogatepass") if self.method == "GET" else self._body
        if "model" in self.parameters():
            content += b"\0model=" + self.parameters()["model"].encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(operation.encode() + b"\0" + content).hexdigest()
        return RequestConditions(key, digest, None if versions is None else matching_versions(versions))

    def message(self) -> tuple[str, str | None]:
        """Return the user's message, from the body or, of a GET, from the URL; and the NLU model that it names."""
        given = self.parameters() if self.method == "GET" else payloads.object_of(self.json())
        return payloads.message_text(given), payloads.model_name({**self.parameters(), **given})

    def interpreter(self, name: str | None) -> NaturalLanguageInterpreter | None:
        """Return the NLU model of this name, None for no name."""
        if name is None:
            return None
        if self.nlu_models is None:
            raise HttpError(400, f'this server has no models with names; leave out "model", or {DISABLED}')
        return self.nlu_models.interpreter(name)

    def flag(self, name: str, default: bool) -> bool:
        """Return a yes-or-no parameter of the URL; any value other than ``true`` means no."""
        value = self.parameters().get(name)
        return default if value is None else value.lower() == "true"


def home(request: Request) -> Response:
    """Greet, for people and for health checks."""
    return Response(200, f"hello from Rasa Core: {__version__}".encode(), _HTML)


def version(request: Request) -> Response:
    """Tell the version of this package, and the fingerprints of the models that are loaded."""
    agent = request.model.agent_or_none()
    models = {
        "core_model": None if agent is None else agent.model_fingerprint,
        "nlu_model": None if agent is None else agent.interpreter.model_fingerprint,
    }
    return json_response({"version": __version__, **models})


def conversations(request: Request) -> Response:
    """List the ids of the conversations, all or a page of them."""
    store = request.model.agent().tracker_store
    parameters = request.parameters()
    if "after" not in parameters and "limit" not in parameters:
        return json_response(list(store.keys()))  # Stores of users' own need not know pages.
    limit = payloads.count(parameters["limit"]) if "limit" in parameters else None
    return json_response(list(store.keys(parameters.get("after"), limit)))


def delete_conversation(request: Request) -> Response:
    """Forget a conversation, all of it."""
    store = request.model.agent().tracker_store
    with store.conversation(request.sender_id):  # for its lock
        return json_response({"deleted": store.delete(request.sender_id)})


def parse(request: Request) -> Response:
    """Take a message of the user, and tell the action to run next."""
    turns, message = _message(request)
    return _answer(turns.parse(message, request.conditions("parse")))


def continue_(request: Request) -> Response:
    """Take note of the action that the caller has run, and tell the next one."""
    agent = request.model.agent()
    turns = agent.turns()
    body = payloads.object_of(request.json())
    action = payloads.executed_action(body, agent)
    events = payloads.events_of(body.get("events", []), agent)
    return _answer(turns.continue_(request.sender_id, action, events, request.conditions("continue")))


def respond(request: Request) -> Response:
    """Take a message of the user, run the actions here, and return what the bot says."""
    turns, message = _message(request)
    return _answer(turns.respond(message, request.conditions("respond")))


def _message(request: Request) -> tuple[MessageProcessor, UserMessage]:
    """Return the user's message, and what understands it and goes on from there."""
    agent = request.model.agent()
    turns = agent.turns()
    text, name = request.message()
    interpreter = request.interpreter(name)
    if interpreter is not None:
        turns = agent.turns(interpreter=interpreter)
    return turns, UserMessage(text, None, request.sender_id)


def read_tracker(request: Request) -> Response:
    """Tell the state of a conversation; an unknown one is not created."""
    agent = request.model.agent()
    parameters = request.parameters()
    until = payloads.unix_time(parameters["until"]) if "until" in parameters else None
    tracker = agent.read_tracker(request.sender_id)
    version = tracker.version
    if until is not None:
        tracker = tracker.travel_back_in_time(until)
    state = tracker.current_state(
        should_include_events=request.flag("events", default=True),
        only_events_after_latest_restart=not request.flag("ignore_restarts", default=False),
    )
    return _answer(RequestResult(state, version))


def explain(request: Request) -> Response:
    """Tell why the bot decides as it does; an unknown conversation is not created."""
    agent = request.model.agent()
    tracker = agent.read_tracker(request.sender_id)
    at = request.parameters().get("at")
    position = None if at is None else payloads.position(at, len(tracker.events))
    return _answer(RequestResult(agent.explain(tracker, position).as_dict(), tracker.version))


def replace_tracker(request: Request) -> Response:
    """Put events in the place of a whole conversation."""
    agent = request.model.agent()
    events = payloads.events_of(request.json(), agent)
    return _answer(agent.processor.replace_events(request.sender_id, events, request.conditions("replace")))


def append_events(request: Request) -> Response:
    """Add events, a list or one, to a conversation, and predict nothing."""
    agent = request.model.agent()
    body = request.json()
    events = payloads.events_of([body] if isinstance(body, dict) else body, agent)
    return _answer(agent.processor.append_events(request.sender_id, events, request.conditions("append")))


def _answer(answered: RequestResult) -> Response:
    return json_response(answered.result, headers=(("ETag", f'"{answered.version}"'),))


def load(request: Request) -> Response:
    """Serve the uploaded model from now on."""
    replace_model(request.model, request.environ)
    return json_response({"success": 1})


def train(request: Request) -> Response:
    """Train an NLU model from the data in the body, and wait for it."""
    if request.nlu_models is None:
        raise HttpError(403, f"training is off; {DISABLED}")
    return json_response(train_model(request.nlu_models, request.parameters(), request.body()))
