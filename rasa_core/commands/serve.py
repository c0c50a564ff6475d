"""The command that serves a model: its flags, and what it does with them.

Other commands can serve too: make them with ``cls=ServerCommand``, put the flags on them with
`server_options`, and hand the values on to `serve`.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from rasa_core.actions.nlg import NlgServer
from rasa_core.actions.webhook import ActionServer
from rasa_core.commands.common import Command, argument_parser, import_option, load_modules, model_at
from rasa_core.exceptions import RasaCoreError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.server.callers import ALL_ADDRESSES, hosts_of
from rasa_core.server.launcher import APP, DEFAULT_THREADS, WAITING_THREADS, LaunchError, launch
from rasa_core.server.settings import ServerSettings, checked_token, default_store_path
from rasa_core.server.waiting import PATIENCE
from rasa_core.support.folders import make_private
from rasa_core.tracker_store import store_from_url
from rasa_core.tracker_store.retention import DurationError, seconds_of

F = TypeVar("F", bound=Callable[..., Any])

TOKEN_VARIABLE = "RASA_CORE_TOKEN"
STORE_VARIABLE = "RASA_CORE_STORE"
ACTIONS_VARIABLE = "RASA_CORE_ACTIONS"
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_size = re.compile(r"(\d{1,12})\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_host = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[?[0-9a-f.]*:[0-9a-f:.]*\]?", re.IGNORECASE)
_origin = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/\s]+/?", re.IGNORECASE)

PAGE_THREADS = 6
"""Threads more for the page of the inspector, some of which wait for news."""
_OWN_MACHINE = ("127.0.0.1", "localhost", "::1")

_EXAMPLES = """\b
Examples:
  # Serve a model; messages name their intent, such as /greet.
  python -m rasa_core.server -d models/dialogue
\b
  # Understand typed text with a trained interpreter, or with a running NLU server.
  python -m rasa_core.server -d models/dialogue -u models/nlu
  python -m rasa_core.server -d models/dialogue -u http://localhost:5000
\b
  # Four processes, reachable from other machines, with a token.
  RASA_CORE_TOKEN=secret python -m rasa_core.server -d models/dialogue --host 0.0.0.0 --workers 4
\b
Then:
  curl localhost:5005/conversations/default/parse -d '{"query": "/greet"}'
"""


class ServerCommand(Command):
    """A command whose ``--cors`` takes several origins in a row, as it always did."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments of the command line."""
        return super().parse_args(ctx, list(_one_origin_each(args)))


def _one_origin_each(arguments: Iterable[str]) -> Iterator[str]:
    """Yield ``--cors A --cors B`` for ``--cors A B``; an argument that is no origin ends the row."""
    expected, more = False, False
    for argument in arguments:
        if more and _origin.fullmatch(argument):
            yield "--cors"
        else:
            more = expected or argument.startswith("--cors=")
            expected = argument == "--cors"
        yield argument


