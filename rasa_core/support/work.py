"""The request that a thread works on; its id is in log lines, and is sent to other servers."""

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
_random = random.Random()  # Not the module's generator, which users may seed, so that ids differ.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


@dataclass(slots=True)
class Work:
    """A request that a thread works on, or a server's own work, such as a reminder.

    Attributes
    ----------
    request_id : str
        The id in logs and in requests to other servers.
    route : str
        The path of the request without the sender_id; ``other`` for an unknown path.
    sender : str or None
        The sender_id of the conversation, or None.
    most_read : int or None
        The most characters of a conversation's log that may be read at once; None for any number.
    """

    request_id: str
    route: str = "other"
    sender: str | None = None
    most_read: int | None = None


UNDER_WAY: Final[ContextVar[Work | None]] = ContextVar("rasa_core_work", default=None)
"""The present work of this thread."""


def request_id(given: str | None = None) -> str:
    """Return the caller's request id, or a new id if it is missing or cannot be logged."""
    return given if given is not None and _is_sound(given) else f"{_random.getrandbits(64):016x}"


@contextmanager
def under_way(work: Work) -> Iterator[None]:
    """Set the present work of this thread during a block."""
    token = UNDER_WAY.set(work)
    try:
        yield
    finally:
        UNDER_WAY.reset(token)


def passed_on() -> dict[str, str]:
    """Return the header with the present request id, for requests to other servers."""
    work = UNDER_WAY.get()
    return {} if work is None else {HEADER: work.request_id}
