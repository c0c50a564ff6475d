"""The state of one conversation: the fold of its events.

A tracker is changed by `DialogueStateTracker.update` alone. It is made from events, or from the *snapshot* of
an earlier tracker, which is bounded and enough to go on from. A tracker from a snapshot reads the log only
where the past itself is asked for: `events`, rewinding, undoing, travelling in time.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from rasa_core.conversation import Dialogue as Dialogue
from rasa_core.event_base import independent
from rasa_core.event_log import EventLog, ReadEvents
from rasa_core.events import ACTION_LISTEN_NAME, deserialise_events
from rasa_core.events import ActionExecuted as ActionExecuted
from rasa_core.events import ActionReverted as ActionReverted
from rasa_core.events import AgentUttered as AgentUttered
from rasa_core.events import AllSlotsReset as AllSlotsReset
from rasa_core.events import BotUttered as BotUttered
from rasa_core.events import ConversationPaused as ConversationPaused
from rasa_core.events import ConversationResumed as ConversationResumed
from rasa_core.events import Event as Event
from rasa_core.events import FollowupAction as FollowupAction
from rasa_core.events import ReminderScheduled as ReminderScheduled
from rasa_core.events import Restarted as Restarted
from rasa_core.events import SlotSet as SlotSet
from rasa_core.events import StoryExported as StoryExported
from rasa_core.events import TopicSet as TopicSet
from rasa_core.events import UserUtteranceReverted as UserUtteranceReverted
from rasa_core.events import UserUttered as UserUttered
from rasa_core.history import History, State, compute_state
from rasa_core.slots import Slot

if TYPE_CHECKING:
    from rasa_core.domain import Domain

logger = logging.getLogger(__name__)

_NO_MESSAGE = UserUttered.empty()
_NO_UTTERANCE = BotUttered.empty()


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
        self._replaying = False
        self._state: State | None = None
        self.latest_message = _NO_MESSAGE
        self.latest_bot_utterance = _NO_UTTERANCE
        self.latest_action_name: str | None = None
        self.follow_up_action: str | None = None
        self._paused: bool = False
        # What `detach` has made.
        self._own_message: UserUttered | None = None
        self._own_bot: BotUttered | None = None
        self._own_values: dict[str, object] = {}

    # -- made from events, or from a snapshot

    @classmethod
    def from_events(cls, sender_id: str, events: Iterable[Event], domain: Domain, window: int | None = None) -> Self:
        """Fold `events` into a tracker with the slots of `domain` and a history of `window` states."""
        tracker = cls(sender_id, domain.slots, history=History(window, domain.vocabulary))
        for event in events:
            tracker.update(event)
        return tracker

    @classmethod
    def from_dict(cls, sender_id: str, dump_as_dict: Iterable[Mapping[str, Any]], domain: Domain) -> Self:
        """Fold events in their JSON form into a tracker."""
        return cls.from_events(sender_id, deserialise_events(dump_as_dict), domain)

    @classmethod
    def from_snapshot(
        cls,
        sender_id: str,
        domain: Domain,
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
        tracker._restore(snapshot)
        tracker._continue_at(version, origin, read_events)
        return tracker

    def detach(self) -> None:
        """Share nothing that can be changed with whoever made the events, so that the tracker can be kept.

        Only for a tracker from a snapshot, after its events were stored.
        """
        self._stored = None
        message, bot = self.latest_message, self.latest_bot_utterance
        if message is not _NO_MESSAGE and message is not self._own_message:
            parse_data = independent(message.parse_data)
            message = UserUttered(message.text, parse_data=parse_data, timestamp=message.timestamp)
            self.latest_message = self._own_message = message
        if bot.data and bot is not self._own_bot:
            self.latest_bot_utterance = self._own_bot = BotUttered(bot.text, independent(bot.data), bot.timestamp)
        for name, slot in self.slots.items():
            if self._own_values.get(name) is not slot.value:
                slot.value = self._own_values[name] = independent(slot.value)

    def snapshot(self) -> dict[str, Any]:
        """Return all that the next turn needs: JSON-able, and no larger for a longer conversation."""
        message = self.latest_message
        bot = self.latest_bot_utterance
        said = message is not _NO_MESSAGE
        return {
            "slots": {name: slot.value for name, slot in self.slots.items() if not _is_initial(slot)},
            "message": [message.text, message.parse_data, message.timestamp] if said else None,
            "bot": None if bot is _NO_UTTERANCE else [bot.text, bot.data, bot.timestamp],
            "action": self.latest_action_name,
            "paused": self._paused,
            "followup": self.follow_up_action,
            "time": self.latest_event_time,
            "restarted_at": self._restarted_at,
            "history": self.history.snapshot(),
        }

    def _restore(self, snapshot: Mapping[str, Any]) -> None:
        for name, value in snapshot["slots"].items():
            if name in self.slots:
                self.slots[name].value = value
        if snapshot["message"] is not None:
            text, parse_data, stamp = snapshot["message"]
            self.latest_message = UserUttered(text, parse_data=parse_data, timestamp=stamp)
        if snapshot["bot"] is not None:
            self.latest_bot_utterance = BotUttered(*snapshot["bot"])
        self.latest_action_name = snapshot["action"]
        self._paused = snapshot["paused"]
        self.follow_up_action = snapshot["followup"]
        self.latest_event_time = snapshot["time"]
        self._restarted_at = snapshot["restarted_at"]
        self.history.restore(snapshot["history"])

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
        self._pending.append(event)
        self.latest_event_time = event.timestamp
        event.apply_to(self)

    def replay_events(self) -> None:
        """Compute the state anew from the applied events."""
        applied = self.applied_events()
        self._reset()
        if self._restarted_at > self.origin:
            self.follow_up_action = ACTION_LISTEN_NAME
        with self._without_side_effects():
            for event in applied:
                event.apply_to(self)

    @contextmanager
    def _without_side_effects(self) -> Iterator[None]:
        before, self._replaying = self._replaying, True
        try:
            yield
        finally:
            self._replaying = before

    def _follow(self, events: Iterable[Event]) -> Self:
        """Append events that have happened before, in another tracker."""
        with self._without_side_effects():
            for event in events:
                self.update(event)
        return self

    def trigger_follow_up_action(self, action: Any) -> None:
        """Fix the next action, given by name or as an `Action`."""
        self.update(FollowupAction(action if isinstance(action, str) else action.name()))

    def clear_follow_up_action(self) -> None:
        """Let the policies choose the next action again."""
        if self.follow_up_action is not None:
            self.update(FollowupAction(None))

    def _reset(self) -> None:
        self.latest_message = _NO_MESSAGE
        self.latest_bot_utterance = _NO_UTTERANCE
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

    def _on_export(self, path: str) -> None:
        if not self._replaying:
            self.export_stories_to_file(path)

    # -- questions

    def active_state(self) -> State:
        """Return the state in which the next action is chosen: feature name to value; not to be changed."""
        if self._state is None:
            self._state = self._compute_state()
        return self._state

    def _compute_state(self) -> State:
        vocabulary = self.history.vocabulary
        return compute_state(self.latest_message, self.slots.values(), self.latest_action_name, vocabulary)

    def past_states(self, domain: Domain) -> list[State]:
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


def _is_initial(slot: Slot) -> bool:
    """Tell whether the value, as JSON, is the initial one; 1, 1.0 and True are not the same here."""
    value, initial = slot.value, slot.initial_value
    return value is initial or (type(value) is type(initial) and repr(value) == repr(initial))


@lru_cache(maxsize=1000)
def _warn_about_slot(key: str) -> None:
    logger.warning("the slot %r is not in the domain; its value is not set. This is told once.", key)
