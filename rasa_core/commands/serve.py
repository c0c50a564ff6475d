"""The command that serves a model, and the function `serve`, which checks the flags and starts the server.

Other commands that serve use the class and the flags of `rasa_core.commands.serve_options`, and pass the values to
`serve`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import click

from rasa_core.commands.common import CONTEXT, argument_parser, load_own_modules, model_at
from rasa_core.commands.serve_options import LOG_KEY_VARIABLE, TOKEN_VARIABLE, ServerCommand, server_options
from rasa_core.exceptions import RasaCoreError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.server.callers import ALL_ADDRESSES, hosts_of
from rasa_core.server.guards import Guard
from rasa_core.server.launcher import APP, DEFAULT_THREADS, SPARE_THREADS, WAITING_THREADS, launch
from rasa_core.server.log_lines import LogStyle
from rasa_core.server.ports import LaunchError, address_of
from rasa_core.server.settings import ServerSettings, default_store_path
from rasa_core.support.folders import clear_left, make_private, workplace_in
from rasa_core.support.http import without_secrets
from rasa_core.tracker_store import store_from_url

PARSE, REST_WEBHOOK, MODEL_PARSE = "/conversations/default/parse", "/webhooks/rest/webhook", "/model/parse"
TRIED_WITH = {
    PARSE: '{"query": "%s"}',
    REST_WEBHOOK: '{"sender": "default", "message": "%s"}',
    MODEL_PARSE: '{"text": "%s"}',
}
"""The paths that can be proposed for a first message, each with the body of the request."""
PAGE_THREADS = 6
"""Additional threads for the page of the inspector, whose requests may wait for new events."""
_METRICS = "rasa_core_metrics_"
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


def serve(
    model: str,
    *,
    nlu: str | None,
    port: int,
    host: str,
    workers: int,
    threads: int | None,
    allowed_hosts: tuple[str, ...],
    log_file: str | None,
    log_ids: str,
    body_timeout: float,
    inspect: bool,
    imports: tuple[str, ...],
    verbose: bool,
    debug: bool,
    project: str = "",
    tried_at: str = PARSE,
    **others: Any,
) -> None:
    """Serve a model until the process is told to stop.

    `project` is the folder that the inspector may show and change; `tried_at`, a key of `TRIED_WITH`, is the path that
    is proposed for the first message. All `others` are settings of `ServerSettings`, under their names there.

    Raises
    ------
    click.ClickException
        If a flag is invalid; then nothing is started.
    """
    model, nlu, host = *model_at(model, nlu), address_of(host)
    settings = ServerSettings(
        model=model,
        nlu=nlu,
        allowed_hosts=(*hosts_of(host), *allowed_hosts),
        log_file=log_file or None,
        log_key=_log_key() if log_ids == "hash" else None,
        log_level="DEBUG" if debug else "INFO" if verbose else "WARNING",
        inspect=project if inspect else None,
        **others,
    )
    names = load_own_modules(imports, model)
    _check(settings, workers)  # Before the start, since every worker would report the same error.
    spare = SPARE_THREADS if threads is None else 0
    threads = threads or _default_threads(settings)
    # With one thread, the server would answer no other request during a training.
    if settings.enable_train is not None and threads < 2:
        raise click.UsageError("--enable-train needs --threads 2 or more: one of them waits while a model is trained.")
    _warn(settings, host, port)
    try:
        with ExitStack() as stack:
            folder = _folder_for_metrics(stack) if workers > 1 else None
            launch(
                {**settings.as_dict(), "metrics": folder, "imports": names},
                target=f"{__name__}:application",
                host=host,
                port=port,
                workers=workers,
                threads=threads,
                spare_threads=spare,
                body_timeout=body_timeout,
                log_level=settings.log_level,
                log_format=settings.log_format,
                on_listening=lambda: _announce(settings, host, port, workers, tried_at),
                is_last=True,
            )
    except LaunchError as error:
        raise click.ClickException(str(error)) from error


def _folder_for_metrics(stack: ExitStack) -> str:
    """Return a temporary folder for the metrics of the workers, which is removed when `stack` is closed."""
    try:
        parent = Path(gettempdir())
        clear_left(parent, _METRICS)
        return str(stack.enter_context(workplace_in(parent, _METRICS)))
    except OSError as error:
        problem = f"there is no folder for what several workers count: {error}"
        raise click.ClickException(f"{problem}. Name a folder with TMPDIR, or use one worker.") from error


def _log_key() -> str:
    """Return the key for hashing sender_ids in the logs of all processes."""
    return os.environ.get(LOG_KEY_VARIABLE) or secrets.token_hex(16)


def application(settings: Mapping[str, Any]) -> Any:
    """Import the custom modules, and return the application that a worker serves."""
    own = dict(settings)
    load_own_modules(own.pop("imports"), own["model"])
    module, _, name = APP.partition(":")  # Imported by each worker, but not by the main process.
    return getattr(import_module(module), name)(own)


def _default_threads(settings: ServerSettings) -> int:
    """Return the number of threads of a process: more if it waits for other servers, and one more for trainings."""
    # Threads that wait for another server do not slow down the others; a local file is too fast to need more threads.
    kept_here = settings.store is None or settings.store.startswith(("memory:", "sqlite:"))
    understood_here = settings.nlu is None or "://" not in settings.nlu
    threads = DEFAULT_THREADS if kept_here and understood_here else WAITING_THREADS
    threads = threads if settings.actions is None and settings.nlg is None else WAITING_THREADS
    threads += 0 if settings.inspect is None else PAGE_THREADS
    return threads if settings.enable_train is None else threads + 1


def _check_servers(settings: ServerSettings) -> None:
    # Imported only if needed, since these imports take half of the time that the main process needs to start.
    if settings.actions is not None:
        from rasa_core.actions.webhook import ActionServer

        ActionServer.from_config(settings.actions)
    if settings.nlg is not None:
        from rasa_core.actions.nlg import NlgServer

        NlgServer(settings.nlg)


def _check(settings: ServerSettings, workers: int) -> None:
    """Raise `click.ClickException` for settings that would fail in every worker."""
    if settings.store is not None and settings.store.startswith("memory:") and workers > 1:
        raise click.UsageError("memory:// is not shared between workers: use one worker, or a SQLite file.")
    if settings.enable_train is not None and settings.auth_token is None and settings.jwt_secret is None:
        raise click.UsageError(
            f"--enable-train needs a token, since whoever may train decides what messages mean: set {TOKEN_VARIABLE}."
        )
    token = settings.auth_token  # `Guard` refuses an empty token.
    if token and token.strip() and not (token.isascii() and token.isprintable() and token == token.strip()):
        raise click.UsageError(
            "the token holds a character that no header carries to this server, or a space at its edge: set "
            f"{TOKEN_VARIABLE} to ASCII letters, digits and punctuation."
        )
    try:
        Guard(token, settings.jwt_secret, settings.jwt_method)
        if settings.enable_train is not None:
            Path(settings.enable_train).mkdir(parents=True, exist_ok=True)
        NaturalLanguageInterpreter.create(settings.nlu)
        _check_servers(settings)
        if settings.store is not None:
            store_from_url(settings.store).close()
    except (RasaCoreError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    try:
        if settings.log_file:
            make_private(settings.log_file)
            Path(settings.log_file).open("a", encoding="utf-8").close()
    except OSError as error:
        problem = f"cannot write the log file {settings.log_file!r}: {error.strerror or error}."
        raise click.ClickException(f"{problem} Name another with -o FILE, or none with -o ''.") from error


def _tell(settings: ServerSettings, line: str, level: str = "INFO") -> None:
    """Log a line before the server starts, in the format of the server's log."""
    is_json = settings.log_format == "json"
    click.echo(LogStyle("json").line(level, __name__, line) if is_json else line, err=level != "INFO")


