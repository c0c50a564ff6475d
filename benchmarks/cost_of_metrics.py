"""Processor time of a turn with and without metrics: ``python -m benchmarks.cost_of_metrics``.

A turn is one ``parse`` and one ``continue``, given to the WSGI application in this process, with conversations in
memory. Blocks of ten turns alternate between an application that counts and one that does not. The time of a block is
that of all threads of the process, so it includes the thread that adds up the counts and writes them. The table shows
the least time of all blocks, which depends least on other processes, and the tenth percentile.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from werkzeug.test import Client

from benchmarks.serving import trained_model
from benchmarks.tables import print_table, quantile
from rasa_core.server import create_app

TURNS = 10


def play(caller: Client, turns: int) -> None:
    """Take some turns."""
    for _ in range(turns):
        caller.post("/conversations/anna/parse", json={"query": "/greet"})
        caller.post("/conversations/anna/continue", json={"executed_action": "utter_greet", "events": []})


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=1500, help="of ten turns, with each application")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        model = trained_model(Path(name))
        counts = Path(name, "metrics")
        counts.mkdir()
        counting = Client(create_app(model, tracker_store="memory://", metrics=counts))
        with patch("rasa_core.server.app.metrics_can_be_read", return_value=False):
            without = Client(create_app(model, tracker_store="memory://"))
        times: dict[str, list[float]] = {"with metrics": [], "without": []}
        for number in range(options.blocks + 20):
            for label, caller in zip(times, (counting, without), strict=True):
                started = time.process_time()
                play(caller, TURNS)
                if number >= 20:  # The first blocks warm the caches up.
                    times[label].append((time.process_time() - started) / TURNS)
    rows = [[label, *(f"{1e6 * quantile(found, share):.0f}" for share in (0, 0.1))] for label, found in times.items()]
    print_table("Processor time of a turn", ["application", "least [us]", "p10 [us]"], rows)


if __name__ == "__main__":
    main()
