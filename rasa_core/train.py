"""The old import path of `rasa_core.commands.train`; ``python -m rasa_core.train`` runs that command."""

from __future__ import annotations

from rasa_core.commands import console_module
from rasa_core.compat import later

if __name__ == "__main__":
    console_module("train")

from functools import partial

from rasa_core.commands.common import argument_parser
from rasa_core.commands.train import command, train_dialogue_model
from rasa_core.training import interactive

online = interactive
"""As Rasa Core 0.10 called it."""

__all__ = ["create_argument_parser", "interactive", "online", "train_dialogue_model"]

create_argument_parser = partial(argument_parser, command)
"""Returns a parser for the flags of the command, for a program that adds its own."""

__getattr__ = later.of_module(__name__)
