"""``rasa_core.commands.run``: the chat on the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_bots import (
    CONCERT_DOMAIN,
    CONCERT_STORIES,
    MOOD_DOMAIN,
    MOOD_STORIES,
    trained_agent,
    trained_model,
)

from rasa_core.agent import Agent
from rasa_core.channels.channel import (
    HttpInputChannel,
    HttpInputComponent,
    InputChannel,
    MessageHandler,
    UserMessage,
)
from rasa_core.channels.console import ConsoleInputChannel
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.commands import run
from rasa_core.commands.shell import how_to_talk
from rasa_core.events import UserUttered
from rasa_core.exceptions import InterpreterError, ModelError, RasaCoreError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.support import own_code


@pytest.fixture(scope="module")
def remote_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return trained_model(tmp_path_factory.mktemp("concert"), CONCERT_DOMAIN, CONCERT_STORIES)


def chat_with(model: str, tmp_path: Path, *lines: str, flags: tuple[str, ...] = ()) -> Result:
    arguments = ["-d", model, "-o", str(tmp_path / "run.log"), *flags]
    return CliRunner().invoke(run.command, arguments, input="".join(f"{line}\n" for line in lines))


def test_the_bot_answers_until_stop(model: str, tmp_path: Path) -> None:
    result = chat_with(model, tmp_path, "/greet", "/sad", "/stop", "/great")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == ["Hello! How are you?", "Here is a cat."]


def test_the_end_of_the_input_ends_the_chat_quietly(model: str, tmp_path: Path) -> None:
    result = chat_with(model, tmp_path, "/greet")
    assert (result.exit_code, result.stderr) == (0, "")


def test_empty_lines_are_no_messages(model: str, tmp_path: Path) -> None:
    lines = chat_with(model, tmp_path, "/greet", "", "  ", "/sad").stdout.splitlines()
    assert lines[-2:] == ["Hello! How are you?", "Here is a cat."]


def test_the_chat_begins_with_how_to_talk(model: str, tmp_path: Path) -> None:
    said = chat_with(model, tmp_path, "/stop").stdout
    assert '/greet or /reset{"name": "value"}' in said
    assert "Intents: greet, great, sad, bye, inform, reset." in said
    assert "/restart" in said
    assert "/stop" in said


def test_with_an_nlu_model_nobody_is_told_to_name_intents(tmp_path: Path) -> None:
    class Understanding(NaturalLanguageInterpreter):
        def parse(self, text: str) -> dict[str, object]:
            return {"text": text, "intent": {"name": "greet", "confidence": 1.0}, "entities": []}

    agent = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES, interpreter=Understanding())
    assert not any("/greet" in line for line in how_to_talk(agent))


def test_restart_uses_the_restart_intent_of_the_domain(model: str, tmp_path: Path) -> None:
    lines = chat_with(model, tmp_path, "/greet", "/great", "/restart", "/greet", "/sad").stdout.splitlines()
    assert lines[-5:] == [
        "Hello! How are you?",
        "Great, carry on!",
        "(the conversation starts anew)",
        "Hello! How are you?",
        "Here is a cat.",
    ]


def test_an_action_in_the_callers_code_is_told_and_the_chat_goes_on(remote_model: str, tmp_path: Path) -> None:
    result = chat_with(remote_model, tmp_path, "/search", "/restart", "/greet")
    assert result.exit_code == 0
    assert "run in your own code" in result.stdout
    assert "(action_search runs in your own code; it is taken as done)" in result.stdout
    assert result.stdout.splitlines()[-1] == "Hello, concert-goer!"


def test_an_interpreter_that_fails_is_told_and_the_chat_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(NaturalLanguageInterpreter):
        def parse(self, text: str) -> dict[str, object]:
            raise InterpreterError("the NLU server is away.")

    lines = iter(["hello", "/greet"])
    monkeypatch.setattr(ConsoleInputChannel, "_read_line", staticmethod(lambda: next(lines, None)))
    run.chat(trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES, interpreter=Broken()), ConsoleInputChannel())
    captured = capsys.readouterr()
    assert "the NLU server is away." in captured.err
    assert captured.out.endswith("Hello! How are you?\n")


@pytest.mark.parametrize("name", ["facebook", "mattermost", "slack", "telegram", "twilio"])
def test_a_connector_that_is_left_out_says_what_to_use_instead(model: str, tmp_path: Path, name: str) -> None:
    result = chat_with(model, tmp_path, flags=("-c", name))
    assert result.exit_code == 1
    assert f"the connector '{name}' is not part of this version" in result.stderr
    assert "/conversations/<id>/respond" in result.stderr


def test_an_unknown_connector_is_an_error() -> None:
    with pytest.raises(RasaCoreError, match=r"'irc' is not known; 'cmdline' is built in"):
        run.main("model", channel="irc")


def test_a_model_that_is_not_there_is_told_without_a_traceback(tmp_path: Path) -> None:
    result = chat_with(str(tmp_path / "nowhere"), tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the model ")


def test_missing_credentials_are_an_error(model: str, tmp_path: Path) -> None:
    flags = ("--credentials", str(tmp_path / "none.yml"), "-c", f"{__name__}.TwoMessages")
    result = chat_with(model, tmp_path, flags=flags)
    assert result.exit_code == 1
    assert "there is no credentials file" in result.stderr


@pytest.mark.parametrize("exists", [True, False])
def test_credentials_are_accepted_and_ignored(model: str, tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "credentials.yml").touch()
    result = chat_with(model, tmp_path, "/greet", flags=("--credentials", str(tmp_path / "credentials.yml")))
    assert (result.exit_code, "ignored" in result.stderr) == (0, True)


def test_the_log_goes_into_the_log_file(remote_model: str, tmp_path: Path) -> None:
    chat_with(remote_model, tmp_path, '/greet{"broken', flags=("--debug",))
    assert "WARNING rasa_core" in (tmp_path / "run.log").read_text(encoding="utf-8")
    assert os.name != "posix" or (tmp_path / "run.log").stat().st_mode & 0o777 == 0o600


def test_a_log_file_that_cannot_be_written_is_an_error(model: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(run.command, ["-d", model, "-o", str(tmp_path)])
    assert result.exit_code == 1
    assert "cannot write the log file" in result.stderr


def test_main_takes_a_channel_of_the_callers_and_returns_the_agent(model: str) -> None:
    class OneMessage(InputChannel):
        def start_sync_listening(self, message_handler: MessageHandler) -> None:
            message_handler(UserMessage("/greet", sender_id="anna"))

    agent = run.main(model, channel=OneMessage(), port=5002)
    assert isinstance(agent, Agent)
    assert agent.read_tracker("anna").latest_message.intent["name"] == "greet"


def test_a_model_is_named_with_or_without_its_option_but_once(model: str, tmp_path: Path) -> None:
    run_with = CliRunner().invoke
    log = ["-o", str(tmp_path / "run.log")]
    assert "Hello! How are you?" in run_with(run.command, [model, *log], input="/greet\n").stdout
    for wrong in ([], [model, "-d", model]):
        result = run_with(run.command, [*wrong, *log])
        assert (result.exit_code, "give the folder of a bot, or a model with -d MODEL" in result.output) == (2, True)


def test_main_needs_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        run.main(tmp_path / "nowhere")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_the_chat_quietly(model: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rasa_core.run", "-d", model, "-o", str(tmp_path / "run.log")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert any("The bot is ready" in line for line in iter(process.stdout.readline, ""))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


class TwoMessages(InputChannel):
    """A custom channel, which is named by its import path."""

    def __init__(self, greeting: str = "/greet") -> None:
        self.greeting = greeting
        self.output_channel = CollectingOutputChannel()

    def start_sync_listening(self, message_handler: MessageHandler) -> None:
        for text in (self.greeting, "/sad"):
            message_handler(UserMessage(text, self.output_channel, "anna"))


class Webhook(HttpInputComponent):
    def __init__(self, token: str) -> None:
        self.token = token


def test_without_a_channel_the_agent_is_returned_at_once(model: str) -> None:
    agent = run.main(model)
    assert [said["text"] for said in agent.handle_message("/greet") or []] == ["Hello! How are you?"]


def test_a_channel_of_ones_own_is_named_by_its_class(model: str, tmp_path: Path) -> None:
    agent = run.main(model, channel=f"{__name__}.TwoMessages")
    assert [event.text for event in agent.read_tracker("anna").events if isinstance(event, UserUttered)] == [
        "/greet",
        "/sad",
    ]
    assert CliRunner().invoke(run.command, ["-d", model, "-c", f"{__name__}.TwoMessages"]).exit_code == 0


@pytest.mark.parametrize("content", ["greeting: /great", f"{__name__}.TwoMessages: {{greeting: /great}}"])
def test_credentials_are_the_parameters_of_a_channel(tmp_path: Path, content: str) -> None:
    (tmp_path / "credentials.yml").write_text(content, encoding="utf-8")
    channel = run.create_input_channel(f"{__name__}.TwoMessages", None, tmp_path / "credentials.yml")
    assert isinstance(channel, TwoMessages)
    assert channel.greeting == "/great"


def test_a_class_without_its_module_is_told_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "channels.py").write_text("class Fax:\n    pass\n", encoding="utf-8")
    monkeypatch.setattr(own_code, "_folders", {str(tmp_path): None})
    with pytest.raises(RasaCoreError, match=r"'Fax' is not known \(did you mean channels\.Fax\?\)"):
        run.create_input_channel("Fax")


@pytest.mark.parametrize(
    ("written", "value"),
    [("010", "010"), ("12:30", "12:30"), ("1e9", "1e9"), ("no", "no"), ("5005", 5005), ("true", True), ("'7'", "7")],
)
def test_credentials_are_texts_as_they_are_written(tmp_path: Path, written: str, value: object) -> None:
    (tmp_path / "credentials.yml").write_text(f"greeting: {written}", encoding="utf-8")
    channel = run.create_input_channel(f"{__name__}.TwoMessages", None, tmp_path / "credentials.yml")
    assert isinstance(channel, TwoMessages)
    assert channel.greeting == value


def test_what_speaks_http_is_served_at_the_port(tmp_path: Path) -> None:
    (tmp_path / "credentials.yml").write_text("token: abc", encoding="utf-8")
    made = [
        run.create_input_channel(f"{__name__}.Webhook", port, tmp_path / "credentials.yml") for port in (None, 8080)
    ]
    for channel, port in zip(made, (5002, 8080), strict=True):
        assert isinstance(channel, HttpInputChannel)
        assert (channel.http_port, channel.http_components[0].token) == (port, "abc")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("nowhere.Channel", "", "cannot find the class 'nowhere.Channel'"),
        (f"{__name__}.Path", "", "neither an InputChannel nor an HttpInputComponent"),
        (f"{__name__}.TwoMessages", "other: 1", "other"),
        (f"{__name__}.TwoMessages", "- a", "credentials are a mapping"),
        (f"{__name__}.TwoMessages", "a: [", "credentials.yml:2:.*not valid YAML"),
    ],
    ids=["unknown", "no-channel", "parameter", "list", "no-yaml"],
)
def test_a_channel_that_cannot_be_made_is_an_error(tmp_path: Path, name: str, content: str, problem: str) -> None:
    (tmp_path / "credentials.yml").write_text(content, encoding="utf-8")
    with pytest.raises(RasaCoreError, match=problem):
        run.create_input_channel(name, None, tmp_path / "credentials.yml" if content else None)
