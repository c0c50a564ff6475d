"""The flags of a server, for each command that serves: their names, their checks, and their help."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import click

from rasa_core.commands.common import Command, import_option
from rasa_core.server.launcher import DEFAULT_THREADS, SPARE_THREADS, WAITING_THREADS
from rasa_core.server.log_lines import FORMATS
from rasa_core.server.settings import DEFAULT_JWT_METHOD, STORE_VARIABLE
from rasa_core.server.waiting import PATIENCE
from rasa_core.tracker_store.retention import DurationError, seconds_of

F = TypeVar("F", bound=Callable[..., Any])

TOKEN_VARIABLE = "RASA_CORE_TOKEN"
ACTIONS_VARIABLE = "RASA_CORE_ACTIONS"
JWT_VARIABLE = "RASA_CORE_JWT_SECRET"
LOG_FORMAT_VARIABLE = "RASA_CORE_LOG_FORMAT"
LOG_IDS_VARIABLE = "RASA_CORE_LOG_IDS"
LOG_KEY_VARIABLE = "RASA_CORE_LOG_KEY"
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_size = re.compile(r"(\d{1,12})\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_host = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[?[0-9a-f.]*:[0-9a-f:.]*\]?", re.IGNORECASE)
# The origin of a page that was opened from a file is "null".
_origin = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/\s]+/?", re.IGNORECASE)


class ServerCommand(Command):
    """A command whose ``--cors`` takes several origins in a row, as in 0.9."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments of the command line."""
        return super().parse_args(ctx, list(_one_origin_each(args)))


def _one_origin_each(arguments: Iterable[str]) -> Iterator[str]:
    """Yield ``--cors A --cors B`` for ``--cors A B``; the first argument that is no origin ends the row."""
    # Click has no option with any number of values. `expected`: an origin must follow; `more`: another may follow.
    expected, more = False, False
    for argument in arguments:
        if more and _origin.fullmatch(argument):
            yield "--cors"
        else:
            more = expected or argument.startswith("--cors=")
            expected = argument == "--cors"
        yield argument


def _each_is(form: re.Pattern[str], described: str) -> Callable[..., tuple[str, ...]]:
    """Return a callback that checks each value of an option by a pattern."""

    def check(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not form.fullmatch(value):
                cause = f" The shell put {value!r}, a file here, in place of *." if os.path.lexists(value) else ""
                raise click.BadParameter(f"{value!r} is not {described} or '*' in quotes.{cause}")
        return values

    return check


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
        help="Address (http://...) of an NLU server, or directory of an NLU model.  [default: the NLU model of "
        "PROJECT_DIR; a bot without one understands only messages such as /greet]",
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
        help="Requests that each process works on at once; more help only where another server makes them wait.  "
        f"[default: {WAITING_THREADS} with an NLU, action or database server, else {DEFAULT_THREADS}; {SPARE_THREADS} "
        "others help while all are held up, as by actions in Python]",
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
        callback=_each_is(_origin, "an origin such as https://example.org,"),
        help="Web pages that may call the server, such as https://example.org; '*' for all.",
    ),
    click.option(
        "--allowed-hosts",
        multiple=True,
        metavar="HOST",
        callback=_each_is(_host, "a host such as bot.example.org, without a scheme or a port;"),
        help="Another name under which the server is called, such as bot.example.org; repeatable; '*' for all. It "
        "knows localhost and the address that it listens on; other names are refused, unless there is a token.",
    ),
    click.option(
        "--auth_token",
        "--auth-token",
        metavar="TOKEN",
        default=lambda: os.environ.get(TOKEN_VARIABLE),
        help="Token that callers must send as Authorization: Bearer TOKEN, or ?token=TOKEN. Other users of this "
        f"machine can see it here; they cannot see the environment variable {TOKEN_VARIABLE}.",
    ),
    click.option(
        "--jwt-secret",
        metavar="SECRET",
        default=lambda: os.environ.get(JWT_VARIABLE),
        help="Secret, or public key, of the JSON Web Tokens that callers may send in the place of the token; needs "
        f"PyJWT. In the environment variable {JWT_VARIABLE}, other users of this machine cannot see it.",
    ),
    click.option(
        "--jwt-method",
        default=DEFAULT_JWT_METHOD,
        show_default=True,
        metavar="METHOD",
        help="Method of signing of the JSON Web Tokens, such as HS256 or RS256.",
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
        "--log-format",
        type=click.Choice(FORMATS),
        default=lambda: os.environ.get(LOG_FORMAT_VARIABLE, FORMATS[0]),
        help="How the log file and the terminal are written: for people, or one JSON object a line."
        f"  [default: {LOG_FORMAT_VARIABLE}, or text]",
    ),
    click.option(
        "--log-ids",
        type=click.Choice(("plain", "hash")),
        default=lambda: os.environ.get(LOG_IDS_VARIABLE, "plain"),
        help="Sender ids in logs: plain, or hashed with a key, without which nobody can find whose lines they are. "
        f"The key is in the environment variable {LOG_KEY_VARIABLE}; without it, each start makes a new key, "
        f"and the same conversation then has another hash.  [default: {LOG_IDS_VARIABLE}, or plain]",
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
    click.option(
        "--enable-load", is_flag=True, help="Let POST /load replace the model, and PUT /model choose another."
    ),
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
    """Add the flags of a server, except the model, to a Click command; their values are parameters of `serve`."""
    for option in reversed(_OPTIONS):  # The decorator that is applied last comes first in the help.
        command = option(command)
    return command
