"""The old import path of the story reader."""

from __future__ import annotations

from rasa_core.compat import later
from rasa_core.exceptions import StoryParseError
from rasa_core.stories.markdown import StoryFileReader

__all__ = ["StoryFileReader", "StoryParseError"]


__getattr__ = later.of_module(__name__)
