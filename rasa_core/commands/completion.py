"""Completion by the tab key: where each shell looks for it. Click writes the scripts themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click
from click.shell_completion import get_completion_class

from rasa_core.exceptions import did_you_mean

SHELLS: Final = ("bash", "zsh", "fish")
_PROGRAM: Final = "rasa-core"


def install(ctx: click.Context, param: click.Parameter, shell: str | None) -> None:
    """Write the script of a shell, let the shell read it when it starts, and end the program."""
    if shell is None or ctx.resilient_parsing:  # The latter while the tab key itself asks.
        return
    name = shell or Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        found = f"{name!r} is none" if name else "$SHELL names none"
        known = ", ".join(SHELLS)
        raise click.UsageError(f"completion is for {known}, and {found}.{did_you_mean(name, SHELLS)} Name one of them.")
    try:
        for line in _install(ctx.command, name):
            click.echo(line)
    except OSError as error:
        where = error.filename or f"below {Path.home()}"  # A full disk is noticed when no name is known any more.
        raise click.ClickException(f"cannot write {where}: {error.strerror}.") from error
    except RuntimeError as error:  # Of a user without a home, as in a container.
        raise click.ClickException("it is not known where your home is: set HOME.") from error
    ctx.exit()


def _install(command: click.Command, shell: str) -> list[str]:
    """Write the script, and the line that reads it unless it is there; return what to tell."""
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(command, {}, _PROGRAM, f"_{_PROGRAM.replace('-', '_').upper()}_COMPLETE").source()
    home = Path.home()
    if shell == "fish":
        file = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "fish", "completions", f"{_PROGRAM}.fish")
    else:
        file = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share", _PROGRAM, f"completion.{shell}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(script, encoding="utf-8")
    told = [f"Completion for {shell} is in {file}."]
    if shell != "fish":
        begins = home / f".{shell}rc" if shell == "bash" else Path(os.environ.get("ZDOTDIR") or home, ".zshrc")
        told.append(_let_read(begins, file, shell))  # fish looks into its folder by itself.
    return [*told, f"It works in every {shell} that is started from now on."]


def _let_read(begins: Path, file: Path, shell: str) -> str:
    """Let the file that a shell begins with read another one; return what to tell."""
    text = begins.read_text(encoding="utf-8", errors="surrogateescape") if begins.exists() else ""
    line = f'. "{file}"'
    if line in text.splitlines():  # Called again, as after an update, it adds nothing.
        return f"{begins} reads it already."
    if shell == "zsh" and "compinit" not in text:  # Without it, zsh has no completion at all.
        line = f"autoload -Uz compinit && compinit\n{line}"
    with open(begins, "a", encoding="utf-8") as rc:
        rc.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n")
    return f"{begins} reads it when it starts: a line was added at its end."
