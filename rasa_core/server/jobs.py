"""Work that is done in a process of its own: a server does not import the modules for training, and goes on serving.

One thread of the server waits for the process, which has low priority. Only one such process runs at a time over all
workers of all servers that share a directory: it holds a lock on a file in the directory, which the kernel releases
when both the worker and the process are gone. The process ends with its worker, when it takes more time or memory than
its job allows, and, on Linux, when the client hangs up (`hung_up`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rasa_core.exceptions import ModelError
from rasa_core.server.requests import HttpError, without_folders
from rasa_core.server.settings import OUT_OF_MEMORY, OUT_OF_TIME
from rasa_core.support.folders import check_writable
from rasa_core.support.threads import started

logger = logging.getLogger(__name__)

try:
    import fcntl
except ImportError:  # Windows.
    fcntl = None  # type: ignore[assignment]

LOCK_NAME: Final = ".training.lock"

_LOOK_EVERY: Final = 0.5  # seconds
_JUST_NOW: Final = 1000  # milliseconds
_ESTABLISHED: Final = 1
_INFO: Final = struct.Struct("52xI")  # Linux's tcp_info up to tcpi_last_data_recv, in milliseconds.


@contextlib.contextmanager
def locked(directory: Path, name: str, lock_name: str = LOCK_NAME) -> Iterator[int]:
    """Hold the lock of a directory; yield the lock file's descriptor, by which a child process inherits the lock.

    Raises
    ------
    HttpError
        409 if another process holds it, 501 if the system has no file locks, 503 if the directory cannot be written.
    """
    if fcntl is None:
        raise HttpError(
            501, "training over HTTP needs locks on files, which this system lacks; use rasa-core nlu train."
        )
    try:
        check_writable(directory)
        lock = os.open(directory / lock_name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (ModelError, OSError) as error:
        logger.error("cannot write models to %s: %s", directory, error)
        failed = error if isinstance(error, OSError) else error.__cause__
        why = getattr(failed, "strerror", None) or "an error"
        raise HttpError(503, f"models cannot be written here: {why}; the log says where.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.pread(lock, 1000, 0).decode(errors="replace")
            raise HttpError(409, f"a model is being trained now{other and f' ({other})'}; try again later.") from None
        with contextlib.suppress(OSError):  # On a full disk, only the name in the message for others is missing.
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{name}, since {time.strftime('%H:%M:%S UTC', time.gmtime())}".encode(), 0)
        yield lock
    finally:
        os.close(lock)


def hung_up(environ: Mapping[str, Any]) -> Callable[[], bool]:
    """Return a function that tells whether a request's client has hung up; call this when the body has been read.

    WSGI does not say which connection a request came over, but the kernel knows which connections of this process
    received bytes last. If several connections have just received some, the function waits until all are closed.
    """
    address, port = str(environ.get("REMOTE_ADDR")), str(environ.get("SERVER_PORT"))
    silences = _connections(address, port)
    shortest = min(silences.values(), default=0)
    watched = {number for number, silence in silences.items() if silence <= shortest + _JUST_NOW}
    return lambda: bool(watched) and watched.isdisjoint(_connections(address, port))


def _connections(address: str, port: str) -> dict[int, int]:
    """Return this process's connections from an address to a port: inode, and milliseconds since the last data."""
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # A descriptor may be closed meanwhile.
                status = os.fstat(int(name))
                if stat.S_ISSOCK(status.st_mode):
                    with socket.socket(fileno=os.dup(int(name))) as connection:
                        peer, local = connection.getpeername(), connection.getsockname()
                        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
                        if (peer[0], str(local[1])) == (address, port) and info[0] == _ESTABLISHED:
                            found[status.st_ino] = _INFO.unpack(info)[0]
    return found


def _watch(process: subprocess.Popen[bytes], has_gone: Callable[[], bool], done: threading.Event) -> None:
    while not done.wait(_LOOK_EVERY):
        if has_gone():
            process.kill()
            return


def run_job(
    module: str, job: Mapping[str, Any], lock: int, has_gone: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Run a job in a process of its own, and return the report; the process ends when this process ends.

    Parameters
    ----------
    module
        The module that does the work, with `rasa_core.server.job_process`.
    job
        What to do, as data for JSON, with ``max_seconds`` and ``max_memory``.
    lock
        The descriptor of the file that `locked` holds.
    has_gone
        Tells whether the client has hung up; then the process ends.

    Raises
    ------
    HttpError
        If the report tells of an error, or the process ended without a report.
    """
    command = [sys.executable, "-m", module]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[lock], start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        done = threading.Event()
        started(_watch, "training", process, has_gone, done)
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(job).encode() + b"\n")
                process.stdin.flush()
            answer = process.stdout.read()
        finally:
            done.set()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()  # The training process ends when its input is closed.
    try:
        report: dict[str, Any] = json.loads(answer)
    except ValueError:
        raise _broken_off(process.returncode, job) from None
    status = report.pop("status")
    if status != 200:
        problem = report.pop("error")
        if status >= 500:
            logger.error("no model was trained: %s", problem)
        raise HttpError(status, without_folders(problem), details=report)
    return report


def _broken_off(code: int, job: Mapping[str, Any]) -> HttpError:
    less = "send less data, or fewer epochs, or train with rasa-core nlu train, which has no such limit."
    if code == OUT_OF_TIME:
        return HttpError(400, f"the training was ended, since it took more than {job['max_seconds']} seconds; {less}")
    if code == OUT_OF_MEMORY:
        return HttpError(400, f"the training was ended, since it took more than {job['max_memory']} bytes; {less}")
    if code < 0:
        return HttpError(500, f"the process that trained was ended by signal {-code}; was there too little memory?")
    return HttpError(500, "the training broke off; what the server wrote to standard error has the details.")
