"""endpoints.yml and credentials.yml, and the servers that they name."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rasa3_bots import say, trained, write
from thread_servers import running, silent

from rasa_core.actions.nlg import NlgServer
from rasa_core.actions.webhook import ActionServer
from rasa_core.agent import Agent
from rasa_core.exceptions import ModelError
from rasa_core.rasa3.endpoints import Endpoints, read_endpoints
from rasa_core.support.endpoint import Endpoint
from rasa_core.support.problems import told


def read(folder: Path, text: str, name: str = "endpoints.yml") -> Endpoints:
    (folder / name).write_text(text, encoding="utf-8")
    return read_endpoints(folder)


# -- where conversations are kept


@pytest.mark.parametrize(
    ("store", "url"),
    [
        ("type: in_memory", "memory://"),
        ("type: sql\n  dialect: sqlite\n  db: talks.db", "sqlite:///talks.db"),
        ("type: SQL", "sqlite:///rasa.db"),
        (
            "type: sql\n  dialect: postgresql\n  url: db.example\n  port: 5433\n  db: talks\n  username: anna\n"
            "  password: p@ss/w",
            "postgresql://anna:p%40ss%2Fw@db.example:5433/talks",
        ),
        ("type: sql\n  dialect: mysql+pymysql\n  url: db.example", "mysql://db.example/rasa"),
        (
            "type: sql\n  dialect: postgresql\n  query: {sslmode: require}",
            "postgresql://localhost/rasa?sslmode=require",
        ),
        ("type: sql\n  url: postgresql+psycopg2://anna:s@db.example/talks", "postgresql://anna:s@db.example/talks"),
        ("type: redis", "redis://localhost:6379/0"),
        ("store_type: redis\n  type: sql", "redis://localhost:6379/0"),
        (
            "type: redis\n  url: r.example\n  port: 6380\n  db: 2\n  password: x:y\n  use_ssl: true\n  key_prefix: bot",
            "rediss://:x%3Ay@r.example:6380/2?key_prefix=bot",
        ),
    ],
)
def test_a_tracker_store_is_kept(tmp_path: Path, store: str, url: str) -> None:
    assert read(tmp_path, f"tracker_store:\n  {store}\n").store == url


def test_variables_of_the_environment_are_filled_in_and_have_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "tracker_store:\n  type: redis\n  password: ${REDIS_SECRET}\n"
    monkeypatch.delenv("REDIS_SECRET", raising=False)
    with pytest.raises(ModelError, match=r"endpoints\.yml:3: the environment has no variable REDIS_SECRET"):
        read(tmp_path, text)
    monkeypatch.setenv("REDIS_SECRET", "s#t")

    assert read(tmp_path, text).store == "redis://:s%23t@localhost:6379/0"


@pytest.mark.parametrize("kind", ["mongod", "dynamo", "mine.Store"])
def test_a_store_that_is_not_here_is_told_and_left_out(tmp_path: Path, kind: str) -> None:
    found = read(tmp_path, f"tracker_store:\n  type: {kind}\n  url: mongodb://x\n")

    assert found.store is None
    assert f"endpoints.yml:2: tracker_store {kind}: left out" in "".join(told(found.notes))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tracker_store: {type: rediss}", "no tracker_store of type 'rediss'. Did you mean 'redis'"),
        ("tracker_store: {type: sql, dialect: oracle}", "cannot be kept in dialect: oracle"),
        ("tracker_store: {type: sql, url: 'oracle://x/y'}", "cannot be kept in dialect: oracle"),
        ("tracker_store: redis", "is a mapping with type:"),
        ("action_endpoint: {url: localhost:5055}", "its url: begins with http:// or https://, such as"),
        ("action_endpoint: {url: 'http://['}", "its url: has a host, and a port up to 65535 if any, as http://"),
        ("nlg: {url: 'http://localhost:port/nlg'}", "as http://localhost:5055/webhook has; not"),
        ("action_endpoint: {ulr: localhost:5055}", "it has no url:. Is it meant by 'ulr'"),
        ("action_endpoint: {}", "it has no url:. Write below it a line url: http://"),
        (
            "nlg: http://x",
            "write below it a line url: http://localhost:5055/webhook, with the address of yours, and not 'http://x'",
        ),
        ("nlg: {url: 'http://x', headers: [a]}", "headers: of nlg: is a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_what_cannot_be_is_an_error_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ModelError, match=re.escape(words)) as caught:
        read(tmp_path, text)

    assert "endpoints.yml:" in str(caught.value)


def test_a_file_of_rasa_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rasa.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (id INTEGER, sender_id TEXT, type_name TEXT, intent_name TEXT)")
    connection.close()

    found = read(tmp_path, f"tracker_store: {{type: sql, db: '{path}'}}")

    assert found.store == f"sqlite:///{tmp_path / 'rasa.rasa_core.db'}"


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    read(tmp_path, "rest:\nslack: {slack_token: x}\nrasa: {url: x}\n", "credentials.yml")
    text = "lock_store: {type: redis}\nevent_broker: {type: pika}\nmodels: {url: x}\ntracker_stor: {type: redis}\n"
    lines = told(read(tmp_path, text).notes)

    told_of = [re.search(r"\.yml:\d+: ([^:]+): (left out|not needed)", line) for line in lines]
    assert [found and found.groups() for found in told_of] == [
        *(("lock_store", "not needed"), ("event_broker", "left out"), ("models", "left out")),
        *(("tracker_stor", "left out"), ("channel slack", "left out"), ("channel rasa", "not needed")),
    ]
    assert "Did you mean 'tracker_store'?" in lines[3]


# -- servers


class Server(ThreadingHTTPServer):
    """Answers each path and method as `answers` says: status, headers and content."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[tuple[str, str], tuple[int, dict[str, str], Any]] = {}
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    log_message = silent
    server: Server

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
        status, headers, content = self.server.answers[self.command, self.path.partition("?")[0]]
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(sent))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)


