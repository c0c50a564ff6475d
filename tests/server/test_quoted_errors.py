"""The answers that the page about errors quotes are those of the server, word for word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from server_bot import make_agent
from werkzeug.test import Client

from rasa_core.server import create_app

PAGE = (Path(__file__).parents[2] / "docs/troubleshooting.rst").read_text(encoding="utf-8")
PARSE, CONTINUE = "/conversations/a/parse", "/conversations/a/continue"
SHOP = {"Origin": "https://shop.example.org"}


@pytest.mark.parametrize(
    ("status", "path", "request_", "options"),
    [
        (409, "/conversations/a/respond", {"json": {"query": "/search"}}, {}),
        (404, "/conversation/a/pars", {}, {}),
        (400, PARSE, {"data": "{'query': 'x'}"}, {}),
        (400, PARSE, {"json": {"text": "x"}}, {}),
        (400, CONTINUE, {"json": {"events": [{"event": "slot", "name": "nam", "value": 1}]}}, {}),
        (413, PARSE, {"data": b"x" * 1_048_577}, {}),
        (401, PARSE, {}, {"auth_token": "t"}),
        (403, PARSE, {"headers": {"Host": "bot.example.org"}}, {"allowed_hosts": "localhost"}),
        (403, PARSE, {"json": {"query": "x"}, "headers": SHOP}, {}),
    ],
)
def test_an_error_is_quoted(status: int, path: str, request_: dict[str, Any], options: dict[str, Any]) -> None:
    answer = Client(create_app(make_agent(), **options)).post(path, **request_)
    assert answer.status_code == status
    assert f"   {answer.get_json()['error']}\n" in PAGE


def test_errors_about_a_conversation_that_has_changed_are_quoted() -> None:
    client = Client(create_app(make_agent()))
    client.post(PARSE, json={"query": "/greet"}, headers={"Idempotency-Key": "k"})
    again = client.post(PARSE, json={"query": "/bye"}, headers={"Idempotency-Key": "k"})
    late = client.post(CONTINUE, json={}, headers={"If-Match": '"99"'})
    assert (again.status_code, late.status_code) == (422, 412)
    assert f"   {again.get_json()['error']}\n" in PAGE
    assert late.get_json()["error"].replace("version 2", "version 1") in PAGE


def test_what_is_no_error_is_quoted_too() -> None:
    client = Client(create_app(make_agent()))
    unknown = client.post(PARSE, json={"query": "/gret"}).get_json()["info"]
    client.post(CONTINUE, json={"events": [{"event": "pause"}]})
    paused = client.post(PARSE, json={"query": "/greet"}).get_json()["info"]
    assert f"   {unknown}\n" in PAGE
    assert f"   {paused}\n" in PAGE


def test_a_server_without_a_model_answers_as_quoted(tmp_path: Path) -> None:
    answer = Client(create_app(tmp_path / "none")).post(PARSE, json={"query": "hello"})
    assert answer.status_code == 503
    assert f"   {answer.get_json()['error']}\n" in PAGE
