"""``POST /load`` replaces the served model, or changes nothing."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from server_answers import error_of
from server_bot import DOMAIN, AnswersByIntent
from werkzeug.test import Client, TestResponse

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.policies import KerasPolicy, NGramPolicy, RulePolicy
from rasa_core.policies.policy import Policy
from rasa_core.policies.rasa2 import RasaMappingPolicy, RasaTwoStageFallbackPolicy
from rasa_core.server import create_app, served_model, uploads
from rasa_core.tracker_store.idempotency import RequestResult


def other_agent() -> Agent:
    """Return a bot that has the same actions and one more slot."""
    return Agent(Domain.from_yaml(DOMAIN.replace("slots:", "slots:\n  mood: {type: text}")), [AnswersByIntent()])


def zipped(directory: Path, below: str = "") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for path in sorted(directory.rglob("*")):
            writer.write(path, below + str(path.relative_to(directory)))
    return archive.getvalue()


def zip_of(**files: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for name, content in files.items():
            writer.writestr(name, content)
    return archive.getvalue()


@pytest.fixture
def other_model(tmp_path: Path) -> Path:
    other_agent().persist(tmp_path / "other")
    return tmp_path / "other"


@pytest.fixture
def client(model: Path) -> Client:
    return Client(create_app(model, enable_load=True))


def upload(client: Client, archive: bytes, field: str = "model") -> TestResponse:
    return client.post("/load", data={field: (io.BytesIO(archive), "model.zip")})


def slots(client: Client) -> set[str]:
    return set(client.get("/conversations/x/tracker").get_json()["slots"])


@pytest.mark.parametrize("below", ["", "model/", "a/"])
def test_model_is_served_from_now_on(client: Client, other_model: Path, below: str) -> None:
    assert slots(client) == {"name", "cuisine"}

    response = upload(client, zipped(other_model, below))

    assert (response.status_code, response.get_data()) == (200, b'{"success":1}\n')
    assert slots(client) == {"name", "cuisine", "mood"}


def test_model_is_on_disk_afterwards(client: Client, model: Path, other_model: Path) -> None:
    upload(client, zipped(other_model))

    assert (model / "domain.yml").read_bytes() == (other_model / "domain.yml").read_bytes()
    left = {path.name for path in model.parent.iterdir() if "conversations.db" not in path.name}
    assert left == {"model", "other"}


def test_conversations_go_on(client: Client, other_model: Path) -> None:
    client.post("/conversations/x/parse", data=b'{"query": "/greet{\\"name\\": \\"Anna\\"}"}')

    upload(client, zipped(other_model))

    assert client.get("/conversations/x/tracker").get_json()["slots"] == {
        "name": "Anna",
        "cuisine": None,
        "mood": None,
    }
    answer = client.post("/conversations/x/continue", data=b'{"executed_action": "utter_greet"}').get_json()
    assert (answer["next_action"], answer["version"]) == ("action_listen", 5)


def test_turn_that_began_with_the_old_model_ends_with_it(
    model: Path, other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(model, enable_load=True)
    client, old = Client(app), app.model.agent()
    start = old.processor.parse

    def replaced_meanwhile(*arguments: Any) -> RequestResult:
        assert upload(client, zipped(other_model)).status_code == 200
        return start(*arguments)

    monkeypatch.setattr(old.processor, "parse", replaced_meanwhile)

    answer = client.post("/conversations/x/parse", data=b'{"query": "/greet"}').get_json()

    assert set(answer["tracker"]["slots"]) == {"name", "cuisine"}
    assert slots(client) == {"name", "cuisine", "mood"}


def test_other_processes_notice(model: Path, other_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [Client(create_app(model, enable_load=True)) for _ in range(2)]
    monkeypatch.setattr(served_model, "_LOOK_EVERY", 0.0)
    assert slots(clients[1]) == {"name", "cuisine"}

    upload(clients[0], zipped(other_model))

    assert slots(clients[1]) == {"name", "cuisine", "mood"}


def test_other_process_goes_on_if_what_it_notices_is_broken(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(create_app(model, enable_load=True))
    monkeypatch.setattr(served_model, "_LOOK_EVERY", 0.0)
    assert slots(client) == {"name", "cuisine"}

    (model / "metadata.json").write_text("{ broken")

    assert slots(client) == {"name", "cuisine"}


def test_server_without_a_model_gets_one(tmp_path: Path, other_model: Path) -> None:
    client = Client(create_app(tmp_path / "new" / "model", enable_load=True))
    assert client.get("/conversations").status_code == 503

    assert upload(client, zipped(other_model)).status_code == 200

    assert slots(client) == {"name", "cuisine", "mood"}


def link_to(target: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        link = zipfile.ZipInfo("domain.yml")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        writer.writestr(link, target)
    return archive.getvalue()


BROKEN: dict[str, tuple[bytes, str]] = {
    "no zip": (b"hello", "not a sound zip file"),
    "an empty zip": (zip_of(), "the old one stays"),
    "no model": (zip_of(readme=b"hello"), "no metadata.json"),
    "a model of old": (zip_of(**{"policy_metadata.json": b"{}"}), "written by Rasa Core 0.x"),
    "a name that leads up": (
        zip_of(**{"../../evil": b"x"}),
        "'../../evil', which is a link or leads outside",
    ),
    "a name that leads up from a folder": (zip_of(**{"m/../../evil": b"x"}), "leads outside"),
    "an absolute name": (zip_of(**{"/etc/evil": b"x"}), "leads outside"),
    "a name of Windows": (zip_of(**{"..\\evil": b"x"}), "leads outside"),
    "a drive of Windows": (zip_of(**{"C:evil": b"x"}), "leads outside"),
    "a link": (link_to("/etc/passwd"), "which is a link"),
    "half a zip": (zip_of(a=b"x" * 1000)[:500], "not a sound zip file"),
    "a folder and a file of one name": (zip_of(**{"a": b"x", "a/b": b"x"}), "not a sound zip file"),
}


@pytest.mark.parametrize(("archive", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_model_changes_nothing(client: Client, model: Path, archive: bytes, message: str) -> None:
    before = sorted(path.name for path in model.parent.iterdir())

    response = upload(client, archive)

    assert response.status_code == 400
    assert message in error_of(response)
    assert sorted(path.name for path in model.parent.iterdir()) == before
    assert slots(client) == {"name", "cuisine"}


@pytest.mark.parametrize("described", [{}, {"class": "AnswersByIntent", "folder": 7}, {"class": [], "folder": "x"}, 7])
def test_metadata_of_wrong_types_changes_nothing(client: Client, other_model: Path, described: object) -> None:
    content = json.loads((other_model / "metadata.json").read_text())
    content["policies"] = [described]
    (other_model / "metadata.json").write_text(json.dumps(content))

    response = upload(client, zipped(other_model))

    assert response.status_code == 400
    assert slots(client) == {"name", "cuisine"}


def test_archive_that_unpacks_to_too_much_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UNPACKED", 10_000)

    response = upload(client, zip_of(a=b"x" * 9_000, b=b"x" * 1_001))

    assert response.status_code == 413
    assert "unpacks to more than 10000 bytes" in error_of(response)


def test_archive_of_too_many_files_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILES", 10)

    response = upload(client, zip_of(**{f"f{number}": b"" for number in range(11)}))

    assert response.status_code == 400
    assert "11 files" in error_of(response)


def test_archive_that_is_too_large_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_ARCHIVE", 10_000)

    response = upload(client, os.urandom(20_000))

    assert response.status_code == 413
    assert "at most 10000 bytes" in error_of(response)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EMFILE], ids=errno.errorcode.get)
@pytest.mark.parametrize("step", ["mkdtemp", "copyfileobj"])
def test_disk_that_takes_no_model_is_told_as_one(
    client: Client, model: Path, other_model: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number), str(model))

    archive = zipped(other_model)
    monkeypatch.setattr({"mkdtemp": tempfile, "copyfileobj": shutil}[step], step, fail)

    response = upload(client, archive)

    assert response.status_code == 503
    assert f"models cannot be written here: {os.strerror(number)}; the log says where" in error_of(response)
    assert str(model.parent) not in response.text
    assert slots(client) == {"name", "cuisine"}


# Werkzeug leaves what it could not move to a file to the garbage collection.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_missing_folder_of_temporary_files_is_no_fault_of_the_caller(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="model"; filename="model.zip"\r\n\r\n'
    body = head + os.urandom(1_000_000) + b"\r\n--x--\r\n"  # More than is kept in memory.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    response = client.post("/load", data=body, content_type="multipart/form-data; boundary=x")

    assert response.status_code == 503
    assert "cannot do this now: No such file or directory" in error_of(response)
    assert str(tmp_path) not in response.text


def test_every_policy_of_this_package_can_be_sent(client: Client, tmp_path: Path) -> None:
    """Rules and the policies of Rasa 2 have files of their own."""
    domain = Domain.from_yaml("intents: [greet]\nresponses: {utter_greet: [{text: hey}]}\nversion: '3.1'")
    (tmp_path / "rules.yml").write_text(
        "rules:\n- rule: greet\n  steps:\n  - intent: greet\n  - action: utter_greet\n"
        "stories:\n- story: greet\n  steps:\n  - intent: greet\n  - action: utter_greet\n"
    )
    own = {kind for kind in Policy.registry.values() if kind.__module__.startswith("rasa_core.policies")}
    untrained = sorted(own - {KerasPolicy}, key=lambda kind: kind.__name__)  # A network is sent elsewhere.
    assert {RulePolicy, RasaMappingPolicy, NGramPolicy} <= set(untrained)
    for kind in untrained:
        agent = Agent(domain, [kind()])
        agent.train(agent.load_data(tmp_path / "rules.yml"))
        agent.persist(tmp_path / kind.__name__)

        response = upload(client, zipped(tmp_path / kind.__name__))

        assert response.status_code == 200, (kind, response.text)


def test_policy_of_rasa_2_in_a_domain_of_old_is_refused(client: Client, tmp_path: Path) -> None:
    agent = Agent(Domain.from_yaml("intents: [greet]"), [RasaTwoStageFallbackPolicy()])
    agent.persist(tmp_path / "mixed")

    response = upload(client, zipped(tmp_path / "mixed"))

    assert response.status_code == 400
    assert "needs a domain of Rasa 2 or 3" in error_of(response)


def test_model_belongs_in_its_field(client: Client) -> None:
    response = upload(client, b"x", field="modell")

    assert response.status_code == 400
    assert 'in the field "model"' in error_of(response)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=a", b"--a\r\nx"),
    ],
)
def test_other_bodies_are_refused(client: Client, content_type: str, body: bytes) -> None:
    response = client.post("/load", data=body, content_type=content_type)

    assert response.status_code == 400
    assert error_of(response)


def test_web_pages_load_no_models(client: Client, other_model: Path) -> None:
    data = {"model": (io.BytesIO(zipped(other_model)), "model.zip")}

    response = client.post("/load", data=data, headers={"Origin": "https://evil.example"})

    assert response.status_code == 403
    assert "web pages may not load models" in error_of(response)
    assert slots(client) == {"name", "cuisine"}


def test_server_of_an_agent_loads_no_models(agent: Agent) -> None:
    response = upload(Client(create_app(agent, enable_load=True)), zip_of())

    assert response.status_code == 403
    assert "-d MODEL and --enable-load" in error_of(response)
