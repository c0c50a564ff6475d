"""``python -m rasa_core.run``: talk to a bot on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from rasa_core import _legacy
from rasa_core.agent import Agent
from rasa_core.channels.channel import HttpInputChannel, HttpInputComponent, InputChannel
from rasa_core.channels.console import ConsoleInputChannel
from rasa_core.commands.common import (
    CONTEXT,
    Command,
    import_option,
    load_own_modules,
    log_options,
    model_at,
    nlu_option,
    start_log,
)
from rasa_core.commands.shell import Talk
from rasa_core.exceptions import RasaCoreError
from rasa_core.rasa_project.rasa1 import server_in
from rasa_core.slots import class_from_path
from rasa_core.support.own_code import module_with
from rasa_core.support.yaml_parts import read_yaml

CONSOLE = "cmdline"
_REST = "rest"  # The name of the HTTP server as a channel in Rasa Core 0.11.
LEFT_OUT = ("facebook", "mattermost", "slack", "telegram", "twilio")  # Channels that were built into 0.9.
DEFAULT_PORT = 5002

_EXAMPLES = """\b
Examples:
  # The bot in this folder.
  rasa-core run .
\b
  # Messages name their intent: /greet, or /inform{"cuisine": "thai"}.
  rasa-core run -d models/dialogue
\b
  # Plain text, understood by a running NLU server.
  rasa-core run -d models/dialogue -u http://localhost:5000
