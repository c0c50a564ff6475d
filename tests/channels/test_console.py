from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from rasa_core.channels import UserMessage
from rasa_core.channels.console import ConsoleInputChannel, ConsoleOutputChannel


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def chat(text: str, monkeypatch: pytest.MonkeyPatch, channel: ConsoleInputChannel | None = None) -> list[UserMessage]:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    received: list[UserMessage] = []
    (channel or ConsoleInputChannel()).start_sync_listening(received.append)
    return received


def test_each_line_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    received = chat("hi\n/restart\n\nbye\n", monkeypatch)

    assert [message.text for message in received] == ["hi", "/restart", "", "bye"]
    assert {message.sender_id for message in received} == {"default"}
    assert all(isinstance(message.output_channel, ConsoleOutputChannel) for message in received)


def test_an_empty_line_ends_no_chat_of_a_program_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    assert [message.text for message in chat("hi\n\nbye\n", monkeypatch)] == ["hi", "", "bye"]


def test_stop_ends_the_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [message.text for message in chat("hi\n/stop \nbye\n", monkeypatch)] == ["hi"]


def test_no_more_messages_are_read_than_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\nthree\n"))
    received: list[UserMessage] = []

    ConsoleInputChannel()._record_messages(received.append, max_message_limit=2)

    assert [message.text for message in received] == ["one", "two"]


def test_ctrl_c_ends_the_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)

    assert chat("", monkeypatch) == []


def test_messages_belong_to_the_given_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chat("hi", monkeypatch, ConsoleInputChannel("anna"))[0].sender_id == "anna"


def test_a_terminal_shows_a_prompt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("/stop\n"))
    ConsoleInputChannel().start_sync_listening(print)

    assert capsys.readouterr().out == "The bot is ready. Type a message and press Enter; /stop ends the chat.\n> "


@pytest.mark.parametrize(
    ("output", "no_color", "shown"),
    [(io.StringIO, "", "Hi!\n"), (Terminal, "", "\033[94mHi!\033[0m\n"), (Terminal, "1", "Hi!\n")],
    ids=["file", "terminal", "terminal without colour"],
)
def test_answers_are_coloured_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, output: Callable[[], io.StringIO], no_color: str, shown: str
) -> None:
    written = output()
    monkeypatch.setattr("sys.stdout", written)
    monkeypatch.setenv("NO_COLOR", no_color)
    ConsoleOutputChannel().send_text_message("anna", "Hi!")

    assert written.getvalue() == shown
