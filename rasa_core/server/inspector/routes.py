"""The routes of the inspector's page, which scripts can use, too."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from werkzeug.wrappers import Response

from rasa_core.actions.action import RemoteAction
from rasa_core.agent import Agent
from rasa_core.exceptions import RasaCoreError
from rasa_core.interpreter import RegexInterpreter
from rasa_core.project import Project
from rasa_core.rasa3.domain_parts import SNIPPET
from rasa_core.server import conversations
from rasa_core.server.assets import assets_in
from rasa_core.server.inspector import inputs
from rasa_core.server.inspector.correcting import Correcting
from rasa_core.server.inspector.map import Maps
from rasa_core.server.inspector.proving import Proving
from rasa_core.server.inspector.queue import Queue
from rasa_core.server.inspector.timeline import read_whole, snippet_of, step, timeline, wait_for_news
from rasa_core.server.paths import Paths, Views, read_by
from rasa_core.server.requests import HttpError, Request, at_version, json_response
from rasa_core.server.served_model import Serves
from rasa_core.server.settings import ServerSettings
from rasa_core.support.strict_json import has_half_characters
from rasa_core.teaching import continuation
from rasa_core.version import __version__

LONGEST_ERROR: Final = 1000
PREFIX: Final = "/inspector/"

_FILES: Final = Path(__file__).parent / "static"
_PAGE: Final = "index.html"


class Inspector:
    """The page and its routes.

    Attributes
    ----------
    files, public
        The views of the page's files, by path; the views that need no token, which are the same.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.folder = Path(settings.inspect) if settings.inspect else None
        self._queue = Queue()
        self._correcting = Correcting(self.folder)
        self._maps = Maps(self.folder)
        self._proving = Proving(self.folder)
        self._assets = assets_in(_FILES)
        self.files = {f"{PREFIX}{name}": asset.view() for name, asset in self._assets.items() if name != _PAGE}
        self.public = frozenset(self.files.values())

    def page(self, request: Request) -> Response:
        """Return the page."""
        return self._assets[_PAGE].answer(request)

    def described(self) -> tuple[Any, Any]:
        """Return the descriptions of the routes, and the schemas that they refer to."""
        known = import_module("rasa_core.server.inspector.operations")  # Only needed for /openapi.json.
        return known.OPERATIONS, known.SCHEMAS

    def paths(self, general: Mapping[str, Views], of_a_conversation: Mapping[str, Views]) -> Paths:
        """Return the routing table with the routes of the server and of the inspector."""
        files = {path: read_by(view) for path, view in self.files.items()}
        proving = self._proving
        own = {
            f"{PREFIX}models": {**read_by(proving.models), "POST": proving.use},
            f"{PREFIX}candidate": {**read_by(proving.state), "POST": proving.train, "DELETE": proving.discard},
            f"{PREFIX}candidate/compare": {"POST": proving.compare},
            f"{PREFIX}candidate/serve": {"POST": proving.serve},
            f"{PREFIX}map": read_by(self._maps.show),
            f"{PREFIX}map/lines": read_by(self._maps.lines),
            f"{PREFIX}bot": read_by(self.bot),
            f"{PREFIX}queue": read_by(self._queue.list),
        }
        of_one = {
            "/timeline": read_by(self.timeline),
            "/step": read_by(self.step),
            "/say": {"POST": self.say},
            "/act": {"POST": self.act},
            "/fork": {"POST": self.fork},
            "/correct": {"POST": self._correcting.correct},
            "/save": {**read_by(self._correcting.offer), "POST": self._correcting.save},
            "/review": {**read_by(self._queue.read_mark), "PUT": self._queue.write_mark},
        }
        # The inspector must not replace a view of the server.
        assert of_a_conversation.keys().isdisjoint(of_one)
        return Paths({**general, **files, **own}, {**of_a_conversation, **of_one})

    def project(self) -> Project | None:
        """Return the project with its present files; None if there is no project, or it cannot be read."""
        try:
            return None if self.folder is None else Project(self.folder)
        except RasaCoreError:
            return None

    # -- the bot

    def bot(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Return the intents, slots and actions of the bot, and the state of its project."""
        agent = app.model.agent()
        domain = agent.domain
        described = domain.as_dict().get("slots") or {}
        slots = [{"name": slot.name, **_described(described.get(slot.name), slot)} for slot in domain.slots]
        return json_response(
            {
                "version": __version__,
                "model": agent.model_fingerprint,
                "project": None if self.folder is None else self.folder.resolve().name,
                "understands_text": not isinstance(agent.interpreter, RegexInterpreter),
                "intents": list(domain.intents),
                "entities": list(domain.entities),
                "slots": slots,
                "actions": [
                    {"name": name, "kind": _kind(name, agent), "sets": _slots_set_by(name, agent)}
                    for name in domain.action_names
                    if name != SNIPPET  # The placeholder at the beginning of a rule is no action to choose.
                ],
            }
        )

    # -- one conversation

    def timeline(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Return the events of a conversation; with ``after`` and ``wait``, wait for later events."""
        agent = app.model.agent()
        first, after, seconds = inputs.FROM.of(request), inputs.AFTER.of(request), inputs.WAIT.of(request)
        if after is not None and seconds:
            wait_for_news(agent, sender_id, after, seconds)
        tracker = read_whole(agent, sender_id)
        return at_version(timeline(agent, tracker, first), tracker.version)

    def step(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Explain one event: the decision that led to it, and the changes that it made."""
        agent = app.model.agent()
        tracker = agent.read_tracker(sender_id)
        count = tracker.count()
        if count > conversations.MOST_EXPLAINED:
            raise HttpError(400, f"the conversation has {count} events; at most {conversations.MOST_EXPLAINED} are.")
        at = inputs.AT.of(request, count)
        project = self.project()
        files = [] if project is None else project.story_files
        return at_version(step(agent, tracker, at, lambda place: snippet_of(place, files)), tracker.version)

    def say(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Log a user's message, and run actions until the bot listens or the caller has to run an action."""
        turns = app.model.agent().turns()
        text = inputs.SAY.of(request)["text"]
        answered = continuation.say(turns, sender_id, text, request.conditions("say"))
        return at_version(answered.result, answered.version)

    def act(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Log the events of an action that the caller has run, and go on."""
        agent = app.model.agent()
        body = inputs.ACT.of(request)
        action, error = body.get("action"), body.get("error")
        events = conversations.checked_events(body.get("events", []), agent)
        conversations.check_taken_back(events, agent, sender_id)
        error = None if error is None else error[:LONGEST_ERROR]
        left = continuation.leave_doubtful if body.get("only_if_sure", False) else continuation.leave_nothing
        conditions = request.conditions("act")
        answered = continuation.act(agent.turns(), sender_id, action, events, error, conditions, left=left)
        return at_version(answered.result, answered.version)

    def fork(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Start a new conversation with the first events of this conversation."""
        body = inputs.FORK.of(request)
        if has_half_characters(body["to"]):
            raise HttpError(400, '"to" holds half of a character; send whole ones.')
        agent = app.model.agent()
        read_whole(agent, sender_id)
        answered = continuation.fork(agent.turns(), sender_id, body["at"], body["to"])
        return at_version(answered.result, answered.version)


def _described(given: object, slot: Any) -> dict[str, Any]:
    """Return a slot's type in the domain, the known values of a categorical slot, and the initial value."""
    parts = given if isinstance(given, Mapping) else {}
    kind = str(parts.get("type") or getattr(slot, "type_name", None) or "any")
    values = parts.get("values") if kind == "categorical" else None
    return {"type": kind, "values": values, "initial": slot.initial()}


def _kind(name: str, agent: Agent) -> str:
    """Return the kind of an action: run ``elsewhere``, a ``form``, a response (``says``), or run ``here``."""
    rasa = agent.domain.rasa
    if rasa is not None and name in rasa.forms:
        return "form"
    if not agent.turns().runner.runs_here(name) or isinstance(agent.domain.action_for_name(name), RemoteAction):
        return "elsewhere"
    return "says" if name in agent.domain.templates else "here"


def _slots_set_by(name: str, agent: Agent) -> list[str]:
    """Return the slots that an action sets in the stories."""
    known = agent.policy_ensemble.action_fingerprints.get(name) or {}
    return sorted(known.get("slots", ()))
