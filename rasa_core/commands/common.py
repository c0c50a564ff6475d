"""What the commands have in common: options, the log, and errors told in a line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from rasa_core.exceptions import RasaCoreError

F = TypeVar("F", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"]}

_TO_TERMINAL = "%(levelname)s: %(message)s"
_TO_FILE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Command(click.Command):
    """A command whose errors are told without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except RasaCoreError as error:
            raise click.ClickException(str(error)) from error


model_option = click.option("-d", "--core", required=True, metavar="MODEL", help="Directory of the trained model.")
nlu_option = click.option(
    "-u",
    "--nlu",
    metavar="NLU",
    help="Address (http://...) of an NLU server, or directory of an NLU model. "
    "Without it, messages name their intent: /greet.",
)


def log_options(command: F) -> F:
    """Add ``--debug`` and ``--verbose`` to a command."""
    command = click.option("--debug", is_flag=True, help="Show everything that is logged.")(command)
    return click.option("-v", "--verbose", is_flag=True, help="Show what is done.")(command)


def start_log(verbose: bool, debug: bool, log_file: str | Path | None = None) -> None:
    """Show the log on the terminal, and append it to a file if one is given, until the command has ended.

    Raises
    ------
    click.ClickException
        If the file cannot be written.
    """
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    _attach(logging.StreamHandler(), level, _TO_TERMINAL)
    if log_file is not None:
        try:
            to_file = logging.FileHandler(log_file, encoding="utf-8")
        except OSError as error:
            problem = f"cannot write the log file {str(log_file)!r}: {error.strerror or error}."
            raise click.ClickException(problem) from error
        _attach(to_file, min(level, logging.INFO), _TO_FILE)


def _attach(handler: logging.Handler, level: int, line: str) -> None:
    logger = logging.getLogger("rasa_core")
    before = logger.level
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(line))
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > level:
        logger.setLevel(level)

    def detach() -> None:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()

    click.get_current_context().call_on_close(detach)


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, as in ``1 error`` and ``2 errors``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
