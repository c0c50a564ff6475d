"""``/docs`` in a real browser: the routes, their shapes, and a form that sends a request."""

from __future__ import annotations

import json
from pathlib import Path

from inspector_bot import app_of, served, write_project
from page import Page
from server_bot import make_app
from werkzeug.test import Client

HOSTILE = "<img src=x onerror=alert(1)>"
ROUTE = "post_conversations_parse"


def open_docs(page: Page, address: str) -> None:
    page.address = address
    page.driver.get(f"{address}/docs")


def test_routes_are_listed_explained_and_tried_with_a_token(page: Page, tmp_path: Path) -> None:
    with served(app_of(write_project(tmp_path / "bot"), auth_token="secret")) as address:
        open_docs(page, address)
        page.wait_for("This server asks for a token")
        page.run("document.getElementById('token').value = 'secret'; document.querySelector('#access button').click()")
        page.until(lambda: len(page.all(".route")) > 20)
        assert "Conversation" in page.texts("h2")

        page.run(f"document.getElementById('search').value = 'parse'; location.hash = '#{ROUTE}'")
        page.run("document.getElementById('search').dispatchEvent(new Event('input'))")
        page.until(lambda: page.all(f"#{ROUTE}[open] .try"))
        assert all("parse" in text.lower() for text in page.texts(".route > summary"))
        assert "Also at /conversation/{sender_id}/parse" in page.texts(f"#{ROUTE} .inside > p")

        sent = json.dumps({"query": HOSTILE})
        page.run(
            f"const box = document.querySelector('#{ROUTE} .trying'); box.open = true;"
            "box.querySelector('textarea').value = arguments[0]; box.querySelector('button').click()",
            sent,
        )
        page.wait_for("200 OK", ".result")
        assert HOSTILE in page.texts(".result > pre")[0]
        assert page.all("img") == []
        assert "Bearer $RASA_CORE_TOKEN" in page.run("return document.querySelector('.result details pre').textContent")
        assert "secret" not in page.run("return document.querySelector('main').textContent")
        for width in (400, 1000):
            page.size(width, 800)
            assert page.run("return document.documentElement.scrollWidth") <= width


def test_the_page_is_answered_with_a_strict_policy_and_asks_nobody_else() -> None:
    client = Client(make_app())
    for path in ("/docs", "/docs/docs.js", "/docs/docs.css", "/docs/icon.svg"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert b"://" not in answer.data.replace(b"http://www.w3.org/2000/svg", b"")
        assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
