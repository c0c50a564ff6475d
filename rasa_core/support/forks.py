"""Processes that others start or fork: none goes on with what its parent did, works for nobody, or holds its files."""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import NoReturn

from rasa_core.support.threads import started

_ENDS_WITH = "RASA_CORE_ENDS_WITH"
_LOOK_EVERY = 0.2  # seconds
_OPEN_FILES = ("/proc/self/fd", "/dev/fd")


def end_with_parent() -> None:
    """End this process soon after the one that `ends_with_this_process` names, however that ends.

    A program calls this first that another one has started to wait for it, and that would work on for nobody.
    """
    parent = os.environ.pop(_ENDS_WITH, None)
    if parent is not None:
        started(_watch, "parent", int(parent))


def ends_with_this_process() -> dict[str, str]:
    """Return the environment for such a program."""
    return {**os.environ, _ENDS_WITH: str(os.getpid())}


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os._exit(1)


def end_child(what: str) -> NoReturn:
    """End this process as Python ends one: it is a child that came back from code which has forked it.

    It would go on with the turn of its parent, over connections and locks that both have.

    Parameters
    ----------
    what
        What it came back from, to be told.
    """
    error = sys.exc_info()[1]
    status = 1
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        status = error.code or 0
    elif error is not None:
        traceback.print_exception(error)
    else:
        print(f"a process that {what} has forked came back from it, and is ended here: end it there.", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # Whatever it was replaced by.
            stream.flush()
    os._exit(status & 0xFF)


def end_as_main_thread() -> None:
    """Let the one thread of a child end it, also where Python has not started that thread, as those of a server.

    Before Python 3.12, such a thread lacked a lock when it became the main one, so that `multiprocessing` gave a child
    of it the exit code 1, whatever it had done.
    """
    thread = threading.main_thread()
    if getattr(thread, "_tstate_lock", thread) is None:
        thread._set_tstate_lock()  # type: ignore[attr-defined]


def pipes() -> dict[int, int]:
    """Return the pipes that this process has open, but for its standard streams: number -> inode."""
    found = {}
    for number in _open_files():
        with suppress(OSError):  # The listing itself, which is closed by now.
            status = os.fstat(number)
            if number > 2 and stat.S_ISFIFO(status.st_mode):
                found[number] = status.st_ino
    return found


def let_go_of_server(port: int, pipes: Mapping[int, int]) -> None:
    """Close in a child what it has of the server that forked it, and must not hold as long as it lives.

    Parameters
    ----------
    port
        Where the server listens; its connections, which end with the server, are closed too.
    pipes
        By which the processes of the server notice that another one has ended; the number of one that was closed
        meanwhile may be that of another, which the child needs.
    """
    for number, inode in pipes.items():
        with suppress(OSError):
            if os.fstat(number).st_ino == inode:
                os.close(number)
    for number in _open_files():
        with suppress(OSError):  # What is no socket, or was closed by now.
            found = socket.socket(fileno=number)
            is_of_server = found.family in (socket.AF_INET, socket.AF_INET6) and found.getsockname()[1] == port
            if is_of_server:
                found.close()
            else:
                found.detach()


def _open_files() -> list[int]:
    for folder in _OPEN_FILES:
        with suppress(OSError):
            return [int(name) for name in os.listdir(folder)]
    return []
