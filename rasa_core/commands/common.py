"""The common parts of the commands: options, the log, and errors that are shown in one line."""

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
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

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
    """End the program after Ctrl+C with one line and the exit code that shells expect, instead of a traceback."""
    told = sys.unraisablehook

    def interrupt_again(unraisable: Any) -> None:
        # If Ctrl+C comes while Python deletes an object, Python only reports it and goes on. So it is sent again a
        # moment later; raised here, it would only end this function.
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            threading.Timer(_MOMENT, _interrupt).start()
        else:
            told(unraisable)

    sys.unraisablehook = interrupt_again
    try:
        yield
    except (KeyboardInterrupt, click.Abort) as error:
        # Click's prompts raise `Abort` at the end of the input, too, which is no interruption.
        if isinstance(error, click.Abort) and not isinstance(error.__context__, KeyboardInterrupt):
            raise
        click.echo("Interrupted.", err=True)
        if "jax" in sys.modules:  # Threads of JAX may still be running, and would crash the process at its end.
            sys.stdout.flush()
            os._exit(INTERRUPTED)
        raise click.exceptions.Exit(INTERRUPTED) from None
    finally:
        sys.unraisablehook = told


def _interrupt() -> None:
    """Interrupt the main thread, as Ctrl+C does."""
    if hasattr(signal, "pthread_kill"):  # It also ends a wait of the main thread; Windows does not have it.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


@contextmanager
def _told_in_a_line() -> Iterator[None]:
    """Show errors of the system, such as a full disk, in one line without a traceback."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.strerror is None:  # Click ends quietly for a closed pipe.
            raise
        _leave_unwritten()
        what = "" if error.filename is None else f"{error.filename}: "
        raise click.ClickException(f"{what}{error.strerror[:1].lower()}{error.strerror[1:]}.") from error


def _leave_unwritten() -> None:
    """Discard buffered output that cannot be written; Python would try again at its end, and report the error again."""
    try:
        if sys.stdout is not None:  # It may be closed.
            sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Interruptible(click.Command):
    """A command that Ctrl+C ends without a traceback, also while its options are parsed."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse the options."""
        with _told_if_interrupted(), _told_in_a_line():  # The help text, which is written here, may go to a full disk.
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _told_if_interrupted():
            return super().invoke(ctx)


class Group(_Interruptible, click.Group):
    """A group of commands that suggests the nearest command for a mistyped one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command with a name; raise `click.UsageError` with the known commands for an unknown name."""
        name = args[0]
        # Click itself reports an unknown option, and shell completion must not raise an error.
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            known = self.list_commands(ctx)
            ctx.fail(f"No such command {name[:60]!r}.{did_you_mean(name, known)} There are: {', '.join(known)}.")
        return super().resolve_command(ctx, args)


class _Text(click.types.StringParamType):
    """Free text; shell completion offers files for it, as shells do by default."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class _Choice(click.Choice):  # type: ignore[type-arg]  # Generic in newer versions of Click only.
    """One of several words; for an unknown word, the nearest is suggested."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            nearest = did_you_mean(str(value), map(str, self.choices))
            raise click.BadParameter(error.message + nearest, ctx, param) from None


class _File(click.File):
    """A file, or standard input; a closed standard input is an error."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-" and sys.stdin is None:
            self.fail("the standard input is closed.", param, ctx)
        return super().convert(value, param, ctx)


class Command(_Interruptible):
    """A command that shows its errors without a traceback."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for param in self.params:
            if param.type is click.STRING:
                param.type = _Text()
            elif type(param.type) is click.Choice:
                param.type = _Choice(param.type.choices, param.type.case_sensitive)
            elif type(param.type) is click.File:
                param.type = _File(param.type.mode)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: D102
        _write_what_can_be_written()
        try:
            with _told_in_a_line():
                return super().invoke(ctx)
        except RasaCoreError as error:
            raise click.ClickException(str(error)) from error


def _write_what_can_be_written() -> None:
    """Let output escape characters that the terminal's encoding does not have, instead of failing."""
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
    help="Address (http://...) of an NLU server, or directory of an NLU model.  [default: the NLU model of the bot's "
    "folder; a bot without one understands only messages such as /greet]",
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


