"""Flags that are written by their beginnings alone, as ``--epoch`` for ``--epochs``: the commands of 0.9 took these."""

from __future__ import annotations

from collections.abc import Sequence

import click


def with_whole_flags(command: click.Command, arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the whole name of each long flag of which only a beginning is written.

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
