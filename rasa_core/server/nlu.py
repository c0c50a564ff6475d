"""Named NLU models: a request can name the model that parses its message, and ``POST /train`` trains a named model.

All models are in the directory of ``--enable-train``; without this option there are none. A model is loaded when a
request first names it, and again when any process has changed its files.

Trust: the training data are parsed and never executed, but whoever may train decides how messages are understood, fills
the disk and uses the processor for as long as the settings allow. So training needs a token.

Processes. A server does not import the modules for training, so each training is a process of its own (`nlu_job`), with
low priority. One thread of the server waits for it, and the others go on serving. Only one training runs at a time over
all workers of all servers that share the directory: it holds a lock on a file in the directory, which the kernel
releases when both the worker and the training process are gone. The training process ends with its worker, when it
takes more time or memory than `NLUModels` allows, and, on Linux, when the client hangs up (`NLUModels.hung_up`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from rasa_core.exceptions import InterpreterError, ModelError, did_you_mean, nearest
from rasa_core.interpreter import RasaNLUInterpreter
from rasa_core.nlu.model import FILE_NAME, NLU_MODEL
from rasa_core.nlu.settings import NLUSettings
from rasa_core.server.requests import HttpError, without_folders
from rasa_core.server.settings import MAX_TRAINING_MEMORY, MAX_TRAINING_SECONDS, OUT_OF_MEMORY, OUT_OF_TIME
from rasa_core.support.folders import check_writable, is_replaceable, stamp_of
from rasa_core.support.threads import started

logger = logging.getLogger(__name__)

try:
    import fcntl
except ImportError:  # Windows.
    fcntl = None  # type: ignore[assignment]

MAX_NAME: Final = 100
MAX_LOADED: Final = 8
LOCK_NAME: Final = ".training.lock"

_LOOK_EVERY: Final = 0.5  # seconds
_JUST_NOW: Final = 1000  # milliseconds
_ESTABLISHED: Final = 1
_INFO: Final = struct.Struct("52xI")  # Linux's tcp_info up to tcpi_last_data_recv, in milliseconds.
_READS_TRIED: Final = 5
_JOB: Final = "rasa_core.server.nlu_job"
_NO_SETTINGS: Final = ("name", "token")
_name = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class NLUModels:
    """The NLU models in a directory. Safe to share between threads.

    Parameters
    ----------
    directory
        The folder with one directory for each model; need not exist yet.
    max_loaded
        How many models stay loaded: the ones that were used last.

    Attributes
    ----------
    max_seconds, max_memory
        What a training may take: time in seconds, and bytes.
    """

    def __init__(self, directory: str | os.PathLike[str], max_loaded: int = MAX_LOADED) -> None:
        self.directory = Path(os.path.abspath(directory))
        self.max_seconds: float = MAX_TRAINING_SECONDS
        self.max_memory = MAX_TRAINING_MEMORY
        # No lock is held while a model is read, so threads that use other models do not wait.
        self._read = lru_cache(max_loaded)(lambda path, stamp: RasaNLUInterpreter(path))

    def names(self) -> list[str]:
        """Return the names of all models, sorted."""
        try:
            found = sorted(path.name for path in self.directory.iterdir() if stamp_of(path / FILE_NAME) is not None)
        except OSError:
            return []
        return [name for name in found if _name.fullmatch(name)]

    def path(self, name: str) -> Path:
        """Return the directory of the model `name`; raise `HttpError` 400 if the name is invalid."""
        if len(name) > MAX_NAME or not _name.fullmatch(name):
            raise HttpError(
                400,
                f"a model cannot be called {name[: MAX_NAME + 1]!r}: a name has 1 to {MAX_NAME} characters, which are "
                "letters (A to Z), digits, _, - and ., and does not begin with one of the last two.",
            )
        return self.directory / name

    def interpreter(self, name: str) -> RasaNLUInterpreter:
        """Return an interpreter with the present files of the model `name`.

        Raises
        ------
        HttpError
            400 if there is no such model, with ``nearest``, the existing names that look like `name`.
        InterpreterError
            If the model is damaged.
        """
        path = self.path(name)
        for _ in range(_READS_TRIED):
            stamp = stamp_of(path / FILE_NAME)
            if stamp is None:
                raise self._unknown(name)
            try:
                found = self._read(path, stamp)
            except InterpreterError:
                if stamp_of(path / FILE_NAME) == stamp:
                    raise
            else:
                if stamp_of(path / FILE_NAME) == stamp:
                    return found
        raise InterpreterError(f"the model {name!r} was replaced again and again while it was read. Try again.")

    def train(
        self, parameters: Mapping[str, str], body: bytes, has_gone: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """Train a model, and return a report on it.

        Parameters
        ----------
        parameters
            Query parameters: ``name``, by default made from the time; ``token``, ignored here; and settings.
        body
            The training data.
        has_gone
            Tells whether the client has hung up; then the training ends.

        Raises
        ------
        HttpError
            400 if the request is invalid, 409 if another training is running, 501 if the system has no file locks,
            500 if the training broke off.
        """
        name = parameters.get("name") or f"model_{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        path = self.path(name)
        if path.exists() and not is_replaceable(path, NLU_MODEL):
            raise HttpError(400, f"{name!r} is something other than an NLU model; choose another name.")
        job = {
            **{"path": str(path), "settings": _settings(parameters).as_json(), "text": _text(body)},
            **{"max_seconds": self.max_seconds, "max_memory": self.max_memory},
        }
        with _locked(self.directory, name) as lock:
            report = _run(job, lock, has_gone)
        return {"name": name, **report}

    @staticmethod
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

    def _unknown(self, name: str) -> HttpError:
        known = self.names()
        problem = f"there is no model {name!r}.{did_you_mean(name, known)} Train one with POST /train?name={name}."
        return HttpError(400, problem, details={"nearest": nearest(name, known)})


def _settings(parameters: Mapping[str, str]) -> NLUSettings:
    """Return the settings among the parameters of a request."""
    known = [*_NO_SETTINGS[:1], *(field.name for field in fields(NLUSettings))]
    for name in parameters:
        if name not in known and name not in _NO_SETTINGS:
            problem = f"there is no setting {name[:80]!r}.{did_you_mean(name, known)} There are: {', '.join(known)}."
            raise HttpError(400, problem, details={"nearest": nearest(name, known)})
    return NLUSettings.from_mapping({name: value for name, value in parameters.items() if name not in _NO_SETTINGS})


def _text(body: bytes) -> str:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise HttpError(400, f"line {line} of the training data is not UTF-8; send it in that encoding.") from None
    if not text.strip():
        raise HttpError(400, "the body is empty; send training data: curl --data-binary @nlu.md.")
    return text


@contextlib.contextmanager
def _locked(directory: Path, name: str) -> Iterator[int]:
    """Hold the lock of a directory; yield the lock file's descriptor, by which a child process inherits the lock."""
    if fcntl is None:
        raise HttpError(
            501, "training over HTTP needs locks on files, which this system lacks; use rasa-core nlu train."
        )
    try:
        check_writable(directory)
        lock = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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


def _run(job: Mapping[str, Any], lock: int, has_gone: Callable[[], bool]) -> dict[str, Any]:
    """Run a job in a process of its own, and return the report; the process ends when this process ends."""
    command = [sys.executable, "-m", _JOB]
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
