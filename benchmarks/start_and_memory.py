"""Time from the start of the server to its first answer, and its memory: ``python -m benchmarks.start_and_memory``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.load import build_request, run_load
from benchmarks.serving import free_port, real_server, server, trained_model
from benchmarks.tables import print_table

ROUNDS = 7


def seconds_to_import() -> float:
    """Return the time in which Python imports the packages that all rows of the table need."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import numpy, werkzeug"], check=True)
    return time.perf_counter() - started


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def main() -> None:
    """Measure, and print the table."""
    imports, starts, workers, parents = [], [], [], []
    with tempfile.TemporaryDirectory() as name:
        model = trained_model(Path(name))
        for _ in range(ROUNDS):
            imports.append(seconds_to_import())
            port = free_port()
            parse = build_request("POST", "/conversations/me/parse", {"query": "/greet"})
            started = time.perf_counter()
            with server(real_server(model, port), port) as process:
                run_load("127.0.0.1", port, [[parse]], seconds=0, warmup=0)
                starts.append(time.perf_counter() - started)
                run_load("127.0.0.1", port, [[parse]] * 8, seconds=1)
                workers += [resident_megabytes(child) for child in children(process.pid)]
                parents.append(resident_megabytes(process.pid))
    base = statistics.median(imports)
    rows = [
        ["import numpy, werkzeug", f"{base:.2f} s", "1.0"],
        [
            "start to first answer to parse",
            f"{statistics.median(starts):.2f} s",
            f"{statistics.median(starts) / base:.1f}",
        ],
        ["memory of the worker after 1 s of load", f"{statistics.median(workers):.0f} MB", ""],
        ["memory of the main process", f"{statistics.median(parents):.0f} MB", ""],
    ]
    print_table(f"Start and memory, median of {ROUNDS}", ["what", "figure", "times the import"], rows)


if __name__ == "__main__":
    main()
