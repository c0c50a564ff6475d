"""Data that a server deletes after some time."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from at_once import at_once
from server_bot import make_agent
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.server import create_app, served_model
from rasa_core.server.served_model import Housekeeper, ServedModel
from rasa_core.tracker_store import InMemoryTrackerStore, TrackerStore

DAY = 24 * 60 * 60.0


class Aged(InMemoryTrackerStore):
    """A store that dates conversations and answers back by `age` seconds."""

    age = 0.0

    def commit(self, sender_id, expected_version, events, head, answer=None):
        head = head._replace(updated=head.updated - self.age)
        if answer is not None:
            answer = answer._replace(created=answer.created - self.age)
        super().commit(sender_id, expected_version, events, head, answer)


@pytest.fixture
def store() -> Aged:
    return Aged()


@pytest.fixture
def agent(store: Aged) -> Agent:
    return make_agent(store)


def talk(agent: Agent, sender_id: str, key: str) -> None:
    answer = Client(create_app(agent)).post(
        f"/conversations/{sender_id}/parse", data=b'{"query": "/greet"}', headers={"Idempotency-Key": key}
    )
    assert answer.status_code == 200


def test_answers_are_kept_for_a_day(agent: Agent, store: Aged) -> None:
    store.age = DAY + 60
    talk(agent, "a", "old")
    store.age = DAY - 60
    talk(agent, "a", "new")
    Housekeeper(ServedModel(agent=agent)).clean()
    assert store.read_answer("a", "old") is None
    assert store.read_answer("a", "new") is not None


@pytest.mark.parametrize(("retention", "left"), [(None, ["idle", "used"]), (90 * DAY, ["used"])])
def test_conversations_are_kept_for_as_long_as_was_said(agent: Agent, store: Aged, retention, left) -> None:
    store.age = 90 * DAY + 60
    talk(agent, "idle", "k")
    store.age = 90 * DAY - 60
    talk(agent, "used", "k")
    Housekeeper(ServedModel(agent=agent), retention).clean()
    assert store.sender_ids() == left


@pytest.mark.parametrize("steps", [(100 * DAY, 0.0), (-100 * DAY, 0.0)], ids=["ahead", "behind"])
def test_nothing_is_forgotten_because_of_a_clock_that_was_wrong_for_a_while(
    agent: Agent, store: Aged, monkeypatch: pytest.MonkeyPatch, steps: tuple[float, ...]
) -> None:
    housekeeper, right, ahead = Housekeeper(ServedModel(agent=agent), 90 * DAY), time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: right() + ahead[0])
    talk(agent, "before", "k")
    for step in steps:
        ahead[0] = step
        housekeeper.clean()
        talk(agent, f"at {step}", "k")
        housekeeper.clean()
    assert store.sender_ids() == sorted(["before", *(f"at {step}" for step in steps)])
    assert all(store.read_answer(sender_id, "k") is not None for sender_id in store.sender_ids())


def test_after_the_time_that_things_are_kept_a_clock_that_was_set_counts_no_more(
    agent: Agent, store: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(agent, "ada", "k")
    housekeeper, clock, monotonic = Housekeeper(ServedModel(agent=agent), 90 * DAY), time.time, time.monotonic
    monkeypatch.setattr(time, "time", lambda: clock() + 100 * DAY)
    housekeeper.clean()
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + 91 * DAY)
    monkeypatch.setattr(time, "time", lambda: clock() + 191 * DAY)
    housekeeper.clean()
    assert store.sender_ids() == []


def test_a_store_that_cannot_be_reached_is_left_for_the_next_time(agent: Agent, store: Aged, caplog) -> None:
    def fail(before: float) -> int:
        raise StoreUnavailableError("the database is gone")

    store.expire_answers = fail
    Housekeeper(ServedModel(agent=agent)).clean()
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "kept for now: the database is gone" in record.getMessage()


def test_a_store_that_knows_no_times_is_named(caplog) -> None:
    class Own(TrackerStore):
        """A store that keeps nothing."""

    Housekeeper(ServedModel(agent=make_agent(Own())), 90 * DAY).clean()
    assert "Own cannot tell which conversations are idle: none is deleted." in caplog.text


def test_without_a_model_nothing_is_done(tmp_path: Path, caplog) -> None:
    Housekeeper(ServedModel(tmp_path / "none")).clean()
    assert "No agent loaded" in caplog.text


def test_a_file_of_conversations_that_is_none_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model.conversations.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=r"model\.conversations\.db.* Or name another store with --store"):
        ServedModel(tmp_path / "model")


def test_it_starts_with_the_first_request_of_a_process_and_once(agent: Agent, store: Aged) -> None:
    done = threading.Semaphore(0)
    threads = set()

    def note(before: float) -> int:
        threads.add(threading.get_ident())
        done.release()
        return 0

    store.expire_answers = note
    app = create_app(agent)
    app.housekeeper = Housekeeper(ServedModel(agent=agent), first=0.0, every=0.001)
    for _ in range(3):
        Client(app).get("/version")
    assert all(done.acquire(timeout=20) for _ in range(3))
    assert len(threads) == 1
    app.housekeeper._every = 1e6


def test_an_unexpected_error_is_logged_and_does_not_end_it(agent: Agent, store: Aged, caplog) -> None:
    tried = threading.Semaphore(0)

    def fail(before: float) -> int:
        tried.release()
        raise ZeroDivisionError("a fault of a store of somebody's own")

    store.expire_answers = fail
    housekeeper = Housekeeper(ServedModel(agent=agent), first=0.0, every=0.001)
    housekeeper.start()
    assert all(tried.acquire(timeout=20) for _ in range(3))
    housekeeper._every = 1e6
    assert "a fault of a store of somebody's own" in caplog.text


def test_it_ends_with_an_application_that_nobody_has_any_more(store: Aged) -> None:
    app = create_app(make_agent(store))
    app.housekeeper._first, app.housekeeper._every = 0.0, 0.001
    Client(app).get("/version")
    (thread,) = app.housekeeper.threads.values()
    assert thread.is_alive()
    del app
    gc.collect()
    thread.join(20)
    assert not thread.is_alive()


def test_requests_that_come_at_once_start_one(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(Housekeeper, "_run", lambda self: started.append(threading.get_ident()))
    # Each thread that asks which process this is lets the others come between.
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: (time.sleep(0.001), own)[1])
    app = create_app(agent)
    at_once(lambda _: Client(app).get("/version"), range(8))
    for thread in app.housekeeper.threads.values():
        thread.join()
    assert len(started) == 1


def test_reminders_begin_as_soon_as_a_thread_can_be_started(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    reminded = threading.Event()

    def started(work: object, name: str, *arguments: object) -> threading.Thread | None:
        asked.append(threading.get_ident())
        if len(asked) == 1:
            return None  # There is no room.
        reminded.set()
        return threading.current_thread()

    monkeypatch.setattr(served_model, "started", started)
    housekeeper = Housekeeper(ServedModel(agent=agent), first=0.0, every=0.001)
    housekeeper.start()

    assert reminded.wait(20)
    housekeeper._every = 1e6
    assert set(asked) == {thread.ident for thread in housekeeper.threads.values()}  # No request begins a second one.


FORKED = """
import os, sys, time
from server_bot import make_agent
from werkzeug.test import Client
from rasa_core.server import create_app
from rasa_core.server.served_model import Housekeeper, ServedModel
from rasa_core.tracker_store import SqliteTrackerStore

with SqliteTrackerStore(path=sys.argv[1]) as store:
    agent = make_agent(store)
    app = create_app(agent)
    app.housekeeper = Housekeeper(ServedModel(agent=agent), 0.001, first=1e6)
    Client(app).post("/conversations/a/parse", data=b'{"query": "/greet"}')
    assert store.sender_ids() == ["a"]
    app.housekeeper._first = 0.0
    child = os.fork()
    if not child:
        Client(app).get("/version")
        limit = time.monotonic() + 20
        while store.sender_ids() and time.monotonic() < limit:
            time.sleep(0.01)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(store.sender_ids())
"""


def test_it_runs_in_a_process_that_was_forked_after_the_first_request(tmp_path: Path) -> None:
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    told = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, str(tmp_path / "log.db")],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (told.stdout, told.stderr) == ("[]\n", "")
