"""Corrections of a conversation: another action, another meaning of a message, or a step back.

Interactive training, which corrects a running conversation (`rasa_core.teaching.session`), and the inspector, which
corrects a step of a recorded conversation, use the same functions. The inspector never changes the recorded
conversation: it plays the correction in a copy, the draft. A draft is an ordinary stored conversation, so it survives a
crash, and can be continued, corrected again, and saved as a story.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    ActionReverted,
    Event,
    FollowupAction,
    Restarted,
    SlotSet,
    StoryExported,
    UserUtteranceReverted,
    UserUttered,
    check_parse_data,
)
from rasa_core.exceptions import EventError, StoryParseError, did_you_mean
from rasa_core.policies.policy import Prediction
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.teaching.questions import TeachingError
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.event_log import applied_positions, story_lines
from rasa_core.turn import TurnProcessor

CORRECTED: Final = "corrected"
"""The key in the metadata of a message whose intent or entities a person has chosen."""
DRAFT_MARK: Final = " \N{RIGHTWARDS ARROW} "
"""The part of a draft's id between the id of the corrected conversation and a number."""


@dataclass(frozen=True, slots=True)
class Correction:
    """The correction of a step.

    Attributes
    ----------
    at : int
        The number of events that stay; the event after them is corrected.
    action : str or None
        The right action; None to correct a message.
    intent, entities
        The right intent and entities of a message; no entities if None.
    """

    at: int
    action: str | None = None
    intent: str | None = None
    entities: tuple[Mapping[str, Any], ...] | None = None

    def beginning(self, events: Sequence[Event]) -> list[Event]:
        """Return the events that stay; raise `TeachingError` if there is no such step."""
        if not 0 <= self.at <= len(events):
            raise TeachingError(f"a conversation of {len(events)} events has no step {self.at}.")
        return [event for event in events[: self.at] if not isinstance(event, StoryExported)]


def right_action(action: str, domain: Domain) -> Prediction:
    """Return the prediction of a person: the action with confidence 1."""
    return Prediction(action, 1.0, None, {name: float(name == action) for name in domain.action_names})


def take_message(
    turns: TurnProcessor,
    tracker: DialogueStateTracker,
    message: Event | None,
    intent: str,
    entities: Iterable[Mapping[str, Any]] | None,
) -> None:
    """Log the message of a recorded conversation again, with the intent and entities that a person has chosen.

    Raises
    ------
    TeachingError, EventError
        If there is no message, the domain does not have the intent, or the entities are invalid.
    """
    if not isinstance(message, UserUttered):
        raise TeachingError("this step is no message of the user; its action can be corrected.")
    turns.take_message(tracker, corrected_message(message, intent, entities, turns.domain))


def correct_message(
    tracker: DialogueStateTracker,
    intent: str,
    entities: Iterable[Mapping[str, Any]] | None,
    domain: Domain,
    turns: TurnProcessor | None = None,
) -> None:
    """Take back the latest message with all events after it, and log it again with its right intent and entities.

    `TeachingError` or `EventError` is raised first if the domain does not have the intent, or the entities are invalid.
    """
    again = corrected_message(tracker.latest_message, intent, entities, domain)
    _take_message_back(tracker)
    if turns is not None:
        turns.take_message(tracker, again)
        return
    tracker.update(again)
    for event in domain.slots_for_entities(again.entities):
        tracker.update(event)


def corrected_message(
    message: UserUttered, intent: str, entities: Iterable[Mapping[str, Any]] | None, domain: Domain
) -> UserUttered:
    """Return a message with the intent and entities that a person has chosen; without entities, the old ones stay.

    Raises
    ------
    TeachingError, EventError
        If the domain does not have the intent, or the entities are invalid.
    """
    check_intent(intent, domain)
    found = message.entities if entities is None else list(entities)
    if not all(isinstance(entity, Mapping) for entity in found):
        raise TeachingError('an entity is an object, such as {"entity": "city", "value": "Porto"}.')
    found = [dict(entity) for entity in found]
    chosen = {"name": intent, "confidence": 1.0}
    parse_data = {**message.parse_data, "intent": chosen, "intent_ranking": [dict(chosen)], "entities": found}
    check_parse_data(parse_data)
    return UserUttered(message.text, chosen, found, parse_data, metadata={**(message.metadata or {}), CORRECTED: True})


def check_intent(intent: str, domain: Domain) -> None:
    """Raise `TeachingError` if the domain does not have an intent."""
    if intent not in domain.intents:
        raise TeachingError(f"the domain has no intent {intent!r:.80}.{did_you_mean(intent, domain.intents)}")


# -- what is typed


