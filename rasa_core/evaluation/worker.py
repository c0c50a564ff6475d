"""A worker process that compares two bots: ``python -m rasa_core.evaluation.worker FD``.

`rasa_core.evaluation.workers` starts it, and talks to it over the socket with the file descriptor FD.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from multiprocessing.connection import Connection
from typing import Any

from rasa_core.agent import Agent
from rasa_core.evaluation.replay import replay_of
from rasa_core.evaluation.workers import check_same_file
from rasa_core.tracker_store.urls import store_from_url


def main(link: Connection) -> None:
    """Compare the conversations that `rasa_core.evaluation.workers` sends, until the connection is closed."""
    job: dict[str, Any] = {}
    try:
        job = json.loads(link.recv_bytes())
        _work(link, job)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The process that started this worker was killed, and has left the folder of models behind.
        if job:
            shutil.rmtree(job["folder"], ignore_errors=True)


def _work(link: Connection, job: dict[str, Any]) -> None:
    try:
        for module in job["modules"]:
            importlib.import_module(module)
        before, after = (Agent.load(dialogue, interpreter=nlu) for dialogue, nlu in job["models"])
        check_same_file(job["file"])
        store = store_from_url(job["url"], before.domain)
    except Exception as error:  # Custom code may raise anything; the other processes then do the work of this one.
        _send(link, f"{type(error).__name__}: {error}")
        return
    replay = replay_of(before, after)
    _send(link, None)
    with store:
        while True:
            names = json.loads(link.recv_bytes())
            try:
                found = replay.of_stored(store, names, job["longest"])
            except Exception as error:  # The process that waits for the batch does it itself.
                _send(link, f"{type(error).__name__}: {error}")
                return
            _send(link, found)


def _send(link: Connection, content: object) -> None:
    link.send_bytes(json.dumps(content).encode("ascii"))


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
