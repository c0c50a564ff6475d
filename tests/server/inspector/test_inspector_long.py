"""The list of conversations while a very long conversation is being read."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from inspector_bot import app_of, write_project
from werkzeug.test import Client

from rasa_core.server.inspector import queue
from rasa_core.tracker_store import InMemoryTrackerStore


class Slow(InMemoryTrackerStore):
    """A store of which a log is read only when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()

    def read_events(self, sender_id: str, start: int, end: int) -> list[str]:
        if threading.current_thread().name == "index":
            assert self.go.wait(20)
        return super().read_events(sender_id, start, end)


@pytest.fixture
def store() -> Slow:
    return Slow()


@pytest.fixture
def client(tmp_path: Path, store: Slow) -> Client:
    client = Client(app_of(write_project(tmp_path / "concerts"), store))
    assert client.post("/conversations/ada/say", json={"text": "/greet"}).status_code == 200
    return client


def test_the_list_comes_without_what_is_still_read(
    client: Client, store: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hurried:
        hurried.setattr(queue, "_MOMENT", 0.02)
        store.go.clear()
        early = client.get("/inspector/queue").json
        again = client.get("/inspector/queue").json
    store.go.set()

    assert [(told["indexed"], told["total"]) for told in (early, again)] == [(0, 1)] * 2
    assert client.get("/inspector/queue").json["indexed"] == 1


def test_a_mark_is_noted_before_its_conversation_is_read(
    client: Client, store: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/inspector/queue")
    with monkeypatch.context() as hurried:
        hurried.setattr(queue, "_MOMENT", 0.02)
        store.go.clear()
        answer = client.put("/conversations/ada/review", json={"reviewed": True, "note": "seen"})
        listed = client.get("/inspector/queue?search=reviewed:yes").json
    store.go.set()

    assert answer.json["note"] == "seen"
    assert [(one["sender_id"], one["note"]) for one in listed["conversations"]] == [("ada", "seen")]


AS_A_WORKER = """
import multiprocessing, sys
from pathlib import Path
from inspector_bot import app_of, write_project
from werkzeug.test import Client
from rasa_core.tracker_store import InMemoryTrackerStore

def list_it():
    app = app_of(write_project(Path(sys.argv[1])), InMemoryTrackerStore())
    assert Client(app).get("/inspector/queue").status_code == 200

if sys.argv[2] == "worker":
    worker = multiprocessing.get_context("fork").Process(target=list_it)
    worker.start()
    worker.join()
    sys.exit(worker.exitcode)
list_it()
"""


@pytest.mark.parametrize("kind", ["worker", "program"])
def test_the_index_of_a_store_in_memory_ends_with_its_process(tmp_path: Path, kind: str) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(sys.path)}

    subprocess.run([sys.executable, "-c", AS_A_WORKER, tmp_path / "bot", kind], check=True, env=environment, timeout=60)

    assert list(temporary.glob("rasa_core*")) == []
