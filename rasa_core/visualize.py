"""The old import path of `rasa_core.commands.visualize`; ``python -m rasa_core.visualize`` runs that command."""

from __future__ import annotations

from rasa_core.commands import console_module
from rasa_core.compat import later

if __name__ == "__main__":
    console_module("visualize")

from functools import partial

from rasa_core.commands.common import argument_parser
from rasa_core.commands.visualize import command

__all__ = ["create_argument_parser"]

create_argument_parser = partial(argument_parser, command)
"""Returns a parser for the flags of the command, for a program that adds its own."""

__getattr__ = later.of_module(__name__)
