"""Serves the bot of a folder with the command that a user would run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from programs import free_port

ROOT = Path(__file__).parents[2]
START_LIMIT = 300.0


@dataclass(frozen=True)
class Served:
    """A running server, its current folder, and its output while it started."""

    url: str
    folder: Path
    said: str


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/version", timeout=1) as response:
        return bool(response.status == 200)
    return False


@contextlib.contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Served]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    output = folder / f"server-{port}.txt"
    command = [sys.executable, "-c", "from rasa_core.commands.main import serve; serve()", *arguments, "-p", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with output.open("w") as stream:
        process = subprocess.Popen(command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT, env=environment)
    try:
        limit = time.monotonic() + START_LIMIT
        while not (answers(url) and f":{port}" in output.read_text()):  # It answers before it says so.
            if process.poll() is not None or time.monotonic() > limit:
                pytest.fail(f"the server did not start:\n{output.read_text()}")
            time.sleep(0.05)
        yield Served(url, folder, output.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
