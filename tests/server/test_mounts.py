"""The application under other WSGI servers, and mounted in other sites."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from programs import free_port
from server_answers import error_of
from server_bot import make_agent
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from rasa_core.server import create_app

HERE = Path(__file__).parent
PARSE = "/conversations/x/parse"
QUERY = b'{"query": "/greet"}'

# -- inside other sites


def flask_site() -> Callable[..., Any]:
    flask = pytest.importorskip("flask")
    site = flask.Flask("site")
    site.add_url_rule("/", "home", lambda: "the site itself")
    site.wsgi_app = DispatcherMiddleware(site.wsgi_app, {"/bot": create_app(make_agent(), auth_token="t")})
    return site


def django_site() -> Callable[..., Any]:
    pytest.importorskip("django")
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    if not settings.configured:
        urls = type("urls", (), {"urlpatterns": [path("", lambda request: HttpResponse("the site itself"))]})
        settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], SECRET_KEY="test")
    return DispatcherMiddleware(get_wsgi_application(), {"/bot": create_app(make_agent(), auth_token="t")})


@pytest.fixture(params=[flask_site, django_site], ids=["flask", "django"])
def site(request: pytest.FixtureRequest) -> Client:
    """Return a client of a site that has the server below /bot."""
    return Client(request.param())


def test_site_itself_still_answers(site: Client) -> None:
    assert site.get("/").get_data(as_text=True) == "the site itself"


@pytest.mark.parametrize("path", ["/bot", "/bot/"])
def test_server_greets_below_its_prefix(site: Client, path: str) -> None:
    assert site.get(path).get_data(as_text=True).startswith("hello from Rasa Core")


def test_turn_below_a_prefix(site: Client) -> None:
    parsed = site.post(f"/bot{PARSE}?token=t", data=QUERY).get_json()
    done = site.post("/bot/conversations/x/continue?token=t", data=b'{"executed_action": "utter_greet"}')

    assert parsed["next_action"] == "utter_greet"
    assert done.get_json()["next_action"] == "action_listen"
    assert site.get("/bot/conversations?token=t").get_json() == ["x"]


def test_errors_below_a_prefix_are_ours(site: Client) -> None:
    assert "the token" in error_of(site.post(f"/bot{PARSE}", data=QUERY))
    assert "nothing at '/nope'" in error_of(site.get("/bot/nope"))


# -- under other servers


COMMANDS = {
    "gunicorn": ["gunicorn", "server_bot:make_app()", "--threads=4", "--bind=127.0.0.1:{port}"],
    "waitress": ["waitress", "--listen=127.0.0.1:{port}", "--call", "server_bot:make_app"],
    "granian": ["granian", "server_bot:make_app", "--factory", "--interface=wsgi", "--port={port}"],
}


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, seconds: float = 30) -> None:
    """Return as soon as something accepts connections at `port`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=seconds):
            return
        with suppress(subprocess.TimeoutExpired):
            pytest.fail(f"the server ended with {process.wait(timeout=0.02)} before it listened")
    pytest.fail("the server does not listen")


@pytest.fixture(scope="module", params=COMMANDS)
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Start a server, and yield its port."""
    pytest.importorskip(request.param)
    store = f"sqlite:///{tmp_path_factory.mktemp('store')}/x.db"
    environ = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parents[1]}", "SERVER_BOT_STORE": store}
    number = free_port()
    command = [sys.executable, "-m", *(part.format(port=number) for part in COMMANDS[request.param])]
    with subprocess.Popen(command, env=environ) as process:
        try:
            wait_until_it_listens(process, number)
            yield number
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    found = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    yield found
    found.close()


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection.request(method, path, body, headers, encode_chunked=not isinstance(body, bytes | None))
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def test_turn_under_a_server(connection: http.client.HTTPConnection) -> None:
    ask(connection, "DELETE", "/conversations/x")
    _, _, parsed = ask(connection, "POST", PARSE, QUERY)
    _, _, done = ask(connection, "POST", "/conversations/x/continue", b'{"executed_action": "utter_greet"}')

    assert json.loads(parsed)["next_action"] == "utter_greet"
    assert json.loads(done)["version"] == 4


def test_form_type_of_curl_does_not_matter(connection: http.client.HTTPConnection) -> None:
    status, _, _ = ask(connection, "POST", PARSE, QUERY, **{"Content-Type": "application/x-www-form-urlencoded"})

    assert status == 200


@pytest.mark.parametrize("sender_id", ["é", "a b", "日本", "a%b", "a+b", "|", ".", "..", "😀"])
def test_any_id_comes_back_as_it_was(connection: http.client.HTTPConnection, sender_id: str) -> None:
    status, _, body = ask(connection, "GET", f"/conversations/{quote(sender_id, safe='')}/tracker")

    assert status == 200
    assert json.loads(body)["sender_id"] == sender_id


def test_body_in_chunks_is_read(connection: http.client.HTTPConnection) -> None:
    chunks = iter([b'{"query"', b': "/gr', b'eet"}'])

    status, _, body = ask(connection, "POST", PARSE, chunks, **{"Transfer-Encoding": "chunked"})

    assert status == 200
    assert json.loads(body)["next_action"] == "utter_greet"


def test_body_in_too_many_chunks_is_refused(connection: http.client.HTTPConnection) -> None:
    chunks = iter([b" " * 100_000] * 11)

    status, _, body = ask(connection, "POST", PARSE, chunks, **{"Transfer-Encoding": "chunked"})

    assert status == 413
    assert "larger than 1048576 bytes" in json.loads(body)["error"]


def test_body_of_ten_megabytes_is_refused(connection: http.client.HTTPConnection) -> None:
    status, _, body = ask(connection, "POST", PARSE, b" " * 10_000_000)

    assert status == 413
    assert "larger than 1048576 bytes" in json.loads(body)["error"]


def test_body_that_nobody_reads_does_not_hide_the_answer(connection: http.client.HTTPConnection) -> None:
    status, _, body = ask(connection, "POST", "/nope", b" " * 5_000_000)

    assert status == 404
    assert json.loads(body)["error"]


def test_head_has_no_body(connection: http.client.HTTPConnection) -> None:
    status, headers, body = ask(connection, "HEAD", "/version")

    assert (status, body) == (200, b"")
    _, _, whole = ask(connection, "GET", "/version")
    assert headers["Content-Length"] == str(len(whole))
    assert whole


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("PUT", PARSE, 405),
        ("POST", PARSE, 400),
        ("GET", "/conversations/%FF/tracker", 400),
    ],
)
def test_errors_are_json(connection: http.client.HTTPConnection, method: str, path: str, status: int) -> None:
    found, headers, body = ask(connection, method, path)

    assert found == status
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body)["error"]


def test_server_outlives_a_client_that_breaks_off(port: int, connection: http.client.HTTPConnection) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as broken:
        broken.sendall(b"POST /parse HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")

    assert ask(connection, "GET", "/version")[0] == 200
