"""What every process of `rasa_core.server.jobs` does: it takes a job, keeps to its limits, and gives a report.

The job comes as JSON from standard input, and the report goes as JSON to standard output. If standard input is closed
before the work has ended, nobody waits for the report any more, and the process ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from rasa_core.server.settings import OUT_OF_MEMORY, OUT_OF_TIME

Report = dict[str, Any]

_LOOK_EVERY: Final = 0.2  # seconds
_PRIORITY: Final = 10


def _end_with_the_server() -> None:
    os.read(0, 1)
    os._exit(1)


def _end_at_limits(seconds: float, memory: int) -> None:
    """Check every `_LOOK_EVERY` seconds, and end the process when it exceeds the time or the memory."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:  # Only Linux has this file.
            if int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") > memory:
                os._exit(OUT_OF_MEMORY)
        time.sleep(_LOOK_EVERY)
    os._exit(OUT_OF_TIME)


def failure(status: int, problem: str) -> Report:
    """Return the report of a job that failed: an HTTP status, and what to tell the client."""
    return {"status": status, "error": problem}


def carry_out(run: Callable[[Mapping[str, Any]], Report]) -> None:
    """Run the job on standard input, and write the report.

    The job has ``max_seconds`` and ``max_memory``; the report has ``status``, an HTTP status, and the keys of the
    answer.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())  # Signals that a server's worker blocks.
    report = os.dup(1)
    os.dup2(2, 1)  # Output of libraries goes to standard error, so that it does not get into the report.
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    limits = job["max_seconds"], job["max_memory"]
    threading.Thread(target=_end_at_limits, args=limits, daemon=True).start()
    os.nice(_PRIORITY)
    with os.fdopen(report, "wb") as output:
        output.write(json.dumps(run(job)).encode())
