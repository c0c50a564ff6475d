"""Health, readiness and metrics."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from launched_command import Launched
from server_bot import make_agent
from small_disk import SmallDisk
from werkzeug.test import Client

from rasa_core.actions import Action
from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.exceptions import StoreUnavailableError
from rasa_core.policies import FallbackPolicy
from rasa_core.server import create_app, metrics

HEADERS = {"Authorization": "Bearer s3cret"}


class ActionBroken(Action):
    """Fails."""

    def name(self) -> str:
        return "action_broken"

    def run(self, dispatcher: object, tracker: object, domain: object) -> list[object]:
        raise RuntimeError("no network")


def value(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} ([0-9.e+-]+)$", text, re.MULTILINE)
    assert found, f"{name} is not in:\n{text}"
    return float(found[1])


def test_a_server_with_a_model_is_alive_and_ready(client: Client) -> None:
    assert client.get("/health").json == {"status": "ok"}
    assert client.get("/ready").json == {"status": "ready"}
    assert client.head("/ready").status_code == 200


def test_a_server_without_a_model_is_alive_but_not_ready(tmp_path: Path) -> None:
    client = Client(create_app(tmp_path / "none", tracker_store="memory://", auth_token="s3cret"))
    answer = client.get("/ready")

    assert client.get("/health").status_code == 200
    assert answer.status_code == 503
    assert "there is no model at" in answer.json["reason"]
    assert str(tmp_path) not in answer.json["reason"]


def test_a_store_that_does_not_answer_makes_a_server_unready(
    agent: Agent, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> list[str]:
        raise StoreUnavailableError("cannot reach db.example.org:5432 as anna")

    monkeypatch.setattr(agent.tracker_store, "sender_ids", fail)
    answer = client.get("/ready")

    assert answer.status_code == 503
    assert "cannot be reached" in answer.json["reason"]
    assert "example.org" not in answer.json["reason"]


def test_probes_need_no_token_and_no_name_but_metrics_do(client_with: Callable[..., Client]) -> None:
    guarded = client_with(auth_token="s3cret")
    assert [guarded.get(path).status_code for path in ("/health", "/ready", "/metrics")] == [200, 200, 401]
    assert guarded.get("/metrics", headers=HEADERS).status_code == 200
    named = client_with(allowed_hosts="bot.example.org")
    other = "http://10.1.2.3"
    assert [named.get(path, base_url=other).status_code for path in ("/health", "/ready", "/metrics")] == [
        200,
        200,
        403,
    ]


def test_metrics_count_requests_turns_and_predictions(client: Client) -> None:
    for sender_id in ("ada", "bob"):
        client.post(f"/conversations/{sender_id}/parse", json={"query": "/greet"})
        client.post(f"/conversations/{sender_id}/continue", json={"executed_action": "utter_greet", "events": []})
    client.get("/no/such/path/ada")
    client.post("/conversations/ada/parse", data="no JSON")
    answer = client.get("/metrics")
    text = answer.get_data(as_text=True)

    assert answer.content_type.startswith("text/plain")
    assert value(text, 'rasa_core_requests_total{method="POST",route="/parse",status="200"}') == 2
    assert value(text, 'rasa_core_requests_total{method="POST",route="/parse",status="400"}') == 1
    assert value(text, 'rasa_core_requests_total{method="other",route="other",status="404"}') == 1
    assert value(text, 'rasa_core_request_seconds_count{route="/parse"}') == 3
    assert value(text, 'rasa_core_request_seconds_bucket{le="+Inf",route="/parse"}') == 3
    assert value(text, "rasa_core_turns_total") == 2
    assert value(text, 'rasa_core_predictions_total{policy="AnswersByIntent"}') == 4  # And each time to listen.
    assert value(text, "rasa_core_store_seconds_count") == 4
    assert re.search(r'^rasa_core_info\{model="[^"]*",nlu_model="[^"]*",version="[^"]+"\} 1.0$', text, re.MULTILINE)
    assert "ada" not in text


def test_metrics_count_fallbacks_and_failed_actions() -> None:
    actions = f"actions: [{__name__}.ActionBroken, utter_default]"
    domain = Domain.from_yaml(f"intents: [x]\n{actions}\ntemplates: {{utter_default: [{{text: sorry}}]}}")
    agent = Agent(domain, [FallbackPolicy(fallback_action_name="utter_default", nlu_threshold=0.5)])
    client = Client(create_app(agent))
    client.post("/conversations/ada/respond", json={"query": "/x"})
    with agent.tracker_store.conversation("ada") as conversation:
        agent.processor.run_action("action_broken", conversation.tracker, agent.processor.dispatcher_for(_message()))
        conversation.commit()
    text = client.get("/metrics").get_data(as_text=True)

    assert value(text, "rasa_core_fallbacks_total") >= 1
    assert value(text, "rasa_core_failed_actions_total") == 1


def _message() -> object:
    from rasa_core.channels import UserMessage

    return UserMessage("x", None, "ada")


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    client = Client(create_app(make_agent()))
    answer = client.get("/metrics")

    assert answer.status_code == 501
    assert "pip install prometheus_client" in answer.json["error"]
    assert client.post("/conversations/ada/parse", json={"query": "/greet"}).status_code == 200


def test_policies_beyond_the_most_are_one_label() -> None:
    counted = metrics.Metrics()
    labels = {counted._label(f"Policy{number}") for number in range(200)}
    assert len(labels) == 51
    assert counted._label("Policy0") == "Policy0"


def test_sums_of_processes_are_added_up(tmp_path: Path) -> None:
    agent = make_agent()
    first, second = (Client(create_app(agent, metrics=tmp_path)) for _ in range(2))
    for client in (first, second, second):
        client.get("/version")
    for client in (first, second):
        text = client.get("/metrics").get_data(as_text=True)
        assert value(text, 'rasa_core_requests_total{method="GET",route="/version",status="200"}') == 3


def test_sums_are_written_where_no_thread_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = metrics.Metrics(tmp_path)
    with monkeypatch.context() as limited:
        limited.setattr(metrics, "started", lambda work, name: None)
        counted = metrics.Metrics(tmp_path)
        for number in range(1, 3):
            counted.request("/parse", "POST", 200, 0.01)
            assert f'route="/parse",status="200"}} {number}.0'.encode() in other.as_text({})[0]

    counted.request("/parse", "POST", 200, 0.01)
    counted.request("/parse", "POST", 200, 0.01)

    assert any(thread.name == "metrics" for thread in threading.enumerate())  # It was tried again.
    assert b'route="/parse",status="200"} 4.0' in other.as_text({})[0]


def test_sums_are_written_when_there_is_room_again(
    small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics.Metrics, "_write_regularly", lambda self: None)
    counted = metrics.Metrics(small_disk.path)
    counted.request("/parse", "POST", 200, 0.01)
    small_disk.fill()
    assert [counted.write_if_changed(), counted.write_if_changed(was_behind=True)] == [True, True]
    assert [path.name for path in small_disk.path.iterdir()] == ["fill"]
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"metrics cannot be written into {small_disk.path}, and stay behind until they can: "
        "[Errno 28] No space left on device"
    ]
    small_disk.empty()
    assert not counted.write_if_changed(was_behind=True)
    assert b'rasa_core_requests_total{method="POST",route="/parse",status="200"} 1.0' in counted.as_text({})[0]


def test_sums_of_all_workers_are_told_by_each(trained: Path) -> None:
    with Launched(trained, "--store", f"sqlite:///{trained}.db", "--workers", "2") as server:
        for number in range(20):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.request("POST", f"/conversations/c{number}/parse", b'{"query": "/greet"}')
            assert connection.getresponse().status == 200
            connection.close()
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
            assert value(text, "rasa_core_turns_total") == 20
            assert value(text, 'rasa_core_requests_total{method="POST",route="/parse",status="200"}') == 20
