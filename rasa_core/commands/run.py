"""``python -m rasa_core.run``: talk to a bot on the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from rasa_core.agent import Agent
from rasa_core.channels.channel import InputChannel, UserMessage
from rasa_core.channels.console import ConsoleInputChannel
from rasa_core.commands.common import CONTEXT, Command, log_options, model_option, nlu_option, start_log
from rasa_core.domain import Domain
from rasa_core.exceptions import RasaCoreError
from rasa_core.interpreter import RegexInterpreter

CONSOLE = "cmdline"
LEFT_OUT = ("facebook", "mattermost", "slack", "telegram", "twilio")
DEFAULT_PORT = 5002
RESTART = "/restart"
SHOWN_INTENTS = 12

_EXAMPLES = """\b
Examples:
  # Messages name their intent: /greet, or /inform{"cuisine": "thai"}.
  python -m rasa_core.run -d models/dialogue
\b
  # Plain text, understood by a running NLU server.
  python -m rasa_core.run -d models/dialogue -u http://localhost:5000
"""


def main(
    model_directory: str | Path,
    nlu_model: str | None = None,
    channel: str | InputChannel | None = None,
    port: int | None = None,
    credentials_file: str | Path | None = None,
) -> Agent:
    """Load a model and let it talk until the channel ends.

    Parameters
    ----------
    model_directory
        The trained model.
    nlu_model
        Directory of an NLU model, address of an NLU server, or None: messages name their intent.
    channel
        ``"cmdline"`` or None for the terminal; or an input channel of your own.
    port, credentials_file
        Accepted for older programs; the terminal needs neither.

    Returns
    -------
    Agent
        The bot, as it is after the conversation.
    """
    input_channel = channel if isinstance(channel, InputChannel) else _channel_named(channel or CONSOLE)
    agent = Agent.load(model_directory, interpreter=nlu_model)
    if isinstance(input_channel, ConsoleInputChannel):
        chat(agent, input_channel)
    else:
        agent.handle_channel(input_channel)
    return agent


def _channel_named(name: str) -> InputChannel:
    if name == CONSOLE:
        return ConsoleInputChannel()
    known = "is not part of this version" if name in LEFT_OUT else "is not known"
    raise RasaCoreError(
        f"the connector {name!r} {known}; only {CONSOLE!r} is built in. Serve the bot with "
        "python -m rasa_core.server and post what users write to /conversations/<id>/respond, or give a "
        "channel of your own to rasa_core.commands.run.main(model, channel=...)."
    )


def chat(agent: Agent, channel: ConsoleInputChannel) -> None:
    """Talk on the terminal until ``/stop``, the end of the input or Ctrl+C; errors do not end the chat."""

    def handle(message: UserMessage) -> None:
        if not message.text.strip():
            return
        is_restart = message.text.strip() == RESTART
        text = f"/{agent.domain.restart_intent}" if is_restart else message.text
        try:
            agent.handle_message(text, output_channel=message.output_channel, sender_id=message.sender_id)
        except RasaCoreError as error:
            sys.stdout.flush()
            click.echo(f"Error: {error}", err=True)
        else:
            if is_restart:
                click.echo("(the conversation starts anew)")

    for line in how_to_talk(agent):
        click.echo(line)
    try:
        channel.start_sync_listening(handle)
    except KeyboardInterrupt:
        click.echo()


def how_to_talk(agent: Agent) -> list[str]:
    """Return what to tell somebody who begins to talk to a bot."""
    lines = []
    if isinstance(agent.interpreter, RegexInterpreter):
        lines.append(f"Messages name their intent: {' or '.join(_examples(agent.domain))}.")
        lines.append(f"Intents: {_shown(agent.domain.intents)}.")
    if not agent.processor.runner.runs_everything:
        lines.append("Some actions of this bot run in your own code, which this chat cannot call; it tells you.")
    lines.append(f"{RESTART} starts the conversation anew.")
    return lines


def _examples(domain: Domain) -> list[str]:
    intents = domain.intents or ["intent"]
    parameters = json.dumps({(domain.entities or ["entity"])[0]: "value"})
    return [f"/{intents[0]}", f"/{intents[-1]}{parameters}"]


def _shown(names: Iterable[str]) -> str:
    known = list(names)
    more = len(known) - SHOWN_INTENTS
    return ", ".join(known[:SHOWN_INTENTS]) + (f" and {more} more" if more > 0 else "")


def _check_credentials(path: str | None) -> None:
    if path is None:
        return
    if not Path(path).is_file():
        raise RasaCoreError(f"there is no credentials file {path!r}.")
    click.echo("The terminal needs no credentials; --credentials is ignored.", err=True)


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@model_option
@nlu_option
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Accepted for older scripts; the terminal needs no port.",
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
@click.option("--credentials", metavar="FILE", help="Accepted for older scripts; the terminal needs no credentials.")
@click.option(
    "-c",
    "--connector",
    metavar="NAME",
    default=CONSOLE,
    show_default=True,
    help="Where messages come from; only the terminal is built in.",
)
@log_options
def command(
    core: str,
    nlu: str | None,
    port: int,
    log_file: str,
    credentials: str | None,
    connector: str,
    verbose: bool,
    debug: bool,
) -> None:
    """Talk to a bot on the terminal. /restart starts the conversation anew, /stop ends the chat."""
    start_log(verbose, debug, log_file)
    _channel_named(connector)
    _check_credentials(credentials)
    main(core, nlu, connector, port, credentials)
