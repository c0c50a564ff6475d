from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from remote_bot import served

from rasa_core.channels import HttpInputChannel, UserMessage
from rasa_core.channels.custom import CustomInput, CustomOutput
from rasa_core.exceptions import ClientError


@dataclass
class Receiver:
    """A real HTTP server that records posted requests."""

    address: str = ""
    status: str = "200 OK"
    posts: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    targets: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.posts.append(json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        self.authorizations.append(environ.get("HTTP_AUTHORIZATION"))
        self.targets.append((environ["PATH_INFO"].encode("latin-1").decode(), environ["QUERY_STRING"]))
        start_response(self.status, [("Content-Type", "text/plain")])
        return [b"ok"]


@dataclass
class Redirecting:
    """A server that redirects every request."""

    target: str
    methods: list[str] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.methods.append(environ["REQUEST_METHOD"])
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("302 Found", [("Location", self.target)])
        return [b""]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    app = Receiver()
    with served(app) as address:
        app.address = f"{address}/in?room=5"
        yield app


def test_answers_are_posted(receiver: Receiver) -> None:
    channel = CustomOutput(receiver.address, "secret")
    channel.send_text_message("anna", "Grüß dich 🎉")
    channel.send_text_with_buttons("anna", "Sure?", [{"title": "Yes", "payload": "/affirm"}])

    assert receiver.posts == [
        {"recipient_id": "anna", "text": "Grüß dich 🎉"},
        {"recipient_id": "anna", "text": "Sure?", "data": [{"title": "Yes", "payload": "/affirm"}]},
    ]
    assert receiver.authorizations == ["Bearer secret", "Bearer secret"]


def test_answers_carry_no_authorization_without_a_token(receiver: Receiver) -> None:
    CustomOutput(receiver.address).send_text_message("anna", "hi")

    assert receiver.authorizations == [None]


def test_a_receiver_that_refuses_an_answer_is_an_error(receiver: Receiver) -> None:
    receiver.status = "503 Service Unavailable"

    with pytest.raises(ClientError, match=r"/in answered 503 to a message of the bot"):
        CustomOutput(receiver.address).send_text_message("anna", "hi")


def test_a_redirect_is_not_followed_and_takes_no_token_along(receiver: Receiver) -> None:
    redirecting = Redirecting(receiver.address)
    with served(redirecting) as address, pytest.raises(ClientError, match=r"302, a redirect to .*/in, .*not followed"):
        CustomOutput(f"{address}/out", "secret").send_text_message("anna", "hi")

    assert redirecting.methods == ["POST"]
    assert receiver.posts == receiver.authorizations == []


def test_the_address_is_used_as_it_is(receiver: Receiver) -> None:
    CustomOutput(receiver.address.replace("/in?", "/my in/ä/?") + "&token=s%26t").send_text_message("anna", "hi")

    assert receiver.targets == [("/my in/ä/", "room=5&token=s%26t")]


def test_a_receiver_that_is_not_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(ClientError, match=r"could not be given a message of the bot.*refused"):
        CustomOutput(f"http://127.0.0.1:{port}").send_text_message("anna", "hi")


def test_answers_are_posted_to_http_addresses_only() -> None:
    with pytest.raises(ValueError, match=r"an http:// or https:// address, not to 'file:///etc'"):
        CustomInput("file:///etc")


@pytest.fixture
def webhook(receiver: Receiver) -> Any:
    pytest.importorskip("flask")

    def answer(message: UserMessage) -> None:
        assert message.output_channel is not None
        message.output_channel.send_text_message(message.sender_id, f"You said {message.text}.")

    return HttpInputChannel(5004, "/app", CustomInput(receiver.address)).create_app(answer).test_client()


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_message_to_the_webhook_is_answered_at_the_address(
    webhook: Any, receiver: Receiver, content_type: str
) -> None:
    body = json.dumps({"sender": "anna", "message": "hi", "other": 1})
    response = webhook.post("/app/webhook", data=body, content_type=content_type)

    assert (response.status_code, response.text) == (200, "success")
    assert receiver.posts == [{"recipient_id": "anna", "text": "You said hi."}]


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"message": 5}', '{"message": "hi", "sender": 5}'])
def test_what_is_no_message_is_refused(webhook: Any, receiver: Receiver, body: str) -> None:
    response = webhook.post("/app/webhook", data=body)

    assert response.status_code == 400
    assert "send {" in response.json["error"]
    assert receiver.posts == []


def test_the_webhook_says_that_it_is_there(webhook: Any) -> None:
    assert webhook.get("/app/").json == {"status": "ok"}
