"""The state of one conversation: the fold of its events.

Only `DialogueStateTracker.update` changes a tracker. A tracker is made from events, or from the *snapshot* of
an earlier tracker, whose size is bounded. A tracker from a snapshot reads the log only for questions about the past:
`events`, rewinding, undoing, travelling in time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from typing import Any, Self

from rasa_core import events as _events
from rasa_core.events import ActionExecuted, Event, FollowupAction, StoryExported, deserialise_events
from rasa_core.events.base import SESSION_START
from rasa_core.history import History, State
from rasa_core.rasa3.history import history_for
from rasa_core.slots import Slot
from rasa_core.trackers.event_log import Dialogue as Dialogue
from rasa_core.trackers.event_log import EventLog, ReadEvents
from rasa_core.trackers.rasa_log import rasa_state
from rasa_core.trackers.state import ConversationState, Independent, KnowsSlots, restore_snapshot, take_snapshot
from rasa_core.trackers.state import Expected as Expected
from rasa_core.trackers.state import expected_in as expected_in


class DialogueStateTracker(EventLog, ConversationState):
    """One conversation: its messages and actions, and the slots.

    The bot *listens* if its latest action is ``action_listen`` and no message has come since. The bot listens before
    every message: `rasa_core.turn.TurnProcessor.log_message` logs ``action_listen`` if it is missing. Three events take
    back a part of the conversation; its log stays as it is, and fewer of its events count:

    - A rewind takes back the latest message, all events after it, and the ``action_listen`` before it, if that is then
      the latest action. Other events before the message stay, such as slots and a pause that a caller has sent. The
      next action is to listen (`must_listen`), and the state is the one before the message.
    - An undo takes back the latest action and all events after it. If that action is ``action_listen``, events between
      it and the next message stay. Then the policies predict the next action again.
    - A restart takes back everything, and the next action is to listen.

    Parameters
    ----------
    sender_id
        Identifies the conversation.
    slots
        The slots of the domain; they are copied.
    topics, default_topic
        Accepted and ignored.
    max_event_history
        The largest number of events in `events`; None for all.
    history
        The history of states and counts; without one, all states are kept.

    Attributes
    ----------
    slots : dict of str to Slot
        The slots with their current values.
    latest_message : UserUttered
        The latest message of the user.
    latest_action_name : str or None
        The latest action.
    latest_action_failed : bool
        Whether the latest action failed.
    latest_bot_utterance : BotUttered
        The latest message of the bot.
    follow_up_action : str or None
        The next action, if an event has fixed it.
    must_listen : bool
        Whether the next action is to listen, even if another action is fixed for the time after that.
    expected : Expected or None
        The action that a caller was told to run and has not reported yet; no event has it.
    latest_event_time : float or None
        Unix time of the last event, in seconds.
    history : History
        The past states, which policies see.
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
        EventLog.__init__(self, sender_id, max_event_history)
        ConversationState.__init__(self, slots, history if history is not None else History())
        self._own = Independent()

    # -- made from events, or from a snapshot

    @classmethod
    def from_events(
        cls, sender_id: str, events: Iterable[Event], domain: KnowsSlots, window: int | None = None
    ) -> Self:
        """Fold `events` into a tracker with the slots of `domain` and a history of `window` states."""
        tracker = cls(sender_id, domain.slots, history=history_for(window, domain.vocabulary))
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
        """Return a tracker with the state of a `snapshot`, without reading the log.

        Parameters
        ----------
        snapshot
            The result of `snapshot`, with the same domain and window.
        version, origin
            The number of events in the log, and the position of the first event that counts.
        read_events
            ``read_events(start, stop)`` returns the events ``start <= position < stop``.
        """
        tracker = cls(sender_id, domain.slots, history=history_for(window, domain.vocabulary))
        restore_snapshot(tracker, snapshot)
        tracker._continue_at(version, origin, read_events)
        return tracker

    def snapshot(self) -> dict[str, Any]:
        """Return the state that the next turn needs, as JSON of bounded size."""
        return take_snapshot(self)

    def detach(self) -> None:
        """Copy all mutable data that callers gave to the tracker, so that a cache can keep the tracker.

        Only for a tracker from a snapshot, after its events were stored.
        """
        # Stored events are dropped, and read from the store if needed, so that a cached tracker does not grow.
        self._stored = None
        self._own.take_over(self)

    # -- change

    def update(self, event: Event) -> None:
        """Append `event` to the log and change the state accordingly.

        All values enter a conversation here: values that are not JSON are converted to JSON.

        Raises
        ------
        ValueError
            If `event` is not an `Event`.
        EventError
            If `event` has a value without a form in JSON, which no log could hold.
        """
        if not isinstance(event, Event):
            raise ValueError(f"a tracker is updated with an Event, not with {event!r:.100}.")
        self.enter(event.storable())

    def enter(self, event: Event) -> None:
        """Append an event that `Event.storable` returned, so that `update` need not convert it again."""
        # From now on the time of the event is fixed as well.
        object.__setattr__(event, "_is_logged", True)
        self.take(event)
        if isinstance(event, StoryExported) and event.path is not None:
            self.export_stories_to_file(event.path)

    def take(self, event: Event) -> None:
        """Append an event whose values are all JSON, such as an event from a log."""
        self._pending.append(event)
        self.latest_event_time = event.timestamp
        event.apply_to(self)

    def begin_by(self, moment: float) -> None:
        """Set the start of a new conversation that is not stored yet to `moment`, if it would be later."""
        if self._stored_until == 0 and len(self._pending) == 1 and self._pending[0].timestamp > moment:
            object.__setattr__(self._pending[0], "timestamp", moment)
            self.latest_event_time = moment

    def fold(self, event: Event) -> None:
        """Change the state as the type of `event` requires; an event class of a user changes it in `apply_to`."""
        change = _FOLDS.get(event.type_name)
        if change is not None:
            change(self, event)

    def replay_events(self) -> None:
        """Compute the state anew from the applied events."""
        # Reminders stay: they are due in the outside world, even if a part of the conversation is taken back.
        applied, reminders = self.applied_events(), None if self._loops is None else self.history.reminders
        channel = self.latest_input_channel  # Answers go to this channel even if its message was taken back.
        self._reset()
        if self._restarted_at > self.origin or self._loops is not None:
            self._on_must_listen()
        for event in applied:
            event.apply_to(self)
        self.latest_input_channel = channel
        if reminders is not None:
            self.history.go_on_with(reminders)

    def _follow(self, events: Iterable[Event]) -> Self:
        """Append events of another tracker."""
        for event in events:
            self.take(event)
        return self

    def trigger_follow_up_action(self, action: Any) -> None:
        """Fix the next action, given by name or as an `Action`."""
        self.update(FollowupAction(action if isinstance(action, str) else action.name()))

    def clear_follow_up_action(self) -> None:
        """Let the policies choose the next action again."""
        if self.follow_up_action is not None:
            self.update(FollowupAction(None))

    def _on_restart(self, *, is_session: bool = True) -> None:
        self._reset()
        if not is_session and self._loops is not None:  # A session follows.
            self.history.reminders, self.follow_up_action = {}, SESSION_START
        self._restarted_at = self.version
        self._on_must_listen()

    def _on_rewind(self) -> None:
        self.replay_events()
        if self._loops is None:
            self._on_must_listen()

    @property
    def _loops(self) -> Collection[str] | None:
        return self.history.loops

    # -- questions

    def past_states(self, domain: KnowsSlots) -> list[State]:
        """Return the state before each action since the latest restart, and the present one."""
        return domain.states_for_tracker_history(self)

    def last_states(self, count: int | None) -> list[State]:
        """Return up to `count` states (None: all), the present one last."""
        history, present = self.history, [self.active_state()]
        if history.loops is not None:
            present = history.visible(present[0], is_followup=self.follow_up_action is not None)
        if count == 1 and present:
            return present
        # Only if a policy asks for more states than are kept; no other prediction reads the log.
        if not history.reaches(None if count is None else count - 1):
            history = self.init_copy()._follow(self.applied_events()).history
        states = [*history.recorded_states(), *present]
        return states if count is None else states[max(0, len(states) - count) :]

    def current_state(
        self, should_include_events: bool = False, only_events_after_latest_restart: bool = False
    ) -> dict[str, Any]:
        """Return the state as JSON data; lists and objects in it are the tracker's own, not copies.

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
            **({} if self._loops is None else rasa_state(self)),
        }

    # -- comparing, and copies

    def __eq__(self, other: object) -> bool:
        """Compare sender, events and slots; the log is read for that."""
        if self is other:
            return True
        if not isinstance(other, DialogueStateTracker):
            return NotImplemented
        mine, theirs = (self.sender_id, self.current_slot_values()), (other.sender_id, other.current_slot_values())
        return mine == theirs and self.events == other.events

    __hash__ = object.__hash__  # Equal trackers may change independently, and stores know their own by identity.

    def init_copy(self) -> Self:
        """Return a tracker of the same conversation with no events."""
        history = history_for(None, self.history.vocabulary)
        slots = self.slots.values()
        return type(self)(self.sender_id, slots, max_event_history=self._max_event_history, history=history)

    def ahead(self, events: Iterable[Event], domain: KnowsSlots) -> Self:
        """Return a tracker with the state after `events`, without reading the log."""
        events, origin = list(events), self.origin
        if not events:
            return self
        twin = type(self).from_snapshot(
            self.sender_id,
            domain,
            self.snapshot(),
            version=self.version,
            origin=origin,
            window=self.history.window,
            read_events=self.events_between,
        )
        twin.history, twin.turn_began = self.history.copy(), self.turn_began
        return twin._follow([*self.foretold, *events])

    def copy(self) -> Self:
        """Return an independent tracker with the same events."""
        return self.init_copy()._follow(self.events)

    def travel_back_in_time(self, target_time: float) -> Self:
        """Return a tracker with the events up to the last one of `target_time` (Unix time in seconds) or before."""
        events = list(self.events)
        while events and events[-1].timestamp > target_time:  # Earlier ones may be later, of a clock that was set.
            events.pop()
        return self.init_copy()._follow(events)

    def generate_all_prior_trackers(self) -> Generator[DialogueStateTracker, None, None]:
        """Yield the tracker before each action, and as it is now; one object, which changes between yields."""
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


_ABOUT_LOOPS_AND_REMINDERS = (
    *("active_loop", "form", "loop_interrupted", "action_execution_rejected", "caller_action"),
    *("reminder", "cancel_reminder", "entities"),
)
_FOLDS: Mapping[str, Callable[[DialogueStateTracker, Any], object]] = {
    "user": lambda tracker, event: tracker._on_user(event),
    "bot": lambda tracker, event: setattr(tracker, "latest_bot_utterance", event),
    "action": lambda tracker, event: tracker._on_action(event),
    "slot": lambda tracker, event: tracker._on_slot(event.key, event.value),
    "reset_slots": lambda tracker, event: tracker._on_reset_slots(),
    "followup": lambda tracker, event: tracker._on_follow_up(event.action_name),
    "restart": lambda tracker, event: tracker._on_restart(is_session=False),
    "rewind": lambda tracker, event: tracker._on_rewind(),
    "undo": lambda tracker, event: tracker.replay_events(),
    "pause": lambda tracker, event: setattr(tracker, "_paused", True),
    "resume": lambda tracker, event: setattr(tracker, "_paused", False),
    "session_started": lambda tracker, event: tracker._on_restart(),
    **dict.fromkeys(_ABOUT_LOOPS_AND_REMINDERS, lambda tracker, event: tracker._on_loop(event)),
}
"""The method that changes the state for each type of event; other types only enter the log."""


def __getattr__(name: str) -> Any:
    """Return one of the events, which programs for 0.9 import from here."""
    return getattr(_events, name)
