"""The old import path of `rasa_core.commands.run`; ``python -m rasa_core.run`` runs that command."""

from __future__ import annotations

from rasa_core.commands import console_module

if __name__ == "__main__":
    console_module("run")

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rasa_core import _legacy
from rasa_core.agent import Agent
from rasa_core.commands.common import argument_parser
from rasa_core.commands.run import command, create_input_channel, main, talk_on
from rasa_core.compat import later

__all__ = ["create_argument_parser", "create_input_channel", "main", "serve_application"]


def serve_application(
    agent: Agent,
    channel: str | None = None,
    port: int = 5005,
    credentials_file: str | Path | None = None,
    cors: Iterable[str] | str | None = None,
    auth_token: str | None = None,
    enable_api: bool = True,
) -> Agent:
    """Let a bot talk, as programs for Rasa Core 0.10 and later do: on a channel, or over HTTP.

    Parameters
    ----------
    channel, credentials_file
        ``"cmdline"`` for the terminal, or the class of a channel; see `create_input_channel`. Without it, the bot is
        served at `port`, on this machine alone; ``rasa-core serve`` has more to choose.
    cors, auth_token
        For the server.
    enable_api
        Ignored: the server always has it.
    """
    if channel is not None:
        talk_on(agent, create_input_channel(channel, port, credentials_file))
    else:
        _legacy.load("create_app")(agent, cors_origins=cors, auth_token=auth_token).run(port=port)
    return agent


create_argument_parser = partial(argument_parser, command)
"""Returns a parser for the flags of the command, for a program that adds its own."""

__getattr__ = later.of_module(__name__)
