"""The SQL stores under several processes and threads, their deaths, and forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sql_servers import SERVERS, empty_store, shared

import rasa_core
from rasa_core.exceptions import StoreUnavailableError
from rasa_core.tracker_store.sql import SqlTrackerStore

WORKER = Path(__file__).with_name("sql_worker.py")
ROOT = Path(rasa_core.__file__).parents[1]


@pytest.fixture(params=SERVERS)
def name(request: pytest.FixtureRequest) -> str:
    empty_store(request.param).close()
    return str(request.param)


@pytest.fixture
def url(name: str) -> str:
    return shared(name).url(timeout=20)


@contextmanager
def worker(job: str, url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(WORKER), job, url, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def start_together(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert said(process) == "ready"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0


def is_free(url: str, sender_id: str, *, within: float = 0.1) -> bool:
    """Tell whether this process could get the lock."""
    with SqlTrackerStore(url=url.partition("?")[0], timeout=within) as store:
        try:
            with store.lock(sender_id):
                return True
        except StoreUnavailableError as error:
            if "was busy" not in str(error):
                raise
            return False


def test_a_lock_lets_no_thread_of_any_process_in_between(url: str) -> None:
    with worker("threads", url, "one", "15") as one, worker("threads", url, "two", "15") as two:
        start_together(one, two)
    with SqlTrackerStore.from_url(url) as store:
        for number in range(5):
            log = store.read_events(f"conversation {number}", 0, 999)
            assert [row.split()[0] for row in log[::2]] == [row.split()[0] for row in log[1::2]]
            assert [row.split()[1] for row in log] == ["starts", "ends"] * 48
            assert len(set(log)) == 96


@pytest.mark.parametrize("acknowledged", [1, 50])
def test_what_a_killed_writer_acknowledged_is_in_the_log_once_and_in_order(url: str, acknowledged: int) -> None:
    with worker("endless", url) as process:
        for _ in range(acknowledged):
            said(process)
        process.kill()
        assert process.stdout is not None
        seen = acknowledged + len(process.stdout.readlines())
    with SqlTrackerStore.from_url(url) as store, store.lock("a"):
        log = store.read_events("a", 0, 10**9)
        commits = len(log) // 3
        assert commits in (seen, seen + 1)
        assert log == [f"{number}.{part}" for number in range(commits) for part in range(3)]
        head = store.read_head("a")
        assert head is not None
        assert head.version == len(log)


def test_the_lock_of_a_killed_process_is_free(url: str) -> None:
    with worker("hold", url, "a") as process:
        assert said(process) == "held"
        assert not is_free(url, "a")
        assert is_free(url, "b")
        process.kill()
        process.wait()
        assert is_free(url, "a", within=20)


def test_the_lock_of_a_killed_process_is_free_though_a_child_of_it_lives(url: str) -> None:
    with worker("leave_a_child", url) as process:
        assert said(process) == "held"
        assert not is_free(url, "a")
        process.kill()
        process.wait()
        assert is_free(url, "a", within=20)


def test_waiting_for_another_process_goes_on_when_it_lets_go(url: str) -> None:
    with worker("hold", url, "a") as process, SqlTrackerStore.from_url(url) as store:
        assert said(process) == "held"
        let_go = threading.Timer(0.05, process.communicate)
        let_go.start()
        with store.lock("a"):
            pass
        let_go.join()


def test_a_store_goes_on_in_both_processes_after_a_fork(url: str) -> None:
    with worker("fork", url) as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    assert output.splitlines() == [
        "busy",
        "[['before', 'parent', 'parent again'], ['child', 'child, locked']]",
    ]


def test_a_forked_child_that_leaves_the_block_does_not_free_the_lock_of_its_parent(url: str) -> None:
    with worker("fork_inside", url) as process:
        assert said(process) == "child ended with 0"
        assert said(process) == "held"
        assert not is_free(url, "a")


def test_processes_that_start_at_once_make_the_tables_once(name: str) -> None:
    url = shared(name).url(shared(name).new_database())
    with ExitStack() as stack:
        start_together(*[stack.enter_context(worker("start", url)) for _ in range(3)])
    with SqlTrackerStore.from_url(url) as store:
        assert len(store.sender_ids()) == 3
