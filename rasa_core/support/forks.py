"""Care for started and forked processes: they end with their parent, and do not hold its files and sockets."""

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
    """Watch the process that started this one with `ends_with_this_process`, and end this process soon after it.

    For a program whose parent waits for it; without the parent, its work would be of no use.
    """
    parent = os.environ.pop(_ENDS_WITH, None)
    if parent is not None:
        started(_watch, "parent", int(parent))


def ends_with_this_process() -> dict[str, str]:
    """Return the environment for a program that calls `end_with_parent`."""
    return {**os.environ, _ENDS_WITH: str(os.getpid())}


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os._exit(1)


def end_child(what: str) -> NoReturn:
    """End this process, a child that was forked inside custom code and has returned from that code.

    If it went on, it would continue the turn of its parent, with the parent's connections and locks.

    Parameters
    ----------
    what
        The name of the code that forked the process, for the message.
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
        with suppress(Exception):  # Custom code may have replaced the stream by any object.
            stream.flush()
    os._exit(status & 0xFF)


def end_as_main_thread() -> None:
    """Prepare the only thread of a forked child to be its main thread, if Python itself has not started the thread.

    Granian starts its threads without Python. Before Python 3.12, such a thread lacked a lock when it became the main
    thread of a child, so that `multiprocessing` always gave the child the exit code 1.
    """
    thread = threading.main_thread()
    if getattr(thread, "_tstate_lock", thread) is None:
        thread._set_tstate_lock()  # type: ignore[attr-defined]


def pipes() -> dict[int, int]:
    """Return the open pipes of this process, except its standard streams, as a mapping of descriptor to inode."""
    found = {}
    for number in _open_files():
        with suppress(OSError):  # The descriptor of the listing itself is closed by now.
            status = os.fstat(number)
            if number > 2 and stat.S_ISFIFO(status.st_mode):
                found[number] = status.st_ino
    return found


def let_go_of_server(port: int, pipes: Mapping[int, int]) -> None:
    """Close the sockets and pipes of a server in a child that it has forked, so that the child does not hold them.

    Parameters
    ----------
    port
        The port of the server; the sockets of its connections are closed, too.
    pipes
        The pipes by which the processes of the server notice that another process has ended. The inode is compared,
        since the number of a closed pipe may meanwhile belong to a file that the child needs.
    """
    for number, inode in pipes.items():
        with suppress(OSError):
            if os.fstat(number).st_ino == inode:
                os.close(number)
    for number in _open_files():
        with suppress(OSError):  # The descriptor is not a socket, or is closed by now.
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
