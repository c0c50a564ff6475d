"""The old import path of `rasa_core.stories`, from stories to the conversations that policies learn from."""

from __future__ import annotations

from rasa_core.stories import TrainingTracker, extract_story_graph, load_data, persist_data

__all__ = ["TrainingTracker", "extract_story_graph", "load_data", "persist_data"]
