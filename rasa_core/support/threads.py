"""Threads for what may wait or be left undone: none must fail a request because the system has no room for one more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def started(work: Callable[..., Any], name: str, *arguments: Any, after: float = 0.0) -> threading.Thread | None:
    """Return a thread that does the work, `after` some seconds, and ends with the process.

    It is None where the system lets no more be started, as under a limit of processes or of memory.
    """
    thread = threading.Timer(after, work, arguments) if after else threading.Thread(target=work, args=arguments)
    thread.name, thread.daemon = name, True
    with suppress(RuntimeError):
        thread.start()
        return thread
    return None
