"""Forks while another thread expires answers in memory; then parent and child commit, and print it."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from rasa_core.tracker_store import Head, InMemoryTrackerStore

ASKED, RESUMED = threading.Event(), threading.Event()


@dataclass
class SlowAnswer:
    """An answer that keeps whoever asks for its age."""

    key: str
    version: int

    @property
    def created(self) -> float:
        ASKED.set()
        RESUMED.wait()
        return 0.0


def commit(store: InMemoryTrackerStore, version: int) -> None:
    store.commit("a", version, ["0"], Head(version + 1, 0, "model", 5.0, "{}"), SlowAnswer("k", version + 1))


if __name__ == "__main__":
    memory = InMemoryTrackerStore()
    commit(memory, 0)
    thread = threading.Thread(target=memory.expire_answers, args=(1.0,))
    thread.start()
    ASKED.wait()
    child = os.fork()
    if not child:
        commit(memory, 1)
        print("child", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    RESUMED.set()
    thread.join()
    commit(memory, 1)
    print("parent", flush=True)
