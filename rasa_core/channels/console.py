"""A chat on the terminal: lines that can be edited, earlier lines at hand, and answers in colour."""

from __future__ import annotations

import builtins
import os
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from rasa_core.channels.channel import InputChannel, MessageHandler, OutputChannel, UserMessage
from rasa_core.compat import later
from rasa_core.support.folders import make_private

_STOP = "/stop"
_MOST_LINES: Final = 1000  # that are kept for the next chat
BLUE, FAINT, RED = "94", "2", "91"
"""Codes of colours, for `coloured`."""


def input(prompt: str = "") -> str:  # noqa: A001
    """Return a line that the user types, as Python's own `input`; programs for 0.9 replace this function."""
    return builtins.input(prompt)


def coloured(text: str, code: str, stream: Any = None) -> str:
    """Return a text in a colour, if it goes to a terminal and ``NO_COLOR`` is not set."""
    stream = sys.stdout if stream is None else stream
    shows = stream is not None and stream.isatty() and not os.environ.get("NO_COLOR")
    return f"\033[{code}m{text}\033[0m" if shows else text


class ConsoleOutputChannel(OutputChannel):
    """Prints the bot's messages, in colour if the output is a terminal and ``NO_COLOR`` is not set."""

    def send_text_message(self, recipient_id: str, message: str) -> None:  # noqa: D102
        if sys.stdout is not None:  # It is None if standard output was closed.
            print(coloured(message, BLUE), flush=True)


class LineEditor:
    """Reads lines from a terminal that can be edited, and offers earlier lines, also of the last chat.

    If somebody presses Ctrl+C, the text typed so far is put into the next line.
    """

    def __init__(self) -> None:
        self._readline = _readline()
        self._put_back = ""
        if self._readline is not None:
            with suppress(OSError, RuntimeError):  # The user may have no home folder.
                self._readline.read_history_file(history_file())
            self._readline.set_history_length(_MOST_LINES)
            self._readline.set_startup_hook(self._insert)  # Readline has no other way to put text into a new line.

    def read(self, prompt: str) -> str:
        """Return a line; raise `EOFError` at the end of the input, `KeyboardInterrupt` if nothing was typed."""
        while True:
            try:
                return input(prompt)
            except KeyboardInterrupt:
                typed = "" if self._readline is None else self._readline.get_line_buffer()
                print(flush=True)
                if not typed.strip():
                    raise
                self.put_back(typed)

    def put_back(self, text: str) -> None:
        """Put a text into the next line, where it can be edited."""
        self._put_back = text

    def close(self) -> None:
        """Save the history of lines for the next chat."""
        if self._readline is not None:
            self._readline.set_startup_hook(None)
            # A home folder that is missing or read-only must not end the chat with an error.
            with suppress(OSError, RuntimeError):
                history_file().parent.mkdir(parents=True, exist_ok=True)
                make_private(history_file())
                self._readline.write_history_file(history_file())

    def _insert(self) -> None:
        if self._readline is not None and self._put_back:
            self._readline.insert_text(self._put_back)
            self._put_back = ""


def _readline() -> ModuleType | None:
    try:
        import readline  # Imported here, since it changes `input`, and some systems do not have it.
    except ImportError:
        return None
    return readline


def history_file() -> Path:
    """Return the file with the history of lines."""
    folder = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(folder, "rasa-core", "history")


class ConsoleInputChannel(InputChannel):
    """Reads one message per line until ``/stop`` or the end of the input."""

    def __init__(self, sender_id: str = UserMessage.DEFAULT_SENDER_ID) -> None:
        self.sender_id = sender_id
        self.editor: LineEditor | None = None

    def start_sync_listening(self, message_handler: MessageHandler) -> None:
        """Call `message_handler` with each line; the answers are printed."""
        print(f"The bot is ready. Type a message and press Enter; {_STOP} ends the chat.", flush=True)
        if sys.stdin is not None and sys.stdin.isatty() and sys.stdout is not None:
            self.editor = LineEditor()
        try:
            self._record_messages(message_handler)
        finally:
            if self.editor is not None:
                self.editor.close()

    def ask(self, prompt: str) -> str | None:
        """Return the answer to a question, which is no message for the bot; None at the end of the input."""
        return self._read_line(prompt)

    def _record_messages(self, on_message: MessageHandler, max_message_limit: int | None = None) -> None:
        output_channel = ConsoleOutputChannel()
        for _ in count() if max_message_limit is None else range(max_message_limit):
            text = self._read_line()
            if text is None or text.strip() == _STOP:
                return
            on_message(UserMessage(text, output_channel, self.sender_id))

    def _read_line(self, prompt: str = "> ") -> str | None:
        if sys.stdin is None:
            return None
        if sys.stdout is None:  # In a program without a terminal, `input` would fail.
            line = sys.stdin.readline()
            return line.rstrip("\n") if line else None
        try:
            return input("") if self.editor is None else self.editor.read(prompt)
        except (EOFError, KeyboardInterrupt):
            return None


__getattr__ = later.of_module(__name__)
