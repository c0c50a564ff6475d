"""A finished or running conversation as plain data, and how it is written as a story."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, UserUttered


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The events of one conversation, oldest first, under a name."""

    name: str
    events: list[Event]


@dataclass(frozen=True, slots=True)
class Topic:
    """Accepted in old code; topics have no effect."""

    name: str


DefaultTopic = Topic("default")
QuestionTopic = Topic("question")


def story_lines(events: Iterable[Event]) -> list[str]:
    """Return the body of a story: one line an event, without those that a story leaves out.

    Listening is implied by the next user message, and what was said is not part of a story.
    """
    lines = []
    for event in events:
        if isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME:
            continue
        text = event.as_story_string()
        if text is not None:
            lines.append(f"* {text}" if isinstance(event, UserUttered) else f"    - {text}")
    return lines


def story_text(events: Iterable[Event], title: str | None = None) -> str:
    """Return a whole story; without a title its name is a hash of its lines, the same in every run."""
    lines = story_lines(events)
    if title is None:
        digest = hashlib.blake2b("\n".join(lines).encode("utf-8", "surrogatepass"), digest_size=8)
        title = f"Generated Story {digest.hexdigest()}"
    return "\n".join([f"## {title}", *lines]) + "\n"
