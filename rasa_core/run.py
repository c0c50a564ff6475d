"""The old import path of `rasa_core.commands.run`; ``python -m rasa_core.run`` runs that command."""

from __future__ import annotations

from rasa_core.commands.run import command, main

__all__ = ["main"]

if __name__ == "__main__":
    command(prog_name="python -m rasa_core.run")
