"""``python -m rasa_core.server``: serve a trained model over HTTP."""

from __future__ import annotations

from rasa_core.commands.serve import main

if __name__ == "__main__":
    main(prog_name="python -m rasa_core.server")
