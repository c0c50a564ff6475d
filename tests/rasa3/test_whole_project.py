"""A project of 30 intents, 40 rules, 20 stories, 3 forms and an action server, from its files to a killed server."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from launched_command import Launched
from sdk_server import sdk_server
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.commands.check import command as check
from rasa_core.commands.evaluate import command as evaluate
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


@pytest.fixture(scope="module")
def hotel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the action server keeps its orders."""
    return tmp_path_factory.mktemp("hotel")


@pytest.fixture(scope="module")
def actions(hotel: Path) -> Iterator[str]:
    with sdk_server(Path(__file__).with_name("hotel_actions.py"), HOTEL=str(hotel)) as url:
        yield url


@pytest.fixture
def orders(hotel: Path) -> Path:
    """Return where orders are written, when there is none yet."""
    (hotel / "orders.txt").unlink(missing_ok=True)
    return hotel / "orders.txt"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    said: list[str] = []
    project = Project(folder)
    project.train_if_changed(nlu=False, say=said.append)
    assert any("20 stories and 40 rules" in line for line in said)
    return project


def opened(project: Project, store: Path, actions: str | None = None) -> Client:
    """Return a client of a server that has just started."""
    kept = SqliteTrackerStore(path=store)
    return Client(create_app(Agent.load(project.model, tracker_store=kept, actions=actions)))


def say(client: Client, *texts: str) -> list[str]:
    said: list[str] = []
    for text in texts:
        answer = client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": text})
        said = [message["text"] for message in answer.get_json()]
    return said


def test_the_project_has_no_mistakes(project: Project) -> None:
    found = CliRunner().invoke(check, [str(project.folder)])
    assert found.exit_code == 0, found.output


def test_its_test_stories_come_true(project: Project, tmp_path: Path) -> None:
    options = ["--format", "json", "--fail-under-stories", "1", "--failed", str(tmp_path / "failed.yml")]
    found = CliRunner().invoke(evaluate, [str(project.folder), *options])
    assert found.exit_code == 0, found.output
    report = json.loads(found.stdout)
    assert (report["stories_right"], report["steps_right"], report["steps"]) == (10, 60, 60)


def test_rules_say_what_slots_decide(project: Project, tmp_path: Path) -> None:
    client = opened(project, tmp_path / "c.db")
    assert say(client, "/more_3") == ["About more_3."]
    assert say(client, '/more_3{"tier": "gold"}') == ["Golden more_3."]


def test_a_form_goes_on_after_a_restart_of_the_server(
    project: Project, tmp_path: Path, actions: str, orders: Path
) -> None:
    first = opened(project, tmp_path / "c.db", actions)
    assert say(first, "/book_hotel", '/inform{"name_hotel": "ritz"}') == ["Which count_hotel?"]

    second = opened(project, tmp_path / "c.db", actions)
    assert say(second, "/chat") == ["Yes.", "Which count_hotel?"]
    assert say(second, '/inform{"count_hotel": "2"}') == ["RITZ for 2, order 1."]
    assert say(second, "/book_taxi", "/stop") == ["Stopped."]


def test_nothing_is_lost_or_doubled_by_a_kill_during_an_action(
    project: Project, tmp_path: Path, actions: str, orders: Path
) -> None:
    last = ("ada", '/inform{"name_taxi": "cab", "count_taxi": "3"}', "second")
    options = (project.model, "--store", f"sqlite:///{tmp_path / 'c.db'}", "--actions", actions)

    def in_vain(server: Launched) -> None:
        with suppress(OSError):
            server.say(*last)

    with socket.create_server(("127.0.0.1", 0)) as gate, Launched(*options) as server:
        gate.settimeout(60)
        assert server.say("ada", "/book_taxi", "first") == ["Which name_taxi?"]
        orders.with_name("gate").write_text(str(gate.getsockname()[1]), encoding="utf-8")
        talking = threading.Thread(target=in_vain, args=[server])
        talking.start()
        with gate.accept()[0]:
            server.kill()
            talking.join(10)

    with Launched(*options) as server:
        assert server.say(*last) == ["cab for 3, order 1."]
        assert server.say(*last) == ["cab for 3, order 1."]
    called = orders.read_text(encoding="utf-8").splitlines()
    assert (len(called), len(set(called))) == (2, 1)
    store = SqliteTrackerStore(path=tmp_path / "c.db")
    tracker = Agent.load(project.model, tracker_store=store).read_tracker("ada")
    kinds = [event.type_name for event in tracker.events]
    assert (kinds.count("user"), kinds.count("active_loop"), kinds.count("bot")) == (2, 2, 2)
    done = [event.as_dict()["name"] for event in tracker.events if event.type_name == "action"]
    assert done[-4:] == ["action_listen", "taxi_form", "action_submit_taxi", "action_listen"]
