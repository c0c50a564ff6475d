"""Concurrent calls, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def at_once(work: Callable[[T], R], arguments: Iterable[T]) -> list[R]:
    """Call a function with each argument in a thread of its own; return the results, or raise the first error."""
    given = list(arguments)
    start = threading.Barrier(len(given))

    def begin(argument: T) -> R:
        start.wait(30)
        return work(argument)

    with ThreadPoolExecutor(len(given)) as threads:
        return list(threads.map(begin, given))
