"""A project of 30 intents, 40 rules, 20 stories, 3 forms and an action server, from its files to a killed server."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.commands.check import command as check
from rasa_core.project import Project
from rasa_core.server import create_app
from rasa_core.tracker_store.sqlite import SqliteTrackerStore

FORMS = ("hotel", "table", "taxi")
ASKED = [f"ask_{number}" for number in range(16)]
MORE = [f"more_{number}" for number in range(8)]
INTENTS = [*(f"book_{form}" for form in FORMS), "inform", "stop", "chat", *ASKED, *MORE]


def slot(entity: str) -> dict[str, Any]:
    mapping = {"type": "from_entity", "entity": entity}
    return {"type": "text", "influence_conversation": False, "mappings": [mapping]}


def domain() -> dict[str, Any]:
    slots = {f"{what}_{form}": slot(f"{what}_{form}") for form in FORMS for what in ("name", "count")}
    texts = {
        **{f"utter_ask_{name}": f"Which {name}?" for name in slots},
        **{f"utter_{name}": f"About {name}." for name in (*ASKED, *MORE)},
        **{f"utter_gold_{name}": f"Golden {name}." for name in MORE},
        "utter_chat": "Yes.", "utter_stopped": "Stopped.",
    }  # fmt: skip
    gold = {**slot("tier"), "influence_conversation": True}
    return {
        "version": "3.1",
        "intents": INTENTS,
        "entities": [*slots, "tier"],
        "slots": {**slots, "tier": gold, "orders": {"type": "any", "mappings": [{"type": "custom"}]}},
        "forms": {f"{form}_form": {"required_slots": [f"name_{form}", f"count_{form}"]} for form in FORMS},
        "responses": {name: [{"text": text}] for name, text in texts.items()},
        "actions": ["validate_hotel_form", *(f"action_submit_{form}" for form in FORMS)],
        "session_config": {"session_expiration_time": 60, "carry_over_slots_to_new_session": True},
    }


def turn(intent: str, *actions: str) -> list[dict[str, str]]:
    return [{"intent": intent}, *({"action": action} for action in actions)]


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"rule": name, "steps": turn(name, f"utter_{name}")} for name in ASKED]
    for name in MORE:
        for title, held, said in ((name, None, f"utter_{name}"), (f"{name} gold", "gold", f"utter_gold_{name}")):
            found.append({
                "rule": title, "condition": [{"slot_was_set": [{"tier": held}]}], "steps": turn(name, said),
            })  # fmt: skip
    for form in FORMS:
        begin = [*turn(f"book_{form}", f"{form}_form"), {"active_loop": f"{form}_form"}]
        end = [{"action": f"{form}_form"}, {"active_loop": None}, {"action": f"action_submit_{form}"}]
        found.append({"rule": f"begin {form}", "steps": begin})
        found.append({"rule": f"end {form}", "condition": [{"active_loop": f"{form}_form"}], "steps": end})
    found.append({"rule": "chat", "steps": turn("chat", "utter_chat")})
    stop = [*turn("stop", "action_deactivate_loop"), {"active_loop": None}, {"action": "utter_stopped"}]
    return [*found, {"rule": "stop", "steps": stop}]


def stories(seed: int, count: int) -> list[dict[str, Any]]:
    choice = random.Random(seed)
    picked = [choice.sample([*ASKED, "chat"], 3) for _ in range(count)]
    return [
        {"story": f"story {number}", "steps": [step for name in names for step in turn(name, f"utter_{name}")]}
        for number, names in enumerate(picked)
    ]


def write_project(folder: Path) -> None:
    examples = [{"intent": name, "examples": f"- please {name}\n- I want {name}\n"} for name in INTENTS]
    files: dict[str, Any] = {
        "domain.yml": domain(),
        "config.yml": {"recipe": "default.v1", "policies": [{"name": "MemoizationPolicy"}, {"name": "RulePolicy"}]},
        "credentials.yml": {"rest": None},
        "endpoints.yml": {"action_endpoint": {"url": "http://localhost:5055/webhook"}},
        "data/nlu.yml": {"version": "3.1", "nlu": examples},
        "data/rules.yml": {"version": "3.1", "rules": rules()},
        "data/stories.yml": {"version": "3.1", "stories": stories(1, 20)},
        "tests/test_stories.yml": {"stories": stories(2, 10)},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


class _Actions(BaseHTTPRequestHandler):
    server: ActionServerHere

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, slots = asked["next_action"], asked["tracker"]["slots"]
        answer: dict[str, Any] = {"events": [], "responses": []}
        if name.startswith("validate_"):
            events = takewhile(lambda event: event["event"] != "user", reversed(asked["tracker"]["events"]))
            if any(event.get("name") == "name_hotel" for event in events):
                answer["events"] = [{"event": "slot", "name": "name_hotel", "value": slots["name_hotel"].upper()}]
        else:
            form = name.rpartition("_")[2]
            self.server.keys.append(self.headers["Idempotency-Key"])
            if self.server.blocks and len(self.server.keys) == 1:
                self.server.called.set()
                self.server.killed.wait(60)
            done = len(set(self.server.keys))
            answer["events"] = [{"event": "slot", "name": "orders", "value": done}]
            answer["responses"] = [{"text": f"{slots[f'name_{form}']} for {slots[f'count_{form}']}, order {done}."}]
        body = json.dumps(answer).encode()
        with suppress(OSError):  # Nobody is there any more to read the first answer.
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


class ActionServerHere(ThreadingHTTPServer):
    """Takes an order for each key; if it blocks, the first is answered only once its caller was killed."""

    blocks = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Actions)
        self.keys: list[str] = []
        self.called, self.killed = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/webhook"


@pytest.fixture
def actions() -> Iterator[ActionServerHere]:
    with ActionServerHere() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.killed.set()
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    said: list[str] = []
    project = Project(folder)
    project.train_if_changed(nlu=False, say=said.append)
    assert any("20 stories and 40 rules" in line for line in said)
    return project


def opened(project: Project, store: Path, actions: ActionServerHere) -> Client:
    """Return a client of a server that has just started."""
    kept = SqliteTrackerStore(path=store)
    return Client(create_app(Agent.load(project.model, tracker_store=kept, actions=actions.url)))


def say(client: Client, *texts: str) -> list[str]:
    said: list[str] = []
    for text in texts:
        answer = client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": text})
        said = [message["text"] for message in answer.get_json()]
    return said


def test_the_project_has_no_mistakes(project: Project) -> None:
    found = CliRunner().invoke(check, [str(project.folder)])
    assert found.exit_code == 0, found.output


def test_its_test_stories_come_true(project: Project, tmp_path: Path, actions: ActionServerHere) -> None:
    told = yaml.safe_load((project.folder / "tests" / "test_stories.yml").read_text(encoding="utf-8"))["stories"]
    client = opened(project, tmp_path / "c.db", actions)
    for story in told:
        for asked, done in zip(story["steps"][::2], story["steps"][1::2], strict=True):
            expected = domain()["responses"][done["action"]][0]["text"]
            assert say(client, f"/{asked['intent']}") == [expected], story["story"]
    assert say(client, '/more_3{"tier": "gold"}') == ["Golden more_3."]


def test_a_form_goes_on_after_a_restart_of_the_server(
    project: Project, tmp_path: Path, actions: ActionServerHere
) -> None:
    first = opened(project, tmp_path / "c.db", actions)
    assert say(first, "/book_hotel", '/inform{"name_hotel": "ritz"}') == ["Which count_hotel?"]

    second = opened(project, tmp_path / "c.db", actions)
    assert say(second, "/chat") == ["Yes.", "Which count_hotel?"]
    assert say(second, '/inform{"count_hotel": "2"}') == ["RITZ for 2, order 1."]
    assert say(second, "/book_taxi", "/stop") == ["Stopped."]


def start(project: Project, store: Path, actions: str) -> tuple[subprocess.Popen[bytes], int]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = int(found.getsockname()[1])
    command = [
        sys.executable, "-m", "rasa_core.server", "-d", str(project.model), "-p", str(port), "-o", "",
        "--store", f"sqlite:///{store}", "--actions", actions,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return process, port
    pytest.fail("the server does not listen")


def post(port: int, text: str, key: str) -> Any:
    body = json.dumps({"sender": "ada", "message": text}).encode()
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/webhooks/rest/webhook", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [message["text"] for message in json.load(answer)]


def test_nothing_is_lost_or_doubled_by_a_kill_during_an_action(
    project: Project, tmp_path: Path, actions: ActionServerHere
) -> None:
    actions.blocks, store = True, tmp_path / "c.db"
    last = ('/inform{"name_taxi": "cab", "count_taxi": "3"}', "second")

    def in_vain() -> None:
        with suppress(OSError):
            post(port, *last)

    process, port = start(project, store, actions.url)
    assert post(port, "/book_taxi", "first") == ["Which name_taxi?"]
    talking = threading.Thread(target=in_vain)
    talking.start()
    assert actions.called.wait(60)
    subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=True)  # The main process, and its workers.
    process.wait(10)
    talking.join(10)
    actions.killed.set()

    process, port = start(project, store, actions.url)
    assert post(port, *last) == ["cab for 3, order 1."]
    assert post(port, *last) == ["cab for 3, order 1."]
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    assert (len(actions.keys), len(set(actions.keys))) == (2, 1)
    tracker = Agent.load(project.model, tracker_store=SqliteTrackerStore(path=store)).read_tracker("ada")
    kinds = [event.type_name for event in tracker.events]
    assert (kinds.count("user"), kinds.count("active_loop"), kinds.count("bot")) == (2, 2, 2)
    done = [event.as_dict()["name"] for event in tracker.events if event.type_name == "action"]
    assert done[-4:] == ["action_listen", "taxi_form", "action_submit_taxi", "action_listen"]
