"""The old import path of `rasa_core.trackers.Dialogue`, and `Topic`, which old code uses and which has no effect."""

from __future__ import annotations

from dataclasses import dataclass

from rasa_core.trackers.event_log import Dialogue, story_lines, story_text

__all__ = ["DefaultTopic", "Dialogue", "QuestionTopic", "Topic", "story_lines", "story_text"]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, as old code makes it; it has no effect."""

    name: str


DefaultTopic = Topic("default")
QuestionTopic = Topic("question")