def read_events(line: str) -> list[Event]:
    """Return the events of a story line, with or without its bullet; raise `EventError` for any other line."""
    text = line.strip().removeprefix("-").strip()
    try:
        steps = StoryFileReader().process_lines(["## typed", f"- {text}"])
    except StoryParseError as error:
        raise EventError(error.message) from error
    events = [event for step in steps for event in step.events]
    for event in events:
        if isinstance(event, ActionExecuted | UserUttered):
            raise EventError(f'{text[:80]!r} is no event. An event is like slot{{"city": "Porto"}} or reset_slots.')
    return events


# -- going back


def go_back(tracker: DialogueStateTracker) -> ActionExecuted | None:
    """Take the latest action back, or the message if none followed it; return the action.

    Raises
    ------
    TeachingError
        If the user has said nothing yet.
    """
    latest = latest_step(tracker)
    if not has_message(tracker):
        raise TeachingError("there is nothing to take back: the story has just begun.")
    if isinstance(latest, ActionExecuted):
        tracker.update(ActionReverted())
        return latest
    _take_message_back(tracker)
    return None


def _take_message_back(tracker: DialogueStateTracker) -> None:
    tracker.update(UserUtteranceReverted())
    tracker.update(ActionExecuted(ACTION_LISTEN_NAME))  # The bot listens again, as it did before the message.


def latest_step(tracker: DialogueStateTracker) -> Event | None:
    """Return the last message or action that was not taken back; None at the beginning of a story."""
    applied = reversed(tracker.applied_events())
    return next((event for event in applied if isinstance(event, ActionExecuted | UserUttered)), None)


def has_message(tracker: DialogueStateTracker) -> bool:
    """Tell whether there is a user message that was not taken back."""
    return any(isinstance(event, UserUttered) for event in tracker.applied_events())


# -- what a conversation teaches


def taught_stories(events: Iterable[Event], domain: Domain) -> list[DialogueStateTracker]:
    """Return a conversation as stories, one between two restarts; the name of each comes from its content.

    Messages without an intent, messages that restart the bot, and a last message without an answer are left out.
    """
    found = {}
    for part in stories_between_restarts(events, domain):
        beginning, *turns = _split(part, UserUttered)
        while turns and not any(isinstance(event, ActionExecuted) for event in turns[-1]):
            turns.pop()
        told = [turn for turn in turns if _intent(turn[0]) not in (None, "", domain.restart_intent)]
        if told:
            story = [*beginning, *(event for turn in told for event in turn)]
            lines = "\n".join(story_lines(story)).encode("utf-8", "surrogatepass")
            name = f"taught {hashlib.blake2b(lines, digest_size=6).hexdigest()}"
            found[name] = DialogueStateTracker.from_events(name, story, domain)
    return list(found.values())


def stories_between_restarts(events: Iterable[Event], domain: Domain) -> Iterator[list[Event]]:
    """Yield the events between two restarts that were not taken back."""
    for part in _split(events, Restarted):
        yield DialogueStateTracker.from_events("", part, domain).applied_events()


def _split(events: Iterable[Event], kind: type[Event]) -> list[list[Event]]:
    """Return events in parts, of which each but the first begins with an event of the kind."""
    parts: list[list[Event]] = [[]]
    for event in events:
        if isinstance(event, kind):
            parts.append([])
        parts[-1].append(event)
    return parts


def _intent(event: Event) -> str | None:
    return event.intent.get("name") if isinstance(event, UserUttered) else None


def story_of(tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
    """Return the events of the latest story of a conversation, without the events that a story implies.

    Slots that an entity sets are left out if stories imply them.
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
    """Tell whether an event is the question of a form for a slot, which stories leave out."""
    return isinstance(event, SlotSet) and event.key == "requested_slot" and event.value is not None


def _is_done(event: Event) -> bool:
    return isinstance(event, ActionExecuted) and event.action_name != ACTION_LISTEN_NAME


def _following(events: Sequence[Event], last: int) -> int:
    """Return the number of events after the last action that belong to it."""
    count = 0
    for event in events[last + 1 :]:
        if isinstance(event, ActionExecuted | UserUttered):
            break
        count += 1
    return count


def latest_turn(events: Sequence[Event]) -> list[Event]:
    """Return the latest answered message of a story, and the events after it."""
    _, *turns = _split(events, UserUttered)
    return turns[-1] if turns else []


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
        if isinstance(event, UserUttered) and _intent(event) == _intent(message)
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
    """Return the messages that a person has corrected, including answers to a form, which no story has."""
    events = tracker.events_after_latest_restart()
    left = (events[position] for position in applied_positions(events))
    found = (event for event in left if isinstance(event, UserUttered))
    return [event for event in found if (event.metadata or {}).get(CORRECTED)]
