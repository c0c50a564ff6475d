"""The views for operators: whether the server is alive, whether it can take messages, and its metrics.

They do not wait for other requests, so that a busy server is not taken for a dead one.
"""

from __future__ import annotations

from typing import Final, Protocol

from werkzeug.wrappers import Response

from rasa_core.agent import Agent
from rasa_core.exceptions import RasaCoreError
from rasa_core.server.failures import as_http_error
from rasa_core.server.metrics import Metrics
from rasa_core.server.requests import HttpError, Request, json_response
from rasa_core.support.extras import installing
from rasa_core.tracker_store.base import TrackerStore
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.version import __version__


class Served(Protocol):
    """The part of `rasa_core.server.served_model.ServedModel` that the probes use."""

    def agent(self) -> Agent:
        """Return the agent; raise `HttpError` 503 if there is none."""
        ...

    def agent_or_none(self) -> Agent | None:
        """Return the agent, or None."""
        ...


class CountedApplication(Protocol):
    """The part of `rasa_core.server.app.ServerApp` that the probes use."""

    model: Served
    metrics: Metrics | None


def health(app: CountedApplication, request: Request, sender_id: str) -> Response:
    """Tell that this process is alive, even if its model or store fails."""
    return json_response({"status": "ok"})


def ready(app: CountedApplication, request: Request, sender_id: str) -> Response:
    """Tell whether the model is loaded and the store can be reached."""
    try:
        _check_store(app.model.agent().tracker_store)
    except (HttpError, RasaCoreError) as error:
        # "reason" says why there is no model; in other answers, this key has the kind of error, as in Rasa.
        is_about_the_model = isinstance(error, HttpError)
        problem = error if isinstance(error, HttpError) else as_http_error(error)
        reason = problem.get_response().get_json()["reason" if is_about_the_model else "error"]
        return json_response({"status": "not ready", "reason": reason}, 503, [("Retry-After", "1")])
    return json_response({"status": "ready"})


def _check_store(store: TrackerStore) -> None:
    """Raise `StoreError` if a store cannot be reached; custom stores are not checked."""
    if isinstance(store, EventLogStore):  # For a custom store there is no cheap check: its `keys` may read everything.
        store.sender_ids(limit=1)


def metrics(app: CountedApplication, request: Request, sender_id: str) -> Response:
    """Return the metrics of this server in the format of Prometheus."""
    if app.metrics is None:
        raise HttpError(501, f"metrics need prometheus_client: {installing('metrics')}.")
    agent = app.model.agent_or_none()
    models = ("", "") if agent is None else (agent.model_fingerprint, agent.interpreter.model_fingerprint)
    text, kind = app.metrics.as_text({"version": __version__, "model": models[0] or "", "nlu_model": models[1] or ""})
    return Response(text, headers=[("Content-Type", kind)])


GENERAL: Final = {"/health": health, "/ready": ready, "/metrics": metrics}
"""Views by path."""

PUBLIC: Final = frozenset({health, ready})
"""Views without private data: they need no token and may be called under any host name."""

BRIEF: Final = frozenset(GENERAL.values())
