"""The old import path of `rasa_core.commands.restore`; ``python -m rasa_core.restore`` runs that command."""

from __future__ import annotations

from rasa_core.commands import console_module

if __name__ == "__main__":
    console_module("restore")

from functools import partial

from rasa_core.commands.common import argument_parser
from rasa_core.commands.restore import command, load_tracker_from_json, recreate_agent, replay_events

__all__ = ["create_argument_parser", "load_tracker_from_json", "recreate_agent", "replay_events"]

create_argument_parser = partial(argument_parser, command)
"""Returns a parser for the flags of the command, for a program that adds its own."""
