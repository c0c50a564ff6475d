"""Time of one turn in the library, however long the conversation is: ``python -m benchmarks.library_turns``.

A turn is `Agent.start_message_handling` and `Agent.continue_message_handling`. Databases run on this machine, with
durable settings.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from benchmarks.databases import STORES, opened_if_installed
from benchmarks.serving import trained_model
from benchmarks.tables import print_table, quantile
from rasa_core import ActionExecuted, Agent, UserUttered
from rasa_core.events import Event
from rasa_core.tracker_store import store_from_url

LENGTHS = (10, 1_000, 100_000)
CHUNK = 5_000  # events of one commit, below the limits of any server


def conversation(length: int) -> list[Event]:
    """Return a conversation of `length` events."""
    message = UserUttered("/greet", {"name": "greet", "confidence": 1.0}, [])
    turn: list[Event] = [message, ActionExecuted("utter_greet"), ActionExecuted("action_listen")]
    return [turn[number % 3] for number in range(length - 1)]


def measured(kind: str, agent: Agent, turns: int) -> list[list[object]]:
    """Return the rows of one store."""
    for length in LENGTHS:
        events = conversation(length)
        for start in range(0, len(events), CHUNK):
            agent.append_events(str(length), events[start : start + CHUNK])
    times: dict[int, list[float]] = {length: [] for length in LENGTHS}
    for _ in range(turns):
        for length in LENGTHS:  # in turn, so that all lengths meet the same machine
            started = time.perf_counter()
            agent.start_message_handling("/greet", str(length))
            agent.continue_message_handling(str(length), "utter_greet", [])
            times[length].append(time.perf_counter() - started)
    agent.tracker_store.close()
    base = quantile(times[LENGTHS[0]], 0.5)
    rows: list[list[object]] = []
    for length in LENGTHS:
        p50, p99 = quantile(times[length], 0.5), quantile(times[length], 0.99)
        rows.append([kind, length, f"{1e6 * p50:.0f}", f"{1e6 * p99:.0f}", f"{p50 / base:.2f}"])
    return rows


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=2000, help="turns of each measurement")
    parser.add_argument("--store", action="append", choices=["memory", *sorted(STORES)], help="all if not given")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        model = trained_model(Path(name))
        for kind in options.store or ["memory", *sorted(STORES)]:
            folder = Path(name, kind)
            folder.mkdir()
            memory = nullcontext(("memory://", None))
            with memory if kind == "memory" else opened_if_installed(kind, folder) as found:
                if found is not None:
                    store = store_from_url(found[0])
                    rows += measured(kind, Agent.load(model, tracker_store=store), options.turns)
    heads = ["store", "events at first", "p50 [us]", "p99 [us]", "p50 / p50 at 10"]
    print_table("One turn (parse and continue) in the library", heads, rows)


if __name__ == "__main__":
    main()
