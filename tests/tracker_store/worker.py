"""A process for the tests of this folder: ``worker.py JOB URL ...``; it reports by printing."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rasa_core.exceptions import StoreError, StoreUnavailableError, VersionConflictError
from rasa_core.tracker_store import EventLogStore, Head, SqliteTrackerStore, store_from_url

THREADS = 8


def append(store: EventLogStore, sender_id: str, *events: str) -> None:
    stored = store.read_head(sender_id)
    version = 0 if stored is None else stored.version
    store.commit(sender_id, version, events, Head(version + len(events), 0, "model", 5.0, "{}"))


def say(text: object) -> None:
    print(text, flush=True)


def wait_for_the_others() -> None:
    say("ready")
    sys.stdin.readline()


def pairs(store: EventLogStore, name: str) -> None:
    """Append pairs of events to five conversations from many threads, each pair in two commits under one lock."""
    wait_for_the_others()
    barrier = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        barrier.wait()
        for number in range(10):
            sender_id = f"conversation {number % 5}"
            with store.lock(sender_id):
                append(store, sender_id, f"{name}-{thread}-{number} starts")
                append(store, sender_id, f"{name}-{thread}-{number} ends")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))


def endless(store: EventLogStore) -> None:
    """Append three events at a time for ever, and acknowledge each three."""
    number = 0
    while True:
        with store.lock("a"):
            append(store, "a", *(f"{number}.{part}" for part in range(3)))
        say(number)
        number += 1


def hold(store: EventLogStore, sender_id: str) -> None:
    """Hold a lock until standard input ends."""
    with store.lock(sender_id):
        say("held")
        sys.stdin.read()


def try_lock(store: EventLogStore, sender_id: str) -> None:
    """Tell whether a lock is free."""
    try:
        with store.lock(sender_id):
            say("free")
    except StoreUnavailableError:
        say("busy")


def fork(store: Any) -> None:
    """Use one store before a fork, and in both processes after it, while the parent holds a lock."""
    append(store, "a", "before")
    with store.lock("a"):
        append(store, "a", "parent")
        child = os.fork()
        if not child:
            store._timeout = 0.05
            try_lock(store, "a")
            append(store, "b", "child")
            store._timeout = 20
            with store.lock("b"):
                append(store, "b", "child, locked")
            os._exit(0)
        os.waitpid(child, 0)
        append(store, "a", "parent again")
    say([store.read_events(sender_id, 0, 9) for sender_id in "ab"])


def fork_inside(store: EventLogStore) -> None:
    """Leave a block that holds a lock in a child first; then go on in the parent."""
    with store.lock("a"):
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            say(f"child ended with {status}")
            hold(store, "another")
    if not child:
        append(store, "b", "child")
        os._exit(0)


def leave_a_child(store: EventLogStore) -> None:
    """Fork while a lock is held, and wait for the end; the child lives on until standard input ends."""
    with store.lock("a"):
        if not os.fork():
            say("held")
            sys.stdin.read()
            os._exit(0)
        threading.Event().wait()


def read_only(store: SqliteTrackerStore) -> None:
    """Use a file that this user may not write to."""
    append(store, "a", "0")
    store.close()
    os.chmod(store.path, 0o444)
    if os.geteuid() == 0:
        os.setuid(65534)
    with SqliteTrackerStore(path=store.path) as ours:
        try:
            append(ours, "a", "1")
        except StoreError as error:
            say(error)


def sleep_through_the_lease(store: EventLogStore) -> None:
    """Stand still while holding a lock, then commit what was read before."""
    with store.lock("a"):
        say("held")
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            store.commit("a", 1, ["late"], Head(2, 0, "model", 5.0, "{}"))
        except VersionConflictError as error:
            say(error)


def start(store: EventLogStore) -> None:
    """Use a store for the first time, at the same moment as others do."""
    wait_for_the_others()
    append(store, str(os.getpid()), "0")
    say("done")


JOBS = (pairs, endless, hold, try_lock, fork, fork_inside, leave_a_child, read_only, sleep_through_the_lease, start)

if __name__ == "__main__":
    job, url, *arguments = sys.argv[1:]
    if "LEASE" in os.environ:
        from rasa_core.tracker_store import redis

        redis.LEASE = float(os.environ["LEASE"])
        redis.RENEWED = redis.LEASE / 4
    with store_from_url(url, check=False) as opened:
        {each.__name__: each for each in JOBS}[job](opened, *arguments)
