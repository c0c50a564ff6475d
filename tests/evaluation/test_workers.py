"""Comparing the conversations of a store in several processes, some of which are killed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
from small_bots import MOOD_DOMAIN, MOOD_STORIES, trained_agent

from rasa_core.agent import Agent
from rasa_core.evaluation import worker, workers
from rasa_core.evaluation.changes import Comparison, ReplayedConversations
from rasa_core.evaluation.replay import compare, replay_of
from rasa_core.evaluation.workers import WorkerError, compare_stored
from rasa_core.tracker_store import InMemoryTrackerStore, TrackerStore, store_from_url
from rasa_core.tracker_store.logs import each_of

OTHER = MOOD_STORIES.replace("* greet\n  - utter_hello", "* greet\n  - utter_bye")
NAMES = [f"user {number}" for number in range(8)]

Bots = tuple[Agent, Agent]


def trained(folder: Path, stories: str) -> Agent:
    folder.mkdir()
    return trained_agent(folder, MOOD_DOMAIN, stories)


@pytest.fixture(scope="module")
def bots(tmp_path_factory: pytest.TempPathFactory) -> Bots:
    folder = tmp_path_factory.mktemp("bots")
    return trained(folder / "old", MOOD_STORIES), trained(folder / "new", OTHER)


@pytest.fixture(scope="module")
def store(bots: Bots, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerStore]:
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/talks.db"
    with store_from_url(url, bots[0].domain) as opened:
        talk_in(opened, bots[0])
        yield opened


def talk_in(store: TrackerStore, bot: Agent) -> None:
    talker = Agent(bot.domain, bot.policy_ensemble, tracker_store=store)
    for number, name in enumerate(NAMES):
        for text in ("/greet", "/bye")[: 1 + number % 2]:
            talker.handle_message(text, sender_id=name)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Each process that is started, where two conversations make a portion."""
    found: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def begin(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        found.append(start(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(workers, "TOGETHER", 2)
    monkeypatch.setattr("rasa_core.evaluation.workers.subprocess.Popen", begin)
    return found


def compared(
    bots: Bots, store: TrackerStore, tell: Callable[[int], object] = lambda done: None, **options: Any
) -> Comparison:
    return compare_stored(replay_of(*bots), store, NAMES, tell, processes=2, worth=-1, **options)


def test_two_processes_find_the_same_as_one(
    bots: Bots, store: TrackerStore, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    helped, read = threading.Event(), workers._read

    def reading(content: bytes) -> ReplayedConversations:
        helped.set()
        return read(content)

    monkeypatch.setattr(workers, "_read", reading)
    # Whoever asks for it does not go on before the other process has done something.
    found = compared(bots, store, lambda done: done < 3 or helped.wait(60))
    assert helped.is_set()
    assert found.as_dict() == compare(*bots, each_of(store, NAMES)).as_dict()
    assert found.conversations == len(NAMES)
    assert next(change.examples[0] for change in found.changes if change.verdict == "worse") == ("user 0", 2)
    assert [process.poll() is not None for process in started] == [True]


def test_a_process_that_is_killed_is_an_error(
    bots: Bots, store: TrackerStore, started: list[subprocess.Popen[bytes]]
) -> None:
    def kill(done: int) -> None:
        for process in started:
            process.kill()
            wait_for_others()

    with pytest.raises(WorkerError, match=r"was killed by signal 9\. Compare again"):
        compared(bots, store, kill)


def test_an_interruption_ends_all_processes(
    bots: Bots, store: TrackerStore, started: list[subprocess.Popen[bytes]]
) -> None:
    def interrupt(done: int) -> None:
        if started:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compared(bots, store, interrupt)
    assert started[0].returncode == -9


def test_little_work_and_a_store_that_others_cannot_read_are_done_by_one_process(
    bots: Bots, store: TrackerStore, started: list[subprocess.Popen[bytes]]
) -> None:
    assert compare_stored(replay_of(*bots), store, NAMES, processes=2).conversations == len(NAMES)
    memory = InMemoryTrackerStore(bots[0].domain)
    talk_in(memory, bots[0])
    assert compared(bots, memory).conversations == len(NAMES)
    assert compared(bots, store, longest=3).conversations == 0
    assert len(started) <= 1  # For the last, which has no time to help.


def test_a_policy_that_only_this_process_has_is_compared_here(
    bots: Bots, store: TrackerStore, caplog: pytest.LogCaptureFixture, started: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(workers, "_own_modules", lambda: ["no_such_module_anywhere"])

    assert compared(bots, store, lambda done: wait_for_others()).conversations == len(NAMES)
    assert "a process more cannot compare the models: ModuleNotFoundError" in caplog.text


def wait_for_others() -> None:
    """Wait until no comparison runs in another thread."""
    for thread in threading.enumerate():
        if thread.name == "comparing":
            thread.join(60)


def test_a_file_that_was_removed_is_not_made_anew_and_all_of_it_is_compared(
    bots: Bots, tmp_path: Path, caplog: pytest.LogCaptureFixture, started: list[subprocess.Popen[bytes]]
) -> None:
    file = tmp_path / "talks.db"
    with store_from_url(f"sqlite:///{file}", bots[0].domain) as store:
        talk_in(store, bots[0])

        def remove(done: int) -> None:
            if done == 1:
                file.unlink()
            wait_for_others()

        assert compared(bots, store, remove).conversations == len(NAMES)
    assert f"the file '{file}' was removed or replaced while its conversations were compared" in caplog.text
    assert not file.exists()
    assert len(started) == 1


def test_what_another_process_cannot_read_is_read_here(
    bots: Bots, store: TrackerStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    started: list[subprocess.Popen[bytes]],
) -> None:  # fmt: skip
    broken = tmp_path / "broken.db"
    with store_from_url(f"sqlite:///{broken}", bots[0].domain) as other:
        talk_in(other, bots[0])
    with closing(sqlite3.connect(broken)) as connection, connection:
        connection.execute("UPDATE events SET event = '{'")
    monkeypatch.setattr(store, "url", f"sqlite:///{broken}")
    found = compared(bots, store, lambda done: wait_for_others())
    assert found.as_dict() == compare(*bots, each_of(store, NAMES)).as_dict()
    assert "a process more cannot compare the models: RowError: row 0" in caplog.text
    assert len(started) == 1


def test_the_models_are_removed_by_those_who_help_where_nobody_else_is_left(
    bots: Bots, store: TrackerStore, tmp_path: Path
) -> None:
    job = workers._Job(replay_of(*bots), store, None, None)
    with job:
        folder = Path(json.loads(job.content)["folder"])
        ours, theirs = Pipe()
        thread = threading.Thread(target=worker.main, args=[theirs])
        thread.start()
        ours.send_bytes(job.content)
        assert json.loads(ours.recv_bytes()) is None
        assert folder.exists()
        ours.close()
        thread.join(60)
        theirs.close()
        assert not folder.exists()
