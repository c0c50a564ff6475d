"""Turns a second of one server, and of two, on one PostgreSQL: ``python -m benchmarks.servers_on_one_store``.

Eight clients play the turns of `benchmarks.turns_over_http`; half of them talk to each of two servers. All run on this
machine, the clients and the database too, so that two servers cannot be twice as fast on two cores.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
from pathlib import Path

from benchmarks.databases import STORES, opened_if_installed
from benchmarks.load import LoadResult, run_load
from benchmarks.serving import free_port, real_server, server, trained_model
from benchmarks.tables import print_table
from benchmarks.turns_over_http import TURNS, scripts

CLIENTS = 8


def rate(model: Path, url: str, servers: int, seconds: float) -> float:
    """Return the turns a second of a number of servers together."""
    ports = [free_port() for _ in range(servers)]
    results: list[LoadResult] = []
    shares = [scripts(CLIENTS)[number::servers] for number in range(servers)]

    def load(port: int, share: list[list[bytes]]) -> None:
        results.append(run_load("127.0.0.1", port, share, seconds=seconds))

    commands = [real_server(model, port, "--store", url) for port in ports]
    if servers == 1:
        with server(commands[0], ports[0]):
            load(ports[0], shares[0])
    else:
        with server(commands[0], ports[0]), server(commands[1], ports[1]):
            threads = [threading.Thread(target=load, args=pair) for pair in zip(ports, shares, strict=True)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    return len(TURNS) * sum(result.turns_per_second for result in results)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=sorted(STORES), default="postgresql")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    rates: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name, opened_if_installed(options.store, Path(name)) as found:
        if found is None:
            sys.exit(1)
        url, _ = found
        model = trained_model(Path(name))
        for _ in range(options.rounds):
            for servers, found in rates.items():
                found.append(rate(model, url, servers, options.seconds))
    base = statistics.median(rates[1])
    rows = [
        [servers, f"{statistics.median(found):.0f}", f"{statistics.median(found) / base:.2f}"]
        for servers, found in rates.items()
    ]
    print_table(f"Turns a second on one {options.store}, {CLIENTS} clients", ["servers", "turns/s", "ratio"], rows)


if __name__ == "__main__":
    main()
