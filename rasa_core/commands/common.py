"""What the commands have in common: options, the log, and errors told in a line."""

from __future__ import annotations

import _thread
import argparse
import io
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from rasa_core.commands import INTERRUPTED
from rasa_core.exceptions import RasaCoreError, did_you_mean
from rasa_core.server.settings import default_store_path, default_store_url
from rasa_core.support import own_code
from rasa_core.support.folders import make_private

_MOMENT = 0.05  # seconds

F = TypeVar("F", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"]}

_LEVELS = {"debug": logging.DEBUG, "verbose": logging.INFO}
_TO_TERMINAL = "%(levelname)s: %(message)s"
_TO_FILE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def _told_if_interrupted() -> Iterator[None]:
    """End with a line of this package, and the code that shells expect, where Ctrl+C comes."""
    told = sys.unraisablehook

    def interrupt_again(unraisable: Any) -> None:
        # Ctrl+C while an object is deleted, of which Python tells and goes on as if there had been none. Once more, in
        # a moment: here it would end nothing but this function.
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            threading.Timer(_MOMENT, _interrupt).start()
        else:
            told(unraisable)

    sys.unraisablehook = interrupt_again
    try:
        yield
    except (KeyboardInterrupt, click.Abort) as error:
        # What asks at the terminal makes the same of the end of the input, which nobody calls an interruption.
        if isinstance(error, click.Abort) and not isinstance(error.__context__, KeyboardInterrupt):
            raise
        click.echo("Interrupted.", err=True)
        if "jax" in sys.modules:  # Its threads may still be at work, and would crash the end of the process.
            sys.stdout.flush()
            os._exit(INTERRUPTED)
        raise click.exceptions.Exit(INTERRUPTED) from None
    finally:
        sys.unraisablehook = told


def _interrupt() -> None:
    """Do to the main thread what Ctrl+C does."""
    if hasattr(signal, "pthread_kill"):  # Which also ends its waiting; Windows has no such function.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


@contextmanager
def _told_in_a_line() -> Iterator[None]:
    """Tell of what the system refuses without a traceback."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.strerror is None:  # Click ends quietly for a closed pipe.
            raise
        _leave_unwritten()
        what = "" if error.filename is None else f"{error.filename}: "
        raise click.ClickException(f"{what}{error.strerror[:1].lower()}{error.strerror[1:]}.") from error


def _leave_unwritten() -> None:
    """Leave what the output cannot take, which Python would try to write once more, and tell of, at the end."""
    try:
        if sys.stdout is not None:  # It may be closed.
            sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Interruptible(click.Command):
    """What Ctrl+C ends in one way, also while it looks for a command and reads its options."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the options."""
        with _told_if_interrupted(), _told_in_a_line():  # The help, which is shown here, may go to a full disk.
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _told_if_interrupted():
            return super().invoke(ctx)


class Group(_Interruptible, click.Group):
    """A group of commands, which suggests the nearest where one is mistyped."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; a `click.UsageError` names the commands that there are."""
        name = args[0]
        # An option that does not exist is told of by Click, and the tab key must not be answered with an error.
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            known = self.list_commands(ctx)
            ctx.fail(f"No such command {name[:60]!r}.{did_you_mean(name, known)} There are: {', '.join(known)}.")
        return super().resolve_command(ctx, args)


class _Text(click.types.StringParamType):
    """Free text; for it the tab key offers files, as a shell does for commands that it knows nothing of."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class _Choice(click.Choice):  # type: ignore[type-arg]  # Generic in newer versions of Click only.
    """One of several words; the nearest is suggested for another one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            nearest = did_you_mean(str(value), map(str, self.choices))
            raise click.BadParameter(error.message + nearest, ctx, param) from None


class _File(click.File):
    """A file, or the standard input, if that is not closed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-" and sys.stdin is None:
            self.fail("the standard input is closed.", param, ctx)
        return super().convert(value, param, ctx)


class Command(_Interruptible):
    """A command whose errors are told without a traceback."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for param in self.params:
            if param.type is click.STRING:
                param.type = _Text()
            elif type(param.type) is click.Choice:
                param.type = _Choice(param.type.choices, param.type.case_sensitive)
            elif type(param.type) is click.File:
                param.type = _File(param.type.mode)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        _write_what_can_be_written()
        try:
            with _told_in_a_line():
                return super().invoke(ctx)
        except RasaCoreError as error:
            raise click.ClickException(str(error)) from error


def _write_what_can_be_written() -> None:
    """Escape characters that the terminal does not have, rather than failing for one of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


model_option = click.option(
    "-d", "--core", required=True, metavar="MODEL", help="Directory of a trained model, or the project of a bot."
)
nlu_option = click.option(
    "-u",
    "--nlu",
    metavar="NLU",
    help="Address (http://...) of an NLU server, or directory of an NLU model. "
    "Without it, messages name their intent: /greet.",
)


import_option = click.option(
    "--import",
    "imports",
    multiple=True,
    metavar="MODULE",
    help="Import a module of your own that defines policies, slots, featurizers or events; may be repeated. Also: "
    f"{own_code.VARIABLE}, or imports: in the config.yml of the bot, where training writes it.",
)


form_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for people, or one JSON object for programs.",
)


ignore_option = click.option(
    "--ignore-components",
    is_flag=True,
    help="Leave out policies and components in config.yml that are your own, and tell of them, instead of failing.",
)


def load_own_modules(given: Iterable[str], *places: str | Path) -> list[str]:
    """Import what `import_option` gives, and what the bot at these places remembers; return the names.

    Raises
    ------
    click.ClickException
        If one of them cannot be imported.
    """
    try:
        return own_code.load_modules(given, *places)
    except ImportError as error:
        raise click.ClickException(str(error)) from error


def model_at(place: str, nlu: str | None = None) -> tuple[str, str | None]:
    """Return the model and the interpreter at a path; at the folder of a bot, what was trained in it.

    Raises
    ------
    click.ClickException
        If it is the folder of a bot that is not trained.
    """
    if not is_project(place):
        return place, nlu
    models = Path(place, "models")
    if (models / "dialogue").is_dir():
        return str(models / "dialogue"), str(models / "nlu") if nlu is None and (models / "nlu").is_dir() else nlu
    raise click.ClickException(f"the bot in {place!r} is not trained yet: rasa-core train {shlex.quote(place)}")


def is_project(place: str) -> bool:
    """Tell whether a path is the folder of a bot, and not that of a model, which has a domain as well."""
    folder = Path(place)
    # What a model of this version has, and one of 0.9.
    if any((folder / name).exists() for name in ("metadata.json", "policy_metadata.json")):
        return False
    return any((folder / name).exists() for name in ("models/dialogue", "domain.yml", "domain.yaml", "domain"))


def store_at(value: str) -> str:
    """Return the URL of a store; of a bot or a model, that of the file beside it.

    Raises
    ------
    click.BadParameter
        If there is no such file, or nothing at all.
    """
    if ":" in value:  # What is no store either, whoever opens it tells.
        return value
    if not Path(value).is_dir():
        meant = f"is a file: did you mean sqlite:///{value}?" if Path(value).exists() else "does not exist."
        raise click.BadParameter(f"{value!r} {meant} Expected is the URL of a store, or the folder of a bot.")
    model = model_at(value)[0]
    file = default_store_path(model)
    if not os.path.exists(file):
        raise click.BadParameter(f"{value} is a bot, or a model, that keeps no conversations in {file}.")
    return default_store_url(model)


def _import_first(ctx: click.Context, param: click.Parameter, modules: tuple[str, ...]) -> None:
    if not ctx.resilient_parsing:
        load_own_modules(modules)


def or_none(context: click.Context | None, option: click.Parameter | None, value: str | None) -> str | None:
    """Read a path; ``None``, as the documents of 0.9 have it, stands for no file."""
    return None if value is None or value.lower() in ("none", "") else value


class ImportingCommand(Command):
    """A command that imports modules of the user's own before anything else, such as events that a store holds."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        told = (
            f"Import a module of your own, such as one that defines events; may be repeated. Also: {own_code.VARIABLE}."
        )
        how: dict[str, Any] = {"multiple": True, "expose_value": False, "is_eager": True, "callback": _import_first}
        self.params.append(click.Option(["--import", "imports"], metavar="MODULE", help=told, **how))


