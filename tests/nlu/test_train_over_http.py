"""``POST /train``: refused requests, and a real server that serves during a training, and uses the new model."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nlu_bot import ROOT, TOKEN, folder, python
from programs import until
from small_nlu import small_model
from werkzeug.test import Client, TestResponse

from rasa_core.agent import Agent
from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.model import NLUModel
from rasa_core.remote import RasaCoreClient, ServerAnswerError
from rasa_core.server import ServerApp, create_app

BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATIENCE = 120.0

DATA = """\
## intent:hi
- hello
- hi
- good day
## intent:bye
- bye
- see you
- see you
## intent:go
- to [Rome](city)
"""


HALF = "\ud83d"
EXAMPLES = [("hi", "hello"), ("hi", "hi"), ("hi", "good day"), ("bye", "bye"), ("bye", "see you"), ("bye", "see you")]
LINES = [json.dumps({"intent": intent, "text": text}) for intent, text in [*EXAMPLES, (HALF, f"well {HALF}")]]
CITY = '{"intent": "go", "text": "to Rome", "entities": [{"start": 3, "end": 7, "entity": "city", "value": "Rome"}]}'
UNMARKED = '{"intent": "go", "text": "to Rome"}'
JSON_DATA = '{"rasa_nlu_data": {"common_examples": [\n' + ",\n".join([*LINES, CITY, UNMARKED]) + "]}}\n"


def agent() -> Agent:
    return Agent.load(folder() / "core")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def client(models: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # For the process that trains.
    return Client(create_app(agent(), enable_train=models, auth_token=TOKEN, max_body=10_000))


def train(client: Client, data: bytes | str = DATA, **parameters: object) -> TestResponse:
    return client.post("/train", data=data, query_string={"name": "m", **parameters}, headers=BEARER)


def refusal(response: TestResponse, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    error: str = response.get_json()["error"]
    return error


# -- what is refused before anything is trained


def test_training_is_off_unless_it_is_enabled() -> None:
    client = Client(create_app(agent(), auth_token=TOKEN))
    assert "--enable-train DIR and a token" in refusal(train(client), 403)


def test_training_needs_the_token(client: Client) -> None:
    assert client.post("/train", data=DATA).status_code == 401


def test_a_server_that_trains_needs_a_token(models: Path) -> None:
    with pytest.raises(ValueError, match="enable_train needs an auth_token"):
        create_app(agent(), enable_train=models)


@pytest.mark.parametrize(
    ("parameters", "message", "near"),
    [
        (
            {"epoch": "3"},
            "there is no setting 'epoch'. Did you mean 'epochs'? There are: name, epochs, seed,",
            ["epochs"],
        ),
        ({"nmae": "x"}, "there is no setting 'nmae'. Did you mean 'name'?", ["name"]),
        ({"pipeline": "spacy"}, "there is no setting 'pipeline'.", []),
        ({"epochs": "many"}, "setting 'epochs' is 'many', but must be a whole number from 1", None),
        ({"epochs": "0"}, "setting 'epochs' is 0, but must be", None),
        ({"name": "../m"}, "a model cannot be called '../m'", None),
        ({"name": ".m"}, "a model cannot be called '.m'", None),
        ({"name": "m" * 101}, "a model cannot be called", None),
    ],
    ids=lambda value: "-".join(value)[:20] if isinstance(value, dict) else "",
)
def test_wrong_parameters_are_told(
    client: Client, models: Path, parameters: dict[str, str], message: str, near: list[str] | None
) -> None:
    response = train(client, **parameters)

    assert message in refusal(response, 400)
    assert response.get_json().get("nearest") == near
    assert not models.exists()


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the body is empty; send training data: curl --data-binary"),
        (b"## intent:a\n- \xff\n", 400, "line 2 of the training data is not UTF-8"),
        (b"x" * 10_001, 413, "larger than 10000 bytes"),
    ],
)
def test_a_body_that_is_no_text_is_refused(client: Client, body: bytes, status: int, message: str) -> None:
    assert message in refusal(train(client, body), status)


def test_what_is_no_model_is_not_replaced(client: Client, models: Path) -> None:
    (models / "m").mkdir(parents=True)
    (models / "m" / "thesis.txt").write_text("three years")

    assert "'m' is something other than an NLU model" in refusal(train(client), 400)
    assert (models / "m" / "thesis.txt").exists()


def test_one_model_is_trained_at_a_time(client: Client, models: Path) -> None:
    models.mkdir()
    with (models / ".training.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # As another worker does.
        lock.write("other, since 12:00:00 UTC")
        lock.flush()
        assert "a model is being trained now (other, since 12:00:00 UTC); try again later." in refusal(
            train(client), 409
        )
    assert refusal(train(client, "nothing"), 400)


# -- what the process that trains refuses


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
def test_a_disk_that_takes_no_model_is_told_before_the_training(
    client: Client, models: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(**options: object) -> None:
        raise OSError(number, os.strerror(number), str(models))

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)

    problem = refusal(train(client, DATA), 503)

    assert f"models cannot be written here: {os.strerror(number)}; the log says where" in problem
    assert str(models) not in problem


def test_a_system_that_starts_no_process_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", fail)

    assert "the server cannot do this now: Resource temporarily" in refusal(train(client, DATA), 503)


def test_all_errors_in_the_data_are_told(client: Client) -> None:
    response = train(client, "## intnet:a\n- b\n## intent:c\n- [x](\n- d\n")

    assert "body:1: there are no sections 'intnet'. Did you mean 'intent'?" in refusal(response, 400)
    errors = response.get_json()["errors"]
    assert [error["line"] for error in errors] == [1, 4]
    assert all(error["error"] for error in errors)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("hello", "body: this is no NLU data"),
        ("## lookup:city\ncities.txt\n", "body:2: the lookup table 'city' names the file"),
        (DATA.replace("\n", ""), "Use curl --data-binary."),
    ],
)
def test_wrong_data_are_told(client: Client, models: Path, body: str, message: str) -> None:
    assert message in refusal(train(client, body), 400)
    assert [path.name for path in models.iterdir()] == [".training.lock"]


def test_without_keras_it_says_what_to_install(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lean").mkdir()
    (tmp_path / "lean" / "keras.py").write_text("raise ImportError('there is no keras')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'lean'}{os.pathsep}{ROOT}")

    assert "pip install keras jax scipy" in refusal(train(client), 501)


# -- a real server


class Server:
    """A server with one worker, and what the tests want of it."""

    def __init__(self, port: int, models: Path, main: int) -> None:
        self.models = models
        self.main = main
        self.port = port
        self.client = RasaCoreClient(f"http://127.0.0.1:{port}", TOKEN)

    def worker(self) -> int:
        (found,) = children(self.main)
        return found


def children(process: int) -> list[int]:
    """Return the processes that a process has started, from any of its threads."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError):
        for task in Path(f"/proc/{process}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def is_alive(process: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # The latter if it ends between opening and reading.
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("trains")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["-d", folder() / "core", "-u", folder() / "nlu", "--enable-train", place / "models", "--store"]
    arguments += [f"sqlite:///{place}/conversations.db", "-p", port, "-o", ""]
    main = "from rasa_core.commands.serve import main; main()"
    with python("-c", main, *map(str, arguments), RASA_CORE_TOKEN=TOKEN) as process:
        served = Server(port, place / "models", process.pid)
        try:
            until(lambda: answers(served.client) or process.poll() is not None)
            assert process.poll() is None, process.communicate()[0]
            yield served
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def answers(client: RasaCoreClient) -> bool:
    with contextlib.suppress(RasaCoreError):
        return bool(client.status())
    return False


class Training(threading.Thread):
    """A request to train, and what came of it."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__(daemon=True)
        self._server, self._name = server, name
        self.report: dict[str, Any] = {}
        self.error: RasaCoreError | None = None

    def run(self) -> None:
        try:
            self.report = self._server.client.train(JSON_DATA, self._name, epochs=1, batch_size=1, seed=3)
        except RasaCoreError as error:
            self.error = error


def test_training_ends_with_its_worker_and_another_may_begin(server: Server) -> None:
    killed = Training(server, "killed")
    killed.start()
    worker = server.worker()
    (training,) = until(lambda: children(worker))

    os.kill(worker, signal.SIGKILL)

    killed.join(PATIENCE)
    assert killed.error is not None
    until(lambda: not is_alive(training))
    until(lambda: answers(server.client))
    # A process that ends may hold its lock for as long as its last thread takes to end.
    refused = until(lambda: refused_training(server))
    assert (refused.status, "this is no NLU data" in str(refused)) == (400, True)
    assert not (server.models / "killed").exists()


def refused_training(server: Server) -> ServerAnswerError | None:
    """Ask for a training of nothing; give the error, None while there is another training."""
    with pytest.raises(ServerAnswerError) as refused:
        server.client.train("nothing", "killed")
    return None if refused.value.status == 409 else refused.value


def test_training_ends_when_its_client_hangs_up(server: Server) -> None:
    worker = server.worker()
    request = (
        f"POST /train?name=left&epochs=10000 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Length: {len(DATA)}\r\n\r\n{DATA}"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request.encode())
        (training,) = until(lambda: children(worker))

    until(lambda: not is_alive(training))
    with pytest.raises(ServerAnswerError, match="this is no NLU data"):
        until(lambda: _refused_or_free(server))
    assert not (server.models / "left").exists()


def _refused_or_free(server: Server) -> bool:
    """Raise what the server says of no data; False while it is still busy with another training."""
    try:
        server.client.train("nothing", "left")
    except ServerAnswerError as error:
        if error.status != 409:
            raise
    return False


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [("max_seconds", 0.5, "took more than 0.5 seconds"), ("max_memory", 60_000_000, "took more than 60000000 bytes")],
)
def test_training_has_limits(client: Client, models: Path, limit: str, value: float, message: str) -> None:
    app = client.application
    assert isinstance(app, ServerApp)
    setattr(app.nlu_models, limit, value)

    assert message in refusal(train(client, name="large", epochs=10_000), 400)
    assert not (models / "large").exists()


@pytest.fixture(scope="module")
def trained(server: Server) -> dict[str, Any]:
    """The report on a model; while it is trained, the server serves, and trains no other."""
    training = Training(server, "my_model")
    training.start()
    until(lambda: children(server.worker()))

    answer = server.client.parse("good morning", "meanwhile")
    with pytest.raises(ServerAnswerError, match=r"a model is being trained now \(my_model, since") as refused:
        server.client.train(DATA, "other")

    assert training.is_alive()
    assert answer["next_action"] == "utter_greet"
    assert refused.value.status == 409
    training.join(PATIENCE)
    assert training.error is None
    return training.report


def test_the_report_tells_what_was_learnt(server: Server, trained: dict[str, Any]) -> None:
    assert {key: trained[key] for key in ("name", "intents", "entities", "examples")} == {
        "name": "my_model",
        "intents": ["bye", "go", "hi", HALF],
        "entities": ["city"],
        "examples": 9,
    }
    assert trained["seconds"] > 0
    kinds = sorted((found["kind"], found["places"][0]["line"]) for found in trained["warnings"])
    assert kinds == [("few-examples", 8), ("few-examples", 9), ("repeated-example", 6), ("two-markings", 9)]
    missed = [found for found in trained["not_learnt"] if found["message"].startswith("'to Rome' is not learnt")]
    assert [(found["kind"], found["places"][0]["line"]) for found in missed] in ([("not-learnt", n)] for n in (9, 10))
    assert trained["fingerprint"] == NLUModel.load(server.models / "my_model").fingerprint


def test_the_model_can_be_named(server: Server, trained: dict[str, Any]) -> None:
    named = server.client.parse("see you", "anna", model="my_model")
    usual = server.client.parse("good evening", "anna")

    assert named["tracker"]["latest_message"]["intent"]["name"] == "bye"
    assert usual["tracker"]["latest_message"]["intent"]["name"] == "greet"
    assert server.client.status()["nlu_model"] == small_model().fingerprint
    with pytest.raises(ServerAnswerError, match="Did you mean 'my_model'"):
        server.client.parse("hello", "anna", model="mymodel")


def test_the_server_has_not_loaded_what_training_needs(server: Server, trained: dict[str, Any]) -> None:
    mapped = Path(f"/proc/{server.worker()}/maps").read_text()
    assert "numpy" in mapped
    assert "jaxlib" not in mapped


def test_nothing_else_is_left_behind(server: Server, trained: dict[str, Any]) -> None:
    assert sorted(path.name for path in server.models.iterdir()) == [".training.lock", "my_model"]
    assert json.loads((server.models / "my_model" / "nlu.json").read_text())["settings"]["seed"] == 3
