"""The old import path of `rasa_core.commands.train`; ``python -m rasa_core.train`` runs that command."""

from __future__ import annotations

from rasa_core.commands.train import command, train_dialogue_model

__all__ = ["train_dialogue_model"]

if __name__ == "__main__":
    command(prog_name="python -m rasa_core.train")
