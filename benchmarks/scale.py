"""A turn in a store with many conversations, beside one with few: ``python -m benchmarks.scale --store sqlite``.

Fills a store with copies of one real conversation of the example bot, in one commit each, and measures: the time to
build it, the size of a conversation, the time of a turn (`parse` and `continue` in the library) on conversations that
are taken at random and never twice, beside the same in a store with a hundredth of them, and the time to export all.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.databases import opened_if_installed
from benchmarks.serving import ROOT, trained_model
from benchmarks.tables import print_table, quantile
from rasa_core import Agent
from rasa_core.tracker_store import EventLogStore, Head, InMemoryTrackerStore, store_from_url

THREADS = 4
TURNS = [("/greet", "utter_greet"), ("/compare", "utter_ask_what_to_compare")]


def pattern(model: Path, events: int) -> tuple[list[str], Head]:
    """Return the rows and the head of a conversation of at least so many events."""
    store = InMemoryTrackerStore()
    agent = Agent.load(model, tracker_store=store)
    number = 0
    while store.peek("a").version < events:
        query, action = TURNS[number % len(TURNS)]
        agent.start_message_handling(query, "a")
        agent.continue_message_handling("a", action, [])
        number += 1
    head = store.read_head("a")
    assert head is not None
    return store.read_events("a", 0, head.version), head


def fill(store: EventLogStore, ids: list[str], rows: list[str], head: Head) -> float:
    """Store the conversation under each of the ids; return the seconds that it took."""
    started = time.perf_counter()
    waiting = iter(ids)
    guard = threading.Lock()

    def work() -> None:
        while True:
            with guard:
                sender_id = next(waiting, None)
            if sender_id is None:
                return
            store.commit(sender_id, 0, rows, head._replace(updated=time.time()))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def turn_times(agent: Agent, ids: list[str], turns: int, seed: int) -> list[float]:
    """Return the time of a turn on each of so many conversations, in seconds."""
    times = []
    for sender_id in random.Random(seed).sample(ids, min(turns, len(ids))):
        started = time.perf_counter()
        agent.start_message_handling("/greet", sender_id)
        agent.continue_message_handling(sender_id, "utter_greet", [])
        times.append(time.perf_counter() - started)
    return times


def size_of(kind: str, url: str, server: Any) -> int:
    """Return the bytes that a store takes on disk."""
    if kind == "sqlite":
        return Path(url.removeprefix("sqlite:///")).stat().st_size
    if kind == "postgresql":
        query = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
        return int(server.execute(query, database="rasa")[0][0])
    return 0


def export(url: str) -> float:
    """Write all conversations to nowhere by the command; return the seconds that it took."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "rasa_core.commands.store", "export", url, "-o", "/dev/null"]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def measured(kind: str, model: Path, folder: Path, options: argparse.Namespace, count: int) -> dict[str, Any]:
    """Fill a store with so many conversations, and measure it."""
    rows, head = pattern(model, options.events)
    ids = [f"conversation-{number:07d}" for number in range(count)]
    with opened_if_installed(kind, folder) as found:
        if found is None:
            sys.exit(1)
        url, server = found
        with store_from_url(url) as store:
            agent = Agent.load(model, tracker_store=store)
            head = head._replace(fingerprint=store._model())
            built = fill(store, ids, rows, head)
            if kind == "postgresql":
                server.execute("VACUUM ANALYZE", database="rasa")
            turn_times(agent, ids, 50, seed=0)
            times = turn_times(agent, ids, options.turns, seed=1)
        size = size_of(kind, url, server)
        exported = export(url) if options.export else None
    return {
        "conversations": count,
        "events": len(rows),
        "built": built,
        "size": size,
        "times": times,
        "exported": exported,
    }


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "postgresql", "mariadb", "redis"], default="sqlite")
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=200, help="of each conversation")
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--no-export", dest="export", action="store_false")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as name:
        model = trained_model(Path(name))
        for count in (max(options.conversations // 100, 1), options.conversations):
            folder = Path(name, str(count))
            folder.mkdir()
            found.append(measured(options.store, model, folder, options, count))
    base = quantile(found[0]["times"], 0.5)
    table = [
        [
            *(result["conversations"], result["conversations"] * result["events"], f"{result['built']:.0f}"),
            f"{result['size'] / result['conversations'] / 1000:.1f}",
            *(f"{1e6 * quantile(result['times'], share):.0f}" for share in (0.5, 0.99)),
            f"{quantile(result['times'], 0.5) / base:.2f}",
            "-" if result["exported"] is None else f"{result['exported']:.0f}",
        ]
        for result in found
    ]
    heads = ["conversations", "events", "built [s]", "kB each", "p50 [us]", "p99 [us]", "ratio", "exported [s]"]
    print_table(f"One turn among many conversations, {options.store}", heads, table)


if __name__ == "__main__":
    main()