@contextmanager
def serving() -> Iterator[Server]:
    with running(server := Server()):
        yield server


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.mark.parametrize(("status", "method"), [(307, "POST"), (308, "POST"), (301, "GET"), (302, "GET"), (303, "GET")])
def test_a_redirect_is_followed_as_its_status_says(server: Server, status: int, method: str) -> None:
    server.answers["POST", "/old"] = status, {"Location": "/new?x=1"}, {}
    server.answers[method, "/new"] = 200, {}, {"events": []}

    answer = Endpoint(f"{server.url}/old?token=s", 2.0, {"X-Own": "1"}).post({"a": 1}, {"Idempotency-Key": "k"})

    assert answer.status == 200
    asked, path, headers, body = server.asked[1]
    assert (asked, body) == (method, {"a": 1} if method == "POST" else None)
    assert sorted(path.partition("?")[2].split("&")) == ["token=s", "x=1"]
    assert (headers["Idempotency-Key"], headers["X-Own"]) == ("k", "1")


def test_secrets_do_not_follow_to_another_server(server: Server) -> None:
    with serving() as other:
        server.answers["POST", "/old"] = 307, {"Location": f"{other.url}/new"}, {}
        other.answers["POST", "/new"] = 200, {}, {}
        Endpoint(f"{server.url}/old?token=s", 2.0, {"Authorization": "Bearer s"}).post({"a": 1})

        _, path, headers, body = other.asked[0]
    assert (path, body) == ("/new", {"a": 1})
    assert "Authorization" not in headers


