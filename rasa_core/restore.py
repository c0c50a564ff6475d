"""The old import path of `rasa_core.commands.restore`; ``python -m rasa_core.restore`` runs that command."""

from __future__ import annotations

from rasa_core.commands.restore import command, load_tracker_from_json, recreate_agent, replay_events

__all__ = ["load_tracker_from_json", "recreate_agent", "replay_events"]

if __name__ == "__main__":
    command(prog_name="python -m rasa_core.restore")
