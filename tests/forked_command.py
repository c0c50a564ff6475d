"""Python programs in processes of their own that begin with the package imported: forks of one that waits for them.

Commands import for longer than most tests let them work. Where it is tested how a process begins, as with other
encodings or closed ends, the test starts a new one.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATIENCE = 300
IMPORTED = ("check", "evaluate", "main", "nlu", "restore", "run", "train", "visualize")
"""The commands that are imported before."""


def run(
    program: str, *arguments: str, folder: Path, given: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program as ``python -c`` does, which finds this checkout, and return what came of it.

    Parameters
    ----------
    program
        Its text.
    folder
        Where it is run.
    given
        What it reads.
    environment
        What differs in its environment.
    """
    with tempfile.TemporaryDirectory() as written:
        paths = [Path(written, name) for name in ("in", "out", "err")]
        for path in paths:
            path.write_text(given if path.name == "in" else "", encoding="utf-8")
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        asked = [program, list(arguments), str(folder), variables, *map(str, paths)]
        waiting = _waiting()
        assert waiting.stdin is not None
        assert waiting.stdout is not None
        waiting.stdin.write(json.dumps(asked) + "\n")
        waiting.stdin.flush()
        status = int(waiting.stdout.readline())
        return subprocess.CompletedProcess(arguments, status, *(path.read_text(encoding="utf-8") for path in paths[1:]))


@functools.cache
def _waiting() -> subprocess.Popen[str]:
    """Start the process that forks."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process


def _fork_for_each() -> tuple[str, list[str]]:
    """Fork for each line that comes; return in the fork, with its program and its arguments."""
    for line in sys.stdin:
        program, arguments, folder, variables, *paths = json.loads(line)
        child = os.fork()
        if not child:
            _begin(folder, variables, paths)
            return program, arguments
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


def _begin(folder: str, variables: dict[str, str], paths: list[str]) -> None:
    signal.alarm(PATIENCE)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for number, path in enumerate(paths):
        opened = os.open(path, os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)


if __name__ == "__main__":
    for name in IMPORTED:
        __import__(f"rasa_core.commands.{name}")
    text, given = _fork_for_each()
    sys.argv = ["-c", *given]
    sys.path[0] = ""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(text, space)
