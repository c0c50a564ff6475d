"""Starts real database servers for tests, each on a port and with a data folder of its own."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

START_LIMIT = 180.0
_PREFIX = "rasa_core-test-"


def server_folder(kind: str) -> Path:
    """Make a folder for a server of this process; what runs that were killed have left behind is removed."""
    _sweep()
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-{kind}-"))


@functools.cache
def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    if str(folder).encode() in (process / "cmdline").read_bytes():
                        os.kill(int(process.name), signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Return as soon as a server is ready; fail with its log if it ends before, or takes too long."""
    limit = time.monotonic() + START_LIMIT
    while time.monotonic() < limit and process.poll() is None:
        if ready():
            return
        time.sleep(0.02)
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")
