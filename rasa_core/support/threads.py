"""Starting threads for optional work: if the system cannot start another thread, no request fails because of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def started(work: Callable[..., Any], name: str, *arguments: Any, after: float = 0.0) -> threading.Thread | None:
    """Start a daemon thread that does the work after `after` seconds, and return the thread.

    Return None if the system cannot start another thread, such as because of a limit on processes or memory.
    """
    thread = threading.Timer(after, work, arguments) if after else threading.Thread(target=work, args=arguments)
    thread.name, thread.daemon = name, True
    with suppress(RuntimeError):
        thread.start()
        return thread
    return None
