"""The old import path of `rasa_core.trackers.Dialogue`, and the topics of old, which have no effect."""

from __future__ import annotations

from dataclasses import dataclass

from rasa_core.trackers.event_log import Dialogue, story_lines, story_text

__all__ = ["DefaultTopic", "Dialogue", "QuestionTopic", "Topic", "story_lines", "story_text"]


@dataclass(frozen=True, slots=True)
class Topic:
    """Accepted in old code; topics have no effect."""

    name: str


DefaultTopic = Topic("default")
QuestionTopic = Topic("question")
