"""The old import path of `rasa_core.commands.evaluate`; ``python -m rasa_core.evaluate`` runs that command."""

from __future__ import annotations

from rasa_core.commands.evaluate import (
    actions_since_last_utterance,
    align_lists,
    collect_story_predictions,
    command,
    run_story_evaluation,
)

__all__ = ["actions_since_last_utterance", "align_lists", "collect_story_predictions", "run_story_evaluation"]

if __name__ == "__main__":
    command(prog_name="python -m rasa_core.evaluate")
