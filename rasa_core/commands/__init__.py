"""The commands: ``rasa-core``, and what ``python -m rasa_core.train`` and others run."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

INTERRUPTED: Final = 130
"""What a shell gives for a program that SIGINT has ended."""


def console() -> None:
    """Run ``rasa-core``."""
    _run("main", "main", prog_name="rasa-core")


def console_serve() -> None:
    """Run ``rasa-core-serve``."""
    _run("serve_project", "command")


def console_module(name: str, command: str = "command") -> None:
    """Run what ``python -m rasa_core.NAME`` does; such a module calls it before it imports anything else."""
    _run("serve" if name == "server" else name, command, is_old=True, prog_name=f"python -m rasa_core.{name}")


def _run(module: str, name: str, *, is_old: bool = False, **options: Any) -> None:
    """Run a command; Ctrl+C ends it without a traceback also while modules are imported, which takes a moment."""
    try:
        command = getattr(import_module(f"{__name__}.{module}"), name)
        if is_old and hasattr(command, "params"):
            options["args"] = import_module(f"{__name__}.beginnings").with_whole_flags(command, sys.argv[1:])
        command(**options)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
