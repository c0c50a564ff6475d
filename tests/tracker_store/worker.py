"""A process of its own for the tests beside this file: ``worker.py JOB FILE ...``; it reports by printing."""

from __future__ import annotations

import os
import sys

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store import EventLogStore, Head, SqliteTrackerStore


def append(store: EventLogStore, sender_id: str, *events: str) -> None:
    stored = store.read_head(sender_id)
    version = 0 if stored is None else stored.version
    store.commit(sender_id, version, events, Head(version + len(events), 0, "model", 5.0, "{}"))


def say(text: object) -> None:
    print(text, flush=True)


def pairs(store: EventLogStore, name: str, count: str) -> None:
    """Append pairs of events to five conversations, each pair in two commits under one lock."""
    say("ready")
    sys.stdin.readline()
    for number in range(int(count)):
        with store.lock(f"conversation {number % 5}"):
            append(store, f"conversation {number % 5}", f"{name}-{number} starts")
            append(store, f"conversation {number % 5}", f"{name}-{number} ends")


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


def fork(store: SqliteTrackerStore) -> None:
    """Use one store before a fork, and in both processes after it, while the parent holds a lock."""
    append(store, "a", "before")
    with store.lock("a"):
        append(store, "a", "parent")
        child = os.fork()
        if not child:
            store._timeout = 0.05
            try_lock(store, "a")
            append(store, "b", "child")
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


def start(store: EventLogStore) -> None:
    """Use a file for the first time, at the same moment as others do."""
    say("ready")
    sys.stdin.readline()
    append(store, str(os.getpid()), "0")
    say("done")


if __name__ == "__main__":
    jobs = {job.__name__: job for job in (pairs, endless, hold, try_lock, fork, fork_inside, read_only, start)}
    timeout = float(os.environ.get("TIMEOUT", "20"))
    with SqliteTrackerStore(path=sys.argv[2], timeout=timeout) as opened:
        jobs[sys.argv[1]](opened, *sys.argv[3:])
