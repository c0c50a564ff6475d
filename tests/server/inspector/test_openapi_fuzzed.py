"""The server follows its ``/openapi.json`` on random requests from schemathesis, by all of its default checks.

The inspector's application has all routes there are, and bots of Rasa 3 take other names in logs than those of 0.9.
Left out are routes that stand under another path too, the files of pages, what is switched off here, and what starts a
training. One type of events is tried, since all are described and checked by one table. ``schemathesis run`` in the
folder of the repository, on a server, tries everything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from inspector_bot import app_of, rasa_app_of, write_project
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine.events import NonFatalError, ScenarioFinished
from werkzeug.test import Client

from rasa_core.events import Event
from rasa_core.server import ServerApp
from rasa_core.server.inspector import timeline
from rasa_core.tracker_store import store_from_url

CONFIG = Path(__file__).parents[3] / "schemathesis.toml"
EVENTS = ("slot",)
FEW, LEAST_CASES = 1, 1000
LEFT_OUT = (
    r"^/conversation/|^/(parse|continue|respond)$|/tracker$|^/(load|train)$"
    r"|^/inspector/candidate(/serve)?$|\.(js|css|svg)$"
)


@pytest.fixture(params=["0.9", "Rasa 3"])
def app(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerApp:
    """Return the application of a bot with the page; it knows the events of this package alone, and waits for none."""
    own = {name: kind for name, kind in Event._subclasses.items() if kind.__module__.startswith("rasa_core.")}
    monkeypatch.setattr(Event, "_subclasses", own)
    monkeypatch.setattr(timeline, "LONGEST_WAIT", 0.0)
    if request.param == "Rasa 3":
        return rasa_app_of(tmp_path / "bot")
    return app_of(write_project(tmp_path / "bot"), store_from_url("memory://"))


def schema_of(app: ServerApp) -> Any:
    document = Client(app).get("/openapi.json").get_json()
    for one_of_all in (document["components"]["schemas"][name] for name in ("Event", "LogEvent")):
        one_of_all["anyOf"] = [kind for kind in one_of_all["anyOf"] if kind["$ref"].partition("Event-")[2] in EVENTS]
    schema: Any = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_path(CONFIG))
    schema.app = app
    schema.config.generation.update(max_examples=FEW)
    schema.config.phases.examples.enabled = schema.config.phases.stateful.enabled = False
    schema.config.phases.coverage.unexpected_methods = {"PATCH"}
    return schema.exclude(path_regex=LEFT_OUT).exclude(method="PUT", path_regex="/events$")


def test_requests_that_fit_are_answered_and_others_are_refused(app: ServerApp) -> None:
    problems, tried, cases = [], set(), 0
    for event in engine.from_schema(schema_of(app)).execute():
        if isinstance(event, NonFatalError):
            problems.append(f"{event.label}: {event.info.format()}")
        elif isinstance(event, ScenarioFinished):
            tried.add(event.recorder.label)
            cases += len(event.recorder.cases)
            for identifier, checks in event.recorder.checks.items():
                for failed in (check.failure_info for check in checks if check.failure_info is not None):
                    request = event.recorder.cases[identifier].value.as_curl_command()
                    told = f"{failed.failure.title}: {failed.failure.message}"
                    problems.append(f"{event.recorder.label}: {told}\n{request}")

    assert problems == []
    assert cases > LEAST_CASES
    assert {
        "POST /conversations/{sender_id}/parse",
        "POST /conversations/{sender_id}/continue",
        "GET /metrics",
    } <= tried
