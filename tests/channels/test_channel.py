from __future__ import annotations

import queue
import sys
from typing import Any

import pytest

from rasa_core.channels import HttpInputChannel, HttpInputComponent, InputChannel, OutputChannel, UserMessage
from rasa_core.channels.channel import MessageHandler


class Lines(OutputChannel):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def send_text_message(self, recipient_id: str, message: str) -> None:
        self.lines.append(f"{recipient_id}: {message}")


class TwoMessages(InputChannel):
    def start_sync_listening(self, message_handler: MessageHandler) -> None:
        message_handler(UserMessage("one"))
        message_handler(UserMessage("two"))


def test_a_message_belongs_to_the_default_conversation() -> None:
    message = UserMessage("hi")

    assert (message.text, message.output_channel, message.sender_id) == ("hi", None, "default")
    assert UserMessage.DEFAULT_SENDER_ID == "default"


def test_a_message_keeps_what_it_is_given() -> None:
    channel = Lines()
    message = UserMessage("", channel, "")

    assert (message.text, message.output_channel, message.sender_id) == ("", channel, "")


def test_a_message_without_text_is_empty() -> None:
    assert UserMessage(None).text == ""


def test_an_image_is_sent_as_its_address() -> None:
    channel = Lines()
    channel.send_image_url("anna", "http://example.com/a.png")

    assert channel.lines == ["anna: Image: http://example.com/a.png"]


def test_buttons_are_sent_as_numbered_lines() -> None:
    channel = Lines()
    buttons = [{"title": "Yes", "payload": "/affirm"}, {"title": "Site", "url": "http://x"}, {"title": "No"}]
    channel.send_text_with_buttons("anna", "Sure?", buttons, any_option=1)

    assert channel.lines == [
        "anna: Sure?",
        "anna: 1: Yes (/affirm)",
        "anna: 2: Site (http://x)",
        "anna: 3: No",
    ]


def test_cards_are_sent_as_title_and_subtitle_with_their_buttons() -> None:
    channel = Lines()
    card: dict[str, Any] = {"title": "A", "subtitle": "first", "buttons": [{"title": "Yes", "payload": "/y"}]}
    channel.send_custom_message("anna", [card, {"title": "B"}])

    assert channel.lines == ["anna: A : first", "anna: 1: Yes (/y)", "anna: B"]


@pytest.mark.parametrize(
    ("call", "method"),
    [
        (
            lambda: OutputChannel().send_text_message("a", "b"),
            "OutputChannel needs a method send_text_message",
        ),
        (
            lambda: InputChannel().start_sync_listening(print),
            "InputChannel needs a method start_sync_listening",
        ),
        (lambda: HttpInputComponent().blueprint(print), "HttpInputComponent needs a method blueprint"),
    ],
    ids=["output", "input", "component"],
)
def test_a_channel_without_its_method_says_so(call: Any, method: str) -> None:
    with pytest.raises(NotImplementedError, match=method):
        call()


def test_messages_are_put_on_a_standard_queue() -> None:
    messages: queue.Queue[UserMessage] = queue.Queue()
    TwoMessages().start_async_listening(messages)

    assert [messages.get_nowait().text, messages.get_nowait().text] == ["one", "two"]


def test_messages_are_put_on_a_queue_with_enqueue() -> None:
    class Queue:
        def __init__(self) -> None:
            self.texts: list[str] = []

        def enqueue(self, message: UserMessage) -> None:
            self.texts.append(message.text)

    messages = Queue()
    TwoMessages().start_async_listening(messages)

    assert messages.texts == ["one", "two"]


def test_serving_components_without_flask_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "flask", None)

    with pytest.raises(ImportError, match=r"need Flask .*pip install flask"):
        HttpInputChannel(5004, "/app").start_sync_listening(print)


def test_components_of_ones_own_are_served_below_the_prefix() -> None:
    flask = pytest.importorskip("flask")

    class Component(HttpInputComponent):
        def blueprint(self, on_new_message: MessageHandler) -> Any:
            blueprint = flask.Blueprint("own", __name__)

            def receive() -> str:
                on_new_message(UserMessage(flask.request.get_data(as_text=True)))
                return "ok"

            blueprint.add_url_rule("/webhook", view_func=receive, methods=["POST"])
            return blueprint

    received: list[Any] = []
    client = HttpInputChannel(5004, "/app", Component()).create_app(received.append).test_client()

    assert client.post("/app/webhook", data="hi").text == "ok"
    assert [message.text for message in received] == ["hi"]
    assert client.post("/webhook", data="hi").status_code == 404
