"""Training, choosing and testing the models of a project over HTTP, as clients of Rasa do."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import SimpleQueue
from textwrap import dedent
from typing import Any

import pytest
from rasa3_bots import HOTEL, write
from werkzeug.test import Client, TestResponse

from rasa_core.agent import Agent
from rasa_core.project import Project
from rasa_core.server import bot_job, create_app
from rasa_core.server.jobs import locked

TOKEN = "t"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
RULES_ALONE = "policies:\n- name: RulePolicy\n"
BOT = RULES_ALONE + dedent(HOTEL["domain"]) + dedent(HOTEL["data__rules"]).replace('version: "3.1"\n', "")
"""A bot in one document."""
TESTS = """
stories:
- story: chats
  steps: [{intent: chat}, {action: utter_chat}]
- story: chats otherwise
  steps: [{intent: chat}, {action: utter_submit}]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained project."""
    folder = write(tmp_path_factory.mktemp("project"), **{**HOTEL, "config": RULES_ALONE})
    Project(folder).train_if_changed(say=lambda line: None)
    return folder


@pytest.fixture
def project(trained: Path) -> Iterator[Path]:
    versions = Project(trained).models.versions
    current = str(versions.current)
    yield trained
    versions.use(current)
    assert list((trained / "models").glob(".new-*")) == []


def client_of(project: Path, **options: Any) -> Client:
    given = {"enable_load": True, "enable_train": project / "nlu", "auth_token": TOKEN, "tracker_store": "memory://"}
    return Client(create_app(project / "models" / "dialogue", **{**given, **options}))


@pytest.fixture
def client(project: Path) -> Client:
    return client_of(project)


def post(client: Client, path: str, body: str | bytes, status: int = 200) -> TestResponse:
    response = client.post(path, data=body, headers=BEARER)
    assert response.status_code == status, response.text
    return response


def choose(client: Client, status: int = 204, **body: Any) -> TestResponse:
    response = client.put("/model", json=body, headers=BEARER)
    assert response.status_code == status, response.text
    return response


def chat(client: Client) -> str:
    said = client.post("/webhooks/rest/webhook", json={"message": "/chat"}, headers=BEARER).get_json()
    text: str = said[0]["text"]
    return text


def served(client: Client) -> str:
    name: str = client.get("/status", headers=BEARER).get_json()["model_file"]
    return name


# -- training


def test_what_is_trained_serves_when_it_is_chosen(client: Client, project: Path) -> None:
    before = served(client)

    response = post(client, "/model/train", BOT.replace("Yes indeed.", "Rather."))

    file = response.headers["filename"]
    assert response.headers["Content-Disposition"] == f'attachment; filename="{file}"'
    assert (chat(client), served(client)) == ("Yes indeed.", before)
    choose(client, model_file=f"models/{file}")
    assert (chat(client), served(client)) == ("Rather.", file.removesuffix(".tar.gz"))
    choose(client, model_file=before)
    assert chat(client) == "Yes indeed."
    # The file is the model itself.
    with tarfile.open(fileobj=io.BytesIO(response.data)) as packed:
        packed.extractall(project / "elsewhere", filter="data")
    agent = Agent.load(project / "elsewhere" / served_name(file) / "dialogue")
    assert agent.domain.templates["utter_chat"][1]["text"] == "Rather."
    # Nothing new is made of the same data.
    again = post(client, "/model/train", BOT.replace("Yes indeed.", "Rather."))
    assert again.headers["filename"] == file


def served_name(file: str) -> str:
    return file.removesuffix(".tar.gz")


def test_a_model_need_not_be_kept(client: Client, project: Path) -> None:
    versions = Project(project).models.versions
    before = versions.names()
    path = "/model/train?save_to_default_model_directory=false&force_training=true&augmentation=20&num_threads=2"

    name = served_name(post(client, path, BOT).headers["filename"])

    assert versions.names() == before
    assert "there is no version" in choose(client, 400, model_file=name).get_json()["error"]
    alone = client_of(project / "models" / before[-1] / "x")
    told = post(alone, "/model/train", BOT, 409).get_json()["error"]
    assert "save_to_default_model_directory=false" in told
    post(alone, path, BOT)


def test_the_texts_of_files_come_in_json_too(client: Client) -> None:
    texts = {"config": RULES_ALONE, "domain": HOTEL["domain"], "rules": HOTEL["data__rules"], "responses": ""}
    response = client.post("/model/train?force_training=true", json=texts, headers=BEARER)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("type: text", "type: wrong"), "body:8: slot 'room': unknown type 'wrong'"),
        (("type: text", "type: os.path.Slot"), "cannot find the class 'os.path.Slot'"),
        (("action: utter_chat", "action: utter_chta"), "the domain has no action 'utter_chta'"),
        (("policies:", "imports: [/etc]\npolicies:"), "body:1: imports: leads to other files"),
        (("rules:", "nlu: [{lookup: room, examples: /etc/passwd}]\nrules:"), "names the file '/etc/passwd'"),
        (("rules:", "rules: ["), "not valid YAML"),
    ],
    ids=["a slot", "code of this machine", "an action", "other projects", "a file of this machine", "no YAML"],
)
def test_a_mistake_in_the_data_is_told_with_its_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    job = {"do": "train", "text": BOT.replace(*change, 1), "folder": str(tmp_path), "before": None, "archive": "a"}

    report = bot_job.run(job)

    assert report["status"] == 400
    assert expected in report["error"]
    assert str(tmp_path) not in report["error"]


def test_a_mistake_leaves_all_as_it_was_but_for_an_interrupted_training(client: Client, project: Path) -> None:
    before = sorted((project / "models").iterdir())
    interrupted = project / "models" / ".new-interrupted"
    (interrupted / "bot").mkdir(parents=True)
    os.utime(interrupted, (1e9, 1e9))
    assert "body:8" in post(client, "/model/train", BOT.replace("type: text", "type: wrong"), 400).get_json()["error"]
    assert sorted((project / "models").iterdir()) == before


def test_nothing_is_trained_without_being_allowed(project: Path) -> None:
    client = client_of(project, enable_train=None, enable_load=False)
    assert "--enable-train" in post(client, "/model/train", BOT, 403).get_json()["error"]
    assert "--enable-load" in choose(client, 403, model_file="models").get_json()["error"]
    assert client.put("/model", json={}).status_code == client.post("/model/train").status_code == 401


def test_one_training_runs_at_a_time(client: Client, project: Path) -> None:
    with locked(project / "nlu", "another"):
        assert "being trained now" in post(client, "/model/train", BOT, 409).get_json()["error"]


@pytest.mark.parametrize("body", [b"", b" \n", b"\xff"], ids=["nothing", "blanks", "no UTF-8"])
def test_what_is_no_text_is_refused(client: Client, body: bytes) -> None:
    for path in ("/model/train", "/model/test/stories", "/model/test/intents?model=models"):
        assert "the body is" in post(client, path, body, 400).get_json()["error"]


class _Receiver(BaseHTTPRequestHandler):
    got: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.put((self.headers["Content-Type"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/trained"
        server.shutdown()


def test_the_answer_may_be_sent_to_an_address(client: Client, receiver: str) -> None:
    path = f"/model/train?callback_url={receiver}"

    assert post(client, path, BOT, 204).data == b""
    kind, content = _Receiver.got.get(timeout=60)
    assert (kind, content[:2]) == ("application/x-tar", b"\x1f\x8b")
    post(client, path, BOT.replace("type: text", "type: wrong"), 204)
    kind, content = _Receiver.got.get(timeout=60)
    assert (kind, b"unknown type" in content) == ("application/json", True)
    for wrong in "x", "http://[", "http://localhost:port", "http://localhost:70000", "http://":
        told = post(client, f"/model/train?callback_url={wrong}", BOT, 400).get_json()["error"]
        assert "begins with http://" in told


def test_a_server_without_a_token_sends_no_answer_elsewhere(project: Path, receiver: str) -> None:
    client = client_of(project, auth_token=None, enable_train=None, enable_load=False)
    told = post(client, f"/model/test/stories?callback_url={receiver}", TESTS, 403).get_json()["error"]
    assert "needs a server with a token" in told


# -- choosing


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "the model is missing"),
        ({"model_file": None}, "the model is missing"),
        ({"model_file": 3}, "as a string, not a number"),
        ({"model_file": "models/nope.tar.gz"}, "there is no version 'nope'"),
        ({"model_file": "../../etc"}, "there is no version '../../etc'"),
        ({"model_file": "models/../../x/models/nope"}, "there is no version"),
        ({"model_server": {"url": "http://localhost"}}, "models come from no"),
        ({"model_file": "models", "remote_storage": "aws"}, "models come from no"),
    ],
    ids=str,
)
def test_only_a_model_of_the_project_is_chosen(client: Client, body: dict[str, Any], expected: str) -> None:
    before = served(client)
    assert expected in choose(client, 400, **body).get_json()["error"]
    assert served(client) == before


def test_a_damaged_model_is_not_chosen(client: Client, project: Path) -> None:
    damaged = project / "models" / "20200101-000000-00000000"
    damaged.mkdir()
    try:
        assert "the present one stays" in choose(client, 400, model_file=damaged.name).get_json()["error"]
        assert chat(client) == "Yes indeed."
    finally:
        damaged.rmdir()


def test_a_path_of_the_folder_or_of_the_machine_is_taken(client: Client, project: Path) -> None:
    name = Project(project).models.versions.names()[-1]
    for path in ("models", f"models/{name}", f"./models/{name}.tar.gz", str(project / "models" / name)):
        choose(client, model_file=path)
        assert served(client) == name


def test_a_web_page_chooses_no_model(project: Path) -> None:
    client = client_of(project, auth_token=None, enable_train=None, cors_origins="*")
    response = client.put("/model", json={"model_file": "models"}, headers={"Origin": "http://page.example"})
    assert response.status_code == 403


# -- testing


def test_test_stories_are_played(client: Client) -> None:
    told = post(client, "/model/test/stories", TESTS).get_json()

    assert [(one["action"], one["predicted"]) for one in told["actions"]] == [
        ("utter_chat", "utter_chat"),
        ("action_listen", "action_listen"),
        ("utter_submit", "utter_chat"),
        ("action_listen", "action_default_fallback"),
    ]
    assert told["actions"][0]["policy"] == "RulePolicy"
    assert told["report"]["utter_chat"] == {"precision": 0.5, "recall": 1.0, "f1-score": 2 / 3, "support": 1}
    assert told["accuracy"] == told["report"]["accuracy"] == 0.5
    assert told["is_end_to_end_evaluation"] is False
    assert set(told["report"]) >= {"micro avg", "macro avg", "weighted avg"}
    assert "body:3" in post(client, "/model/test/stories", "\nstories: [", 400).get_json()["error"]
    assert post(client, "/model/test/stories", "{}").get_json()["report"] == {}


def test_a_bot_without_an_nlu_model_has_none_to_test(client: Client) -> None:
    assert "no NLU model" in post(client, "/model/test/intents", "nlu: []", 409).get_json()["error"]
    told = post(client, "/model/test/intents?cross_validation_folds=2", "nlu: []", 400).get_json()["error"]
    assert "rasa-core nlu evaluate" in told