def log_options(command: F, *, verbose: str = "Show what is done.") -> F:
    """Add ``--debug``, and ``--verbose`` with its help, to a command."""
    command = click.option("--debug", is_flag=True, help="Show everything that is logged.")(command)
    return click.option("-v", "--verbose", is_flag=True, help=verbose)(command)


def log_options_of_findings(command: F) -> F:
    """Add ``--debug`` and ``--verbose`` to a command that lists more of what it finds by either."""
    return log_options(command, verbose="Show what is done, and all that is found with all of its places.")


def start_log(verbose: bool, debug: bool, log_file: str | Path | None = None) -> None:
    """Show the log on the terminal, and append it to a file if its name is given, until the command has ended.

    Raises
    ------
    click.ClickException
        If the file cannot be written.
    """
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    _attach(logging.StreamHandler(), level, _TO_TERMINAL)
    if log_file:
        try:
            make_private(log_file)
            to_file = logging.FileHandler(log_file, encoding="utf-8")
        except OSError as error:
            problem = f"cannot write the log file {str(log_file)!r}: {error.strerror or error}."
            raise click.ClickException(problem) from error
        _attach(to_file, min(level, logging.INFO), _TO_FILE)  # A file has what would disturb on a terminal.


def _attach(handler: logging.Handler, level: int, line: str) -> None:
    logger = logging.getLogger("rasa_core")
    before = logger.level
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(line))
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > level:
        logger.setLevel(level)

    def detach() -> None:  # Commands are called from Python too, one after another.
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()

    click.get_current_context().call_on_close(detach)


def argument_parser(command: click.Command) -> argparse.ArgumentParser:
    """Return a parser that reads the flags of a command, for a program that adds flags of its own to them.

    What it reads has the names of the flags, and `loglevel` for ``--debug`` and ``--verbose``. Values are not checked
    further than that numbers are numbers.
    """
    parser = argparse.ArgumentParser(description=command.get_short_help_str(200))
    parser.set_defaults(loglevel=logging.WARNING)
    for param in command.params:
        if param.name in _LEVELS:
            level = _LEVELS[param.name]
            parser.add_argument(*param.opts, dest="loglevel", action="store_const", const=level)
        elif isinstance(param, click.Option):
            parser.add_argument(*param.opts, help=(param.help or "").replace("%", "%%"), **_how(param))
        else:
            parser.add_argument(str(param.name), nargs=None if param.required else "?")
    return parser


def _how(option: click.Option) -> dict[str, Any]:
    """Return how an option is read: whether it takes a value, of which type, and which it has if it is not given."""
    if option.is_flag:
        return {"action": "store_true"}
    kinds = ((click.types.IntParamType, int), (click.types.FloatParamType, float))
    kind = next((kind for click_type, kind in kinds if isinstance(option.type, click_type)), str)
    default = option.default if isinstance(option.default, str | int | float) else None
    how: dict[str, Any] = {"type": kind, "required": option.required, "default": default}
    return how | ({"nargs": "*"} if option.multiple else {})
