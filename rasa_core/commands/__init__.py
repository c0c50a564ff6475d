"""The commands: ``rasa-core``, and what ``python -m rasa_core.train`` and others run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import click

INTERRUPTED: Final = 130
"""The exit code that shells report for a program that was ended by SIGINT."""


def console() -> None:
    """Run ``rasa-core``."""
    _run("main", "main", prog_name="rasa-core")


def console_serve() -> None:
    """Run ``rasa-core-serve``."""
    _run("serve_project", "command")


def console_module(name: str, command: str = "command") -> None:
    """Run the command of ``python -m rasa_core.NAME``; the module calls this before it imports anything else."""
    _run("serve" if name == "server" else name, command, is_old=True, prog_name=f"python -m rasa_core.{name}")


def _run(module: str, name: str, *, is_old: bool = False, **options: Any) -> None:
    """Import and run a command; Ctrl+C ends it without a traceback, also during the import, which takes a moment."""
    try:
        command = getattr(import_module(f"{__name__}.{module}"), name)
        if is_old and hasattr(command, "params"):
            options["args"] = with_whole_flags(command, sys.argv[1:])
        command(**options)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)


def with_whole_flags(command: click.Command, arguments: Sequence[str]) -> list[str]:
    """Return the arguments with abbreviated long flags written in full, since 0.9 accepted abbreviations.

    An abbreviation of several flags, or of none, is left as it is, and the command reports it as an error.
    """
    flags = [name for param in command.params for name in (*param.opts, *param.secondary_opts) if name[:2] == "--"]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [*(_whole(argument, flags) for argument in arguments[:end]), *arguments[end:]]


def _whole(argument: str, flags: Sequence[str]) -> str:
    name, equals, value = argument.partition("=")
    if not name.startswith("--") or name in flags:
        return argument
    # Flags of 0.9 have no dash inside. Newer flags are not considered, so that they make no abbreviation ambiguous.
    meant = [flag for flag in dict.fromkeys(flags) if flag.startswith(name) and "-" not in flag[2:]]
    return f"{meant[0]}{equals}{value}" if len(meant) == 1 else argument
