from __future__ import annotations

import contextlib
import io
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cutting_proxy import no_http_server
from remote_bot import DOMAIN, make_agent, served
from werkzeug.formparser import parse_form_data

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.events import ConversationPaused, Restarted, SlotSet
from rasa_core.exceptions import ClientError, ModelError
from rasa_core.remote import RasaCoreClient, ServerAnswerError
from rasa_core.server import create_app

Serve = Callable[[Any], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve applications until the end of the test; return their addresses."""
    with contextlib.ExitStack() as stack:
        yield lambda app: stack.enter_context(served(app))


@pytest.fixture
def agent() -> Agent:
    """Return the agent that the server has."""
    return make_agent()


@pytest.fixture
def client(agent: Agent, serve: Serve) -> RasaCoreClient:
    return RasaCoreClient(serve(create_app(agent, auth_token="s3cret&")), "s3cret&")


def answering(status: str, body: bytes, seen: list[dict[str, Any]] | None = None) -> Any:
    """Return an application that answers everything alike."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["read"] = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if seen is not None:
            seen.append(environ)
        start_response(status, [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
        return [body]

    return app


# -- the client


def test_the_status_is_the_version_of_the_server(client: RasaCoreClient) -> None:
    assert set(client.status()) == {"version", "core_model", "nlu_model"}


def test_a_turn_is_parse_and_continue(client: RasaCoreClient) -> None:
    parsed = client.parse("/search", "anna")
    searched = client.continue_core("action_search", [SlotSet("venue", "Arena")], "anna")
    uttered = client.continue_core("utter_found", [], "anna")

    actions = [answer["next_action"] for answer in (parsed, searched, uttered)]
    assert actions == ["action_search", "utter_found", "action_listen"]
    assert searched["tracker"]["slots"] == {"venue": "Arena"}


def test_events_are_reported_without_an_action(client: RasaCoreClient) -> None:
    client.parse("/search", "anna")

    assert client.continue_core(None, [SlotSet("venue", "Arena")], "anna")["next_action"] == "action_search"


@pytest.mark.parametrize("sender_id", ["anna", "Anna Müller", "a?b#c%20&d+e", "🎉", "..", "a:b@c"])
def test_any_name_of_a_conversation_arrives(client: RasaCoreClient, sender_id: str) -> None:
    client.parse("/search", sender_id)

    assert client.clients() == [sender_id]
    assert client.tracker_json(sender_id)["sender_id"] == sender_id


def test_events_are_appended(client: RasaCoreClient) -> None:
    state = client.append_events_to_tracker("anna", [SlotSet("venue", "Arena"), ConversationPaused()])

    assert state["slots"] == {"venue": "Arena"}
    assert state["paused"] is True


def event_names(state: dict[str, Any]) -> list[str]:
    return [event["event"] for event in state["events"]]


def test_the_tracker_has_the_events_that_are_asked_for(client: RasaCoreClient) -> None:
    client.append_events_to_tracker("anna", [SlotSet("venue", "A"), Restarted(), SlotSet("venue", "B")])

    assert event_names(client.tracker_json("anna")) == ["action", "slot", "restart", "slot"]
    assert event_names(client.tracker_json("anna", use_history=False)) == ["slot"]
    assert client.tracker_json("anna", include_events=False)["events"] is None


def test_the_tracker_is_read_as_of_a_moment(client: RasaCoreClient) -> None:
    early = SlotSet("venue", "A", timestamp=1000.5)
    client.append_events_to_tracker("anna", [early, SlotSet("venue", "B", timestamp=2000.25)])

    assert client.tracker_json("anna", until=2000.0)["slots"] == {"venue": "A"}
    assert client.tracker_json("anna", until=2000.25)["slots"] == {"venue": "B"}


def test_the_tracker_is_read_as_an_object(client: RasaCoreClient) -> None:
    client.parse("/search", "anna")
    tracker = client.tracker("anna", Domain.from_yaml(DOMAIN))

    assert tracker.sender_id == "anna"
    assert tracker.latest_message.intent["name"] == "search"
    assert tracker.latest_action_name == "action_listen"


def test_the_tracker_as_an_object_has_the_events_that_are_asked_for(client: RasaCoreClient) -> None:
    domain = Domain.from_yaml(DOMAIN)
    client.append_events_to_tracker("anna", [SlotSet("venue", "A"), Restarted(), SlotSet("venue", "B")])

    recent = client.tracker("anna", domain, only_events_after_latest_restart=True)
    assert [event.type_name for event in recent.events] == ["slot"]
    assert [event.type_name for event in client.tracker("anna", domain).events] == ["action", "slot", "restart", "slot"]
    assert not client.tracker("anna", domain, include_events=False).events


@pytest.mark.parametrize(
    ("call", "status", "reason"),
    [
        (
            lambda client: client.continue_core("action_serch", [], "anna"),
            400,
            "action_serch.*'action_search'",
        ),
        (lambda client: client.append_events_to_tracker("anna", [SlotSet("venu", 1)]), 400, "venu.*'venue'"),
        (lambda client: client.parse("hi", "a\nb"), 400, "control character"),
        (lambda client: client.upload_model("."), 403, "loading models is off"),
    ],
    ids=["action", "slot", "path", "upload"],
)
def test_what_the_server_refuses_is_an_error_with_its_reason(
    client: RasaCoreClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Any,
    status: int,
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ServerAnswerError, match=f"answered {status}: .*{reason}") as caught:
        call(client)

    assert caught.value.status == status
    assert "s3cret" not in str(caught.value)


def test_a_wrong_token_is_refused_and_not_shown(agent: Agent, serve: Serve) -> None:
    address = serve(create_app(agent, auth_token="s3cret"))

    with pytest.raises(ServerAnswerError, match="answered 401") as caught:
        RasaCoreClient(address, "s3crit").parse("hi", "anna")

    assert "s3cr" not in str(caught.value)


def test_a_server_below_a_path_is_reached(agent: Agent, serve: Serve) -> None:
    app = create_app(agent)

    def site(environ: dict[str, Any], start_response: Any) -> Any:
        prefix, environ["PATH_INFO"] = environ["PATH_INFO"][:4], environ["PATH_INFO"][4:]
        environ["SCRIPT_NAME"] = prefix
        return app(environ, start_response) if prefix == "/bot" else answering("404", b"")(environ, start_response)

    address = serve(site)

    assert RasaCoreClient(address + "/bot/").parse("/search", "anna")["next_action"] == "action_search"


def test_an_address_without_a_scheme_is_http(agent: Agent, serve: Serve) -> None:
    address = serve(create_app(agent)).removeprefix("http://")

    assert RasaCoreClient(address).clients() == []


@pytest.mark.parametrize(
    ("status", "body", "error", "reason"),
    [
        ("200 OK", b"<html>hi</html>", ClientError, "something that is not JSON: '<html>hi</html>'"),
        ("200 OK", b"[]", ClientError, "without a next_action"),
        ("200 OK", b"{}", ClientError, "without a next_action"),
        ("500 Oops", b"<html>Oops</html>", ServerAnswerError, "answered 500: <html>Oops</html>"),
        ("503 No", b'{"error": "no model"}', ServerAnswerError, "answered 503: no model"),
        ("404 No", b"[5]", ServerAnswerError, r"answered 404: \[5\]"),
        ("302 Found", b"", ServerAnswerError, "answered 302: "),
    ],
)
def test_answers_that_are_no_turn_are_errors(
    serve: Serve, status: str, body: bytes, error: type[ClientError], reason: str
) -> None:
    client = RasaCoreClient(serve(answering(status, body)), first_delay=0.001)

    with pytest.raises(error, match=reason):
        client.parse("hi", "anna")


def test_a_server_that_is_not_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(ClientError, match=rf"GET http://127.0.0.1:{port}/version got no answer: .*refused"):
        RasaCoreClient(f"http://127.0.0.1:{port}", "secret", first_delay=0.001).status()


def test_a_silent_server_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(ClientError, match="got no answer: timed out"),
    ):
        RasaCoreClient(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05, retries=0).status()


def test_a_server_that_is_no_http_server_is_an_error() -> None:
    with no_http_server() as address, pytest.raises(ClientError, match=r"got no answer: .*SSH-2.0"):
        RasaCoreClient(address).status()


def test_an_address_with_odd_characters_is_no_reason_to_show_the_token(serve: Serve) -> None:
    seen: list[dict[str, Any]] = []
    client = RasaCoreClient(serve(answering("404 No", b"no", seen)) + "/my bot/ä", "s3cret")

    with pytest.raises(ClientError, match="answered 404") as caught:
        client.status()

    assert seen[0]["PATH_INFO"].encode("latin-1").decode() == "/my bot/ä/version"
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_a_server_that_repeats_the_token_does_not_bring_it_into_the_error(serve: Serve, status: str) -> None:
    client = RasaCoreClient(serve(answering(status, b"Cannot GET /?token=s%26cret, s&cret")), "s&cret")

    with pytest.raises(ClientError, match=r"Cannot GET /\?token=<token>, <token>"):
        client.status()


def test_a_host_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ClientError, match="got no answer"):
        RasaCoreClient("http://a..b").status()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_values_that_are_not_json_are_not_sent(client: RasaCoreClient, value: object) -> None:
    with pytest.raises(ClientError, match="what is to be sent is not JSON"):
        client.continue_core("action_search", [SlotSet("venue", value)], "anna")

    assert client.clients() == []


@pytest.mark.parametrize(
    "host", ["ftp://localhost", "http://", "http://localhost?token=s3cret", "http://me:s3cret@host"]
)
def test_a_wrong_address_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is like http://localhost:5005") as caught:
        RasaCoreClient(host)

    assert "s3cret" not in str(caught.value)


# -- uploading a model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "policy_0").mkdir(parents=True)
    (directory / "domain.yml").write_text("intents: []", encoding="utf-8")
    (directory / "policy_0" / "weights.npz").write_bytes(bytes(range(256)))
    return directory


def test_a_model_is_uploaded_as_a_zip_file(serve: Serve, model: Path) -> None:
    seen: list[dict[str, Any]] = []
    RasaCoreClient(serve(answering("200 OK", b'{"success": 1}', seen))).upload_model(model)

    (environ,) = seen
    assert environ["PATH_INFO"] == "/load"
    _, _, files = parse_form_data({**environ, "wsgi.input": io.BytesIO(environ["read"])})
    with zipfile.ZipFile(files["model"].stream) as archive:
        assert archive.namelist() == ["domain.yml", "policy_0/weights.npz"]
        assert archive.read("policy_0/weights.npz") == bytes(range(256))
    files["model"].close()


@pytest.mark.parametrize(("status", "retries", "attempts"), [(503, 1, 2), (503, 0, 1), (503, 3, 4), (400, 3, 1)])
def test_an_upload_is_tried_again_unless_it_is_refused(
    serve: Serve, model: Path, status: int, retries: int, attempts: int
) -> None:
    seen: list[dict[str, Any]] = []
    client = RasaCoreClient(serve(answering(f"{status} No", b'{"error": "no"}', seen)), first_delay=0.001)

    with pytest.raises(ServerAnswerError, match=f"answered {status}: no"):
        client.upload_model(model, max_retries=retries)

    assert len(seen) == attempts


def test_the_server_takes_an_uploaded_model(serve: Serve, tmp_path: Path) -> None:
    make_agent().persist(tmp_path / "served")
    make_agent().persist(tmp_path / "new")
    app = create_app(tmp_path / "served", enable_load=True, tracker_store="memory://")

    assert RasaCoreClient(serve(app)).upload_model(tmp_path / "new") == {"success": 1}


def test_a_model_that_is_not_there_cannot_be_uploaded(client: RasaCoreClient, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model directory .*nowhere"):
        client.upload_model(tmp_path / "nowhere")
