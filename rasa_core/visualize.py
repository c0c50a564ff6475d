"""The old import path of `rasa_core.commands.visualize`; ``python -m rasa_core.visualize`` runs that command."""

from __future__ import annotations

from rasa_core.commands.visualize import command

__all__ = []

if __name__ == "__main__":
    command(prog_name="python -m rasa_core.visualize")
