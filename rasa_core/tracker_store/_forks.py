"""Keeps mutexes and open files whole when the process forks, as servers with preloaded workers do.

A mutex that another thread holds at that moment stays held for ever in the child, and a database connection
must not cross a fork at all. So each object that owns such things is told before and after.
"""

from __future__ import annotations

import os
from weakref import WeakSet


class ForkAware:
    """Base of objects that must know of forks; they are found through weak references."""

    def __init__(self) -> None:
        _aware.add(self)

    def before_fork(self) -> None:
        """Get ready in the parent, in the thread that is about to fork."""

    def after_fork_in_parent(self) -> None:
        """Go on in the parent."""

    def after_fork_in_child(self) -> None:
        """Start afresh in the child, in which one thread alone is left."""


_aware: WeakSet[ForkAware] = WeakSet()


def _before() -> None:
    for one in list(_aware):
        one.before_fork()


def _in_parent() -> None:
    for one in list(_aware):
        one.after_fork_in_parent()


def _in_child() -> None:
    for one in list(_aware):
        one.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
