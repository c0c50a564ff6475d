"""Run the application in worker processes, under Granian.

Processes. The main process opens the port, starts the workers and waits; it serves nothing. Each worker makes its own
application from the same settings, so no connection to a store is ever shared by two processes. All workers accept
from the one socket that the main process holds: nobody else can listen on the port at the same time, and a connection
that arrives while a worker starts or dies waits until another one takes it.

Signals. SIGTERM, SIGINT and SIGHUP, sent to the main process or to all, stop accepting, finish the requests under way
and exit with 0, however often they are sent; what still runs after `stop_timeout` seconds is killed. SIGHUP is left
ignored if it was (``nohup``). A worker that dies is replaced; one that dies again and again before any of them can
serve ends the server. Workers end when the main process is gone, at the latest after `ORPHAN_SECONDS`; so long, a
server that is started anew waits for the port.

Threads. One thread is the fastest, since several wait for each other's interpreter lock, and wander between cores:
with eight clients, a request cost a worker 0.22 ms with one thread, 0.26 ms with two and 0.39 ms with four. But one
thread is stopped by the first action that takes long. So there is one, and others help for as long as it is held up;
give `WAITING_THREADS`, or what you need, where most requests wait for something outside this process. Bodies are waited
for by other threads. `rasa_core.server.waiting` has all of that.

Connections. A worker keeps as many open as the system lets it have files, but for those that it needs itself; the limit
of files is raised as far as the system allows. A connection on which nothing comes costs it some kilobytes, for at most
30 seconds; as long as there are fewer than the limit, idle ones keep nobody else waiting.

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
"""What a worker may have open besides its connections: stores, models, logs, and what actions open."""

LEAST_FILES = 64
"""With fewer, a server could not start, or serve nobody else while it serves one."""


_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_NO_THREADS = (
    "The system lets this process start no thread. Raise the limit of processes, as with `ulimit -u 4096` in the shell "
    "that starts it, or TasksMax= for systemd."
)
_PAUSE = 0.1  # seconds
_CALL_OF_GRANIAN = "_wsgi_call_wrap"
_MOST_IN_VAIN = 10  # Workers that die one after another, before any of them could serve.
_READY = b"ready"  # What a worker reports that can serve; any other report is why it cannot.
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
        Plain data, given to `target` in every worker.
    workers, threads
        Number of processes, and how many requests each may work on at once.
    spare_threads
        How many more each may work on while all of those are held up.
    log_level
        From INFO on, standard error also tells of workers that start and stop; below, only of failures.
    log_format
        ``text`` or ``json``.
    stop_timeout
        Seconds that requests under way have to finish once the server is told to stop.
    body_timeout
        Seconds that a body, or each 64 KiB of a long one, has to come.
    target
        Where the workers find the function that makes the application: ``module:function``.
    on_listening
        Called once in this process, from another thread, when the first worker is ready to answer.
    is_last
        Whether this process ends when the server has. Then it stays deaf to the signals that stop a server, of which
        one that is sent again in the last moment would end it as if it had failed.

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
            blocking_threads_idle_timeout=5,  # The least; all that are there take turns, which is slower.
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
    """Return the signals that stop a server; one that whoever started it has told it to ignore does not.

    ``nohup`` ignores SIGHUP so, and a shell without job control SIGINT, for what a script starts with ``&``.
    """
    may_be_ignored = {signal.SIGHUP, signal.SIGINT}
    return _SIGNALS - {each for each in may_be_ignored if signal.getsignal(each) == signal.SIG_IGN}


@contextlib.contextmanager
def _signals_held(*, to_the_end: bool) -> Iterator[None]:
    """Keep signals pending, here and in every worker from its first moment, until a thread that waits takes them.

    Python loses a signal that comes just after a fork, or just before its main thread waits for a lock; and a terminal
    sends SIGINT to the workers too. Granian would take a SIGHUP for a wish to reload, also where it was ignored.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        while told_again := signal.sigpending() & _SIGNALS:  # It has stopped, and would now be killed by this.
            signal.sigwait(told_again)
        if not to_the_end:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _signals_elsewhere(signals: set[signal.Signals], stop: Callable[..., None]) -> Iterator[None]:
    """Call `stop` also where a thread that was there before has taken a signal, which wakes no thread that waits.

    The libraries of NumPy start such threads, and so may a program that calls `launch`.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # As `set_wakeup_fd` asks.
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        _start_thread(_stop_when_taken, reading, signals, stop)
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)


def _stop_when_taken(reading: int, signals: set[signal.Signals], stop: Callable[..., None]) -> None:
    """Call `stop` for each of the signals whose numbers come from a pipe, until that is closed."""
    while number := os.read(reading, 1):
        if number[0] in signals:
            stop(number[0], None)
    os.close(reading)


@contextlib.contextmanager
def _workers_forked() -> Iterator[None]:
    """Fork the workers on Linux, as Python does before 3.14; a program that wants them spawned is heeded.

    A worker that is spawned loads all that this process has loaded already, which takes time and memory.
    """
    before = multiprocessing.get_start_method(allow_none=True)
    if sys.platform == "linux" and before in (None, "forkserver"):  # Which Granian, too, does not use.
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
    """Raise the limit of open files as far as this process may, and return how many connections that leaves."""
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

    Left to itself, Granian on Linux opens one socket a worker and lets the kernel spread connections over them. Then a
    second server on the same port is not noticed and takes half of the requests, and a connection that waits for a
    worker is lost when that worker dies. No option of Granian takes a socket, so this fills, in the place of a private
    method, the three attributes that hold one; `setup.py` asks for releases that have them, and the tests of the
    launcher notice if one has not. All else here is an option, or a method without an underscore.
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
            backpressure=_most_connections(),  # Counts open connections, idle ones too, not requests.
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
        """Stop the server; in a worker that does not serve yet, which has inherited this handler, just end."""
        if os.getpid() != self.pid:
            os._exit(0)
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]

    def follow(self, reports: Connection, on_listening: Callable[[], None] | None) -> None:
        """Follow what the workers report: announce the first that is ready, stop at the first that failed."""
        try:
            while (report := reports.recv_bytes()) == _READY:
                self.replaced.in_vain = 0  # What has served and died is replaced, however often.
                if on_listening is not None:
                    on_listening()
                    on_listening = None
        except EOFError:  # Nobody is left to report.
            return
        self.failure = report.decode(errors="replace")
        self.signal_handler_interrupt()


class _Replaced(dict[int, float]):
    """When each worker was replaced; Granian ends the server if one dies that was replaced just before.

    One or two such deaths may have any reason, and the next worker may well serve. So nothing is told until many
    were replaced in vain.
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
    signal.set_wakeup_fd(-1)  # It is that of the main process, which a signal to this one must not stop.
    # What an action forks may live on for long: the server has to end before, and to find its port when started anew.
    os.register_at_fork(after_in_child=functools.partial(let_go_of_server, port, pipes()))
    os.register_at_fork(after_in_child=end_as_main_thread)
    try:
        room = make_room()
        _start_thread(_stop_when_told, {signal.SIGTERM}, _handle)
        _start_thread(_end_with_main_process)
    except RuntimeError:
        time.sleep(_PAUSE)  # What replaces this worker is not to fail as often as it may before there is room again.
        sys.exit(_NO_THREADS)
    # No option of Granian hands out what answers a request, so this takes the place of its call of an application.
    setattr(mp, _CALL_OF_GRANIAN, lambda app, *options: room.calls(app))
    Finalize(None, logging.shutdown, exitpriority=1)  # Writes what waits; such a process calls nothing of atexit.
    module, _, name = target.partition(":")
    try:
        app: WSGIApplication = getattr(importlib.import_module(module), name)(settings)
    except RasaCoreError as error:
        _fail(reporting, str(error))
    except Exception:  # The outermost edge of a worker: the main process tells it, once.
        _fail(reporting, f"The application could not be made.\n{traceback.format_exc()}")
    gc.collect()
    gc.freeze()  # What stays for good need not be looked at again: full collections took 10 ms of a request.
    reporting.send_bytes(_READY)
    return app


def _fail(reporting: Connection, message: str) -> NoReturn:
    """Report why this worker cannot serve, the end of it if it is long, and wait for the main process to end this one.

    A worker that ended by itself would be replaced, only to fail again.
    """
    reporting.send_bytes(message.encode()[-_REPORT_BYTES:])
    while True:
        time.sleep(3600)


def _handle(received: signal.Signals, frame: None) -> None:
    """Call the handler of a signal: that of `_Server`, or of Granian once the worker serves."""
    handler = signal.getsignal(received)
    if not callable(handler):
        os._exit(0)
    handler(received, frame)


def _end_with_main_process() -> None:
    """Stop this worker, as SIGTERM does, when the main process is gone without having said so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)  # What is under way is not acknowledged, and whoever asked for it asks the next server.
