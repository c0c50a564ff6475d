"""The old import path of `rasa_core.commands.visualize`; ``python -m rasa_core.visualize`` runs that command."""

from __future__ import annotations

from rasa_core.commands import console_module
from rasa_core.compat import later

if __name__ == "__main__":
    console_module("visualize")

import argparse

from rasa_core.commands.common import argument_parser
from rasa_core.commands.visualize import command

__all__ = ["create_argument_parser"]


def create_argument_parser() -> argparse.ArgumentParser:
    """Return a parser for the flags of the command."""
    return argument_parser(command)


__getattr__ = later.of_module(__name__)
