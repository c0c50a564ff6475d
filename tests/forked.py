"""Python programs in processes that are forked from a process with the modules imported, which is faster.

The imports of a command or a store take longer than most tests. A test about the start of a process, such as one with
another encoding or closed pipes, starts a new process instead.
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
    """A process that runs a program like ``python -c``, with this checkout on its path; used like `subprocess.Popen`.

    Parameters
    ----------
    program
        The text of the program.
    files
        The files of its standard input, output and error.
    imported
        The modules that are imported before the fork.
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
        """Start a process with pipes as its `stdin` and `stdout`."""
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
        """Kill the process, unless it has ended."""
        if self.returncode is None and not select.select([self._told], [], [], 0)[0]:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode

    def communicate(self) -> tuple[str, None]:
        """Close its input, and return its output until it ends."""
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
    """Run a program in a fork with the commands imported, and return its exit code and output.

    Parameters
    ----------
    folder
        Its current folder.
    given
        Its standard input.
    environment
        Changes of its environment variables.
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
    """Start the process that forks; return the socket for requests to it."""
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
    """Fork for each request; return only in the forks, with the program and its arguments."""
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
    """Fork; write the process id of the fork, and later its exit status, to `told`. Return only in the fork."""
    child = os.fork()
    if not child:
        os.close(told)
        return
    os.write(told, f"{child}\n".encode())
    os.closerange(0, told)  # Otherwise this process would keep the fork's pipes open while it waits.
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
