"""States of a conversation, of which the last ones may be taken back together."""

from __future__ import annotations

from collections import deque
from typing import Any

State = dict[str, float]


class States:
    """States before actions: those that count for certain, and those that go if the loop gets its answer."""

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
        """Hold what comes from now on."""
        self.release()
        self.holds = True

    def release(self) -> None:
        """Let all count, also what comes."""
        self.kept.extend(self.held)
        self.held = []
        self.holds = False

    def drop(self) -> None:
        """Forget what was held."""
        self.total -= len(self.held)
        self.held = []

    def all(self) -> list[State]:
        """Return the states that are kept, oldest first."""
        return [*self.kept, *self.held]

    def snapshot(self) -> list[Any]:
        """Return the content, JSON-able."""
        return [list(self.kept), list(self.held), self.holds, self.total]

    def restore(self, content: list[Any]) -> None:
        """Take over what `snapshot` returned."""
        kept, self.held, self.holds, self.total = content
        self.kept.clear()
        self.kept.extend(kept)
