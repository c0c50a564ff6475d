"""The SQLite store under several processes, their deaths, and forks."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import rasa_core
from rasa_core.exceptions import StoreUnavailableError
from rasa_core.tracker_store import SqliteTrackerStore

WORKER = Path(__file__).with_name("worker.py")
ROOT = Path(rasa_core.__file__).parents[1]

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and POSIX locks")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "conversations.db"


@contextmanager
def worker(job: str, path: Path, *arguments: str, timeout: float = 20) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(WORKER), job, str(path), *arguments],
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


def run(job: str, path: Path, *arguments: str, timeout: float = 20) -> list[str]:
    with worker(job, path, *arguments, timeout=timeout) as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    return output.splitlines()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def tell(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def is_free(path: Path, sender_id: str) -> bool:
    """Tell whether this process could get the lock."""
    with SqliteTrackerStore(path=path, timeout=0.05) as store:
        try:
            with store.lock(sender_id):
                return True
        except StoreUnavailableError:
            return False


def start_together(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert said(process) == "ready"
    for process in processes:
        tell(process, "go")
    for process in processes:
        process.communicate()
        assert process.returncode == 0


@posix
def test_a_lock_lets_no_other_process_in_between(path: Path) -> None:
    with worker("pairs", path, "one", "200") as one, worker("pairs", path, "two", "200") as two:
        start_together(one, two)
    with SqliteTrackerStore(path=path) as store:
        for number in range(5):
            log = store.read_events(f"conversation {number}", 0, 999)
            assert [row.split()[0] for row in log[::2]] == [row.split()[0] for row in log[1::2]]
            assert [row.split()[1] for row in log] == ["starts", "ends"] * 80
            assert len(set(log)) == 160


@pytest.mark.parametrize("acknowledged", [1, 20, 200])
def test_what_a_killed_writer_acknowledged_is_in_the_log_once_and_in_order(path: Path, acknowledged: int) -> None:
    with worker("endless", path) as process:
        for _ in range(acknowledged):
            said(process)
        process.kill()
        assert process.stdout is not None
        seen = acknowledged + len(process.stdout.readlines())
    with SqliteTrackerStore(path=path, timeout=1) as store:
        log = store.read_events("a", 0, 10**9)
        commits = len(log) // 3
        assert commits in (seen, seen + 1)
        assert log == [f"{number}.{part}" for number in range(commits) for part in range(3)]
        head = store.read_head("a")
        assert head is not None
        assert head.version == len(log)


@posix
def test_the_lock_of_a_killed_process_is_free(path: Path) -> None:
    with worker("hold", path, "a") as process:
        assert said(process) == "held"
        assert not is_free(path, "a")
        process.kill()
        process.wait()
        assert is_free(path, "a")


@posix
def test_other_conversations_are_not_locked(path: Path) -> None:
    with worker("hold", path, "a") as process:
        assert said(process) == "held"
        assert is_free(path, "b")


@posix
def test_waiting_for_another_process_goes_on_when_it_lets_go(path: Path) -> None:
    with worker("hold", path, "a") as process, SqliteTrackerStore(path=path) as store:
        assert said(process) == "held"
        let_go = threading.Timer(0.02, process.communicate)
        let_go.start()
        with store.lock("a"):
            pass
        let_go.join()


@posix
def test_closing_a_store_keeps_the_locks_that_another_store_of_the_process_holds(path: Path) -> None:
    with SqliteTrackerStore(path=path) as store, store.lock("a"):
        with SqliteTrackerStore(path=path) as other, other.lock("b"):
            pass
        assert run("try_lock", path, "a", timeout=0.05) == ["busy"]


@posix
def test_a_store_goes_on_in_both_processes_after_a_fork(path: Path) -> None:
    assert run("fork", path) == [
        "busy",
        "[['before', 'parent', 'parent again'], ['child', 'child, locked']]",
    ]


@posix
def test_a_forked_child_that_leaves_the_block_does_not_free_the_lock_of_its_parent(path: Path) -> None:
    with worker("fork_inside", path) as process:
        assert said(process) == "child ended with 0"
        assert said(process) == "held"
        assert not is_free(path, "a")


def test_processes_that_start_at_once_make_one_file(path: Path) -> None:
    with ExitStack() as stack:
        start_together(*[stack.enter_context(worker("start", path)) for _ in range(3)])
    with SqliteTrackerStore(path=path) as store:
        assert len(store.sender_ids()) == 3


@posix
def test_a_read_only_file_is_refused_with_the_remedy() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        (message,) = run("read_only", Path(folder) / "x.db")
    assert "x.db: attempt to write a readonly database. Make the file and its folder writable" in message
