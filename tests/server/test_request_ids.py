"""The id of a request: in its answer, in the log, and in requests to other servers."""

from __future__ import annotations

import http.server
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from launched_command import Launched, head
from server_bot import DOMAIN, AnswersByIntent, make_agent
from thread_servers import running, silent
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.server import create_app
from rasa_core.server.log_lines import LogStyle
from rasa_core.support.work import UNDER_WAY, Work, under_way

MADE = re.compile(r"[0-9a-f]{16}")


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Return the lines of a log, each of which has to be one object of JSON."""
    return [json.loads(line) for line in log.read_text(encoding="ascii").splitlines()]


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(create_app(make_agent(), logfile=tmp_path / "log", log_format="json"))


class TestTheAnswer:
    @pytest.mark.parametrize("given", ["7", "a-b_c.d:e/f+g=h@i~", "x" * 128])
    def test_has_the_id_of_the_request(self, client: Client, given: str) -> None:
        assert client.get("/version", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given

    @pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", 'a"b', "é", "a,b", "a;b", "\tx"])
    def test_has_a_new_one_if_there_is_none_that_can_stand_in_a_log(self, client: Client, given: str | None) -> None:
        headers = {} if given is None else {"X-Request-ID": given}
        first, second = (client.get("/version", headers=headers).headers["X-Request-ID"] for _ in range(2))
        assert MADE.fullmatch(first)
        assert first != second

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("GET", "/nowhere", None, 404),
            ("DELETE", "/version", None, 405),
            ("POST", "/conversations/anna/parse", b"{", 400),
            ("OPTIONS", "/version", None, 200),
            ("HEAD", "/version", None, 200),
            ("GET", "/health", None, 200),
        ],
    )
    def test_has_it_whatever_is_answered(
        self, client: Client, method: str, path: str, body: bytes | None, status: int
    ) -> None:
        answer = client.open(path, method=method, data=body, headers={"X-Request-ID": "mine"})
        assert (answer.status_code, answer.headers.getlist("X-Request-ID")) == (status, ["mine"])

    def test_has_it_where_something_fails(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        agent = make_agent()
        monkeypatch.setattr(agent.tracker_store, "keys", lambda: 1 / 0)
        client = Client(create_app(agent, logfile=tmp_path / "log", log_format="json"))
        answer = client.get("/conversations", headers={"X-Request-ID": "mine"})
        failed, asked = lines_of(tmp_path / "log")
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (500, "mine")
        assert (failed["level"], failed["request_id"], failed["route"]) == ("ERROR", "mine", "/conversations")
        assert failed["exception"].startswith("Traceback")
        assert "ZeroDivisionError" in failed["exception"]
        assert (asked["status"], asked["request_id"]) == (500, "mine")

    def test_may_be_read_and_sent_by_a_page(self) -> None:
        client = Client(create_app(make_agent(), cors_origins="http://page"))
        asked = client.options("/version", headers={"Origin": "http://page", "Access-Control-Request-Method": "GET"})
        assert "X-Request-ID" in asked.headers["Access-Control-Allow-Headers"]
        assert "X-Request-ID" in asked.headers["Access-Control-Expose-Headers"]


class TestALine:
    def test_of_a_request_says_all_of_it(self, client: Client, tmp_path: Path) -> None:
        client.post("/conversations/anna/parse", json={"query": "/greet"}, headers={"X-Request-ID": "mine"})
        (line,) = lines_of(tmp_path / "log")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert 0 < line.pop("duration") < 60
        assert re.fullmatch(r"POST /conversations/anna/parse 200 \d+\.\d\d ms", line.pop("message"))
        assert line.pop("process") > 0
        assert line == {
            "level": "INFO",
            "logger": "rasa_core.server.access",
            "request_id": "mine",
            "route": "/parse",
            "sender": "anna",
            "method": "POST",
            "status": 200,
        }

    def test_tells_who_talks_over_the_rest_channel(self, client: Client, tmp_path: Path) -> None:
        client.post("/webhooks/rest/webhook", json={"sender": "anna", "message": "/greet"})
        assert lines_of(tmp_path / "log")[-1]["sender"] == "anna"

    @pytest.mark.parametrize("said", ["a\nb", "\r", "\u2028", "\x00\x1b[2J", '"}', "é😀", "\ud83d", "%s %d"])
    def test_is_broken_by_nothing_that_is_logged(self, client: Client, tmp_path: Path, said: str) -> None:
        logging.getLogger("rasa_core").propagate = False  # Reports of tests cannot hold such a record.
        logging.getLogger("rasa_core.turn").error("%s", said)
        (line,) = lines_of(tmp_path / "log")
        assert line["message"] == said

    def test_is_there_where_values_do_not_fit_what_is_logged(self, client: Client, tmp_path: Path) -> None:
        logging.getLogger("rasa_core").propagate = False
        logging.getLogger("rasa_core.turn").error("%d of %d", "one")
        assert lines_of(tmp_path / "log")[0]["message"] == "%d of %d"

    @pytest.mark.parametrize("log_format", ["text", "json"])
    def test_outside_of_a_request_has_no_id(self, tmp_path: Path, log_format: str) -> None:
        Client(create_app(make_agent(), logfile=tmp_path / "log", log_format=log_format)).get("/version")
        logging.getLogger("rasa_core.turn").error("late")
        line = (tmp_path / "log").read_text().splitlines()[-1]
        assert '"request_id"' not in line
        assert " ERROR " in line or json.loads(line)["level"] == "ERROR"
        assert "/" not in line.partition("ERROR")[0] or log_format == "json"
        assert UNDER_WAY.get() is None

    def test_as_text_has_the_id_beside_the_process(self, tmp_path: Path) -> None:
        client = Client(create_app(tmp_path / "none", logfile=tmp_path / "log"))
        client.get("/conversations", headers={"X-Request-ID": "mine"})
        lines = (tmp_path / "log").read_text().splitlines()
        assert [re.search(r" \d+/mine (ERROR|INFO) ", line) is not None for line in lines] == [True, True]

    @pytest.mark.parametrize("sender", [None, "anna", 'a"b\\c\n', "Zoë 😀", "half \ud800"])
    def test_of_a_request_is_what_json_makes_of_it(self, sender: str | None) -> None:
        style, work = LogStyle("json"), Work("7:a/b+c@d~", "/parse", sender)
        environ = {"rasa_core.work": work, "REQUEST_METHOD": 'P"ST'}
        rest = style.after_time(environ, "POST /x%22 200 1.87 ms", 200, 0.0018712345)
        said = style.object_of(
            "INFO",
            "rasa_core.server.access",
            "POST /x%22 200 1.87 ms",
            work,
            style.request_fields(environ, 200, 0.0018712345),
        )
        assert rest == f'Z", {json.dumps(said)[1:]}\n'

    def test_other_formats_are_refused(self) -> None:
        with pytest.raises(ValueError, match="text or json, not 'xml'"):
            create_app(make_agent(), log_format="xml")


SENDERS = ["anna", "+351 910 000 000", "o'brien", "a/b c", "é", 'say "hi"', "user(1)", "a"]


class TestHashedIds:
    @pytest.mark.parametrize("sender", SENDERS)
    @pytest.mark.parametrize("log_format", ["text", "json"])
    def test_stand_wherever_the_name_would(
        self, tmp_path: Path, sender: str, log_format: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agent = make_agent()
        client = Client(create_app(agent, logfile=tmp_path / "log", log_format=log_format, log_key="k"))
        path = f"/conversations/{_quoted(sender)}"
        client.post(f"{path}/parse", json={"query": "/greet"})
        client.get(f"{path}/tracker", query_string={"q": sender})
        client.get(f"/conversations?after={_quoted(sender)}")
        client.get(f"{path}/nowhere")
        client.post(f"{path}/continue", json={"executed_action": "utter_greet", "error": "nobody home"})
        monkeypatch.setattr(agent, "read_tracker", lambda name: {}[name])
        client.get(f"{path}/tracker")
        logged = (tmp_path / "log").read_text()
        digest = LogStyle(key="k").sender(sender)
        assert logged.count(digest) >= 5
        assert "nobody home" in logged
        assert "KeyError" in logged
        for written in (sender, _quoted(sender), repr(sender)[1:-1], json.dumps(sender)[1:-1]):
            assert not re.search(rf"(?<![\w.]){re.escape(written)}(?!\w)", logged.replace("\\n", "\n"))

    def test_are_the_same_with_the_same_key_and_others_with_another(self) -> None:
        first, again, other = LogStyle(key="k"), LogStyle(key="k"), LogStyle(key="l")
        assert first.sender("anna") == again.sender("anna") != first.sender("bert")
        assert first.sender("anna") != other.sender("anna")

    def test_an_empty_key_hides_nothing_and_is_refused(self) -> None:
        with pytest.raises(ValueError, match="empty, which would hide nothing"):
            create_app(make_agent(), log_key=" ")


def _quoted(sender: str) -> str:
    return quote(sender, safe="")


class _Listening(http.server.BaseHTTPRequestHandler):
    log_message = silent
    ids: list[str | None]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.ids.append(self.headers["X-Request-ID"])
        body = b'{"events": [], "responses": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def action_server() -> Iterator[tuple[str, list[str | None]]]:
    ids: list[str | None] = []
    handler = type("Handler", (_Listening,), {"ids": ids})
    with running(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler), "/webhook") as url:
        yield url, ids


def test_other_servers_are_told_the_id(action_server: tuple[str, list[str | None]]) -> None:
    url, ids = action_server
    client = Client(create_app(Agent(Domain.from_yaml(DOMAIN), [AnswersByIntent()], actions=url)))
    client.post("/conversations/anna/respond", json={"query": "/search"}, headers={"X-Request-ID": "mine"})
    assert ids == ["mine"]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    ("message", "values", "told"), [("at %d", ("noon",), "at %d"), (Unspeakable(), (), "Unspeakable")]
)
def test_a_record_that_cannot_be_formed_is_a_line_all_the_same(
    log_format: str, message: object, values: tuple[object, ...], told: str
) -> None:
    record = logging.LogRecord("bot", logging.ERROR, "bot.py", 1, message, values, None)
    assert told in LogStyle(log_format).formatter().format(record)


def test_work_ends_where_it_was_begun() -> None:
    with under_way(Work("a")), under_way(Work("b")):
        pass
    assert UNDER_WAY.get() is None


def test_a_server_of_two_processes_writes_nothing_but_json(model: Path) -> None:
    options = ("--log-format", "json", "--log-ids", "hash", "--workers", "2", "--body-timeout", "0.2")
    with Launched(model, *options, "--import", "server_bot", environ={"RASA_CORE_LOG_KEY": "k"}) as server:
        late = server.answer(head("POST", "/conversations/anna/parse", Content_Length=9, X_Request_ID="slow"), b"{")
        asked = head("GET", "/conversations/anna/tracker", X_Request_ID="mine", Connection="close")
        with server.connect(asked) as connection:
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
    assert late[0] == 408
    assert b"x-request-id: mine" in received.lower()
    lines = {line["request_id"]: line for line in lines_of(server.log)}
    assert (lines["mine"]["status"], lines["mine"]["sender"]) == (200, LogStyle(key="k").sender("anna"))
    assert lines["slow"]["status"] == 408
