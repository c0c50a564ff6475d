"""An input channel that reads messages from a text file, one per line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rasa_core.channels.channel import InputChannel, MessageHandler, OutputChannel, UserMessage
from rasa_core.channels.console import ConsoleOutputChannel
from rasa_core.support.text_files import read_lines


class FileInputChannel(InputChannel):
    """Reads the messages of one user from a file.

    Parameters
    ----------
    filename
        A UTF-8 text file. Empty lines are skipped.
    output_channel
        The channel for the answers; None for the terminal.
    message_line_pattern
        Regular expression that matches the lines with messages from their start. If it has a group, the first
        group is the message, otherwise the whole match.
    max_messages
        How many messages are read at most; None for all.
    """

    def __init__(
        self,
        filename: str | Path,
        output_channel: OutputChannel | None = None,
        message_line_pattern: str = ".*",
        max_messages: int | None = None,
    ) -> None:
        self.filename = filename
        self.output_channel = ConsoleOutputChannel() if output_channel is None else output_channel
        self.message_line_pattern = re.compile(message_line_pattern)
        self.max_messages = max_messages

    def start_sync_listening(self, message_handler: MessageHandler) -> None:
        """Call `message_handler` with each message of the file."""
        for number, text in enumerate(self._messages()):
            if self.max_messages is not None and number >= self.max_messages:
                return
            message_handler(UserMessage(text, self.output_channel))

    def _messages(self) -> Iterator[str]:
        for line in read_lines(self.filename):
            match = self.message_line_pattern.match(line)
            if match is None:
                continue
            text = match[1] if match.re.groups else match[0]
            if text is not None and text.strip():
                yield text
