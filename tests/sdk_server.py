"""An action server made with rasa-sdk, as a process of its own."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from launched_command import listens
from programs import free_port


@contextmanager
def sdk_server(actions: Path, **environ: str) -> Iterator[str]:
    """Run the actions of a module in rasa-sdk, and give its address; skip the test where rasa-sdk is not installed.

    `RASA_SDK_PYTHON` names an interpreter that has another version of it than this one.
    """
    python = os.environ.get("RASA_SDK_PYTHON")
    if python is None and importlib.util.find_spec("rasa_sdk") is None:
        pytest.skip("rasa-sdk is not installed; install it with: pip install rasa-sdk")
    port = free_port()
    command = [python or sys.executable, "-m", "rasa_sdk", "--actions", actions.stem, "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=actions.parent,
            env={**os.environ, **environ},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            end = time.monotonic() + 60
            while not listens(port):
                log.seek(0)
                assert process.poll() is None, f"rasa-sdk did not start:\n{log.read().decode()}"
                assert time.monotonic() < end, f"rasa-sdk does not listen:\n{log.read().decode()}"
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}/webhook"
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # It has processes of its own.
            process.wait(10)
