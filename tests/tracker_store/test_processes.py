"""The promises of engines to several processes: order, durability, and continuing after a fork."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from engines import ADDRESSES
from processes import is_free, run, said, start_together, worker

from rasa_core.tracker_store import store_from_url

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and POSIX locks")


@pytest.fixture(params=[name for name in ADDRESSES if name != "redis-cluster"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return ADDRESSES[request.param](tmp_path)


@pytest.fixture(params=[name for name in ADDRESSES if name != "redis-cluster"])
def unused(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a store that nobody has opened yet."""
    url = ADDRESSES[request.param](tmp_path)
    if request.param not in ("postgresql", "pgbouncer", "mariadb"):
        return url
    from sql_servers import shared

    database = shared("mariadb" if request.param == "mariadb" else "postgresql").new_database()
    return url.replace("/rasa?", f"/{database}?")


def test_a_lock_lets_no_thread_of_any_process_in_between(url: str) -> None:
    with worker("pairs", url, "one") as one, worker("pairs", url, "two") as two:
        start_together(one, two)
    with store_from_url(url) as store:
        for number in range(5):
            log = store.read_events(f"conversation {number}", 0, 999)
            assert [row.split()[0] for row in log[::2]] == [row.split()[0] for row in log[1::2]]
            assert [row.split()[1] for row in log] == ["starts", "ends"] * 32
            assert len(set(log)) == 64


@pytest.mark.parametrize("acknowledged", [1, 50])
def test_what_a_killed_writer_acknowledged_is_in_the_log_once_and_in_order(url: str, acknowledged: int) -> None:
    with worker("endless", url) as process:
        for _ in range(acknowledged):
            said(process)
        process.kill()
        assert process.stdout is not None
        seen = acknowledged + len(process.stdout.readlines())
    with store_from_url(url) as store, store.lock("a"):
        log = store.read_events("a", 0, 10**9)
        commits = len(log) // 3
        assert commits in (seen, seen + 1)
        assert log == [f"{number}.{part}" for number in range(commits) for part in range(3)]
        head = store.read_head("a")
        assert head is not None
        assert head.version == len(log)


@pytest.mark.parametrize("job", [("hold", "a"), ("leave_a_child",)], ids=["alone", "with a child that lives on"])
def test_the_lock_of_a_killed_process_is_free(url: str, job: tuple[str, ...]) -> None:
    with worker(job[0], url, *job[1:], lease=1) as process:
        assert said(process) == "held"
        assert not is_free(url, "a")
        assert is_free(url, "b", within=20)
        process.kill()
        process.wait()
        assert is_free(url, "a", within=20)


def test_waiting_for_another_process_goes_on_when_it_lets_go(url: str) -> None:
    with worker("hold", url, "a") as process, store_from_url(url) as store:
        assert said(process) == "held"
        let_go = threading.Timer(0.05, process.communicate)
        let_go.start()
        with store.lock("a"):
            pass
        let_go.join()


def test_a_store_goes_on_in_both_processes_after_a_fork(url: str) -> None:
    assert run("fork", url) == [
        "busy",
        "[['before', 'parent', 'parent again'], ['child', 'child, locked']]",
    ]


def test_a_forked_child_that_leaves_the_block_does_not_free_the_lock_of_its_parent(url: str) -> None:
    with worker("fork_inside", url) as process:
        assert said(process) == "child ended with 0"
        assert said(process) == "held"
        assert not is_free(url, "a")


def test_processes_that_start_at_once_make_the_layout_once(unused: str) -> None:
    with ExitStack() as stack:
        start_together(*[stack.enter_context(worker("start", unused)) for _ in range(3)])
    with store_from_url(unused) as store:
        assert len(store.sender_ids()) == 3
