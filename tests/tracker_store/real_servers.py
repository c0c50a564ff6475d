"""Database servers for tests: real ones, started here, on a port of their own, with a data folder of their own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

START_LIMIT = 60.0


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Return as soon as a server is ready; fail with its log if it ends before, or takes too long."""
    limit = time.monotonic() + START_LIMIT
    while time.monotonic() < limit and process.poll() is None:
        if ready():
            return
        time.sleep(0.02)
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")
