"""``halted_store_command.py METHOD N ARGUMENTS...``: a `rasa-core store` command that stops before a call.

The N-th call of a method of the SQLite store prints "here" and waits until standard input ends.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

from rasa_core.commands.store import command
from rasa_core.tracker_store import SqliteTrackerStore


def halt_before(method: str, number: int) -> None:
    original = getattr(SqliteTrackerStore, method)
    calls = itertools.count(1)

    def halted(*arguments: Any, **options: Any) -> Any:
        if next(calls) == number:
            print("here", flush=True)
            sys.stdin.read()
        return original(*arguments, **options)

    setattr(SqliteTrackerStore, method, halted)


if __name__ == "__main__":
    halt_before(sys.argv[1], int(sys.argv[2]))
    command(sys.argv[3:])
