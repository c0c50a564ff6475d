"""The old import path of `rasa_core.stories`, which makes training conversations from stories."""

from __future__ import annotations

from rasa_core.stories import TrainingTracker, extract_story_graph, load_data, persist_data
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import STORY_END, STORY_START, Checkpoint, Story, StoryGraph, StoryStep

__all__ = [
    "STORY_END",
    "STORY_START",
    "Checkpoint",
    "Story",
    "StoryFileReader",
    "StoryGraph",
    "StoryStep",
    "TrainingDataGenerator",
    "TrainingTracker",
    "extract_story_graph",
    "load_data",
    "persist_data",
]
