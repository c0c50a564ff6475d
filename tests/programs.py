"""Programs that tests need beside Python: database servers, ``node``, ``openssl``, a font; free ports; and waiting.

If a program is missing, the tests that need it are skipped, with a message that says how to install it. The environment
variable ``RASA_CORE_TEST_SERVERS`` changes that: with ``all``, a missing program is a failure; with ``none``, the tests
run as if no database server were installed.
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
    """Return the value of the environment variable, empty if it is not set."""
    said = os.environ.get(VARIABLE, "")
    if said not in ("", "all", "none"):
        pytest.fail(f"{VARIABLE} is 'all', 'none' or not set, not {said!r}.")
    return said


def missing(what: str, remedy: str) -> NoReturn:
    """Skip a test whose program is missing, with the remedy; fail if the environment variable is ``all``."""
    message = f"{what} is not here; {remedy}"
    if choice() == "all":
        pytest.fail(message)
    pytest.skip(message)


def program(name: str, package: str, *folders: str) -> str:
    """Return the path of a program, which is searched for on the path and then in `folders`."""
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
    """Return the account for a server that must not run as root: its own account, or else ``nobody``."""
    for each in (name, _ANYBODY):
        try:
            return pwd.getpwnam(each)
        except KeyError:
            continue
    missing(f"the account {name!r}", "run the tests as a user other than root")


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def until(happened: Callable[[], Any], patience: float = 120.0) -> Any:
    """Call `happened` until it returns a true value, and return that; fail after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return found
