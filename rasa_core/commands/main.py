"""``rasa-core``: the group of all commands, each imported only when it is used; and shell completion for them."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import get_completion_class

from rasa_core.commands.common import CONTEXT, Group
from rasa_core.exceptions import did_you_mean
from rasa_core.version import __version__

COMMANDS = {
    "init": "Write a small working bot to begin with.",
    "train": "Train a model from a domain and stories.",
    "models": "List the models of a project, and go back to one.",
    "check": "Look for mistakes in a domain, stories and NLU data.",
    "migrate": "Tell what becomes of a project of Rasa 2 or 3.",
    "shell": "Talk to a bot on the terminal, and see what it makes of it.",
    "run": "Let a bot talk on the terminal, or on a channel of your own.",
    "explain": "Tell why a bot does what it does.",
    "evaluate": "Measure how well models follow stories.",
    "compare": "Tell what another model would do in stored conversations, and in stories.",
    "review": "List stored conversations; the ones that need a person come first.",
    "story": "Print a stored conversation as a story.",
    "visualize": "Draw stories as a graph.",
    "nlu": "Train, measure and try an interpreter of typed text.",
    "restore": "Go on with a conversation that was saved as JSON.",
    "store": "List, delete, export, import and migrate stored conversations.",
    "serve": "Serve a bot over HTTP (also: rasa-core-serve).",
}
"""The help line of each command; its module has the name of the command, unless `_MODULES` has another."""

_OF_RASA: Final = {
    "data split": "rasa-core nlu evaluate --folds 5, and rasa-core evaluate PROJECT --folds 5, measure on what they "
    "have kept apart",
    "data convert": "data of Rasa 1 to 3 are read as they are",
    "data migrate": "data of Rasa 1 to 3 are read as they are; rasa-core migrate PROJECT tells what becomes of them",
    "data": "rasa-core check PROJECT looks for mistakes in a domain, stories and NLU data",
    "test nlu": "rasa-core nlu evaluate measures how well texts are understood",
    "test": "rasa-core evaluate PROJECT tells whether the bot does what its stories in tests/ say",
    "interactive": "rasa-core serve PROJECT --inspect shows a page on which a bot is taught, and rasa-core train "
    "--online teaches on the terminal",
    "x": "rasa-core serve PROJECT --inspect shows a page on which a bot is taught",
    "export": "rasa-core store export writes stored conversations",
    "telemetry": "nothing is sent anywhere",
    "run actions": "python -m rasa_sdk --actions actions starts an action server",
    "train nlu": "rasa-core train PROJECT trains what has changed, and rasa-core nlu train an interpreter alone",
    "train core": "rasa-core train PROJECT trains what has changed",
    "shell nlu": "rasa-core nlu parse tells what texts mean",
    "evaluate markers": "there are no markers",
}
"""What to use instead of a command of Rasa that does not exist here."""

_MODULES = {"serve": "serve_project"}

SHELLS: Final = ("bash", "zsh", "fish")
_PROGRAM: Final = "rasa-core"


def _command(name: str) -> click.Command:
    module = import_module(f"rasa_core.commands.{_MODULES.get(name, name)}")
    command: click.Command = module.command
    return command


def __getattr__(name: str) -> Any:
    """Return the command of ``rasa-core-serve``, for scripts of earlier installations that import it from here."""
    if name == "serve":
        return _command("serve")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Commands(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command with a name; for a command of Rasa, a `click.UsageError` says what to use instead."""
        # The folder of a bot may have the name of a subcommand of Rasa.
        is_bot = args[0] in COMMANDS and bool(args[1:]) and Path(args[1]).exists()
        if not is_bot and not ctx.resilient_parsing:
            for name in " ".join(args[:2]), args[0]:
                if name in _OF_RASA:
                    ctx.fail(f"{name!r} is a command of Rasa, and none here: {_OF_RASA[name]}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Click's own method would import every command to get its help.
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


# -- shell completion: the files in which each shell looks for it; Click generates the scripts


def install(ctx: click.Context, param: click.Parameter, shell: str | None) -> None:
    """Write the completion script of a shell, let the shell load it at its start, and end the program."""
    if shell is None or ctx.resilient_parsing:  # `resilient_parsing` is set while a completion is computed.
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
        where = error.filename or f"below {Path.home()}"  # The error of a full disk has no file name.
        raise click.ClickException(f"cannot write {where}: {error.strerror}.") from error
    except RuntimeError as error:  # The user has no home, as in a container.
        raise click.ClickException("it is not known where your home is: set HOME.") from error
    ctx.exit()


def _install(command: click.Command, shell: str) -> list[str]:
    """Write the completion script, and the line that loads it, unless it is there; return the messages to print."""
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
        told.append(_let_read(begins, file, shell))  # fish loads its folder of completions by itself.
    return [*told, f"It works in every {shell} that is started from now on."]


def _let_read(begins: Path, file: Path, shell: str) -> str:
    """Add a line to a shell's startup file that loads another file; return the message to print."""
    text = begins.read_text(encoding="utf-8", errors="surrogateescape") if begins.exists() else ""
    line = f'. "{file}"'
    if line in text.splitlines():  # The line is there from an earlier call.
        return f"{begins} reads it already."
    if shell == "zsh" and "compinit" not in text:  # Without compinit, zsh has no completion at all.
        line = f"autoload -Uz compinit && compinit\n{line}"
    with open(begins, "a", encoding="utf-8") as rc:
        rc.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n")
    return f"{begins} reads it when it starts: a line was added at its end."


_EXAMPLES = """\b
Examples:
  # Write a small bot into the new folder my-bot, train it, and talk to it.
  rasa-core init my-bot
  rasa-core shell my-bot
\b
  # After a change of its files: look for mistakes, then train and serve it over HTTP.
  rasa-core check my-bot
  rasa-core serve my-bot
"""


@click.command(cls=_Commands, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="rasa-core")
@click.option(
    "--install-completion",
    is_flag=False,
    flag_value="",
    metavar="[SHELL]",
    is_eager=True,
    expose_value=False,
    callback=install,
    shell_complete=lambda ctx, param, begun: [shell for shell in SHELLS if shell.startswith(begun)],
    help=f"Let the tab key complete commands and options from the next start of the shell on: {', '.join(SHELLS)}; "
    "that of $SHELL if none is given.",
)
def main() -> None:
    """Decide what a bot does next.

    A bot is a folder with a domain, stories and NLU data. rasa-core COMMAND --help describes a command, with examples.
    """


if __name__ == "__main__":
    main(prog_name="rasa-core")
