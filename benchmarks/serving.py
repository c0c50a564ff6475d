"""Starts servers for benchmarks: the real server, and the bare application."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rasa_core import Agent
from rasa_core.policies import KerasPolicy, MemoizationPolicy

ROOT = Path(__file__).parents[1]
START_LIMIT = 60.0


def trained_model(folder: Path) -> Path:
    """Train the example bot into `folder`."""
    project = ROOT / "examples" / "remote"
    agent = Agent(project / "domain.yml", [MemoizationPolicy(), KerasPolicy()])
    agent.train(agent.load_data(project / "stories.md"), verbose=0)
    agent.persist(folder / "dialogue")
    return folder / "dialogue"


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(arguments: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server process until the block ends; the block starts when the server answers."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=tempfile.gettempdir(),
            env=environment,
            stdout=output,
            stderr=output,
        )
        try:
            wait_for(port, process)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=40)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as the server answers."""
    limit = time.monotonic() + START_LIMIT
    while time.monotonic() < limit and process.poll() is None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
        ):
            connection.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if connection.recv(64).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.002)
    raise RuntimeError("the server did not start")


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and of those that it started, in seconds (Linux)."""
    children, seconds = Path(f"/proc/{pid}/task/{pid}/children").read_text().split(), 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds + sum(processor_seconds(int(child)) for child in children)


def real_server(model: Path, port: int, *flags: str) -> list[str]:
    """Return the arguments of Python that serve `model`."""
    log = str(model.parent / "requests.log")
    return ["-m", "rasa_core.server", "-d", str(model), "-p", str(port), "-o", log, *flags]


def bare_server(answers: dict[str, Any], port: int, *, rests: bool = False) -> list[str]:
    """Return the arguments of Python that serve the bare application.

    Granian serves it with its default number of threads; or, with `rests`, our launcher, under which all threads but
    one rest. An application that never releases the interpreter lock gains most from that.
    """
    settings = json.dumps({"answers": answers})
    by_granian = (
        "from functools import partial; from granian import Granian; from benchmarks.bare_app import load; "
        "Granian('bare', port=int(sys.argv[2]), interface='wsgi', log_enabled=False)"
        ".serve(target_loader=partial(load, json.loads(sys.argv[1])))"
    )
    by_us = (
        "from rasa_core.server.launcher import launch; "
        "launch(json.loads(sys.argv[1]), port=int(sys.argv[2]), target='benchmarks.bare_app:create')"
    )
    return ["-c", f"import json, sys; {by_us if rests else by_granian}", settings, str(port)]