def _checked_origins(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _origin.fullmatch(value):
            raise click.BadParameter(f"{value!r} is not an origin such as https://example.org, or '*' in quotes.")
    return values


def _checked_hosts(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _host.fullmatch(value):
            raise click.BadParameter(
                f"{value!r} is not a host such as bot.example.org, without a scheme or a port; or '*' in quotes."
            )
    return values


def _bytes(ctx: click.Context, param: click.Parameter, value: str) -> int:
    found = _size.fullmatch(value.strip())
    size = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if size < 1:
        raise click.BadParameter(f"{value!r} is not a size above 0, such as 500000, 500k or 2MB.")
    return size


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else seconds_of(value)
    except DurationError as error:
        raise click.BadParameter(str(error)) from error


_OPTIONS = (
    click.option(
        "-u",
        "--nlu",
        metavar="NLU",
        help="Address (http://...) of an NLU server, or directory of an NLU model. "
        "Without it, messages name their intent: /greet.",
    ),
    click.option(
        "-p", "--port", type=click.IntRange(1, 65535), default=5005, show_default=True, help="Port to listen on."
    ),
    click.option(
        "--host",
        default="127.0.0.1",
        show_default=True,
        help="Address to listen on; 0.0.0.0 to be reached from other machines.",
    ),
    click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Number of processes."),
    click.option(
        "--threads",
        type=click.IntRange(1, 256),
        help="Requests that each process works on at once; more than a few help only where actions in Python, or an "
        f"NLU or database server, make them wait.  [default: {DEFAULT_THREADS}; {WAITING_THREADS} with such a server]",
    ),
    click.option(
        "--store",
        metavar="URL",
        default=lambda: os.environ.get(STORE_VARIABLE),
        help="Where conversations are kept: sqlite:///FILE, postgresql://, mysql://, redis:// or memory://. A password "
        "in it can be seen by other users of this machine; in the environment variable "
        f"{STORE_VARIABLE}, it cannot.  [default: a SQLite file beside the model]",
    ),
    click.option(
        "--retention",
        metavar="TIME",
        callback=_seconds,
        help="Delete conversations that have not changed for so long, such as 90d, 12h or 2w.  [default: keep all]",
    ),
    click.option(
        "--cors",
        "cors_origins",
        multiple=True,
        metavar="ORIGIN...",
        callback=_checked_origins,
        help="Web pages that may call the server, such as https://example.org; '*' for all.",
    ),
    click.option(
        "--allowed-hosts",
        multiple=True,
        metavar="HOST",
        callback=_checked_hosts,
        help="Another name under which the server is called, such as bot.example.org; repeatable; '*' for all. It "
        "knows localhost and the address that it listens on; other names are refused, unless there is a token.",
    ),
    click.option(
        "--auth_token",
        "--auth-token",
        metavar="TOKEN",
        default=lambda: os.environ.get(TOKEN_VARIABLE),
        help="What callers must send as Authorization: Bearer TOKEN, or ?token=TOKEN. Other users of this "
        f"machine can see it here; they cannot see the environment variable {TOKEN_VARIABLE}.",
    ),
    click.option(
        "-o",
        "--log_file",
        "--log-file",
        default="rasa_core.log",
        show_default=True,
        help="File that gets a line for each request; '' for none.",
    ),
    click.option(
        "--max-body",
        metavar="SIZE",
        default="1MB",
        show_default=True,
        callback=_bytes,
        help="Largest body of a request, such as 500k or 2MB.",
    ),
    click.option(
        "--body-timeout",
        type=click.FloatRange(0.1, 3600),
        default=PATIENCE,
        show_default=True,
        metavar="SECONDS",
        help="How long a client may take to send a body, or each 64 KiB of a long one; then it is answered with 408.",
    ),
    click.option("--enable-load", is_flag=True, help="Let POST /load replace the model."),
    click.option(
        "--enable-train",
        metavar="DIR",
        help="Let POST /train?name=NAME train NLU models, which it puts into DIR, and messages name one of them. "
        "Needs a token.",
    ),
    click.option(
        "--actions",
        metavar="URL",
        default=lambda: os.environ.get(ACTIONS_VARIABLE),
        help="Address of an action server, such as rasa-sdk's http://localhost:5055/webhook; it runs the actions that "
        f"have no template.  [default: {ACTIONS_VARIABLE}, or where the domain says]",
    ),
    click.option(
        "--nlg",
        metavar="URL",
        help="Address of an NLG server, which words the responses of a bot of Rasa 3.  [default: endpoints.yml]",
    ),
    click.option(
        "--inspect",
        is_flag=True,
        help="Show a page at / on which to talk to the bot, see why it does what it does, and correct it.",
    ),
    import_option,
    click.option("-v", "--verbose", is_flag=True, help="Show on the terminal what the server does."),
    click.option("--debug", is_flag=True, help="Show everything."),
)


def server_options(command: F) -> F:
    """Add the flags of a server to a Click command, all but the model; `serve` takes their values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def serve(
    model: str,
    *,
    nlu: str | None,
    port: int,
    host: str,
    workers: int,
    threads: int | None,
    store: str | None,
    cors_origins: tuple[str, ...],
    allowed_hosts: tuple[str, ...],
    auth_token: str | None,
    log_file: str | None,
    max_body: int,
    body_timeout: float,
    enable_load: bool,
    enable_train: str | None,
    retention: float | None,
    actions: str | dict[str, Any] | None,
    nlg: str | dict[str, Any] | None,
    inspect: bool,
    imports: tuple[str, ...],
    verbose: bool,
    debug: bool,
    project: str = "",
) -> None:
    """Serve a model until the process is told to stop; `project` is the folder that the page may show and change.

    Raises
    ------
    click.ClickException
        If a flag cannot be followed; nothing is started then.
    """
    model, nlu = model_at(model, nlu)
    settings = ServerSettings(
        model=model,
        nlu=nlu,
        cors_origins=cors_origins,
        allowed_hosts=(*hosts_of(host), *allowed_hosts),
        auth_token=auth_token,
        log_file=log_file or None,
        log_level="DEBUG" if debug else "INFO" if verbose else "WARNING",
        store=store,
        max_body=max_body,
        enable_load=enable_load,
        retention=retention,
        enable_train=enable_train,
        actions=actions,
        nlg=nlg,
        inspect=project if inspect else None,
    )
    names = load_modules(imports, model)
    _check(settings, workers)
    threads = threads or _default_threads(settings)
    if enable_train is not None and threads < 2:
        raise click.UsageError("--enable-train needs --threads 2 or more: one of them waits while a model is trained.")
    _warn(settings, host, port)
    try:
        launch(
            {**settings.as_dict(), "imports": names},
            target=f"{__name__}:application",
            host=host,
            port=port,
            workers=workers,
            threads=threads,
            body_timeout=body_timeout,
            log_level=settings.log_level,
            on_listening=lambda: _announce(settings, host, port, workers),
        )
    except LaunchError as error:
        raise click.ClickException(str(error)) from error


def application(settings: Mapping[str, Any]) -> Any:
    """Return what a worker serves, after importing modules of the user's own."""
    own = dict(settings)
    load_modules(own.pop("imports"), own["model"])
    module, _, name = APP.partition(":")  # Loaded by each worker, not by the process that starts them.
    return getattr(import_module(module), name)(own)


def _default_threads(settings: ServerSettings) -> int:
    """Return how many threads a process needs: more if it waits for other servers, one more if for a training."""
    kept_here = settings.store is None or settings.store.startswith(("memory:", "sqlite:"))
    understood_here = settings.nlu is None or "://" not in settings.nlu
    threads = DEFAULT_THREADS if kept_here and understood_here else WAITING_THREADS
    threads = threads if settings.actions is None and settings.nlg is None else WAITING_THREADS
    threads += 0 if settings.inspect is None else PAGE_THREADS
    return threads if settings.enable_train is None else threads + 1


def _check(settings: ServerSettings, workers: int) -> None:
    """Raise `click.ClickException` for what would fail in every worker."""
    if settings.store is not None and settings.store.startswith("memory:") and workers > 1:
        raise click.UsageError("memory:// is not shared between workers: use one worker, or a SQLite file.")
    if settings.enable_train is not None and settings.auth_token is None:
        raise click.UsageError(
            f"--enable-train needs a token, since whoever may train decides what messages mean: set {TOKEN_VARIABLE}."
        )
    token = settings.auth_token
    if token and not (token.isascii() and token.isprintable()):
        raise click.UsageError(
            "the token holds a character that no header carries to this server: set "
            f"{TOKEN_VARIABLE} to ASCII letters, digits and punctuation."
        )
    try:
        checked_token(token)
        if settings.enable_train is not None:
            Path(settings.enable_train).mkdir(parents=True, exist_ok=True)
        NaturalLanguageInterpreter.create(settings.nlu)
        if settings.actions is not None:
            ActionServer.from_config(settings.actions)
        if settings.nlg is not None:
            NlgServer(settings.nlg)
        if settings.store is not None:
            store_from_url(settings.store).close()
        if settings.log_file:
            make_private(settings.log_file)
            Path(settings.log_file).open("a", encoding="utf-8").close()
    except (RasaCoreError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _warn(settings: ServerSettings, host: str, port: int) -> None:
    if not Path(settings.model).is_dir():
        click.echo(f"There is no model at {settings.model}: the server will answer 503.", err=True)
    if settings.auth_token is None and host not in _OWN_MACHINE:
        click.echo(
            f"Anybody who reaches port {port} can use the bot: set {TOKEN_VARIABLE} to ask for a token.", err=True
        )


def _announce(settings: ServerSettings, host: str, port: int, workers: int) -> None:
    """Tell where the server listens, and how to try it."""
    address = f"http://{'localhost' if host in _OWN_MACHINE or host in ALL_ADDRESSES else host}:{port}"
    processes = "1 process" if workers == 1 else f"{workers} processes"
    kept = default_store_path(settings.model)
    if settings.store:
        kept = re.sub(r"//[^/]*@", "//", settings.store).partition("?")[0]  # Without what may be secret in it.
    token = "" if settings.auth_token is None else f' -H "Authorization: Bearer ${TOKEN_VARIABLE}"'
    click.echo(f"Serving {settings.model} at {address} with {processes}; Ctrl+C stops it.")
    click.echo(f"Conversations are kept in {kept}.")
    if settings.nlu is None:
        text = "/greet"
        click.echo("Messages name their intent, as in /greet; for typed text, give an NLU model or server with -u.")
    else:
        text = "hello there"
        click.echo(f"Typed text is understood by {settings.nlu.partition('?')[0]}.")
    if settings.actions is not None:
        at = settings.actions if isinstance(settings.actions, str) else str(settings.actions["url"])
        click.echo(f"Actions without a template run at {re.sub(r'//[^/]*@', '//', at).partition('?')[0]}.")
    if settings.enable_train is not None:
        click.echo(f"POST /train puts NLU models into {settings.enable_train}.")
    if settings.inspect is not None:
        click.echo(f"Inspect the bot in a browser at {address}/")
    click.echo(f'Try: curl -XPOST {address}/conversations/default/parse{token} -d \'{{"query": "{text}"}}\'')


@click.command(cls=ServerCommand, epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-d", "--core", required=True, metavar="MODEL", help="Directory of the trained model.")
@server_options
def main(core: str, **flags: Any) -> None:
    """Serve a trained model over HTTP: the server says which action comes next, and your code runs it."""
    serve(core, **flags)


def create_argument_parser() -> argparse.ArgumentParser:
    """Return a parser for the flags of the command."""
    return argument_parser(main)
