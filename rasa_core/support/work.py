"""What a thread works on: a request, whose id stands in its log lines, and goes to the servers that it asks."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

HEADER: Final = "X-Request-ID"

_is_sound = re.compile(r"[A-Za-z0-9._:/+=@~-]{1,128}").fullmatch
_random = random.Random()  # Not the one that users seed, so that ids differ.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


@dataclass(slots=True)
class Work:
    """A request that is worked on, or what a server does by itself.

    Attributes
    ----------
    request_id : str
        Names it in logs, and to other servers.
    route : str
        Its path without the name of the conversation; ``other`` where there is no such path.
    sender : str or None
        The conversation that it is about, None for none.
    most_read : int or None
        How many characters of a log it may read at once; None for any number.
    """

    request_id: str
    route: str = "other"
    sender: str | None = None
    most_read: int | None = None


UNDER_WAY: Final[ContextVar[Work | None]] = ContextVar("rasa_core_work", default=None)
"""What this thread works on now."""


def request_id(given: str | None = None) -> str:
    """Return the id that a caller has given, or a new one if there is none, or none that can stand in a log."""
    return given if given is not None and _is_sound(given) else f"{_random.getrandbits(64):016x}"


@contextmanager
def under_way(work: Work) -> Iterator[None]:
    """Let this thread work on something."""
    token = UNDER_WAY.set(work)
    try:
        yield
    finally:
        UNDER_WAY.reset(token)


def passed_on() -> dict[str, str]:
    """Return the header that tells another server what it is asked for."""
    work = UNDER_WAY.get()
    return {} if work is None else {HEADER: work.request_id}
