"""The commands: ``rasa-core``, and what ``python -m rasa_core.train`` and others run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import click

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
            options["args"] = with_whole_flags(command, sys.argv[1:])
        command(**options)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)


def with_whole_flags(command: click.Command, arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the whole name of each long flag of which only a beginning is written, as 0.9 took it.

    What begins several flags, or none, stays as it is, and the command tells what is wrong with it.
    """
    flags = [name for param in command.params for name in (*param.opts, *param.secondary_opts) if name[:2] == "--"]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [*(_whole(argument, flags) for argument in arguments[:end]), *arguments[end:]]


def _whole(argument: str, flags: Sequence[str]) -> str:
    name, equals, value = argument.partition("=")
    if not name.startswith("--") or name in flags:
        return argument
    # The names of those days have no dash inside: newer flags make no beginning ambiguous that was none.
    meant = [flag for flag in dict.fromkeys(flags) if flag.startswith(name) and "-" not in flag[2:]]
    return f"{meant[0]}{equals}{value}" if len(meant) == 1 else argument
