"""`create_app` makes the application from a model or an agent."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from at_once import at_once
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.commands.serve import _announce
from rasa_core.exceptions import InterpreterError, StoreError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.server import create_app, create_app_from_settings
from rasa_core.server.settings import ServerSettings
from rasa_core.tracker_store import InMemoryTrackerStore

PARSE = "/conversations/x/parse"


class AlwaysGreets(NaturalLanguageInterpreter):
    def parse(self, text: str) -> dict[str, Any]:
        return {"text": text, "intent": {"name": "greet", "confidence": 0.5}, "entities": []}


def next_action(client: Client, text: str) -> str:
    return client.post(PARSE, data=json.dumps({"query": text})).get_json()["next_action"]


@pytest.mark.parametrize("kind", [str, Path])
def test_serves_the_model_in_a_directory(model: Path, kind: type) -> None:
    assert next_action(Client(create_app(kind(model))), "/greet") == "utter_greet"


def test_conversations_of_a_model_are_kept_beside_it(model: Path) -> None:
    Client(create_app(model)).post(PARSE, data=b'{"query": "/greet"}')

    assert (model.parent / "model.conversations.db").is_file()
    assert Client(create_app(model)).get("/conversations").get_json() == ["x"]


def test_store_is_named_by_a_url(model: Path) -> None:
    assert next_action(Client(create_app(model, tracker_store="memory://")), "/greet") == "utter_greet"
    assert [found.name for found in model.parent.iterdir()] == ["model"]


def test_store_may_be_an_object(model: Path) -> None:
    store = InMemoryTrackerStore()

    next_action(Client(create_app(model, tracker_store=store)), "/greet")

    assert store.sender_ids() == ["x"]


def test_interpreter_may_be_an_object(model: Path) -> None:
    app = create_app(model, AlwaysGreets(), tracker_store="memory://")

    assert next_action(Client(app), "good morning") == "utter_greet"


def test_interpreter_reads_messages_that_come_as_events(model: Path) -> None:
    client = Client(create_app(model, AlwaysGreets(), tracker_store="memory://"))

    response = client.post("/conversations/x/tracker/events", data=b'{"event": "user", "text": "good morning"}')

    assert response.get_json()["latest_message"]["intent"]["name"] == "greet"


def test_action_factory_wins_over_the_domain(model: Path) -> None:
    client = Client(create_app(model, action_factory="local"))

    reason = client.get("/conversations").get_json()["reason"]

    assert "action 'action_search' is neither a template nor the dotted path of an Action class" in reason


def test_model_that_is_damaged_is_told(model: Path) -> None:
    (model / "metadata.json").write_text("{")

    response = Client(create_app(model)).get("/conversations")

    assert response.status_code == 503
    assert "metadata.json" in response.get_json()["reason"]


@pytest.mark.parametrize(
    "options",
    [{"interpreter": "http://nlu:5000"}, {"tracker_store": "memory://"}, {"action_factory": "local"}],
)
def test_agent_has_parts_of_its_own(agent: Agent, options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give them to the Agent"):
        create_app(agent, **options)


def test_wrong_store_is_told_at_once(model: Path) -> None:
    with pytest.raises(StoreError, match="unknown tracker store"):
        create_app(model, tracker_store="sqlit:///x.db")


def test_wrong_interpreter_is_told_at_once(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match="cannot read an NLU model"):
        create_app(model, str(tmp_path / "nlu"))


def test_wrong_limit_is_told_at_once(agent: Agent) -> None:
    with pytest.raises(ValueError, match="max_body is a number of bytes above 0"):
        create_app(agent, max_body=0)


def test_settings_survive_a_trip_through_json(model: Path, tmp_path: Path) -> None:
    settings = ServerSettings(
        str(model), cors_origins=("https://a.example",), auth_token="t", store="memory://", max_body=99
    )

    client = Client(create_app_from_settings(json.loads(json.dumps(settings.as_dict()))))

    response = client.post(f"{PARSE}?token=t", data=b'{"query": "/greet"}', headers={"Origin": "https://a.example"})
    assert response.get_json()["next_action"] == "utter_greet"
    assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert client.post(f"{PARSE}?token=t", data=b" " * 100).status_code == 413


def test_settings_do_not_show_the_token() -> None:
    assert "s3cret" not in repr(ServerSettings("model", "http://bot:s3cret@nlu", auth_token="s3cret"))


def test_where_a_server_listens_is_told_without_passwords(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"nlu": "http://bot:s3cret@nlu/parse?key=s3cret", "store": "redis://:s3cret@db/0"}
    settings = ServerSettings(str(model), **given, actions="http://bot:s3cret@own/webhook")
    _announce(settings, "fd00::7", 5005, 1, "/conversations/default/parse")
    said = capsys.readouterr().out
    assert "s3cret" not in said
    assert "http://nlu/parse" in said
    assert "http://[fd00::7]:5005 with" in said


def test_threads_share_an_application(agent: Agent) -> None:
    app = create_app(agent)
    failed: list[object] = []

    def talk(number: int) -> None:
        client = Client(app)
        for turn in range(20):
            own = client.post(f"/conversations/{number}/parse", data=b'{"query": "/greet"}').get_json()
            shared = client.post("/conversations/all/tracker/events", data=b'{"event": "pause"}').status_code
            if (own["tracker"]["sender_id"], own["version"], shared) != (str(number), turn + 2, 200):
                failed.append(own)

    at_once(talk, range(8))
    assert failed == []
    events = Client(app).get("/conversations/all/tracker").get_json()["events"]
    assert [event["event"] for event in events] == ["action"] + ["pause"] * 160


def outcome_of(code: str, *arguments: object) -> int:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode


def test_importing_the_package_does_not_import_the_application() -> None:
    assert outcome_of("import sys, rasa_core.server; sys.exit('rasa_core.server.app' in sys.modules)") == 0


def test_serving_imports_no_machine_learning_framework(trained: Path) -> None:
    code = (
        "import sys; from rasa_core.server import create_app; create_app(sys.argv[1]).model.agent();"
        "sys.exit(', '.join({'keras', 'jax', 'torch', 'tensorflow', 'flask'} & set(sys.modules)) or 0)"
    )

    assert outcome_of(code, trained) == 0


OPENED = """
import sys
opened = []
sys.addaudithook(lambda event, found: opened.append(str(found[0])) if event == "open" else None)
from werkzeug.test import Client
from rasa_core.server import create_app
client = Client(create_app(sys.argv[1], tracker_store="memory://"))
assert client.post("/parse", data=b'{"query": "/greet"}').get_json()["next_action"] == "utter_greet"
assert client.get("/version").get_json()["core_model"]
assert [path for path in opened if path.endswith("metadata.json")]
assert not [path for path in opened if path.endswith("training_turns.npz")]
assert client.get("/conversations/default/explain").get_json()["policies"][0]["lessons"]
assert [path for path in opened if path.endswith("training_turns.npz")]
"""


def test_where_lessons_stand_is_read_when_it_is_asked_for_and_not_before(trained: Path) -> None:
    assert outcome_of(OPENED, trained) == 0


def test_application_has_the_client_that_flask_gave_it(agent: Agent) -> None:
    response = create_app(agent).test_client().post("/conversations/x/parse", data=b'{"query": "/greet"}')

    assert response.get_json()["next_action"] == "utter_greet"


def test_application_takes_what_the_tests_and_the_middleware_of_flask_programs_do_with_it(agent: Agent) -> None:
    app: Any = create_app(agent)
    seen: list[str] = []
    app.config["TESTING"] = app.testing = True
    app.config.update(JSON_SORT_KEYS=False)
    inner = app.wsgi_app

    def middleware(environ: dict[str, Any], start_response: Any) -> Any:
        seen.append(environ["PATH_INFO"])
        return inner(environ, start_response)

    app.wsgi_app = middleware

    with app.app_context(), app.test_client(use_cookies=False) as client:
        assert client.get("/version").status_code == 200
    app.logger.info("%s is tested", app.name)
    assert seen == ["/version"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (name, "Mount it below a site of your own")
        for name in ("route", "before_request", "register_blueprint", "url_map")
    ]
    + [("rout", "'ServerApp' object has no attribute 'rout'")],
)
def test_of_what_flask_had_besides_the_application_says_what_to_do(agent: Agent, name: str, told: str) -> None:
    with pytest.raises(AttributeError, match=told):
        getattr(create_app(agent), name)


def test_application_runs_by_itself(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    code = f"from server_bot import make_app; make_app().run(port='{port}', debug=False)"
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "Running on" not in process.stderr.readline():
            assert process.poll() is None
        found = []
        for host in (f"localhost:{port}", "evil.example"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/conversations", headers={"Host": host})
            found.append(connection.getresponse().status)
            connection.close()
        process.terminate()

    assert found == [200, 403]


def no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_requests_are_answered_and_logged_without_threads(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "server.log"
    app = create_app(Agent.load(trained), logfile=log)
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", no_thread)
        client = Client(app)
        answers = [client.post("/conversations/x/parse", json={"query": "/greet"}) for _ in range(3)]
        streamed = client.post("/webhooks/rest/webhook?stream=true", json={"sender": "x", "message": "/greet"})
        answers.append(streamed)

        assert [answer.status_code for answer in answers] == [200] * 4
        assert log.read_text().count("/conversations/x/parse") == 3
    assert not app.housekeeper.threads

    client.get("/version")

    assert app.housekeeper.threads  # It was tried again.
