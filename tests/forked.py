"""Python programs in processes that are forked from a process with the modules imported, which is faster.

What a command or a store imports takes longer than most tests let it work. Where it is tested how a process begins, as
with other encodings or closed ends, the test starts a new one.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

ROOT = Path(__file__).parents[1]
PATIENCE = 300
COMMANDS = tuple(
    f"rasa_core.commands.{name}"
    for name in ("check", "evaluate", "main", "nlu", "restore", "run", "train", "visualize")
)
STORES = tuple(f"rasa_core.tracker_store.{name}" for name in ("sqlite", "sql", "redis"))
_FLAGS = {STORES: ("-W", "error")}


class Forked:
    """A process that runs a program as ``python -c`` does, and finds this checkout; it is used as a `subprocess.Popen`.

    Parameters
    ----------
    program
        Its text.
    files
        What it reads, and where it writes to: output and errors.
    imported
        The modules that it begins with.
    """

    stdin: IO[str] | None = None
    stdout: IO[str] | None = None
    returncode: int | None = None

    def __init__(
        self,
        program: str,
        *arguments: str,
        files: tuple[int, int, int],
        imported: tuple[str, ...],
        folder: Path,
        environment: dict[str, str],
    ) -> None:
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        asked = json.dumps([program, list(arguments), str(folder), variables]).encode()
        told, telling = os.pipe()
        self._told = os.fdopen(told, "rb", buffering=0)
        socket.send_fds(_waiting(imported), [len(asked).to_bytes(8, "big")], [*files, telling])
        _waiting(imported).sendall(asked)
        os.close(telling)
        self.pid = int(self._told.readline())

    @classmethod
    def with_pipes(cls, program: str, *arguments: str, imported: tuple[str, ...], **environment: str) -> Self:
        """Start one that reads from `stdin` and writes to `stdout`."""
        reads, writes = os.pipe(), os.pipe()
        files = (reads[0], writes[1], 2)
        self = cls(program, *arguments, files=files, imported=imported, folder=Path.cwd(), environment=environment)
        os.close(reads[0])
        os.close(writes[1])
        self.stdin, self.stdout = os.fdopen(reads[1], "w"), os.fdopen(writes[0])
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self.wait()

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        if self.returncode is None and not select.select([self._told], [], [], 0)[0]:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode

    def communicate(self) -> tuple[str, None]:
        """Let it read no more, and return what it writes until it ends."""
        assert self.stdin is not None
        assert self.stdout is not None
        self.stdin.close()
        output = "" if self.stdout.closed else self.stdout.read()
        self._close()
        self.wait()
        return output, None

    def _close(self) -> None:
        for file in (self.stdin, self.stdout):
            if file is not None:
                with suppress(BrokenPipeError):
                    file.close()


def run(
    program: str, *arguments: str, folder: Path, given: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program that begins with the commands imported, and return what came of it.

    Parameters
    ----------
    folder
        Where it is run.
    given
        What it reads.
    environment
        What differs in its environment.
    """
    with ExitStack() as stack:
        told, out, err = (stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in range(3))
        told.write(given)
        told.seek(0)
        files = (told.fileno(), out.fileno(), err.fileno())
        status = Forked(
            program, *arguments, files=files, imported=COMMANDS, folder=folder, environment=environment
        ).wait()
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, status, out.read(), err.read())


@functools.cache
def _waiting(imported: tuple[str, ...]) -> socket.socket:
    """Start the process that forks; return what it is asked through."""
    own, other = socket.socketpair()
    with other:
        process = subprocess.Popen(
            [sys.executable, *_FLAGS.get(imported, ()), __file__, str(other.fileno()), *imported],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            pass_fds=[other.fileno()],
        )
    atexit.register(process.wait)
    atexit.register(own.close)
    return own


# -- in the process that forks


def _fork_for_each(asked: socket.socket) -> tuple[str, list[str]]:
    """Fork for each that is asked for; return in the fork, with its program and its arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        size, files, _, _ = socket.recv_fds(asked, 8, 4)
        if not size:
            asked.close()
            sys.exit()
        text = asked.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
        if not os.fork():
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _tell_of_a_fork(files.pop())
            program, arguments, folder, variables = json.loads(text)
            _begin(folder, variables, files)
            return program, arguments
        for file in files:
            os.close(file)


def _tell_of_a_fork(told: int) -> None:
    """Fork; tell the number of the fork, and its status when it has ended. Return in the fork."""
    child = os.fork()
    if not child:
        os.close(told)
        return
    os.write(told, f"{child}\n".encode())
    os.closerange(0, told)  # Else what the fork writes would have no end while this process waits.
    os.closerange(told + 1, 256)
    _, status = os.waitpid(child, 0)
    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _begin(folder: str, variables: dict[str, str], files: list[int]) -> None:
    signal.alarm(PATIENCE)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        importlib.import_module(name)
    text, given_arguments = _fork_for_each(socket.socket(fileno=int(sys.argv[1])))
    sys.argv = ["-c", *given_arguments]
    sys.path[0] = ""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(text, space)
