"""The state of one conversation: the fold of its events.

A tracker is changed by `DialogueStateTracker.update` alone. It is made from events, or from the *snapshot* of
an earlier tracker, which is bounded and enough to go on from. A tracker from a snapshot reads the log only
where the past itself is asked for: `events`, rewinding, undoing, travelling in time.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol, Self

from rasa_core import events as _events
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    Event,
    FollowupAction,
    StoryExported,
    UserUttered,
    deserialise_events,
)
from rasa_core.history import History, State, Vocabulary, compute_state
from rasa_core.slots import Slot
from rasa_core.trackers.event_log import Dialogue as Dialogue
from rasa_core.trackers.event_log import EventLog, ReadEvents
from rasa_core.trackers.snapshots import NO_MESSAGE, NO_UTTERANCE, Independent, restore_snapshot, take_snapshot


class KnowsSlots(Protocol):
    """What a tracker needs to know of a domain."""

    slots: list[Slot]

    @property
    def vocabulary(self) -> Vocabulary: ...  # noqa: D102

    def states_for_tracker_history(self, tracker: Any) -> list[State]: ...  # noqa: D102


logger = logging.getLogger(__name__)


class DialogueStateTracker(EventLog):
    """One conversation: what was said, what the bot did, and what it remembers.

    Parameters
    ----------
    sender_id
        Identifies the conversation.
    slots
        The slots of the domain; they are copied.
    topics, default_topic
        Accepted and ignored.
    max_event_history
        How many events `events` holds at most; None for all.
    history
        Where states and counts are kept; without one, all states are kept.

    Attributes
    ----------
    slots : dict of str to Slot
        What the bot remembers now.
    latest_message : UserUttered
        What the user said last.
    latest_action_name : str or None
        What the bot did last.
    latest_bot_utterance : BotUttered
        What the bot said last.
    follow_up_action : str or None
        The next action, where it is fixed.
    latest_event_time : float or None
        Unix time of the last event, in seconds.
    history : History
        What policies see.
    """

    def __init__(
        self,
        sender_id: str,
        slots: Iterable[Slot],
        topics: object = None,
        default_topic: object = None,
        max_event_history: int | None = None,
        *,
        history: History | None = None,
    ) -> None:
        super().__init__(sender_id, max_event_history)
        self.slots = {slot.name: slot.fresh() for slot in slots}
        self.history = history if history is not None else History()
        self.latest_event_time: float | None = None
        self._state: State | None = None
        self.latest_message = NO_MESSAGE
        self.latest_bot_utterance = NO_UTTERANCE
        self.latest_action_name: str | None = None
        self.follow_up_action: str | None = None
        self._paused: bool = False
        self._own = Independent()

    # -- made from events, or from a snapshot

    @classmethod
    def from_events(
        cls, sender_id: str, events: Iterable[Event], domain: KnowsSlots, window: int | None = None
    ) -> Self:
        """Fold `events` into a tracker with the slots of `domain` and a history of `window` states."""
        tracker = cls(sender_id, domain.slots, history=History(window, domain.vocabulary))
        for event in events:
            tracker.update(event)
        return tracker

    @classmethod
    def from_dict(cls, sender_id: str, dump_as_dict: Iterable[Mapping[str, Any]], domain: KnowsSlots) -> Self:
        """Fold events in their JSON form into a tracker."""
        return cls.from_events(sender_id, deserialise_events(dump_as_dict), domain)

    @classmethod
    def from_snapshot(
        cls,
        sender_id: str,
        domain: KnowsSlots,
        snapshot: Mapping[str, Any],
        *,
        version: int,
        origin: int,
        window: int | None,
        read_events: ReadEvents,
    ) -> Self:
        """Go on from a `snapshot`, without reading the log.

        Parameters
        ----------
        snapshot
            What `snapshot` returned, with the same domain and window.
        version, origin
            Number of events in the log, and position of the first that counts.
        read_events
            ``read_events(start, stop)`` returns the events ``start <= position < stop``.
        """
        tracker = cls(sender_id, domain.slots, history=History(window, domain.vocabulary))
        restore_snapshot(tracker, snapshot)
        tracker._continue_at(version, origin, read_events)
        return tracker

    def snapshot(self) -> dict[str, Any]:
        """Return all that the next turn needs: JSON-able, and no larger for a longer conversation."""
        return take_snapshot(self)

    def detach(self) -> None:
        """Share nothing that can be changed with whoever made the events, so that the tracker can be kept.

        Only for a tracker from a snapshot, after its events were stored.
        """
        self._stored = None
        self._own.take_over(self)

    # -- change

    def update(self, event: Event) -> None:
        """Append `event` to the log and change the state accordingly.

        Raises
        ------
        ValueError
            If `event` is not an `Event`.
        """
        if not isinstance(event, Event):
            raise ValueError(f"a tracker is updated with an Event, not with {event!r:.100}.")
        self._append(event)
        if isinstance(event, StoryExported) and event.path is not None:
            self.export_stories_to_file(event.path)

    def _append(self, event: Event) -> None:
        self._pending.append(event)
        self.latest_event_time = event.timestamp
        event.apply_to(self)

    def fold(self, event: Event) -> None:
        """Change the state as the type of `event` says; types of users' own change what their `apply_to` changes."""
        change = _FOLDS.get(event.type_name)
        if change is not None:
            change(self, event)

    def replay_events(self) -> None:
        """Compute the state anew from the applied events."""
        applied = self.applied_events()
        self._reset()
        if self._restarted_at > self.origin:
            self.follow_up_action = ACTION_LISTEN_NAME
        for event in applied:
            event.apply_to(self)

    def _follow(self, events: Iterable[Event]) -> Self:
        """Append events that have happened before, in another tracker."""
        for event in events:
            self._append(event)
        return self

    def trigger_follow_up_action(self, action: Any) -> None:
        """Fix the next action, given by name or as an `Action`."""
        self.update(FollowupAction(action if isinstance(action, str) else action.name()))

    def clear_follow_up_action(self) -> None:
        """Let the policies choose the next action again."""
        if self.follow_up_action is not None:
            self.update(FollowupAction(None))

    def _reset(self) -> None:
        self.latest_message = NO_MESSAGE
        self.latest_bot_utterance = NO_UTTERANCE
        self.latest_action_name = None
        self.follow_up_action = None
        self._paused = False
        self.history.clear()
        self._on_reset_slots()

    def _on_user(self, event: UserUttered) -> None:
        self.latest_message = event
        if self.follow_up_action == ACTION_LISTEN_NAME:
            self.follow_up_action = None
        self._state = None
        entities = ((str(entity["entity"]), entity.get("value")) for entity in event.entities)
        self.history.record_user(event.intent.get("name"), entities)

    def _on_action(self, action_name: str) -> None:
        self.history.record_action(self.active_state(), action_name)
        self.latest_action_name = action_name
        self.follow_up_action = None
        self._state = None

    def _on_slot(self, key: str, value: Any) -> None:
        slot = self.slots.get(key)
        if slot is None:
            _warn_about_slot(key)
            return
        self._set_value(slot, value)
        self._state = None
        if slot.has_features():
            self.history.record_slot(key, value)

    def _set_value(self, slot: Slot, value: Any) -> None:
        slot.value = value

    def _on_reset_slots(self) -> None:
        for slot in self.slots.values():
            slot.reset()
        self._state = None

    def _on_restart(self) -> None:
        self._reset()
        self._restarted_at = self.version
        self.follow_up_action = ACTION_LISTEN_NAME

    # -- questions

    def active_state(self) -> State:
        """Return the state in which the next action is chosen: feature name to value; not to be changed."""
        if self._state is None:
            self._state = self._compute_state()
        return self._state

    def _compute_state(self) -> State:
        vocabulary = self.history.vocabulary
        return compute_state(self.latest_message, self.slots.values(), self.latest_action_name, vocabulary)

    def past_states(self, domain: KnowsSlots) -> list[State]:
        """Return the state before each action since the latest restart, and the present one."""
        return domain.states_for_tracker_history(self)

    def last_states(self, count: int | None) -> list[State]:
        """Return up to `count` states (None: all), the present one last."""
        if count == 1:
            return [self.active_state()]
        history = self.history
        if not history.reaches(None if count is None else count - 1):
            history = self.init_copy()._follow(self.applied_events()).history
        states = [*history.states, self.active_state()]
        return states if count is None else states[max(0, len(states) - count) :]

    def current_state(
        self, should_include_events: bool = False, only_events_after_latest_restart: bool = False
    ) -> dict[str, Any]:
        """Return the state as JSON-able data; values that are lists or objects are those of the tracker itself.

        Parameters
        ----------
        should_include_events
            Whether ``"events"`` is the list of events or None.
        only_events_after_latest_restart
            Whether that list starts after the latest restart.
        """
        events = None
        if should_include_events:
            chosen = self.events_after_latest_restart() if only_events_after_latest_restart else self.events
            events = [event.as_dict() for event in chosen]
        return {
            "sender_id": self.sender_id,
            "slots": self.current_slot_values(),
            "latest_message": dict(self.latest_message.parse_data),
            "latest_event_time": self.latest_event_time,
            "paused": self._paused,
            "events": events,
        }

    def current_slot_values(self) -> dict[str, Any]:
        """Return the value of every slot."""
        return {name: slot.value for name, slot in self.slots.items()}

    def get_slot(self, key: str) -> Any:
        """Return the value of a slot; None, with a log entry, if there is no such slot."""
        if key in self.slots:
            return self.slots[key].value
        logger.info("tried to read the slot %r, which the domain does not have.", key)
        return None

    def get_latest_entity_values(self, entity_type: str) -> Iterator[Any]:
        """Yield the values of one kind of entity in the latest message."""
        entities = self.latest_message.entities
        return (entity.get("value") for entity in entities if entity.get("entity") == entity_type)

    def is_paused(self) -> bool:
        """Tell whether the bot is silent because somebody else has taken over."""
        return self._paused

    # -- copies

    def init_copy(self) -> Self:
        """Return a tracker of the same conversation with no events."""
        history = History(None, self.history.vocabulary)
        slots = self.slots.values()
        return type(self)(self.sender_id, slots, max_event_history=self._max_event_history, history=history)

    def copy(self) -> Self:
        """Return an independent tracker with the same events."""
        return self.init_copy()._follow(self.events)

    def travel_back_in_time(self, target_time: float) -> Self:
        """Return a tracker with the events up to and including `target_time` (Unix time in seconds)."""
        return self.init_copy()._follow(event for event in self.events if event.timestamp <= target_time)

    def generate_all_prior_trackers(self) -> Generator[DialogueStateTracker, None, None]:
        """Yield the tracker before each action, and as it is now; one object, changed between yields."""
        twin = self.init_copy()
        for event in self.applied_events():
            if isinstance(event, ActionExecuted):
                yield twin
            twin._follow([event])
        yield twin

    def recreate_from_dialogue(self, dialogue: Dialogue) -> None:
        """Replace everything by the events of a dialogue.

        Raises
        ------
        ValueError
            If `dialogue` is not a `Dialogue`.
        """
        if not isinstance(dialogue, Dialogue):
            raise ValueError(f"expected a Dialogue, not {type(dialogue).__name__}.")
        self._forget()
        self._reset()
        self.latest_event_time = None
        self._follow(dialogue.events)

    @property
    def topic(self) -> None:
        """None: topics are gone."""
        warnings.warn("topics are ignored.", DeprecationWarning, stacklevel=2)

    previous_topic = topic


@lru_cache(maxsize=1000)
def _warn_about_slot(key: str) -> None:
    logger.warning("the slot %r is not in the domain; its value is not set. This is told once.", key)


_FOLDS: Mapping[str, Callable[[DialogueStateTracker, Any], object]] = {
    "user": lambda tracker, event: tracker._on_user(event),
    "bot": lambda tracker, event: setattr(tracker, "latest_bot_utterance", event),
    "action": lambda tracker, event: tracker._on_action(event.action_name),
    "slot": lambda tracker, event: tracker._on_slot(event.key, event.value),
    "reset_slots": lambda tracker, event: tracker._on_reset_slots(),
    "followup": lambda tracker, event: setattr(tracker, "follow_up_action", event.action_name),
    "restart": lambda tracker, event: tracker._on_restart(),
    "rewind": lambda tracker, event: tracker.replay_events(),
    "undo": lambda tracker, event: tracker.replay_events(),
    "pause": lambda tracker, event: setattr(tracker, "_paused", True),
    "resume": lambda tracker, event: setattr(tracker, "_paused", False),
}
"""What each type of event does to the state; other types are kept in the log alone."""


def __getattr__(name: str) -> Any:
    """Return one of the events, which programs for 0.9 import from here."""
    return getattr(_events, name)
