"""The Redis store under several processes, their deaths and pauses, and forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("redis", reason="install it with: pip install 'rasa-core[redis]'")

from redis_engines import empty_store
from redis_servers import shared_server

import rasa_core
from rasa_core.exceptions import StoreUnavailableError
from rasa_core.tracker_store import Head
from rasa_core.tracker_store.redis import RedisTrackerStore

WORKER = Path(__file__).with_name("redis_worker.py")
ROOT = Path(rasa_core.__file__).parents[1]


@pytest.fixture
def store() -> Iterator[RedisTrackerStore]:
    with empty_store() as opened:
        yield opened


@contextmanager
def worker(
    job: str, *arguments: str, lease: float = 10, timeout: float = 20, url: str = ""
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(WORKER), job, url or shared_server().url, str(lease), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TIMEOUT": str(timeout)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run(job: str, *arguments: str, timeout: float = 20) -> list[str]:
    with worker(job, *arguments, timeout=timeout) as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    return output.splitlines()


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


def eventually(condition: Callable[[], bool], limit: float = 20) -> bool:
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_free(sender_id: str) -> bool:
    """Tell whether this process could get the lock."""
    with RedisTrackerStore(host="127.0.0.1", port=shared_server().port, timeout=0.05) as other:
        try:
            with other.lock(sender_id):
                return True
        except StoreUnavailableError:
            return False


def test_threads_of_two_processes_do_not_interleave_or_lose_anything(store: RedisTrackerStore) -> None:
    with worker("race", "one", "8", "5") as one, worker("race", "two", "8", "5") as two:
        start_together(one, two)
    expected = Counter(
        f"{name}-{thread}-{number}" for name in ("one", "two") for thread in range(8) for number in range(5)
    )
    for number in range(5):
        log = [row.split() for row in store.read_events(f"conversation {number}", 0, 999)]
        assert [who for who, _ in log[::2]] == [who for who, _ in log[1::2]]
        assert [what for _, what in log] == ["starts", "ends"] * 80
        assert Counter(who for who, _ in log[::2]) == expected


@pytest.mark.parametrize("acknowledged", [1, 20, 200])
def test_what_a_killed_writer_acknowledged_is_in_the_log_once_and_in_order(
    store: RedisTrackerStore, acknowledged: int
) -> None:
    with worker("endless") as process:
        for _ in range(acknowledged):
            said(process)
        process.kill()
        assert process.stdout is not None
        seen = acknowledged + len(process.stdout.readlines())
    log = store.read_events("a", 0, 10**9)
    commits = len(log) // 3
    assert commits in (seen, seen + 1)
    assert log == [f"{number}.{part}" for number in range(commits) for part in range(3)]
    head = store.read_head("a")
    assert head is not None
    assert head.version == len(log)


def test_a_killed_process_frees_its_lease_when_it_runs_out(store: RedisTrackerStore) -> None:
    with worker("hold", "a", lease=1) as process:
        assert said(process) == "held"
        assert not is_free("a")
        process.kill()
        process.wait()
        assert eventually(lambda: is_free("a"))


def test_the_lease_of_a_process_that_lives_does_not_run_out(store: RedisTrackerStore) -> None:
    with worker("hold", "a", lease=0.4) as process, shared_server().client() as client:
        assert said(process) == "held"
        (key,) = client.keys("*:lease")
        renewals = 0
        left = client.pttl(key)
        deadline = time.monotonic() + 20
        while renewals < 8 and time.monotonic() < deadline:
            before, left = left, client.pttl(key)
            renewals += left > before
        assert renewals == 8
        assert not is_free("a")


def test_other_conversations_are_not_locked(store: RedisTrackerStore) -> None:
    with worker("hold", "a") as process:
        assert said(process) == "held"
        assert is_free("b")


def test_waiting_for_another_process_goes_on_when_it_lets_go(store: RedisTrackerStore) -> None:
    with worker("hold", "a") as process:
        assert said(process) == "held"
        let_go = threading.Timer(0.02, process.communicate)
        let_go.start()
        with store.lock("a"):
            pass
        let_go.join()


def test_a_process_that_slept_through_its_lease_overwrites_nothing(store: RedisTrackerStore) -> None:
    store.commit("a", 0, ["first"], Head(1, 0, "model", 5.0, "{}"))
    with worker("sleep_through_the_lease", lease=0.5) as process:
        assert said(process) == "held"
        with store.lock("a"):
            store.commit("a", 1, ["second"], Head(2, 0, "model", 6.0, "{}"))
            os.kill(process.pid, signal.SIGCONT)
            assert "conversation 'a' is at version 2, not 1" in said(process)
            process.wait()
            assert not is_free("a")
    assert store.read_events("a", 0, 9) == ["first", "second"]


def test_a_store_goes_on_in_both_processes_after_a_fork(store: RedisTrackerStore) -> None:
    assert run("fork") == [
        "busy",
        "[['before', 'parent', 'parent again'], ['child', 'child, locked']]",
    ]


def test_a_forked_child_that_leaves_the_block_does_not_free_the_lock_of_its_parent(store: RedisTrackerStore) -> None:
    with worker("fork_inside") as process:
        assert said(process) == "child ended with 0"
        assert said(process) == "held"
        assert not is_free("a")


def test_processes_that_start_at_once_agree_on_the_layout(store: RedisTrackerStore) -> None:
    with ExitStack() as stack:
        start_together(*[stack.enter_context(worker("start")) for _ in range(3)])
    assert len(store.sender_ids()) == 3
