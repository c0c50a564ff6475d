"""Steps of stories spelt out: with the listening and the slots that a story leaves unsaid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    ActionReverted,
    Event,
    Restarted,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.stories.steps import Source, StoryStep

_LISTEN = ActionExecuted(ACTION_LISTEN_NAME)

SlotSets = Callable[[UserUttered], Sequence[Event]]


@dataclass(frozen=True, slots=True)
class Passage:
    """All that happens in a step, with what the story leaves unsaid.

    Attributes
    ----------
    events : sequence of (Event, Source or None)
        An event that is implied has the source of the line that implies it.
    opening_listen : int or None
        Position of the listening that is left out if the bot is listening already when the step begins.
    opens_story : bool
        Whether the step is entered at the start of a story.
    """

    events: Sequence[tuple[Event, Source | None]]
    opening_listen: int | None
    opens_story: bool


def passage_through(step: StoryStep, slot_sets: SlotSets, opens_story: bool) -> Passage:
    """Spell out a step.

    The bot listens before every user message and at the end of a story, and entities set their slots, as
    `slot_sets` tells for a message. If the step opens a story with an action, that action is unpredictable:
    nothing told the bot to do it.
    """
    events: list[tuple[Event, Source | None]] = []
    opening_listen: int | None = None
    listening: bool | None = None
    unpredictable = opens_story
    for event, source in zip(step.events, step.sources, strict=True):
        if isinstance(event, UserUttered):
            unpredictable = False
            if not listening:
                opening_listen = len(events) if listening is None else opening_listen
                events.append((_LISTEN, source))
            events.append((event, source))
            events.extend((slot_set, source) for slot_set in slot_sets(event))
        elif unpredictable and isinstance(event, ActionExecuted):
            unpredictable = False
            events.append((ActionExecuted(event.action_name, unpredictable=True), source))
        else:
            events.append((event, source))
        listening = listens_after(event, listening)
    if not step.end_checkpoints and not listening:
        opening_listen = len(events) if listening is None else opening_listen
        events.append((_LISTEN, step.sources[-1] if step.sources else step.source))
    return Passage(events, opening_listen, opens_story)


def listens_after(event: Event, before: bool | None) -> bool | None:
    """Tell whether the bot listens after `event`; None if that depends on what was before all events."""
    if isinstance(event, ActionExecuted):
        return event.action_name == ACTION_LISTEN_NAME
    if isinstance(event, UserUttered | Restarted | UserUtteranceReverted | ActionReverted):
        return False
    return before
