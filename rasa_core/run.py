"""The old import path of `rasa_core.commands.run`; ``python -m rasa_core.run`` runs that command."""

from __future__ import annotations

from rasa_core.commands import console_module

if __name__ == "__main__":
    console_module("run")

import argparse

from rasa_core.commands.common import argument_parser
from rasa_core.commands.run import command, create_input_channel, main

__all__ = ["create_argument_parser", "create_input_channel", "main"]


def create_argument_parser() -> argparse.ArgumentParser:
    """Return a parser for the flags of the command."""
    return argument_parser(command)
