"""Starts worker processes of tests, and reads their output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forked import STORES, Forked

from rasa_core.exceptions import StoreUnavailableError
from rasa_core.tracker_store import store_from_url

WORKER = Path(__file__).with_name("worker.py")


@contextmanager
def worker(job: str, url: str, *arguments: str, lease: float | None = None) -> Iterator[Forked]:
    """Run ``worker.py``; its leases, where the engine has any, last for `lease` seconds."""
    program = f"import runpy\nrunpy.run_path({str(WORKER)!r}, run_name='__main__')"
    given = {} if lease is None else {"LEASE": str(lease)}
    with Forked.with_pipes(program, job, url, *arguments, imported=STORES, **given) as process:
        try:
            yield process
        finally:
            process.kill()


def run(job: str, url: str, *arguments: str) -> list[str]:
    """Run a worker to its end, and return the lines that it said."""
    with worker(job, url, *arguments) as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    return output.splitlines()


def said(process: Forked) -> str:
    """Return the next line that a worker says."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def start_together(*processes: Forked) -> None:
    """Let workers that wait for each other go, and wait for their ends."""
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
    with store_from_url(url.replace("timeout=20", f"timeout={within}")) as store:
        try:
            with store.lock(sender_id):
                return True
        except StoreUnavailableError as error:
            if "was busy" not in str(error):
                raise
            return False
