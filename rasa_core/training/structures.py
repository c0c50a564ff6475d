"""The old import path of `rasa_core.stories.steps`."""

from __future__ import annotations

from rasa_core.stories.steps import STORY_END, STORY_START, Checkpoint, Story, StoryGraph, StoryStep

__all__ = ["STORY_END", "STORY_START", "Checkpoint", "Story", "StoryGraph", "StoryStep"]