def test_a_circle_of_redirects_ends(server: Server) -> None:
    server.answers["POST", "/old"] = 307, {"Location": "/old"}, {}

    assert Endpoint(f"{server.url}/old", 2.0).post({}).status == 307


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        *(({"timeout": wrong}, "timeout: .* above 0, not") for wrong in ([5], "5 s", -1, True, float("nan"), 10**400)),
        ({"headers": "a"}, "headers: .* is a mapping of names to values, not 'a'"),
        ({"basic_auth": ["a", "b"]}, "basic_auth: .* is a mapping"),
        ({"params": 1.5}, "params: .* is a mapping"),
    ],
)
def test_what_cannot_be_said_of_a_server_is_refused_when_it_is_said(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Endpoint.from_config({"url": "http://localhost", **given}, 1.0)


@pytest.mark.parametrize("location", ["http://host:99999/", "http://host:port/", "http://[::1/", "mailto:a@b"])
def test_a_redirect_that_leads_to_no_server_is_an_answer(server: Server, location: str) -> None:
    server.answers["POST", "/old"] = 307, {"Location": location}, {}

    assert Endpoint(f"{server.url}/old", 2.0).post({}).status == 307


def test_an_action_server_has_what_endpoints_say(server: Server) -> None:
    given = {
        **{"url": f"{server.url}/webhook", "token": "t", "basic_auth": {"username": "u", "password": "p"}},
        **{"tracker_events": "all", "enable_selective_domain": True, "timeout": 7},
    }
    made = ActionServer.from_config(given)
    server.answers["POST", "/webhook"] = 200, {}, {}
    made._endpoint.post({})

    assert (made.most_events, made.sends_domain, made.timeout) == (None, False, 7.0)
    assert server.asked[0][1] == "/webhook?token=t"
    assert server.asked[0][2]["Authorization"] == "Basic dTpw"
    with pytest.raises(ValueError, match="tracker_events: is all, or a number of events, not 'most'"):
        ActionServer.from_config({**given, "tracker_events": "most"})


# -- an NLG server

TALK = {
    "domain": """
        version: "3.1"
        intents: [a, b]
        entities: [x]
        actions: [action_own, action_big: {send_domain: true}]
        slots:
          x: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}
        responses:
          utter_a: [{text: "local {x}", id: first}]
        """,
    "data__rules": """
        rules:
        - rule: a
          steps: [{intent: a}, {action: utter_a}]
        - rule: b
          steps: [{intent: b}, {action: action_own}, {action: action_big}]
        """,
}


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("talk"), **TALK)
    trained(folder).persist(folder / "model")
    return folder / "model"


def test_an_nlg_server_words_responses(talk: Path, server: Server) -> None:
    server.answers["POST", "/nlg"] = 200, {}, {"text": "remote", "buttons": [{"title": "b", "payload": "/b"}]}
    agent = Agent.load(talk, nlg=f"{server.url}/nlg")

    assert say(agent, '/a{"x": "1"}') == ["remote"]

    body = server.asked[0][3]
    assert body.keys() == {"response", "id", "arguments", "tracker", "channel"}
    assert (body["response"], body["id"], body["arguments"]) == ("utter_a", "first", {})
    assert body["channel"] == {"name": "collector"}
    assert body["tracker"]["slots"]["x"] == "1"
    assert body["tracker"]["events"][-1]["event"] == "slot" or body["tracker"]["events"]
    said = [event for event in agent.read_tracker("ada").events if event.type_name == "bot"]
    assert said[0].as_dict()["metadata"] == {"utter_action": "utter_a"}


