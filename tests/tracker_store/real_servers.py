"""Database servers for tests: real ones, started here, on a port of their own, with a data folder of their own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

START_LIMIT = 60.0


def missing(what: str, remedy: str) -> NoReturn:
    """Skip a test for want of a server, and say how to get it; where the checks run, that is a failure."""
    message = f"{what} is not here; {remedy}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def program(name: str, package: str, *folders: str) -> str:
    """Return the path of a server's program."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *folders])
    found = shutil.which(name, path=path)
    return found if found is not None else missing(name, f"install it with: apt-get install {package}")


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