"""


def main(
    model_directory: str | Path,
    nlu_model: str | None = None,
    channel: str | InputChannel | None = None,
    port: int | None = None,
    credentials_file: str | Path | None = None,
    endpoints: str | Path | None = None,
) -> Agent:
    """Load a model; if a channel is given, handle its messages until it ends.

    Parameters
    ----------
    model_directory
        The trained model.
    nlu_model
        Directory of an NLU model, address of an NLU server, or None: messages name their intent.
    channel
        None to handle no messages now; ``"cmdline"`` for the terminal; a custom input channel, or the dotted path of
        its class.
    port, credentials_file
        For a channel that is named by its class; see `create_input_channel`.
    endpoints
        YAML file with the entry ``action_endpoint:`` for the action server, as in Rasa Core 0.10 and later.
    """
    input_channel = create_input_channel(channel, port, credentials_file) if isinstance(channel, str) else channel
    agent = Agent.load(model_directory, interpreter=nlu_model, actions=server_in(endpoints))
    if input_channel is not None:
        talk_on(agent, input_channel)
    return agent


def talk_on(agent: Agent, channel: InputChannel) -> None:
    """Let an agent handle the messages of a channel until the channel ends."""
    if isinstance(channel, ConsoleInputChannel):
        chat(agent, channel)
    else:
        agent.handle_channel(channel)


def create_input_channel(
    channel: str, port: int | None = None, credentials_file: str | Path | None = None
) -> InputChannel:
    """Return the channel of the terminal for ``"cmdline"``, or an input channel of the class at a dotted path.

    Parameters
    ----------
    channel
        ``"cmdline"``, or the path of an `InputChannel` or of an `HttpInputComponent`, which is served at `port`.
    port
        By default 5002.
    credentials_file
        YAML file; its keys, or the keys below the path of the class, are the parameters of the class.

    Raises
    ------
    RasaCoreError
        If there is no such channel.
    """
    if channel == CONSOLE:
        return ConsoleInputChannel()
    if "." not in channel:  # The path of a class contains a dot, so this is an unknown name.
        known = "is not part of this version" if channel in LEFT_OUT else "is not known"
        module = module_with(channel)
        known += f" (did you mean {module}.{channel}?)" if module else ""
        raise RasaCoreError(
            f"the connector {channel!r} {known}; {CONSOLE!r} is built in, and a class of your own is named by its "
            "path: module.Class. Or serve the bot with python -m rasa_core.server, and post what users write to "
            "/conversations/<id>/respond."
        )
    found = class_from_path(channel, object)
    try:
        made = found(**_credentials(credentials_file, channel))
    except TypeError as error:
        raise RasaCoreError(f"{channel} cannot be made with these credentials: {error}.") from error
    if isinstance(made, HttpInputComponent):
        return HttpInputChannel(DEFAULT_PORT if port is None else port, None, made)
    if isinstance(made, InputChannel):
        return made
    raise RasaCoreError(f"{channel} is neither an InputChannel nor an HttpInputComponent.")


def _credentials(path: str | Path | None, channel: str) -> dict[str, Any]:
    if path is None:
        return {}
    read = read_yaml(path)
    if read is None or not read.is_mapping:
        raise RasaCoreError(f"{path}: credentials are a mapping, such as token: abc.")
    own = read.get(channel) or read  # The file may have the parameters of one channel, or of several by their names.
    return dict(own.meant) if own.is_mapping else {}


def chat(agent: Agent, channel: ConsoleInputChannel) -> None:
    """Talk on the terminal until ``/stop``, the end of the input or Ctrl+C; errors do not end the chat."""
    asks = sys.stdin is not None and sys.stdin.isatty()  # The lines of a file are messages, not answers to questions.
    Talk(agent, channel, asks=asks).start()


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("project", required=False, metavar="[PROJECT]")
@click.option("-d", "--core", metavar="MODEL", help="Directory of a trained model, or the project of a bot.")
@nlu_option
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port of a custom channel that uses HTTP; the terminal needs no port.",
)
@click.option(
    "-o",
    "--log_file",
    "--log-file",
    metavar="FILE",
    default="rasa_core.log",
    show_default=True,
    help="File that gets the log.",
)
@click.option(
    "--credentials",
    metavar="FILE",
    help="YAML with the parameters of a connector of your own; the terminal needs none.",
)
@click.option(
    "--endpoints",
    metavar="FILE",
    help="YAML in which action_endpoint: is the action server of a MODEL; that of a PROJECT is found.",
)
@click.option(
    "-c",
    "--connector",
    metavar="NAME",
    default=CONSOLE,
    show_default=True,
    help="Where messages come from: the terminal, or the class of a channel of your own, as module.Class.",
)
@click.option(
    "--enable_api",
    "--enable-api",
    is_flag=True,
    help="Serve the bot over HTTP at --port, as -c rest does; rasa-core serve has more to choose.",
)
@click.option("--cors", metavar="ORIGIN", multiple=True, help="Web page that may call the server; repeatable.")
@click.option("-t", "--auth_token", "--auth-token", metavar="TOKEN", help="Token that callers must send.")
@import_option
@log_options
def command(
    project: str | None,
    core: str | None,
    nlu: str | None,
    port: int,
    log_file: str,
    credentials: str | None,
    endpoints: str | None,
    connector: str,
    enable_api: bool,
    cors: tuple[str, ...],
    auth_token: str | None,
    imports: tuple[str, ...],
    verbose: bool,
    debug: bool,
) -> None:
    """Talk to the bot of a PROJECT or a MODEL on the terminal; /help lists the commands of the chat.

    rasa-core shell does the same, and shows more of what happens.
    """
    if (project is None) == (core is None):
        raise click.UsageError("give the folder of a bot, or a model with -d MODEL.")
    core = core or project or "."
    start_log(verbose, debug, log_file)
    load_own_modules(imports, core)
    core, nlu = model_at(core, nlu)
    if credentials is not None and connector == CONSOLE:
        click.echo("The terminal needs no credentials; --credentials is ignored.", err=True)
    elif credentials is not None and not Path(credentials).is_file():
        raise click.ClickException(f"there is no credentials file {credentials!r}.")
    if endpoints is not None and not Path(endpoints).is_file():
        raise click.ClickException(f"there is no file of endpoints {endpoints!r}.")
    if enable_api or connector == _REST:
        agent = Agent.load(core, interpreter=nlu, actions=server_in(endpoints))
        click.echo(f"Serving {core} at http://localhost:{port}; Ctrl+C stops it.")
        _legacy.load("create_app")(agent, cors_origins=cors or None, auth_token=auth_token).run(port=port)
    else:
        main(core, nlu, connector, port, credentials, endpoints)
