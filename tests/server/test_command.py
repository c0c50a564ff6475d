"""``python -m rasa_core.server``: every flag, old and new, and a server that really runs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from programs import free_port
from werkzeug.test import Client

from rasa_core.commands import serve as command
from rasa_core.commands import serve_project
from rasa_core.commands.main import main as commands
from rasa_core.project import Project
from rasa_core.server import create_app_from_settings
from rasa_core.server.ports import LaunchError


class Launched(dict[str, Any]):
    """The arguments with which the command called the launcher."""

    def __call__(self, settings: dict[str, Any], **options: Any) -> None:
        options.pop("on_listening")()
        self.update(json.loads(json.dumps(settings)), **options)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Launched:
    """Put a record in the place of the launcher, and the test in an empty folder."""
    found = Launched()
    monkeypatch.setattr(command, "launch", found)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RASA_CORE_TOKEN", raising=False)
    (tmp_path / "m").mkdir()
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command.main, arguments)


def test_what_is_not_said_is_as_it_always_was(launched: Launched) -> None:
    result = run("-d", "m")

    assert result.exit_code == 0, result.output
    assert launched == {
        "model": "m",
        "nlu": None,
        "cors_origins": [],
        "auth_token": None,
        "log_file": "rasa_core.log",
        "log_format": "text",
        "log_key": None,
        "log_level": "WARNING",
        "store": None,
        "max_body": 1024 * 1024,
        "enable_load": False,
        "enable_train": None,
        "retention": None,
        "actions": None,
        "nlg": None,
        "allowed_hosts": ["localhost", "127.0.0.1"],
        "jwt_secret": None,
        "jwt_method": "HS256",
        "open_rest_channel": False,
        "inspect": None,
        "metrics": None,
        "imports": [],
        "target": "rasa_core.commands.serve:application",
        "host": "127.0.0.1",
        "port": 5005,
        "workers": 1,
        "threads": 1,
        "spare_threads": 15,
        "body_timeout": 10.0,
        "is_last": True,
    }


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--core", "m"], {"model": "m"}),
        (["-d", "m", "-u", "http://localhost:5000"], {"nlu": "http://localhost:5000", "threads": 16}),
        (["-d", "m", "--nlu", "https://nlu"], {"nlu": "https://nlu"}),
        (["-d", "m", "-p", "80"], {"port": 80}),
        (["-d", "m", "--port", "80"], {"port": 80}),
        (["-d", "m", "-o", "out.log"], {"log_file": "out.log"}),
        (["-d", "m", "--log_file", "out.log"], {"log_file": "out.log"}),
        (["-d", "m", "-o", ""], {"log_file": None}),
        (["-d", "m", "--auth_token", "t"], {"auth_token": "t"}),
        (["-d", "m", "--auth-token", "t"], {"auth_token": "t"}),
        (["-d", "m", "-v"], {"log_level": "INFO"}),
        (["-d", "m", "--verbose"], {"log_level": "INFO"}),
        (["-d", "m", "--debug"], {"log_level": "DEBUG"}),
        (["-d", "m", "--debug", "-v"], {"log_level": "DEBUG"}),
        (["-d", "m", "--cors", "*"], {"cors_origins": ["*"]}),
        (["--cors", "http://a", "https://b:1", "-d", "m"], {"cors_origins": ["http://a", "https://b:1"]}),
        (["--cors", "http://a", "--cors", "http://b", "-d", "m"], {"cors_origins": ["http://a", "http://b"]}),
        (["--cors=http://a", "http://b", "-d", "m"], {"cors_origins": ["http://a", "http://b"]}),
        (["-d", "m", "--host", "0.0.0.0"], {"host": "0.0.0.0"}),
        (["-d", "m", "--workers", "3"], {"workers": 3}),
        (["-d", "m", "--store", "memory://"], {"store": "memory://"}),
        (["-d", "m", "--max-body", "500"], {"max_body": 500}),
        (["-d", "m", "--max-body", "500k"], {"max_body": 500 * 1024}),
        (["-d", "m", "--max-body", "2 MB"], {"max_body": 2 * 1024 * 1024}),
        (["-d", "m", "--enable-load"], {"enable_load": True}),
        (["-d", "m", "--enable-train", "nlu", "--auth_token", "t"], {"enable_train": "nlu", "threads": 2}),
        (["-d", "m", "--threads", "2"], {"threads": 2, "spare_threads": 0}),
        (["-d", "m", "--enable-train", "nlu", "--auth_token", "t", "--threads", "2"], {"threads": 2}),
        (["-d", "m", "--retention", "90d"], {"retention": 90 * 24 * 3600.0}),
    ],
    ids=" ".join,
)
def test_flag_is_followed(launched: Launched, arguments: list[str], found: dict[str, Any]) -> None:
    result = run(*arguments)

    assert result.exit_code == 0, result.output
    assert found.items() <= launched.items()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing option '-d'"),
        (["-d", "m", "-p", "0"], "0 is not in the range"),
        (["-d", "m", "--retention", "90 days"], "'90 days' is not a duration"),
        (["-d", "m", "--cors", "file.txt"], "'file.txt' is not an origin"),
        (["-d", "m", "--cors", "m", "data"], "in quotes. The shell put 'm', a file here, in place of *."),
        (["-d", "m", "--cors", "*", "file.txt"], "unexpected extra argument (file.txt)"),
        (["-d", "m", "--max-body", "much"], "'much' is not a size above 0"),
        (["-d", "m", "--max-body", "0k"], "'0k' is not a size above 0"),
        (["-d", "m", "--auth_token", ""], "the token is empty"),
        (["-d", "m", "--auth_token", " s3cret"], "a space at its edge"),
        (["-d", "m", "--auth_token", "s3cret "], "a space at its edge"),
        (["-d", "m", "--auth_token", "schlüssel"], "no header carries"),
        (["-d", "m", "--store", "sqlit:///x"], "unknown tracker store 'sqlit://'"),
        (["-d", "m", "--store", "memory://", "--workers", "2"], "not shared between workers"),
        (["-d", "m", "-u", "nlu/model"], "cannot read an NLU model at 'nlu/model'"),
        (["-d", "m", "-u", "http://"], "the address of an NLU server"),
        (["-d", "m", "-o", "missing/x.log"], "missing/x.log"),
        (["-d", "m", "--enable-train", "nlu"], "--enable-train needs a token"),
        (["-d", "m", "--enable-train", "nlu", "--auth_token", "t", "--threads", "1"], "needs --threads 2 or more"),
        (["-d", "m", "--enable-train", "/dev/null/nlu", "--auth_token", "t"], "/dev/null/nlu"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_flag_starts_nothing(launched: Launched, arguments: list[str], message: str) -> None:
    result = run(*arguments)

    assert result.exit_code != 0
    assert message in result.output
    assert launched == {}


def test_token_comes_from_the_environment(launched: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASA_CORE_TOKEN", "s3cret")

    result = run("-d", "m")

    assert launched["auth_token"] == "s3cret"
    assert "s3cret" not in result.output


def test_empty_token_in_the_environment_is_no_open_door(launched: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASA_CORE_TOKEN", "")

    assert "the token is empty" in run("-d", "m").output
    assert launched == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Serving m at http://localhost:5005 with 1 process"),
        (["--workers", "2", "--host", "::1"], "at http://localhost:5005 with 2 processes"),
        ([], "m.conversations.db"),
        (["--store", "memory://"], "kept in memory://"),
        ([], "curl -XPOST http://localhost:5005/conversations/default/parse -d"),
        (["--auth_token", "s3cret"], '-H "Authorization: Bearer $RASA_CORE_TOKEN"'),
        (["--host", "0.0.0.0"], "Anybody who reaches port 5005 can use the bot"),
    ],
)
def test_terminal_tells_what_happens(launched: Launched, arguments: list[str], said: str) -> None:
    output = run("-d", "m", *arguments).output

    assert said in output
    assert "s3cret" not in output


STORY = "stories: [{story: a, steps: [{intent: greet}, {action: utter_greet}]}]"
DOMAIN = 'version: "3.1"\nintents: [greet]\nresponses: {utter_greet: [{text: Hello}]}'
NLU = 'version: "3.1"\nnlu:\n- intent: greet\n  examples: |\n    - hello\n'


@pytest.mark.parametrize(
    ("files", "path"),
    [
        ({"domain.yml": "intents: [greet]", "stories.md": "## a\n* greet\n"}, "/conversations/default/parse"),
        ({"domain.yml": DOMAIN, "data/stories.yml": STORY}, "/webhooks/rest/webhook"),
        ({"data/nlu.yml": NLU}, "/model/parse"),
    ],
)
def test_the_first_message_is_proposed_where_the_project_takes_one(
    launched: Launched, tmp_path: Path, files: dict[str, str], path: str
) -> None:
    for name, text in files.items():
        Path(tmp_path, name).parent.mkdir(exist_ok=True)
        Path(tmp_path, name).write_text(text, encoding="utf-8")

    assert serve_project.first_message_at(Project(tmp_path)) == path
    app = create_app_from_settings({"model": "m", "log_file": None, "store": "memory://"})
    answer = Client(app).post(path, data=command.TRIED_WITH[path] % "hello")
    assert (answer.status_code, answer.json["status"]) == (503, "failure")  # There is no model; 404 or 400 otherwise.


def test_terminal_tells_that_there_is_no_model(launched: Launched) -> None:
    assert "There is no model at nowhere" in run("-d", "nowhere").output


def test_failure_of_the_launcher_is_told(launched: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise LaunchError("the port is taken")

    monkeypatch.setattr(command, "launch", fail)

    result = run("-d", "m")

    assert result.exit_code == 1
    assert result.output == "Error: the port is taken\n"


def test_missing_folder_of_temporary_files_is_told(launched: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "gone")

    assert run("-d", "m").exit_code == 0  # One process needs none.
    result = run("-d", "m", "--workers", "2")

    assert result.exit_code == 1
    assert "Name a folder with TMPDIR, or use one worker" in result.output


def test_help_teaches_by_example() -> None:
    output = run("--help").output

    assert "python -m rasa_core.server -d models/dialogue -u http://localhost:5000" in output
    assert "curl localhost:5005/conversations/default/parse" in output


def test_settings_of_the_command_make_an_application(launched: Launched) -> None:
    run("-d", "m", "-o", "x.log")
    names = ("host", "port", "workers", "threads", "spare_threads", "body_timeout", "is_last", "imports", "target")

    app = create_app_from_settings({key: value for key, value in launched.items() if key not in names})

    assert callable(app)


# -- for real


def ask(port: int, method: str, path: str, body: bytes | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def test_server_runs_a_turn_and_stops_when_told(trained: Path, tmp_path: Path) -> None:
    port = free_port()
    module = [sys.executable, "-u", "-m", "rasa_core.server"]
    flags = ["-d", str(trained), "-p", str(port), "-o", str(tmp_path / "out.log"), "--workers", "2"]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "RASA_CORE_TOKEN": "s3cret"}
    with subprocess.Popen([*module, *flags], env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "Serving" in process.stdout.readline()
        parsed = ask(port, "POST", "/conversations/a/parse?token=s3cret", b'{"query": "/greet"}')
        done = ask(port, "POST", "/conversations/a/continue?token=s3cret", b'{"executed_action": "utter_greet"}')
        refused = ask(port, "GET", "/conversations")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert (parsed["next_action"], done["next_action"], process.returncode) == (
        "utter_greet",
        "action_listen",
        0,
    )
    assert "the token" in refused["error"]
    log = (tmp_path / "out.log").read_text()
    assert "POST /conversations/a/parse?token=*** 200" in log
    assert "s3cret" not in log


def bot_in(folder: Path) -> Path:
    (folder / "domain.yml").write_text("action_factory: remote\nintents: [a]\nactions: [b]\n", encoding="utf-8")
    (folder / "stories.md").write_text("## s\n* a\n  - b\n", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("impatient")
def test_a_port_in_use_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(commands, ["serve", str(bot_in(tmp_path)), "-p", port])
    assert result.exit_code == 1
    assert f"Cannot listen on port {port} of 127.0.0.1: Address already in use." in result.output
    assert not (tmp_path / "models").exists()


def test_a_server_that_is_told_to_stop_stops_its_training(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(
        "import os, pathlib, threading\n"
        "pathlib.Path(__file__).with_name('pid').write_text(f'{os.getpid()}\\n')\n"
        "threading.Event().wait()\n",
        encoding="utf-8",
    )
    module = [sys.executable, "-m", "rasa_core.commands", "serve", str(bot_in(tmp_path)), "-p", str(free_port())]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), str(tmp_path)])}
    with subprocess.Popen([*module, "--import", "endless"], env=environ) as process:
        while not ((pid := tmp_path / "pid").exists() and pid.read_text().endswith("\n")):
            assert process.poll() is None
            os.sched_yield()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
