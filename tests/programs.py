"""Programs that tests need beside Python: database servers, ``node``, ``openssl``, a font; free ports; and waiting.

A program is looked for before anything else is done with it. A test without its program is skipped, and tells how to
install it. The environment variable ``RASA_CORE_TEST_SERVERS`` changes that: with ``all``, a missing program is a
failure; with ``none``, no database server is looked for, as if none were installed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from rasa_core.drawing.svg import Drawing, DrawingError

VARIABLE = "RASA_CORE_TEST_SERVERS"
_ANYBODY = "nobody"


def choice() -> str:
    """Return what the environment variable says; empty if nothing."""
    said = os.environ.get(VARIABLE, "")
    if said not in ("", "all", "none"):
        pytest.fail(f"{VARIABLE} is 'all', 'none' or not set, not {said!r}.")
    return said


def missing(what: str, remedy: str) -> NoReturn:
    """Skip a test for want of a program, and say how to get it; fail if all have to be there."""
    message = f"{what} is not here; {remedy}"
    if choice() == "all":
        pytest.fail(message)
    pytest.skip(message)


def program(name: str, package: str, *folders: str) -> str:
    """Return the path of a program; `folders` are looked through after the usual ones."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *folders])
    found = shutil.which(name, path=path)
    return found if found is not None else missing(name, f"install it with: apt-get install {package}")


def font() -> None:
    """Skip a test that draws a PNG where no font is installed, as in a small container."""
    try:
        Drawing("", 1, 1).png()
    except DrawingError:
        missing("a font", "install one with: apt-get install fonts-dejavu-core")


def server_program(name: str, package: str, *folders: str) -> str:
    """Return the path of a program of a database server."""
    if choice() == "none":
        pytest.skip(f"{VARIABLE}=none: no database server is used")
    return program(name, package, *folders)


def account(name: str) -> pwd.struct_passwd:
    """Return the account for a server that must not run as root: its own, or the one that may do nothing."""
    for each in (name, _ANYBODY):
        try:
            return pwd.getpwnam(each)
        except KeyError:
            continue
    missing(f"the account {name!r}", "run the tests as a user other than root")


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def until(happened: Callable[[], Any], patience: float = 120.0) -> Any:
    """Wait for something that another process or thread does, and return it."""
    deadline = time.monotonic() + patience
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return found
