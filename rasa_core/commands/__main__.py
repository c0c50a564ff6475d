"""``python -m rasa_core.commands``: the command ``rasa-core`` for a checkout that is not installed."""

from __future__ import annotations

from rasa_core.commands import console

if __name__ == "__main__":
    console()
