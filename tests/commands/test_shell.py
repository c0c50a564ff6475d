"""``rasa-core shell``: a conversation on the terminal, once through a real one."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner, Result
from small_bots import CONCERT_DOMAIN, CONCERT_STORIES, MOOD_DOMAIN, MOOD_STORIES, trained_agent, trained_model

from rasa_core.channels.console import ConsoleInputChannel, history_file
from rasa_core.commands import shell
from rasa_core.commands.shell import Talk
from rasa_core.stories import load_data

FAILING = '\n## nothing works\n* search\n  - action_search{"failed": true}\n  - utter_sorry\n'
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def remote_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    domain = CONCERT_DOMAIN.replace("utter_found]", "utter_found, utter_sorry]")
    return trained_model(tmp_path_factory.mktemp("concert"), domain, CONCERT_STORIES + FAILING)


def shell_with(model: str, *lines: str, flags: tuple[str, ...] = ()) -> Result:
    return CliRunner().invoke(shell.command, [model, *flags], input="".join(f"{line}\n" for line in lines))


def after_the_beginning(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    return lines[next(index for index, line in enumerate(lines) if line.startswith("The bot is ready")) + 1 :]


def test_each_step_is_shown(model: str) -> None:
    lines = after_the_beginning(shell_with(model, "/greet", '/sad{"name": "Zoë"}', flags=("-v",)))
    assert lines == [
        "  understood greet 1.00",
        "  action     utter_hello by MemoizationPolicy 1.00",
        "Hello! How are you?",
        "  action     action_listen by MemoizationPolicy 1.00",
        '  understood sad 1.00 {"name": "Zoë"}',
        '  slot       name = "Zoë"',
        "  action     action_listen 0.17",
    ]


def test_all_that_is_said_is_shown_among_the_steps_as_without_them(tmp_path: Path) -> None:
    buttons = "buttons: [{title: Yes, payload: /greet}, {title: Web, url: a.org}, {title: No}]"
    domain = f"intents: [greet]\nactions: [utter_a, utter_b]\ntemplates:\n  utter_a: [{{text: Hi, {buttons}}}]\n"
    domain += "  utter_b: [{image: a.png}]\n"
    said = ["Hi", "1: Yes (/greet)", "2: Web (a.org)", "3: No"]
    bot = trained_model(tmp_path, domain, "## a\n* greet\n  - utter_a\n  - utter_b\n")

    steps = after_the_beginning(shell_with(bot, "/greet", flags=("-v",)))
    assert [line for line in steps if not line.startswith("  ")] == [*said, "Attachment: a.png"]
    assert after_the_beginning(shell_with(bot, "/greet")) == [*said, "Image: a.png"]


def test_without_that_the_bot_alone_is_heard(model: str) -> None:
    assert after_the_beginning(shell_with(model, "/greet", "/sad")) == ["Hello! How are you?", "Here is a cat."]


def test_the_latest_action_is_explained(model: str) -> None:
    lines = after_the_beginning(shell_with(model, "/explain", "/greet", "/explain"))
    assert lines[0] == "The bot has done nothing yet."
    assert lines[2] == "utter_hello: 1.00, by MemoizationPolicy"
    assert 'stories.md:4 "happy"' in "\n".join(lines[3:])


def test_a_message_is_taken_back(model: str) -> None:
    lines = after_the_beginning(shell_with(model, "/undo", "/greet", "/sad", "/undo", "/great"))
    assert lines[0] == "There is nothing to take back."
    assert lines[-2:] == ["(taken back, with all that came of it: /sad)", "Great, carry on!"]


def test_what_was_played_is_a_story_that_can_be_read(model: str, tmp_path: Path) -> None:
    file = tmp_path / "played.md"
    lines = after_the_beginning(shell_with(model, "/story", "/greet", "/sad", "/story", f"/story {file}"))
    assert lines[0] == "There is no story yet: say something that is answered first."
    assert "* sad" in lines
    assert lines[-1].startswith(f"(added to {file}")
    after_the_beginning(shell_with(model, "/greet", f"/story {file}"))
    agent = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    assert len(load_data(file, agent.domain, augmentation_factor=0, remove_duplicates=False)) == 2


def test_a_story_that_cannot_be_written_does_not_end_the_chat(model: str, tmp_path: Path) -> None:
    result = shell_with(model, "/greet", f"/story {tmp_path}", "/sad")
    assert "Error: " in result.output
    assert after_the_beginning(result)[-1] == "Here is a cat."


def test_a_mistyped_command_is_not_sent(model: str) -> None:
    lines = after_the_beginning(shell_with(model, "/expalin", "/nope", "/greet", flags=("-v",)))
    assert lines[0] == "There is no intent and no command '/expalin'. Did you mean /explain? Nothing was sent."
    assert lines[1] == "  understood nope 1.00"
    assert any("The domain has no intent 'nope'" in line for line in lines)


def test_what_names_an_intent_is_a_message_also_where_a_command_has_its_name(tmp_path: Path) -> None:
    domain = MOOD_DOMAIN.replace("intents: [greet,", "intents: [undo, explain, greet,")
    agent = trained_agent(tmp_path, domain, MOOD_STORIES + "\n## undo\n* undo\n  - utter_bye\n")
    result = shell_with(_written(agent, tmp_path), "/undo", "/explain", "/slots", flags=("-v",))
    lines = after_the_beginning(result)
    assert lines[0] == "  understood undo 1.00"
    assert "See you." in lines
    assert "  understood explain 1.00" in lines
    assert lines[-1] == "  name = null"


def _written(agent: Any, folder: Path) -> str:
    agent.persist(folder / "written")
    return str(folder / "written")


def test_a_restart_starts_anew(model: str) -> None:
    lines = after_the_beginning(shell_with(model, "/greet", "/restart", "/story"))
    assert lines[1:] == [
        "(the conversation starts anew)",
        "There is no story yet: say something that is answered first.",
    ]


class TestActionsElsewhere:
    def test_they_are_taken_as_done_where_nobody_can_be_asked(self, remote_model: str) -> None:
        lines = after_the_beginning(shell_with(remote_model, "/greet", "/search"))
        assert lines == ["Hello, concert-goer!", "(action_search runs in your own code; it is taken as done)"]

    @pytest.mark.parametrize(
        ("typed", "expected"),
        [
            (['slot{"concerts": ["Björk"]}', ""], "utter_found"),
            (['- slot{"concerts": ["Björk"]}', "", ""], "utter_found"),
            (["failed no network"], "utter_sorry"),
            (["nonsense{", 'slot{"nope": 1}', "failed"], "utter_sorry"),
        ],
        ids=["an event", "a story line", "a failure", "mistakes, and a failure"],
    )
    def test_what_came_of_them_is_asked(
        self, remote_model: str, typed: list[str], expected: str, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        from rasa_core.agent import Agent

        lines = iter(["/search", *typed, "", "", "/explain"])
        monkeypatch.setattr(ConsoleInputChannel, "_read_line", lambda self, prompt="> ": next(lines, None))
        Talk(Agent.load(remote_model), ConsoleInputChannel(), asks=True).start()
        said = capsys.readouterr().out
        assert "action_search runs in your own code. What came of it?" in said
        assert f"\n{expected}: 1.00, by MemoizationPolicy\n" in said

    def test_a_command_of_the_chat_waits_until_that_is_told(
        self, remote_model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from rasa_core.agent import Agent

        lines = iter(["/search", "/stop", ""])
        monkeypatch.setattr(ConsoleInputChannel, "_read_line", lambda self, prompt="> ": next(lines, None))
        Talk(Agent.load(remote_model), ConsoleInputChannel(), asks=True).start()
        assert "/stop is for the chat, which goes on after an empty line." in capsys.readouterr().err


class Terminal:
    """The controlling end of a pseudo-terminal in which a command runs."""

    _PROGRAM = (  # Not by `pty.fork`, since the tests may have threads of JAX.
        "import fcntl, runpy, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        # Whatever started the tests in the background has Ctrl+C ignored, and a child inherits that.
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "sys.argv[0] = 'rasa-core'; runpy.run_module('rasa_core.commands', run_name='__main__')"
    )

    def __init__(self, arguments: list[str], home: Path) -> None:
        self._end, inner = os.openpty()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(home), "TERM": "xterm"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._PROGRAM, *arguments],
            **dict.fromkeys(("stdin", "stdout", "stderr"), inner),  # type: ignore[arg-type]
            env=environment,
            start_new_session=True,
        )
        os.close(inner)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Read until this text has come, behind the text of the last call."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            if not select.select([self._end], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"{text!r} does not come, only {self.seen!r}")
            self.seen += os.read(self._end, 4096).decode(errors="replace")
        self.seen = self.seen.partition(text)[2]

    def interrupt_until(self, text: str) -> None:
        """Type Ctrl+C, again while it brings nothing: Python's readline hears only a signal that finds it waiting."""
        for _ in range(20):
            self.type("\x03")
            with contextlib.suppress(TimeoutError):
                return self.wait_for(text, seconds=1)
        raise TimeoutError(f"Ctrl+C does not bring {text!r}, only {self.seen!r}")

    def ended(self) -> int:
        return self._process.wait(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._end)


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_on_a_terminal_lines_are_edited_kept_and_not_lost(model: str, tmp_path: Path) -> None:
    with Terminal(["shell", model], tmp_path) as terminal:
        terminal.wait_for("> ")
        terminal.type("/sax\x7fd")  # Backspace.
        terminal.type("\x01\x0b/gre")  # To the beginning, delete to the end.
        terminal.wait_for("/gre")
        terminal.interrupt_until("> /gre")  # It stands there again.
        terminal.type("et\r")
        terminal.wait_for("\x1b[94mHello! How are you?\x1b[0m")
        terminal.wait_for("> ")
        terminal.type("\x1b[A")  # The line before.
        terminal.wait_for("/greet")
        terminal.type("\x01\x0b/stop\r")
        assert terminal.ended() == 0
    kept = tmp_path / history_file().relative_to(history_file().parents[1])
    assert "/greet\n" in kept.read_text(encoding="utf-8")
    assert kept.stat().st_mode & 0o777 == 0o600
