"""Taking a conversation up again from one of its steps, with another action or another meaning of a message.

The conversation that was corrected stays as it was: what is right is played in a new one, its draft. A draft is an
ordinary conversation, so that it is kept whatever happens to whoever corrects, and can be gone on with, corrected once
more, and saved as a story.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    Event,
    FollowupAction,
    SlotSet,
    StoryExported,
    UserUttered,
    check_parse_data,
)
from rasa_core.exceptions import did_you_mean
from rasa_core.teaching.questions import TeachingError
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.event_log import applied_positions
from rasa_core.turn import TurnProcessor

CORRECTED: Final = "corrected"
"""In the metadata of a message whose intent or entities somebody has chosen."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What is right at a step.

    Attributes
    ----------
    at : int
        How many events of the conversation stay; the one that follows is put right.
    action : str or None
        The right action; None where a message is corrected.
    intent, entities
        The right meaning of a message; no entities if None.
    """

    at: int
    action: str | None = None
    intent: str | None = None
    entities: tuple[Mapping[str, Any], ...] | None = None

    def beginning(self, events: Sequence[Event]) -> list[Event]:
        """Return what stays of a conversation; raise `TeachingError` if there is no such step."""
        if not 0 <= self.at <= len(events):
            raise TeachingError(f"a conversation of {len(events)} events has no step {self.at}.")
        return [event for event in events[: self.at] if not isinstance(event, StoryExported)]


def take_action(turns: TurnProcessor, tracker: DialogueStateTracker, action: str) -> None:
    """Let an action be the next one because somebody says so, wherever it runs.

    Raises
    ------
    UnknownActionError
        If the domain has none of this name.
    """
    turns.domain.index_for_action(action)
    tracker.update(FollowupAction(action))


def take_message(
    turns: TurnProcessor,
    tracker: DialogueStateTracker,
    message: Event | None,
    intent: str,
    entities: Iterable[Mapping[str, Any]] | None,
) -> None:
    """Let the user say a message again, with the meaning that somebody has chosen.

    Raises
    ------
    TeachingError, EventError
        If there is no message, the domain does not have the intent, or the entities are none.
    """
    if not isinstance(message, UserUttered):
        raise TeachingError("this step is no message of the user; its action can be corrected.")
    turns.take_message(tracker, corrected_message(message, intent, entities, turns.domain))


def corrected_message(
    message: UserUttered, intent: str, entities: Iterable[Mapping[str, Any]] | None, domain: Domain
) -> UserUttered:
    """Return a message with the meaning that somebody has chosen; its entities stay if none are given.

    Raises
    ------
    TeachingError, EventError
        If the domain does not have the intent, or the entities are none.
    """
    check_intent(intent, domain)
    found = message.entities if entities is None else [dict(entity) for entity in entities]
    chosen = {"name": intent, "confidence": 1.0}
    parse_data = {**message.parse_data, "intent": chosen, "intent_ranking": [dict(chosen)], "entities": found}
    check_parse_data(parse_data)
    return UserUttered(message.text, chosen, found, parse_data, metadata={**(message.metadata or {}), CORRECTED: True})


def check_intent(intent: str, domain: Domain) -> None:
    """Raise `TeachingError` if the domain does not have an intent."""
    if intent not in domain.intents:
        raise TeachingError(f"the domain has no intent {intent!r:.80}.{did_you_mean(intent, domain.intents)}")


# -- what a conversation teaches


def story_of(tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
    """Return the events of the latest story of a conversation, without what a story says by itself.

    Slots that an entity of the message sets are left out where stories set them anyway.
    """
    found: list[Event] = []
    implied: list[Event] = []
    for event in tracker.applied_events():
        if isinstance(event, UserUttered):
            implied = [] if domain.rasa is not None else list(domain.slots_for_entities(event.entities))
        elif isinstance(event, SlotSet) and event in implied:
            implied.remove(event)
            continue
        elif isinstance(event, ActionExecuted):
            implied = []
        is_told = not isinstance(event, FollowupAction) and event.as_story_string() is not None
        if is_told and not _asks(event):
            found.append(event)
    last = max((index for index, event in enumerate(found) if _is_done(event)), default=-1)
    return found[: last + 1 + _following(found, last)]


def _asks(event: Event) -> bool:
    """Tell whether a form asks for a slot, which it does by itself."""
    return isinstance(event, SlotSet) and event.key == "requested_slot" and event.value is not None


def _is_done(event: Event) -> bool:
    return isinstance(event, ActionExecuted) and event.action_name != ACTION_LISTEN_NAME


def _following(events: Sequence[Event], last: int) -> int:
    """Return how many events after the last action came of it."""
    count = 0
    for event in events[last + 1 :]:
        if isinstance(event, ActionExecuted | UserUttered):
            break
        count += 1
    return count


def latest_turn(events: Sequence[Event]) -> list[Event]:
    """Return the latest message of a story that was answered, and what came of it."""
    starts = [index for index, event in enumerate(events) if isinstance(event, UserUttered)]
    return list(events[starts[-1] :]) if starts else []


def is_alone(turn: Sequence[Event], stories: Iterable[Sequence[Event]]) -> bool:
    """Tell whether a turn depends on nothing but its message: no story answers that intent in another way.

    A turn in which slots are set, or the message has entities, may depend on them.
    """
    if not turn or any(isinstance(event, SlotSet) for event in turn):
        return False
    message = turn[0]
    assert isinstance(message, UserUttered)
    mine = _actions(turn)
    others = [
        _actions(story[index:])
        for story in stories
        for index, event in enumerate(story)
        if isinstance(event, UserUttered) and event.intent.get("name") == message.intent.get("name")
    ]
    return not message.entities and all(other == mine for other in others)


def _actions(events: Iterable[Event]) -> list[str]:
    """Return the actions up to the next message."""
    found: list[str] = []
    for number, event in enumerate(events):
        if number and isinstance(event, UserUttered):
            break
        if _is_done(event):
            assert isinstance(event, ActionExecuted)
            found.append(event.action_name)
    return found


def corrected_messages(tracker: DialogueStateTracker) -> list[UserUttered]:
    """Return the messages whose meaning somebody has chosen, answers to a form too, which no story tells."""
    events = tracker.events_after_latest_restart()
    left = (events[position] for position in applied_positions(events))
    found = (event for event in left if isinstance(event, UserUttered))
    return [event for event in found if (event.metadata or {}).get(CORRECTED)]
