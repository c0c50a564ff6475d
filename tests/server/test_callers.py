"""Without a token, other web pages can neither change nor read conversations, even under another host name."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path

import pytest
from launched_command import Launched
from server_answers import error_of
from werkzeug.test import Client, TestResponse

from rasa_core.server.callers import hosts_of

PARSE = "/conversations/x/parse"
GREETING = '{"query": "/greet"}'
FORM = {"Content-Type": "text/plain"}  # What a page may send without asking first.


def say(client: Client, host: str = "localhost:5005", **headers: str) -> TestResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(PARSE, data=GREETING, headers={"Host": host, **FORM, **sent})


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:5005", "http://localhost:5005"),
        ("localhost:5005", "HTTP://LocalHost:5005"),
        ("[::1]:5005", "http://[::1]:5005"),
        ("[::1]:5005", "http://[0:0:0:0:0:0:0:1]:5005"),
        ("bot.example", "http://bot.example"),
        ("bot.example:80", "http://bot.example"),
        ("bot.example", "https://bot.example"),
        ("bot.example:443", "https://bot.example"),
        ("bot.example", "https://bot.example:443"),
    ],
)
def test_page_of_the_server_itself_may_change(client: Client, host: str, origin: str) -> None:
    assert say(client, host, Origin=origin).status_code == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:5005", "https://evil.example"),
        ("localhost:5005", "http://localhost"),
        ("localhost:5005", "http://localhost:5006"),
        ("localhost:5005", "https://localhost"),
        ("localhost:5005", "http://127.0.0.1:5005"),
        ("localhost:5005", "http://localhost:5005.evil.example"),
        ("localhost:5005", "http://localhost:5005@evil.example"),
        ("localhost:5005", "http://evil.example#localhost:5005"),
        ("localhost:5005", "localhost:5005"),
        ("localhost:5005", "null"),
        ("localhost:5005", "null, http://localhost:5005"),
        ("bot.example", "http://bot.example:8080"),
        ("bot.example", "http://bot.example.evil"),
        ("null", "null"),
        ("", "http://"),
    ],
)
def test_other_page_may_not(client: Client, host: str, origin: str) -> None:
    response = say(client, host, Origin=origin)

    assert response.status_code == 403
    assert "--cors" in error_of(response)
    assert client.get("/conversations").get_json() == []


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "same-origin, cross-site", "unheard", ""])
@pytest.mark.parametrize("path", [f"{PARSE}?q=/greet", "/parse?q=/greet", "/respond?q=/greet"])
def test_picture_or_link_in_another_page_says_nothing_to_the_bot(client: Client, path: str, site: str) -> None:
    response = client.get(path, headers={"Sec-Fetch-Site": site})

    assert response.status_code == 403
    assert client.get("/conversations").get_json() == []


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_address_that_somebody_types_in_is_followed(client: Client, site: str) -> None:
    assert client.get(f"{PARSE}?q=/greet", headers={"Sec-Fetch-Site": site}).status_code == 200


BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0", "Accept-Language": ""}


def link(client: Client, path: str, referrer: str | None, host: str = "192.168.1.5:5005", **more: str) -> TestResponse:
    """Ask as browsers do for a link, a picture or a frame, of a server that they call by an address of a network."""
    sent = {**BROWSER, **({} if referrer is None else {"Referer": referrer}), **more}
    return client.get(f"{path}?query=/greet", headers={"Host": host, **sent})


@pytest.mark.parametrize(
    "referrer",
    [
        None,
        "",
        "https://evil.example/",
        "http://192.168.1.5/page",
        "http://192.168.1.5:5005@evil.example/",
        "http://evil.example/http://192.168.1.5:5005/",
        "http://evil.example?http://192.168.1.5:5005/",
        "about:blank",
        "192.168.1.5:5005",
    ],
)
@pytest.mark.parametrize("path", [PARSE, "/parse", "/respond", "/conversations/x/respond"])
def test_link_of_another_page_of_a_network_says_nothing(client: Client, path: str, referrer: str | None) -> None:
    response = link(client, path, referrer)

    assert response.status_code == 403
    assert "token" in error_of(response)
    assert client.get("/conversations").get_json() == []


def test_link_of_a_page_that_may_change_is_followed(client_with: Callable[..., Client]) -> None:
    client = client_with(cors_origins=["https://bot.example"])

    assert link(client, "/respond", "http://192.168.1.5:5005/?page#part").status_code == 200
    assert link(client, "/respond", "https://bot.example/chat").status_code == 200
    assert link(client, "/respond", "https://other.example/chat").status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"User-Agent": "curl/8.5.0"},
        {"User-Agent": "python-requests/2.32", "Accept": "*/*"},
        {"User-Agent": "node", "Accept-Language": "*", "Sec-Fetch-Mode": "cors"},
        {"User-Agent": "Mozilla/5.0 (Windows NT; en-US) WindowsPowerShell/5.1"},
    ],
    ids=lambda headers: headers.get("User-Agent", "nothing")[:10],
)
def test_program_may_ask_with_get(client: Client, headers: dict[str, str]) -> None:
    assert client.get("/respond?query=/greet", headers={"Host": "192.168.1.5:5005", **headers}).status_code == 200


def test_browser_may_read(client: Client) -> None:
    assert client.get("/conversations", headers=BROWSER).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/conversations/x/continue"),
        ("POST", "/conversations/x/respond"),
        ("PUT", "/conversations/x/tracker"),
        ("POST", "/conversations/x/tracker/events"),
        ("DELETE", "/conversations/x"),
        ("POST", "/conversations/x/execute"),
        ("POST", "/conversations/x/messages"),
        ("POST", "/webhooks/rest/webhook"),
        ("POST", "/model/parse"),
        ("POST", "/load"),
    ],
)
def test_no_change_is_open_to_other_pages(client: Client, method: str, path: str) -> None:
    response = client.open(path, method=method, data="{}", headers={**FORM, "Origin": "https://evil.example"})

    assert response.status_code == 403


@pytest.mark.parametrize(
    ("listed", "origin"),
    [
        ("https://bot.example", "https://bot.example"),
        ("https://Bot.Example:443/", "https://bot.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("null", "null"),
        ("*", "https://any.example"),
        ("*", "null"),
    ],
)
def test_page_that_is_named_may_change(client_with: Callable[..., Client], listed: str, origin: str) -> None:
    response = say(client_with(cors_origins=[listed]), Origin=origin)

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ("*" if listed == "*" else origin)


def test_with_a_token_pages_and_names_are_not_looked_at(client_with: Callable[..., Client]) -> None:
    client = client_with(auth_token="t", allowed_hosts=["bot.example"])

    assert say(client, "evil.example", Origin="https://evil.example", Authorization="Bearer t").status_code == 200


@pytest.mark.parametrize(
    ("listening_on", "host"),
    [
        ("127.0.0.1", "127.0.0.1:5005"),
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "LOCALHOST.:80"),
        ("127.0.0.1", "[::1]:5005"),
        ("127.0.0.1", "[::ffff:127.0.0.1]:5005"),
        ("192.168.1.5", "[::ffff:c0a8:105]"),
        ("127.0.0.1", "bot.example:8443"),
        ("::1", "[0:0:0:0:0:0:0:1]:5005"),
        ("192.168.1.5", "192.168.1.5:5005"),
        ("bot.lan", "bot.lan:5005"),
        ("0.0.0.0", "10.1.2.3:5005"),
        ("::", "[2001:db8::1]"),
        ("127.0.0.1", "eu.bots.example"),
    ],
)
def test_names_of_the_server_are_known(client_with: Callable[..., Client], listening_on: str, host: str) -> None:
    client = client_with(allowed_hosts=[*hosts_of(listening_on), "Bot.example", "*.bots.example"])

    assert client.get("/conversations", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("listening_on", "host"),
    [
        ("127.0.0.1", "evil.example"),
        ("127.0.0.1", "evil.example:5005"),
        ("127.0.0.1", "localhost.evil.example"),
        ("127.0.0.1", "127.0.0.1.evil.example"),
        ("127.0.0.1", "evil@localhost"),
        ("127.0.0.1", "localhost, evil.example"),
        ("127.0.0.1", "localhost:5005:1"),
        ("127.0.0.1", "192.168.1.5"),
        ("127.0.0.1", "0.0.0.0:5005"),
        ("192.168.1.5", "192.168.1.6"),
        ("192.168.1.5", "[::ffff:192.168.1.6]"),
        ("0.0.0.0", "evil.example"),
        ("127.0.0.1", "bots.example"),
        ("127.0.0.1", "evilbots.example"),
    ],
)
@pytest.mark.parametrize("path", ["/conversations", "/conversations/x/tracker", "/version"])
def test_other_names_read_nothing(client_with: Callable[..., Client], listening_on: str, host: str, path: str) -> None:
    client = client_with(allowed_hosts=[*hosts_of(listening_on), "*.bots.example"])

    response = client.get(path, headers={"Host": host})

    assert response.status_code == 403
    assert "--allowed-hosts" in error_of(response)


def test_mounted_application_leaves_names_to_its_site(client: Client) -> None:
    assert client.get("/conversations", headers={"Host": "any.example"}).status_code == 200


def test_served_model_knows_its_names_only(trained: Path) -> None:
    with Launched(trained, "--allowed-hosts", "bot.example") as server:
        found = {}
        for host in (f"127.0.0.1:{server.port}", "localhost", "bot.example", "evil.example"):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.request("GET", "/conversations", headers={"Host": host})
            found[host] = connection.getresponse().status
            connection.close()

    assert list(found.values()) == [200, 200, 200, 403]


@pytest.mark.parametrize(
    "path",
    ["/", "/version", "/conversations", f"{PARSE}?q=/greet", "/conversations/x/story", "/domain", "/docs", "/nowhere"],
)
def test_browser_guesses_no_answer_to_be_a_page(client: Client, path: str) -> None:
    """A story, above all, is a text with what users have said in it."""
    client.get(f"{PARSE}?q=<script>")

    assert client.get(path).headers.getlist("X-Content-Type-Options") == ["nosniff"]
