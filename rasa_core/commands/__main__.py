"""``python -m rasa_core.commands``: ``rasa-core`` of a checkout that is not installed."""

from __future__ import annotations

from rasa_core.commands.main import main

if __name__ == "__main__":
    main(prog_name="rasa-core")
