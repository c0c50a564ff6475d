"""``python -m rasa_core.server``: serve a trained model over HTTP."""

from __future__ import annotations

from rasa_core.commands import console_module

if __name__ == "__main__":
    console_module("server", "main")
