from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rasa_core.channels import UserMessage
from rasa_core.channels.console import ConsoleOutputChannel
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.channels.file import FileInputChannel


@pytest.fixture
def dialogue(tmp_path: Path) -> Path:
    path = tmp_path / "dialogue.md"
    path.write_bytes("\ufeffhi\r\n\r\n* grüß dich 🎉\n    - utter_greet\n \n* bye".encode())
    return path


def read(path: Path, **options: Any) -> list[UserMessage]:
    received: list[UserMessage] = []
    FileInputChannel(path, **options).start_sync_listening(received.append)
    return received


def texts(path: Path, **options: Any) -> list[str]:
    return [message.text for message in read(path, **options)]


def test_each_line_with_text_is_a_message(dialogue: Path) -> None:
    assert texts(dialogue) == ["hi", "* grüß dich 🎉", "    - utter_greet", "* bye"]


def test_a_pattern_chooses_lines(dialogue: Path) -> None:
    assert texts(dialogue, message_line_pattern=r"\* .*") == ["* grüß dich 🎉", "* bye"]


def test_the_first_group_of_a_pattern_is_the_message(dialogue: Path) -> None:
    assert texts(dialogue, message_line_pattern=r"\*\s*(.*)|hi") == ["grüß dich 🎉", "bye"]


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (1, 1), (2, 2), (100, 4), (None, 4)])
def test_no_more_messages_are_read_than_wanted(dialogue: Path, limit: int | None, count: int) -> None:
    assert len(texts(dialogue, max_messages=limit)) == count


def test_answers_go_to_the_given_channel(dialogue: Path) -> None:
    channel = CollectingOutputChannel()

    assert [message.output_channel for message in read(dialogue, output_channel=channel)] == [channel] * 4


def test_a_missing_file_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.md: there is no such file"):
        read(tmp_path / "nothing.md")


def test_answers_go_to_the_console_without_a_channel(dialogue: Path) -> None:
    assert isinstance(read(dialogue)[0].output_channel, ConsoleOutputChannel)
