"""Every request is one line in the log, with method, path, status and time, and never a token."""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from programs import until
from server_bot import make_agent
from small_disk import SmallDisk
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.server import create_app, create_app_from_settings, logs
from rasa_core.server.log_lines import without_advice
from rasa_core.server.settings import ServerSettings


@pytest.fixture
def logged(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that sends a GET request and returns what the log file says of it."""
    client = Client(create_app(make_agent(), logfile=tmp_path / "log", auth_token="s3cret"))

    def send(path: str) -> str:
        client.get(path)
        return (tmp_path / "log").read_text(encoding="ascii")

    return send


def test_line_has_method_path_status_and_milliseconds(logged: Callable[[str], str]) -> None:
    assert re.fullmatch(r".* INFO rasa_core\.server\.access: GET /version 200 \d+\.\d\d ms\n", logged("/version"))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/conversations?token=s3cret", "GET /conversations?token=*** 200 "),
        ("/conversations?token=wr0ng&a=b", "GET /conversations?token=***&a=b 401 "),
        ("/conversations?t%6Fken=s3cret", "GET /conversations?t%6Fken=*** 200 "),
        ("/a%20b%0AGET%20/x", "GET /a%20b%0AGET%20/x 404 "),
        ("/%C3%A9", "GET /%C3%A9 404 "),
    ],
)
def test_line_holds_no_token_and_no_control_characters(logged: Callable[[str], str], path: str, line: str) -> None:
    text = logged(path)

    assert line in text
    assert "s3cret" not in text
    assert "wr0ng" not in text
    assert text.count("\n") == 1


def test_line_has_the_prefix_that_the_application_is_mounted_at(tmp_path: Path) -> None:
    client = Client(create_app(make_agent(), logfile=tmp_path / "log"))

    client.get("/version", base_url="http://localhost/bot")

    assert "GET /bot/version 200" in (tmp_path / "log").read_text()


def test_without_a_log_file_logging_is_left_as_it_is(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("rasa_core")
    before = (list(logger.handlers), logger.level, logger.propagate, list(logging.getLogger().handlers))

    Client(create_app(agent)).get("/version")

    assert before == (
        list(logger.handlers),
        logger.level,
        logger.propagate,
        list(logging.getLogger().handlers),
    )
    assert list(tmp_path.iterdir()) == []


def test_host_sees_requests_through_its_own_logging(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rasa_core.server.access"):
        client.get("/version")

    assert "GET /version 200" in caplog.text


def test_one_file_gets_each_line_once(agent: Agent, tmp_path: Path) -> None:
    create_app(agent, logfile=tmp_path / "log")

    Client(create_app(agent, logfile=str(tmp_path / "log"))).get("/version")

    assert (tmp_path / "log").read_text().count("GET /version") == 1


def test_log_goes_on_in_a_new_file_when_the_old_one_is_moved_away(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, seconds = Client(create_app(agent, logfile=tmp_path / "log")), itertools.count(1_536_000_000)
    clock = SimpleNamespace(time=lambda: next(seconds), strftime=time.strftime, localtime=time.localtime)
    monkeypatch.setattr(logs, "time", clock)
    client.get("/version")
    (tmp_path / "log").rename(tmp_path / "log.1")

    client.get("/nope")

    assert "GET /version" in (tmp_path / "log.1").read_text()
    assert "GET /nope" in (tmp_path / "log").read_text()


def test_requests_go_to_the_file_alone(agent: Agent, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Client(create_app(agent, logfile=tmp_path / "log")).get("/version")

    assert "GET /version" not in caplog.text


def test_requests_are_less_than_warnings(agent: Agent, tmp_path: Path) -> None:
    Client(create_app(agent, logfile=tmp_path / "log", loglevel="WARNING")).get("/version")

    assert (tmp_path / "log").read_text() == ""


def test_failures_stand_between_the_requests(tmp_path: Path) -> None:
    Client(create_app(tmp_path / "none", logfile=tmp_path / "log")).get("/conversations")

    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split(" ")[3] for line in lines] == ["ERROR", "INFO"]


def test_verbose_worker_shows_requests_on_the_terminal(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ServerSettings(str(model), log_file=str(tmp_path / "log"), store="memory://", log_level="INFO")

    Client(create_app_from_settings(settings.as_dict())).get("/version")

    assert (tmp_path / "log").read_text().count("GET /version 200") == 1
    assert capsys.readouterr().err.count("GET /version 200") == 1


def test_what_the_server_below_advises_about_threads_is_left_out() -> None:
    granian = logging.makeLogRecord({"name": "_granian"})
    told = []
    for granian.msg in ("Configuration allows spawning up to 237 Python threads, which seems quite high", "Started"):
        told += [granian.msg] * without_advice()(granian)
    assert told == ["Started"]


def test_unknown_level_is_refused(agent: Agent, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the log level 'LOUD' is none of DEBUG"):
        create_app(agent, logfile=tmp_path / "log", loglevel="LOUD")


def test_worker_logs_requests_to_the_file_but_not_to_the_terminal(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ServerSettings(str(model), log_file=str(tmp_path / "log"), store="memory://")

    Client(create_app_from_settings(settings.as_dict())).get("/version")

    assert "GET /version 200" in (tmp_path / "log").read_text()
    assert capsys.readouterr().err == ""


def test_worker_tells_the_terminal_why_there_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create_app_from_settings(ServerSettings(str(tmp_path / "none")).as_dict())

    assert "there is no model at" in capsys.readouterr().err


def test_lines_of_many_requests_are_written_together_and_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs.LogFile, "DELAY", 30.0)
    client = Client(create_app(make_agent(), logfile=tmp_path / "log"))
    monkeypatch.setattr(logs, "started", lambda work, name, after: threading.current_thread())
    for _ in range(5):
        client.get("/version")
    file = next(handler for handler in logging.getLogger("rasa_core").handlers if isinstance(handler, logs.LogFile))
    assert (tmp_path / "log").read_text().count("GET /version") < 5
    file.flush()
    assert (tmp_path / "log").read_text().count("GET /version") == 5


def test_one_timer_at_a_time_writes_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs.LogFile, "DELAY", 600.0)
    file = logs.LogFile(str(tmp_path / "server.log"), logs.LogStyle())
    before = set(threading.enumerate())
    for _ in range(3):  # The first is written at once, and the second by a timer.
        file.write_request(" a request\n")
    file.flush()
    file.write_request(" a request\n")
    timers = set(threading.enumerate()) - before
    for timer in timers:
        timer.cancel()  # type: ignore[attr-defined]
        timer.join()
    file.close()
    assert len(timers) == 1


def test_lines_are_written_though_a_fork_has_lost_the_timer(tmp_path: Path) -> None:
    file = logs.LogFile(str(tmp_path / "server.log"), logs.LogStyle())
    file._will_be_written = True
    file.write_request(" a request\n")
    assert (tmp_path / "server.log").read_text(encoding="ascii").endswith(" a request\n")
    file.close()


def test_the_last_line_is_written_though_nothing_follows_it(tmp_path: Path) -> None:
    client = Client(create_app(make_agent(), logfile=tmp_path / "log"))
    client.get("/version")
    client.get("/version")
    until(lambda: (tmp_path / "log").read_text().count("GET /version") == 2)


def test_half_characters_are_written_as_escapes(agent: Agent, tmp_path: Path) -> None:
    create_app(agent, logfile=tmp_path / "log")
    logging.getLogger("rasa_core").propagate = False  # Reports of tests cannot hold such a record.

    logging.getLogger("rasa_core.interpreter").error("cannot understand %s", "\ud83d")

    assert (tmp_path / "log").read_text().endswith("cannot understand \\ud83d\n")


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("x\n2026-11-20 14:03:12,419 1/a INFO y: z", "x\\n2026-11-20 14:03:12,419 1/a INFO y: z"),
        ("\x1b[2Jx", "\\x1b[2Jx"),
        ("x\r\u2028y\u202ez", "x\\r\\u2028y\\u202ez"),
        ("\0\x9b1A é", "\\x00\\x9b1A é"),
    ],
)
def test_what_a_line_quotes_forges_no_other(agent: Agent, tmp_path: Path, said: str, written: str) -> None:
    client = create_app(agent, logfile=tmp_path / "log").test_client()
    body = {"executed_action": "utter_greet", "error": said}
    assert client.post("/conversations/x/continue", json=body).status_code == 200
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert text.count(written) == 1
    assert all(re.match(r"\d{4}-\d\d-\d\d ", line) for line in text.splitlines())


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_nobody_else_can_read_the_log_nor_the_one_that_follows_it(tmp_path: Path) -> None:
    client, path = Client(create_app(make_agent(), logfile=tmp_path / "log")), tmp_path / "log"
    client.get("/version")
    path.rename(tmp_path / "log.1")
    logging.getLogger("rasa_core").error("on goes the log")

    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == dict.fromkeys(
        ["log", "log.1"], 0o600
    )


def test_a_full_disk_leaves_no_half_line_fails_no_request_and_is_told_once(
    small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    log = small_disk.path / "log"
    client = Client(create_app(make_agent(), logfile=log, log_format="json"))
    client.get("/version")
    small_disk.fill()
    logger = logging.getLogger("rasa_core")
    with caplog.at_level(logging.INFO, "rasa_core"):
        for number in range(60):  # Of which the rest of a page takes some.
            assert client.get("/version").status_code == 200
            logger.handlers[-1].flush()
            logger.info("said %d", number)
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert told == [f"{log}: No space left on device; what does not go into this log is lost."]
    small_disk.empty()
    client.get("/health")
    logger.info("again")
    lines = [json.loads(line) for line in log.read_text(encoding="ascii").splitlines()]
    assert [line["message"].split()[:2] for line in lines[-2:]] == [["GET", "/health"], ["again"]]
    assert 2 < len(lines) < 120
