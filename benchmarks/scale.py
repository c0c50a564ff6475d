"""A turn in a store with many conversations, beside one with few: ``python -m benchmarks.scale --store sqlite``.

A store is filled with copies of one real conversation of the example bot, in one commit each. The table shows the time
to fill the store, the size of a conversation, the time of a turn (`parse` and `continue` in the library) on random
conversations, each used only once, the same time in a store with a hundredth of the conversations, and the time to
export all.

With ``--keyed``, the table shows instead the bytes that a turn adds to the store if both of its requests have an
``Idempotency-Key``, whose answers are stored, and if neither has: the size of all tables after compaction, or the
memory of Redis.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from werkzeug.test import Client

from benchmarks.databases import STORES, opened_if_installed
from benchmarks.serving import ROOT, trained_model
from benchmarks.tables import print_table, quantile
from rasa_core import Agent
from rasa_core.server import create_app
from rasa_core.tracker_store import EventLogStore, Head, InMemoryTrackerStore, store_from_url

THREADS = 4
TURNS = [("/greet", "utter_greet"), ("/compare", "utter_ask_what_to_compare")]


def pattern(model: Path, events: int) -> tuple[list[str], Head]:
    """Return the rows and the head of a conversation with at least a number of events."""
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
    """Store the conversation under each of the ids; return the time in seconds."""
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


def size_of(kind: str, url: str, server: Any, *, packed: bool = False) -> int:
    """Return the bytes of a store on disk, or of Redis in memory; with `packed`, after compaction."""
    if kind == "sqlite":
        if packed:
            with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
                connection.execute("VACUUM")
        return Path(url.removeprefix("sqlite:///")).stat().st_size
    if kind == "postgresql":
        query = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
        return int(server.execute(*(["VACUUM FULL"] if packed else []), query, database="rasa")[0][0])
    if kind == "mariadb":
        tables = "rasa_core_events, rasa_core_heads, rasa_core_answers"
        query = "SELECT sum(data_length + index_length) FROM information_schema.tables WHERE table_schema = 'rasa'"
        packing = [f"OPTIMIZE TABLE {tables}"] if packed else []
        return int(server.execute(*packing, f"ANALYZE TABLE {tables}", query, database="rasa")[0][0])
    import redis

    with redis.Redis.from_url(url) as client:
        return int(client.info("memory")["used_memory"])


def bytes_of_a_turn(kind: str, model: Path, folder: Path, turns: int, keyed: bool) -> float | None:
    """Return what a turn over HTTP, of `parse` and `continue`, leaves in a store; None where there is no such store."""
    with opened_if_installed(kind, folder) as found:
        if found is None:
            return None
        url, server = found
        sizes = []
        for part in (range(turns // 2), range(turns // 2, turns + turns // 2)):
            with store_from_url(url) as store:
                client = Client(create_app(Agent.load(model, tracker_store=store)))
                for number in part:
                    for endpoint, body in (
                        ("parse", {"query": "/greet"}),
                        ("continue", {"executed_action": "utter_greet", "events": []}),
                    ):
                        headers = {"Idempotency-Key": f"{endpoint}-{number:032}"} if keyed else {}
                        place = f"/conversations/conversation-{number % 50}/{endpoint}"
                        assert client.post(place, json=body, headers=headers).status_code == 200
            sizes.append(size_of(kind, url, server, packed=True))
    return (sizes[1] - sizes[0]) / turns


def print_bytes(options: argparse.Namespace) -> None:
    """Print the table of the bytes of a turn, with keys and without."""
    table = []
    with tempfile.TemporaryDirectory() as name:
        model = trained_model(Path(name))
        for kind in STORES if options.store == "all" else [options.store]:
            found = []
            for keyed in (False, True):
                folder = Path(name, f"{kind}-{keyed}")
                folder.mkdir()
                found.append(bytes_of_a_turn(kind, model, folder, options.turns, keyed))
            table.append([kind, *("-" if size is None else f"{size:.0f}" for size in found)])
            print(*table[-1], flush=True)
    print_table(f"Bytes of a turn, mean of {options.turns}", ["store", "without keys", "with keys"], table)


def export(url: str) -> float:
    """Export all conversations to the null device by the command; return the time in seconds."""
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
    parser.add_argument("--store", choices=[*STORES, "all"], default="sqlite")
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=200, help="of each conversation")
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--keyed", action="store_true", help="what a turn with keys leaves, of one store or all")
    parser.add_argument("--no-export", dest="export", action="store_false")
    options = parser.parse_args()
    if options.keyed:
        return print_bytes(options)
    if options.store == "all":
        parser.error("all stores go with --keyed.")
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
