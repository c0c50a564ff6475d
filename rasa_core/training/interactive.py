"""Interactive training as programs for Rasa Core 0.11 and later start it; ``online``, which 0.10 had, is the same."""

from __future__ import annotations

from pathlib import Path

from rasa_core import _legacy
from rasa_core.agent import Agent


def run_interactive_learning(
    agent: Agent,
    stories: str | Path | None = None,
    finetune: bool = False,
    serve_forever: bool = True,
    skip_visualization: bool = False,
) -> None:
    """Let a user talk to a trained agent on the terminal and correct it; append the new stories to a file.

    Parameters
    ----------
    agent
        The agent, which has been trained or loaded.
    stories
        The stories from which it was trained, to train on all stories at the end, if the user wants it.
    finetune, serve_forever, skip_visualization
        Ignored: corrections are always learnt, the session lasts until the user ends it, and nothing is drawn.
    """
    _legacy.load("teach")(agent, [] if stories is None else agent.load_data(stories))


def run_online_learning(agent: Agent, finetune: bool = False, serve_forever: bool = True) -> None:
    """Call `run_interactive_learning` without stories."""
    run_interactive_learning(agent)


serve_agent = run_online_learning
