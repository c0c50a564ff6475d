"""The old import path of `rasa_core.drawing.stories`."""

from __future__ import annotations

from rasa_core.drawing.stories import visualize_stories

__all__ = ["visualize_stories"]