NO_RESPONSES: list[dict[str, Any]] = [
    {"text": None},
    {"text": 5},
    {"text": "a", "buttons": ["b"]},
    {"text": "a", "elements": {"title": "b"}},
    {"text": "a", "image": 5},
    {"text": "a", "attachment": "a.png"},
    {"custom": None},
    {"custom": [1]},
    {"text": "a", "id": 5},
]


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, {"error": "no"}),
        (200, {}, b"<html>"),
        (200, {}, [1]),
        None,
        *((200, {}, answer) for answer in NO_RESPONSES),
    ],
    ids=str,
)
def test_where_it_fails_the_action_fails(
    talk: Path, server: Server, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    server.answers["POST", "/nlg"] = answer
    if answer is None:
        server.shutdown()
        server.server_close()
    agent = Agent.load(talk, nlg=NlgServer({"url": f"{server.url}/nlg", "timeout": 1}))

    with caplog.at_level(logging.WARNING, "rasa_core"):
        assert say(agent, '/a{"x": "1"}') == []
    assert "the NLG server http://127.0.0.1" in caplog.text
    (action,) = (event for event in agent.read_tracker("ada").events if getattr(event, "error", None))
    assert action.as_dict()["name"] == "utter_a"
    assert agent.start_message_handling('/a{"x": "1"}', "bob")["next_action"] == "utter_a"


def test_an_nlg_server_may_have_nothing_to_say(talk: Path, server: Server) -> None:
    server.answers["POST", "/nlg"] = 200, {}, None
    agent = Agent.load(talk, nlg=f"{server.url}/nlg")

    assert say(agent, '/a{"x": "1"}') == []
    assert not [event for event in agent.read_tracker("ada").events if getattr(event, "error", None)]


def test_of_an_empty_response_an_action_server_says_nothing(talk: Path, server: Server) -> None:
    server.answers["POST", "/nlg"] = 200, {}, {}
    server.answers["POST", "/webhook"] = 200, {}, {"responses": [{"response": "utter_a", "text": "own"}]}
    agent = Agent.load(talk, nlg=f"{server.url}/nlg", actions=f"{server.url}/webhook")

    assert say(agent, "/b") == []
    assert not [event for event in agent.read_tracker("ada").events if event.type_name == "bot"]


def test_what_an_action_server_names_is_worded_too_and_the_domain_is_sent_where_it_is_wanted(
    talk: Path, server: Server
) -> None:
    server.answers["POST", "/nlg"] = 200, {}, {"text": "remote"}
    server.answers["POST", "/webhook"] = 200, {}, {"responses": [{"response": "utter_a", "mood": "wet"}]}
    actions = {"url": f"{server.url}/webhook", "enable_selective_domain": True}
    agent = Agent.load(talk, nlg=f"{server.url}/nlg", actions=actions)

    assert say(agent, "/b") == ["remote", "remote"]

    bodies = [body for _, path, _, body in server.asked if path == "/webhook"]
    assert [(body["next_action"], "domain" in body) for body in bodies] == [
        ("action_own", False),
        ("action_big", True),
    ]
    worded = next(body for _, path, _, body in server.asked if path == "/nlg")
    assert worded["arguments"] == {"mood": "wet"}


def test_no_error_names_the_password_of_an_address() -> None:
    assert Endpoint("http://bot:s3cret@own:5055/webhook?token=s3cret", 1.0).place == "http://own:5055/webhook"


def test_what_stands_beside_the_name_of_a_response_is_said_with_it(talk: Path, server: Server) -> None:
    beside = {"buttons": [{"title": "b", "payload": "/b"}], "image": None, "custom": {}, "text": None}
    server.answers["POST", "/webhook"] = 200, {}, {"events": [], "responses": [{"response": "utter_a", **beside}]}
    agent = Agent.load(talk, actions=f"{server.url}/webhook")

    say(agent, '/b{"x": "1"}')

    said = next(event for event in agent.read_tracker("ada").events if event.type_name == "bot").as_dict()
    assert said["text"]
    assert said["data"] == {"buttons": beside["buttons"]}


FORM = {
    "domain": """
        version: "3.1"
        intents: [go]
        slots:
          s: {type: text, influence_conversation: false, mappings: [{type: custom, action: action_s}]}
        forms: {f: {required_slots: [s]}}
        responses: {utter_ask_s: [{text: S?}]}
        actions: [validate_f, action_s]
        """,
    "data__rules": "rules: [{rule: go, steps: [{intent: go}, {action: f}, {active_loop: f}]}]",
}


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("form"), **FORM)
    trained(folder).persist(folder / "model")
    return folder / "model"


@pytest.mark.parametrize(
    ("event", "said", "logged"),
    [
        # Two ends, since the validation and the form each log one; without a rule for it, the fallback comes.
        ({"event": "active_loop", "name": None}, [], ["f", "action_default_fallback", "action_listen"]),
        ({"event": "action_execution_rejected", "name": "f"}, ["S?"], ["action_default_fallback", "action_listen"]),
        ({"event": "pause"}, ["S?"], ["f"]),
    ],
)
def test_a_validation_ends_a_form_or_rejects_it_by_an_event(
    form: Path, server: Server, event: dict[str, Any], said: list[str], logged: list[str]
) -> None:
    server.answers["POST", "/webhook"] = 200, {}, {"events": [event], "responses": []}
    agent = Agent.load(form, actions=f"{server.url}/webhook")

    assert say(agent, "/go") == said

    events = list(agent.read_tracker("ada").events)
    after = events[next(number for number, one in enumerate(events) if one.type_name == "user") :]
    assert [one.as_dict()["name"] for one in after if one.type_name == "action"] == logged
    # The action of the mapping ran before it, and may only set slots.
    assert after[1].type_name in ("user_featurization", "active_loop")
    assert getattr(after[1], "loop_name", "f") == "f"
