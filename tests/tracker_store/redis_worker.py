"""A process of its own for the Redis tests: ``redis_worker.py JOB URL LEASE ...``; it reports by printing."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import worker

from rasa_core.exceptions import VersionConflictError
from rasa_core.tracker_store import Head
from rasa_core.tracker_store import redis as redis_store
from rasa_core.tracker_store.redis import RedisTrackerStore


def race(store: RedisTrackerStore, name: str, threads: str, rounds: str) -> None:
    """Append pairs of events to five conversations from many threads, each pair in two commits under one lock."""
    worker.say("ready")
    sys.stdin.readline()

    def work(thread: int) -> None:
        for number in range(int(rounds)):
            for conversation in range(5):
                sender_id = f"conversation {conversation}"
                with store.lock(sender_id):
                    worker.append(store, sender_id, f"{name}-{thread}-{number} starts")
                    worker.append(store, sender_id, f"{name}-{thread}-{number} ends")

    with ThreadPoolExecutor(int(threads)) as pool:
        list(pool.map(work, range(int(threads))))


def sleep_through_the_lease(store: RedisTrackerStore) -> None:
    """Stand still while holding a lock, then commit what was read before."""
    with store.lock("a"):
        worker.say("held")
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            store.commit("a", 1, ["late"], Head(2, 0, "model", 5.0, "{}"))
        except VersionConflictError as error:
            worker.say(error)


if __name__ == "__main__":
    job, url, lease, *arguments = sys.argv[1:]
    redis_store.LEASE, redis_store.RENEWED = float(lease), float(lease) / 4
    with RedisTrackerStore.from_url(url) as opened:
        opened._timeout = float(os.environ.get("TIMEOUT", "20"))
        jobs = {"race": race, "sleep_through_the_lease": sleep_through_the_lease}
        (jobs.get(job) or getattr(worker, job))(opened, *arguments)
