"""What a process does that helps another one to compare two bots: ``python -m rasa_core.evaluation.helper_process FD``.

`rasa_core.evaluation.helpers` starts it, and talks with it over the socket with that number.
"""

from __future__ import annotations

import importlib
import json
import sys
from multiprocessing.connection import Connection
from typing import Any

from rasa_core.agent import Agent
from rasa_core.evaluation.replay import replay_of
from rasa_core.tracker_store.urls import store_from_url


def main(link: Connection) -> None:
    """Do what `rasa_core.evaluation.helpers` has another process do, until nobody tells what."""
    job: dict[str, Any] = json.loads(link.recv_bytes())
    try:
        for module in job["modules"]:
            importlib.import_module(module)
        before, after = (Agent.load(dialogue, interpreter=nlu) for dialogue, nlu in job["models"])
        store = store_from_url(job["url"], before.domain)
    except Exception as error:  # Whatever code of the user's raises: those who wait for it do without.
        link.send_bytes(json.dumps(f"{type(error).__name__}: {error}").encode("ascii"))
        return
    replay = replay_of(before, after)
    link.send_bytes(b"null")
    with store:
        while True:
            try:
                names = json.loads(link.recv_bytes())
                link.send_bytes(json.dumps(replay.of_stored(store, names, job["longest"])).encode("ascii"))
            except (EOFError, BrokenPipeError, ConnectionResetError):
                return


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