def _warn(settings: ServerSettings, host: str, port: int) -> None:
    if not Path(settings.model).is_dir():
        _tell(settings, f"There is no model at {settings.model}: the server will answer 503.", "WARNING")
    if settings.open_rest_channel and (settings.auth_token is not None or settings.jwt_secret is not None):
        _tell(settings, "The REST channel asks nobody for a token, as credentials.yml lists rest.", "WARNING")
    elif settings.auth_token is None and settings.jwt_secret is None and host not in _OWN_MACHINE:
        told = f"Anybody who reaches port {port} can use the bot: set {TOKEN_VARIABLE} to ask for a token."
        _tell(settings, told, "WARNING")


def _announce(settings: ServerSettings, host: str, port: int, workers: int, tried_at: str) -> None:
    """Log the address of the server, and a command to try it."""
    name = "localhost" if host in _OWN_MACHINE or host in ALL_ADDRESSES else f"[{host}]" if ":" in host else host
    address = f"http://{name}:{port}"
    processes = "1 process" if workers == 1 else f"{workers} processes"
    kept = without_secrets(settings.store) if settings.store else default_store_path(settings.model)
    token = "" if settings.auth_token is None else f' -H "Authorization: Bearer ${TOKEN_VARIABLE}"'
    _tell(settings, f"Serving {settings.model} at {address} with {processes}; Ctrl+C stops it.")
    _tell(settings, f"Conversations are kept in {kept}.")
    if settings.nlu is None:
        text = "/greet"
        _tell(
            settings, "Messages name their intent, as in /greet; for typed text, give an NLU model or server with -u."
        )
    else:
        text = "hello there"
        _tell(settings, f"Typed text is understood by {without_secrets(settings.nlu)}.")
    if settings.actions is not None:
        at = settings.actions if isinstance(settings.actions, str) else str(settings.actions["url"])
        _tell(settings, f"Actions without a template run at {without_secrets(at)}.")
    if settings.enable_train is not None:
        _tell(settings, f"POST /train puts NLU models into {settings.enable_train}.")
    if settings.inspect is not None:
        _tell(settings, f"Inspect the bot in a browser at {address}/")
    _tell(settings, f"Try: curl -XPOST {address}{tried_at}{token} -d '{TRIED_WITH[tried_at] % text}'")


@click.command(cls=ServerCommand, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.option("-d", "--core", required=True, metavar="MODEL", help="Directory of the trained model.")
@server_options
def main(core: str, **flags: Any) -> None:
    """Serve a trained model over HTTP: the server says which action comes next, and your code runs it."""
    serve(core, **flags)


create_argument_parser = partial(argument_parser, main)
"""Returns a parser for the flags of the command, for a program that adds its own."""
