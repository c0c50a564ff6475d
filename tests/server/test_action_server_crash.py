"""A server that is killed during an action call: the next one finishes the turn, and repeats nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from launched_command import Launched
from thread_servers import running, silent

from rasa_core import Agent, Domain
from rasa_core.policies import MemoizationPolicy

DOMAIN = """
intents: [order]
slots:
  orders: {type: unfeaturized}
templates:
  utter_hello: ["hello"]
  utter_done: ["{orders} ordered"]
actions: [utter_hello, action_order, utter_done]
action_factory: remote
"""
STORIES = "## order\n* order\n    - utter_hello\n    - action_order\n    - utter_done\n"
TALK = ("anna", "/order", "order-1")


class _Handler(BaseHTTPRequestHandler):
    log_message = silent
    server: Orders

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.headers["Idempotency-Key"])
        if len(self.server.keys) == 1:
            self.server.called.set()
            self.server.killed.wait(60)
        answer = json.dumps({"events": [{"event": "slot", "name": "orders", "value": len(set(self.server.keys))}]})
        with suppress(OSError):  # Nobody is there any more to read the first answer.
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())


class Orders(ThreadingHTTPServer):
    """Takes an order for each key, and does not answer the first call until its caller was killed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: list[str] = []
        self.called, self.killed = threading.Event(), threading.Event()


@pytest.fixture
def orders() -> Iterator[Orders]:
    with running(server := Orders()):
        yield server
        server.killed.set()


@pytest.fixture
def options(tmp_path: Path, orders: Orders) -> tuple[Any, ...]:
    """Return what to launch: a model that was just trained, on a store, with the action server."""
    (tmp_path / "stories.md").write_text(STORIES, encoding="utf-8")
    agent = Agent(Domain.from_yaml(DOMAIN), policies=[MemoizationPolicy(max_history=4)])
    agent.train(agent.load_data(tmp_path / "stories.md"))
    agent.persist(tmp_path / "model")
    actions = f"http://127.0.0.1:{orders.server_address[1]}/webhook"
    return tmp_path / "model", "--store", f"sqlite:///{tmp_path / 'c.db'}", "--actions", actions


def test_an_action_that_was_running_is_called_again_with_the_same_key(options: Any, orders: Orders) -> None:
    with Launched(*options) as server, server.open(*TALK, stream=True) as answer:
        assert json.loads(answer.readline())["text"] == "hello"  # It is said before the action ends.
        assert orders.called.wait(60)
        server.kill()
        with pytest.raises((OSError, HTTPException), match=r"."):
            answer.read()
    orders.killed.set()

    with Launched(*options) as server:
        assert server.say(*TALK) == ["hello", "1 ordered"]
        assert server.say(*TALK) == ["hello", "1 ordered"]
        with server.open(*TALK, stream=True) as answer:
            assert [json.loads(line)["text"] for line in answer] == ["hello", "1 ordered"]
        events = server.json("/conversations/anna/tracker")["events"]
    assert (len(orders.keys), len(set(orders.keys))) == (2, 1)
    names = [event["name"] for event in events if event["event"] == "action"]
    assert names == ["action_listen", "utter_hello", "action_order", "utter_done", "action_listen"]
