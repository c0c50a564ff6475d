"""An earlier import path of `rasa_core.checks.checks`."""

from __future__ import annotations

from rasa_core.checks.checks import check_stories

__all__ = ["check_stories"]