def least_option(name: str, told: str, metavar: str = "SHARE") -> Callable[[F], F]:
    """Return an option for a share, from 0 to 1, below which a command fails."""
    return click.option(name, type=click.FloatRange(0, 1), metavar=metavar, help=told)


ignore_option = click.option(
    "--ignore-components",
    is_flag=True,
    help="Leave out custom policies and components in config.yml with a warning, instead of failing.",
)


def load_own_modules(given: Iterable[str], *places: str | Path) -> list[str]:
    """Import the modules of `import_option` and of the config.yml of the bots at `places`; return the names.

    Raises
    ------
    click.ClickException
        If a module cannot be imported.
    """
    try:
        return own_code.load_modules(given, *places)
    except ImportError as error:
        raise click.ClickException(str(error)) from error


def model_at(place: str, nlu: str | None = None) -> tuple[str, str | None]:
    """Return the model and the interpreter at a path; for the folder of a bot, its trained model and NLU model.

    Raises
    ------
    click.ClickException
        If the path is the folder of a bot that is not trained.
    """
    if not is_project(place):
        return place, nlu
    models = Path(place, "models")
    if (models / "dialogue").is_dir():
        return str(models / "dialogue"), str(models / "nlu") if nlu is None and (models / "nlu").is_dir() else nlu
    raise click.ClickException(f"the bot in {place!r} is not trained yet: rasa-core train {shlex.quote(place)}")


def is_project(place: str) -> bool:
    """Tell whether a path is the folder of a bot, and not the folder of a model, which also has a domain file."""
    folder = Path(place)
    # Files of a model of this version, and of a model of 0.9.
    if any((folder / name).exists() for name in ("metadata.json", "policy_metadata.json")):
        return False
    return any((folder / name).exists() for name in ("models/dialogue", "domain.yml", "domain.yaml", "domain"))


def store_at(value: str) -> str:
    """Return the URL of a store; for the path of a bot or model, the URL of the SQLite file beside the model.

    Raises
    ------
    click.BadParameter
        If the path or the SQLite file does not exist.
    """
    if ":" in value:  # The URL is checked when the store is opened.
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
    """Read a path; the text ``None`` stands for no file, as in the documentation of 0.9."""
    return None if value is None or value.lower() in ("none", "") else value


class ImportingCommand(Command):
    """A command that first imports custom modules, such as one with classes of events that a store holds."""

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


def logged(command: F, *, lists_findings: bool = False) -> F:
    """Add ``--debug`` and ``--verbose`` to a command, and start the log as they say before the command runs.

    A command that `lists_findings` lists all of them with either flag, as its parameter `verbose` says.
    """

    @wraps(command)
    def run(*arguments: Any, verbose: bool, debug: bool, **options: Any) -> Any:
        start_log(verbose, debug)
        return command(*arguments, **options, **({"verbose": verbose or debug} if lists_findings else {}))

    told = "Show what is done, and all that is found with all of its places."
    return log_options(cast(F, run), **({"verbose": told} if lists_findings else {}))


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
        _attach(to_file, min(level, logging.INFO), _TO_FILE)  # A log file gets more than the terminal.


def _attach(handler: logging.Handler, level: int, line: str) -> None:
    logger = logging.getLogger("rasa_core")
    before = logger.level
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(line))
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > level:
        logger.setLevel(level)

    def detach() -> None:  # Python code may call several commands in one process.
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()

    click.get_current_context().call_on_close(detach)


def argument_parser(command: click.Command) -> argparse.ArgumentParser:
    """Return an argparse parser with the flags of a command, for a program that adds its own flags.

    The parsed values have the names of the flags, and `loglevel` stands for ``--debug`` and ``--verbose``. Numbers are
    converted; other values are not checked.
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
    """Return argparse's arguments for an option: whether it takes a value, the type, and the default."""
    if option.is_flag:
        return {"action": "store_true"}
    kinds = ((click.types.IntParamType, int), (click.types.FloatParamType, float))
    kind = next((kind for click_type, kind in kinds if isinstance(option.type, click_type)), str)
    default = option.default if isinstance(option.default, str | int | float) else None
    how: dict[str, Any] = {"type": kind, "required": option.required, "default": default}
    return how | ({"nargs": "*"} if option.multiple else {})
