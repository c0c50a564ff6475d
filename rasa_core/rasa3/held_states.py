"""A list of states before actions, whose last states may be dropped together when a message answers a loop."""

from __future__ import annotations

from collections import deque
from typing import Any

State = dict[str, float]


class States:
    """States before actions: the kept ones, and the held ones, which are dropped if a message answers the loop."""

    __slots__ = ("held", "holds", "kept", "total")

    def __init__(self, window: int | None) -> None:
        self.kept: deque[State] = deque(maxlen=window)
        self.held: list[State] = []
        self.holds = False
        self.total = 0

    def add(self, state: State) -> None:
        """Append a state."""
        (self.held if self.holds else self.kept).append(state)
        self.total += 1

    def hold(self) -> None:
        """Hold the states that are added from now on."""
        self.release()
        self.holds = True

    def release(self) -> None:
        """Keep all held states, and the states that are added from now on."""
        self.kept.extend(self.held)
        self.held = []
        self.holds = False

    def drop(self) -> None:
        """Drop the held states."""
        self.total -= len(self.held)
        self.held = []

    def all(self) -> list[State]:
        """Return the states that are kept, oldest first."""
        return [*self.kept, *self.held]

    def snapshot(self) -> list[Any]:
        """Return the content as JSON."""
        return [list(self.kept), list(self.held), self.holds, self.total]

    def restore(self, content: list[Any]) -> None:
        """Restore the content that `snapshot` returned."""
        kept, self.held, self.holds, self.total = content
        self.kept.clear()
        self.kept.extend(kept)
