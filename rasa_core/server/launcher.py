"""Run the application in worker processes, under Granian.

Processes. The main process opens the port, starts the workers and waits; it answers no requests. Each worker makes its
own application from the same settings, so no connection to a store is ever shared by two processes. All workers accept
from the one socket that the main process holds: no other server can listen on the port at the same time, and a
connection that arrives while a worker starts or dies waits until another worker takes it.

Signals. After SIGTERM, SIGINT or SIGHUP to the main process or to all processes, the server stops accepting, finishes
the requests under way and exits with 0, however often the signal is sent; requests that still run after `stop_timeout`
seconds are killed. SIGHUP stays ignored if it was ignored at the start (``nohup``). A worker that dies is replaced; if
workers die again and again before any can serve, the server ends. Workers end at most `ORPHAN_SECONDS` after the main
process has died; a server that is started again waits for the port as long.

Threads. One thread is the fastest, since several threads wait for each other's interpreter lock, and move between
cores: with eight clients, a request cost a worker 0.22 ms with one thread, 0.26 ms with two and 0.39 ms with four. But
a single thread is blocked by the first slow action. So the default is one thread and spare threads, which work while it
is blocked. Choose `WAITING_THREADS` or more if most requests wait for something outside this process. Other threads
wait for bodies. All of this is in `rasa_core.server.waiting`.

Connections. A worker may have as many connections as it may have files open, less the files that it needs itself; the
limit of open files is raised as far as the system allows. An idle connection takes some kilobytes of memory and is
closed after 30 seconds; below the limit, idle connections do not delay others.

    from rasa_core.server.launcher import launch
    launch({"model": "models/dialogue"}, port=5005, workers=2)
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from typing import Any, NoReturn

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server import MPServer, mp

from rasa_core.exceptions import RasaCoreError
from rasa_core.server.ports import BACKLOG, ORPHAN_SECONDS, LaunchError, listen
from rasa_core.server.waiting import PATIENCE, SEATS, WaitingRoom
from rasa_core.support.forks import end_as_main_thread, let_go_of_server, pipes

APP = "rasa_core.server.app:create_app_from_settings"

DEFAULT_THREADS = 1
SPARE_THREADS = 15
WAITING_THREADS = 16
MOST_FILES = 65536
OWN_FILES = 256
"""Open files of a worker other than its connections: stores, models, logs, and files of actions."""

LEAST_FILES = 64
"""The least limit of open files with which a server can start and answer two requests at once."""


_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_NO_THREADS = (
    "The system lets this process start no thread. Raise the limit of processes, as with `ulimit -u 4096` in the shell "
    "that starts it, or TasksMax= for systemd."
)
_PAUSE = 0.1  # seconds
_CALL_OF_GRANIAN = "_wsgi_call_wrap"
_MOST_IN_VAIN = 10  # So many workers may die in a row before any can serve.
_READY = b"ready"  # A worker's report that it can serve; any other report is the reason why it cannot.
_REPORT_BYTES = 4000  # Below PIPE_BUF, so that reports of several workers cannot mix.
_GRANIAN_LEVELS = {"DEBUG": LogLevels.debug, "INFO": LogLevels.info}
_GRANIAN_LINES = {
    "text": {"format": "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"},
    "json": {"()": "rasa_core.server.log_lines.json_formatter"},
}
_GRANIAN_LOGGING: dict[str, Any] = {
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["heeded"]}},
    "filters": {"heeded": {"()": "rasa_core.server.log_lines.without_advice"}},
    "loggers": {"_granian": {"handlers": ["console"], "propagate": False}},
}

WSGIApplication = Callable[..., Any]


def launch(
    settings: Mapping[str, Any],
    *,
    host: str = "127.0.0.1",
    port: int = 5005,
    workers: int = 1,
    threads: int = DEFAULT_THREADS,
    spare_threads: int = SPARE_THREADS,
    log_level: str = "WARNING",
    log_format: str = "text",
    stop_timeout: int = 30,
    body_timeout: float = PATIENCE,
    target: str = APP,
    on_listening: Callable[[], None] | None = None,
    is_last: bool = False,
) -> None:
    """Serve until the process is told to stop.

    Parameters
    ----------
    settings
        Plain data, passed to `target` in every worker.
    workers, threads
        Number of worker processes, and number of requests that each works on at once.
    spare_threads
        How many more requests each works on while all its threads are blocked.
    log_level
        With INFO or DEBUG, the start and end of workers is logged to standard error, too, not only failures.
    log_format
        ``text`` or ``json``.
    stop_timeout
        Timeout, in seconds, for the requests under way after the server is told to stop.
    body_timeout
        Timeout, in seconds, for a request's body, or for each 64 KiB of a long body.
    target
        The function that makes the application in each worker, as ``module:function``.
    on_listening
        Called once in this process, from another thread, when the first worker is ready to answer.
    is_last
        Whether this process ends after the server. Then the signals that stop a server stay blocked: a signal that is
        sent once more at the last moment would otherwise kill the process, as if it had failed.

    Raises
    ------
    LaunchError
        If the port cannot be opened, the application cannot be made, or workers die before they serve.
    """
    least = {"workers": (workers, 1), "threads": (threads, 1), "spare_threads": (spare_threads, 0)}
    for name, (number, lowest) in (least | {"stop_timeout": (stop_timeout, 1)}).items():
        if number < lowest:
            raise LaunchError(f"{name} is {number}, but must be {lowest} or more.")
    with listen(host, port) as listener:
        reports, reporting = multiprocessing.Pipe(duplex=False)
        room = functools.partial(WaitingRoom, threads, spare_threads, body_timeout)
        loader = functools.partial(_load_app, target, dict(settings), reporting, room, listener.getsockname()[1])
        server = _Server(
            listener,
            target=target,
            workers=workers,
            blocking_threads=threads + spare_threads + SEATS,
            blocking_threads_idle_timeout=5,  # The least value; idle threads that stay make requests slower.
            log_level=_GRANIAN_LEVELS.get(log_level.upper(), LogLevels.error),
            log_dictconfig={**_GRANIAN_LOGGING, "formatters": {"line": _GRANIAN_LINES[log_format]}},
            workers_kill_timeout=stop_timeout,
        )
        signals = _signals()
        stop = server.signal_handler_interrupt
        with _signals_held(to_the_end=is_last), _signals_elsewhere(signals, stop), _workers_forked():
            _start_thread(_stop_when_told, signals, stop)
            _start_thread(server.follow, reports, on_listening)
            try:
                server.serve(target_loader=loader, wrap_loader=False)
            except SystemExit:
                server.failure = server.failure or (
                    "The server stopped because its workers died before they could serve; the lines above may say why."
                )
        if server.failure is not None:
            raise LaunchError(server.failure)


def _signals() -> set[signal.Signals]:
    """Return the signals that stop the server, except signals that this process has inherited as ignored.

    ``nohup`` starts programs with SIGHUP ignored, and a shell script starts programs with ``&`` with SIGINT ignored.
    """
    may_be_ignored = {signal.SIGHUP, signal.SIGINT}
    return _SIGNALS - {each for each in may_be_ignored if signal.getsignal(each) == signal.SIG_IGN}


@contextlib.contextmanager
def _signals_held(*, to_the_end: bool) -> Iterator[None]:
    """Block the signals in this process and its workers; a thread waits for them by `sigwait`.

    Python would lose a signal that comes just after a fork, or just before its main thread waits for a lock, and a
    terminal sends SIGINT to the workers, too. Granian would reload after a SIGHUP, even if SIGHUP was ignored.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        while told_again := signal.sigpending() & _SIGNALS:  # Repeated signals would now kill the stopped server.
            signal.sigwait(told_again)
        if not to_the_end:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _signals_elsewhere(signals: set[signal.Signals], stop: Callable[..., None]) -> Iterator[None]:
    """Call `stop` also for signals that are delivered to a thread that was started before the signals were blocked.

    The libraries of NumPy start such threads, and so may a program that calls `launch`. `sigwait` does not return for
    such a signal, but Python writes its number to the wakeup file descriptor.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # `set_wakeup_fd` requires this.
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        _start_thread(_stop_when_taken, reading, signals, stop)
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)


def _stop_when_taken(reading: int, signals: set[signal.Signals], stop: Callable[..., None]) -> None:
    """Read numbers of signals from a pipe until it is closed, and call `stop` for each of `signals`."""
    while number := os.read(reading, 1):
        if number[0] in signals:
            stop(number[0], None)
    os.close(reading)


@contextlib.contextmanager
def _workers_forked() -> Iterator[None]:
    """Fork the workers on Linux, as Python does before 3.14, unless the program has chosen ``spawn``.

    A spawned worker imports again the modules that this process has imported, which takes time and memory.
    """
    before = multiprocessing.get_start_method(allow_none=True)
    if sys.platform == "linux" and before in (None, "forkserver"):  # Granian does not use ``forkserver`` either.
        multiprocessing.set_start_method("fork", force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


def _start_thread(work: Callable[..., None], *arguments: Any) -> None:
    try:
        threading.Thread(target=work, args=arguments, name=work.__name__, daemon=True).start()
    except RuntimeError as error:
        raise LaunchError(_NO_THREADS) from error


def _stop_when_told(signals: set[signal.Signals], stop: Callable[..., None]) -> None:
    """Wait for one of the signals, then call `stop` as its handler."""
    stop(signal.sigwait(signals), None)


def _most_connections() -> int:
    """Raise the limit of open files as far as possible, and return how many connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if most < LEAST_FILES:
        raise LaunchError(
            f"This process may have {most} files open, and a server needs {LEAST_FILES}: raise the limit, as with "
            "`ulimit -n 1024` in the shell that starts it, or LimitNOFILE= for systemd."
        )
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(most - OWN_FILES, most // 2)


class _Server(MPServer):
    """Granian's server with one listening socket for all workers.

    By default, Granian on Linux opens one socket per worker and lets the kernel distribute connections over them. Then
    a second server on the same port is not noticed and takes half of the requests, and a connection that waits for a
    worker is lost when that worker dies. No option of Granian takes a socket, so this class overrides a private method
    and sets the three attributes that hold a socket. `setup.py` requires releases that have these attributes, and the
    tests of the launcher fail if a release lacks them. Everything else here is an option or a public method.
    """

    def __init__(self, listener: socket.socket, **options: Any) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            backpressure=_most_connections(),  # The limit of open connections, idle connections included.
            respawn_failed_workers=True,
            **options,
        )
        self._listener = listener
        self.failure: str | None = None
        self.respawned_wrks = self.replaced = _Replaced()

    def _init_shared_socket(self) -> None:
        self._listener.set_inheritable(True)
        self._sso = self._listener
        self._sfd = self._listener.fileno()  # type: ignore[assignment]
        self._shd = SocketHolder(self._sfd, False, BACKLOG)  # type: ignore[assignment, call-arg]

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Stop the server; a worker that does not serve yet, and has inherited this handler, just ends."""
        if os.getpid() != self.pid:
            os._exit(0)
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]

    def follow(self, reports: Connection, on_listening: Callable[[], None] | None) -> None:
        """Read the reports of the workers: announce the first worker that is ready, stop at the first failure."""
        try:
            while (report := reports.recv_bytes()) == _READY:
                self.replaced.in_vain = 0  # Workers that served before they died are replaced without limit.
                if on_listening is not None:
                    on_listening()
                    on_listening = None
        except EOFError:  # No process is left that could report.
            return
        self.failure = report.decode(errors="replace")
        self.signal_handler_interrupt()


class _Replaced(dict[int, float]):
    """The time at which each worker was replaced; Granian ends the server if a worker dies just after it was replaced.

    One or two such deaths may have any cause, and the next worker may be able to serve. So `get` hides the times
    from Granian until `_MOST_IN_VAIN` workers in a row were replaced before any could serve.
    """

    def __init__(self) -> None:
        super().__init__()
        self.in_vain = 0

    def __setitem__(self, worker: int, moment: float) -> None:
        self.in_vain += 1
        super().__setitem__(worker, moment)

    def get(self, worker: int, default: Any = None) -> Any:
        return super().get(worker, default) if self.in_vain >= _MOST_IN_VAIN else default


def _load_app(
    target: str, settings: dict[str, Any], reporting: Connection, make_room: Callable[[], WaitingRoom], port: int
) -> WSGIApplication:
    """Make the application; runs in a worker, before it serves."""
    signal.set_wakeup_fd(-1)  # The inherited descriptor: a signal to this worker must not stop the main process.
    # A process that an action forks may outlive the server. It must not keep the server from ending, nor keep the port.
    os.register_at_fork(after_in_child=functools.partial(let_go_of_server, port, pipes()))
    os.register_at_fork(after_in_child=end_as_main_thread)
    try:
        room = make_room()
        _start_thread(_stop_when_told, {signal.SIGTERM}, _handle)
        _start_thread(_end_with_main_process)
    except RuntimeError:
        time.sleep(_PAUSE)  # Slows down the replacements, so that threads may be free before the limit of failures.
        sys.exit(_NO_THREADS)
    # Granian has no option for a function that gets the protocol object, so its own caller of applications is replaced.
    setattr(mp, _CALL_OF_GRANIAN, lambda app, *options: room.calls(app))
    Finalize(None, logging.shutdown, exitpriority=1)  # Writes buffered log lines; workers do not run atexit handlers.
    module, _, name = target.partition(":")
    try:
        app: WSGIApplication = getattr(importlib.import_module(module), name)(settings)
    except RasaCoreError as error:
        _fail(reporting, str(error))
    except Exception:  # The outermost level of a worker; the main process shows the error once.
        _fail(reporting, f"The application could not be made.\n{traceback.format_exc()}")
    gc.collect()
    gc.freeze()  # Full collections of the objects that exist now would take 10 ms of a request.
    reporting.send_bytes(_READY)
    return app


def _fail(reporting: Connection, message: str) -> NoReturn:
    """Report why this worker cannot serve (only the end of a long message), and wait until the main process ends it.

    A worker that ended by itself would be replaced, and the next worker would fail in the same way.
    """
    reporting.send_bytes(message.encode()[-_REPORT_BYTES:])
    while True:
        time.sleep(3600)


def _handle(received: signal.Signals, frame: None) -> None:
    """Call the handler of a signal: the handler of `_Server`, or Granian's once the worker serves."""
    handler = signal.getsignal(received)
    if not callable(handler):
        os._exit(0)
    handler(received, frame)


def _end_with_main_process() -> None:
    """Stop this worker, as by SIGTERM, if the main process dies without stopping its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)  # Requests under way are not acknowledged, so clients can repeat them with the next server.
