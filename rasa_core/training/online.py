"""The name that Rasa Core 0.10 had for `rasa_core.training.interactive`."""

from __future__ import annotations

from rasa_core.training.interactive import run_interactive_learning, run_online_learning, serve_agent

__all__ = ["run_interactive_learning", "run_online_learning", "serve_agent"]
