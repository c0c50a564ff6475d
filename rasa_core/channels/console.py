"""A chat on the terminal."""

from __future__ import annotations

import os
import sys
from itertools import count

from rasa_core.channels.channel import InputChannel, MessageHandler, OutputChannel, UserMessage

_STOP = "/stop"
_BLUE, _PLAIN = "\033[94m", "\033[0m"


class ConsoleOutputChannel(OutputChannel):
    """Prints what the bot says, in colour if the output is a terminal and ``NO_COLOR`` is not set."""

    def send_text_message(self, recipient_id: str, message: str) -> None:  # noqa: D102
        if sys.stdout is None:  # Nobody can see it.
            return
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(f"{_BLUE}{message}{_PLAIN}" if coloured else message, flush=True)


class ConsoleInputChannel(InputChannel):
    """Reads one message a line until ``/stop`` or the end of the input.

    Parameters
    ----------
    sender_id
        Identifies the conversation.
    """

    def __init__(self, sender_id: str = UserMessage.DEFAULT_SENDER_ID) -> None:
        self.sender_id = sender_id

    def start_sync_listening(self, message_handler: MessageHandler) -> None:
        """Call `message_handler` with each line; the answers are printed."""
        print(f"The bot is ready. Type a message and press Enter; {_STOP} ends the chat.", flush=True)
        self._record_messages(message_handler)

    def _record_messages(self, on_message: MessageHandler, max_message_limit: int | None = None) -> None:
        output_channel = ConsoleOutputChannel()
        for _ in count() if max_message_limit is None else range(max_message_limit):
            text = self._read_line()
            if text is None or text.strip() == _STOP:
                return
            on_message(UserMessage(text, output_channel, self.sender_id))

    @staticmethod
    def _read_line() -> str | None:
        if sys.stdin is None:
            return None
        if sys.stdout is None:
            return sys.stdin.readline().rstrip("\n") or None
        try:
            return input("> " if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            return None
