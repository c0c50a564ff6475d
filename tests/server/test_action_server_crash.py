"""A server that is killed while an action server works for it: the next one finishes the turn, and doubles nothing."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

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
TALK = {"sender": "anna", "message": "/order"}


class _Handler(BaseHTTPRequestHandler):
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

    def log_message(self, *args: Any) -> None:
        pass


class Orders(ThreadingHTTPServer):
    """Takes an order for each key, and does not answer the first call until its caller was killed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: list[str] = []
        self.called, self.killed = threading.Event(), threading.Event()


@pytest.fixture
def orders() -> Iterator[Orders]:
    with Orders() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.killed.set()
        server.shutdown()
        thread.join(10)


def start(tmp_path: Path, actions: str) -> tuple[subprocess.Popen[bytes], int]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = int(found.getsockname()[1])
    store = f"sqlite:///{tmp_path / 'c.db'}"
    command = [
        sys.executable, "-m", "rasa_core.server", "-d", str(tmp_path / "model"), "-p", str(port), "-o", "",
        "--store", store, "--actions", actions,
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return process, port
    pytest.fail("the server does not listen")


def post(port: int) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/webhooks/rest/webhook",
        json.dumps(TALK).encode(),
        {"Idempotency-Key": "order-1", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _post_in_vain(port: int) -> None:
    with pytest.raises(OSError, match=r"."):
        post(port)


def test_an_action_that_was_running_is_called_again_with_the_same_key(tmp_path: Path, orders: Orders) -> None:
    (tmp_path / "stories.md").write_text(STORIES, encoding="utf-8")
    agent = Agent(Domain.from_yaml(DOMAIN), policies=[MemoizationPolicy(max_history=4)])
    agent.train(agent.load_data(tmp_path / "stories.md"))
    agent.persist(tmp_path / "model")
    actions = f"http://127.0.0.1:{orders.server_address[1]}/webhook"

    process, port = start(tmp_path, actions)
    talking = threading.Thread(target=_post_in_vain, args=[port])
    talking.start()
    assert orders.called.wait(60)
    subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=True)  # The main process, and its workers.
    process.wait(10)
    talking.join(10)
    orders.killed.set()

    process, port = start(tmp_path, actions)
    answer = post(port)
    assert [message["text"] for message in answer] == ["hello", "1 ordered"]
    assert post(port) == answer
    assert len(orders.keys) == 2
    assert len(set(orders.keys)) == 1
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/conversations/anna/tracker", timeout=60) as answered:
        events = json.load(answered)["events"]
    names = [event["name"] for event in events if event["event"] == "action"]
    assert names == ["action_listen", "utter_hello", "action_order", "utter_done", "action_listen"]
    process.send_signal(signal.SIGTERM)
    process.wait(20)
