"""The jobs of ``worker.py`` on a store in a SQL database, and some of its own: ``sql_worker.py JOB URL ...``."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import worker

from rasa_core.tracker_store import EventLogStore
from rasa_core.tracker_store.sql import SqlTrackerStore

THREADS = 8


def threads(store: EventLogStore, name: str, count: str) -> None:
    """Append pairs of events to five conversations from many threads, each pair in two commits under one lock."""
    worker.say("ready")
    sys.stdin.readline()
    barrier = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        barrier.wait()
        for number in range(int(count)):
            sender_id = f"conversation {number % 5}"
            with store.lock(sender_id):
                worker.append(store, sender_id, f"{name}-{thread}-{number} starts")
                worker.append(store, sender_id, f"{name}-{thread}-{number} ends")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))


def leave_a_child(store: EventLogStore) -> None:
    """Fork while a lock is held, and wait for the end; the child lives on until standard input ends."""
    with store.lock("a"):
        if not os.fork():
            worker.say("held")
            sys.stdin.read()
            os._exit(0)
        threading.Event().wait()


if __name__ == "__main__":
    own = {"threads": threads, "leave_a_child": leave_a_child}
    job = own.get(sys.argv[1]) or getattr(worker, sys.argv[1])
    with SqlTrackerStore.from_url(sys.argv[2]) as opened:
        job(opened, *sys.argv[3:])
