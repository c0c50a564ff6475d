"""The state of a conversation, and its snapshot.

The snapshot is the state that the next turn needs, as JSON of bounded size.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, BotUttered, Event, UserUttered
from rasa_core.events.rasa3 import EntitiesAdded, entities_in
from rasa_core.history import FAILED, History, State, Vocabulary
from rasa_core.slots import Slot
from rasa_core.support.strict_json import independent

logger = logging.getLogger(__name__)

NO_MESSAGE: Final = UserUttered.empty()
NO_UTTERANCE: Final = BotUttered.empty()
"""The latest message of the bot in a conversation without one."""


SNAPSHOT: Final = (
    *("expected", "slots", "message", "bot", "action", "paused", "followup"),
    *("must_listen", "time", "restarted_at", "history", "channel"),
)
"""The names in a snapshot, in order."""


class KnowsSlots(Protocol):
    """The parts of a domain that a tracker needs."""

    slots: list[Slot]

    @property
    def vocabulary(self) -> Vocabulary: ...  # noqa: D102

    def states_for_tracker_history(self, tracker: Any) -> list[State]: ...  # noqa: D102


class ActionName(str):
    """The name of an action, which also answers `name` as an `Action` does."""

    __slots__ = ()

    def name(self) -> str:
        """Return the name."""
        return str(self)


class Expected(NamedTuple):
    """The action that a caller was told to run, with its policy, confidence and model, which the log then gets."""

    action: str
    policy: str | None = None
    confidence: float | None = None
    model: str | None = None

    def executed(
        self,
        action_name: str,
        error: str | None = None,
        *,
        hidden: bool = False,
        is_text: bool = False,
        moment: float = 0.0,
    ) -> ActionExecuted:
        """Return the event of the action that was run, which may be a text of a story, with the given time or now."""
        return ActionExecuted(
            action_name,
            moment,
            policy=self.policy,
            confidence=self.confidence,
            model=self.model,
            predicted=None if self.action == action_name else self.action,
            error=error,
            hide_rule_turn=hidden or None,
            action_text=action_name if is_text else None,
        )


class ConversationState:
    """The state of a conversation, and the methods by which each type of event changes it.

    Parameters
    ----------
    slots
        The slots of the domain; they are copied.
    history
        The history of states and counts.
    """

    def __init__(self, slots: Iterable[Slot], history: History) -> None:
        self.slots = {slot.name: slot.fresh() for slot in slots}
        self.history = history
        self.latest_event_time: float | None = None
        self.latest_message = NO_MESSAGE
        self.latest_input_channel: str | None = None
        self.latest_bot_utterance = NO_UTTERANCE
        self.latest_action_name: str | None = None
        self.latest_action_failed = False
        self._follow_up: ActionName | None = None
        self.must_listen = False
        self.expected: Expected | None = None
        self._paused: bool = False
        self._restarted_at = 0
        self._state: State | None = None

    @property
    def follow_up_action(self) -> ActionName | None:
        """The name of the next action, if an event has fixed it."""
        return self._follow_up

    @follow_up_action.setter
    def follow_up_action(self, action: Any) -> None:
        if action is not None and not isinstance(action, str):  # By an event of a user's own: an `Action`.
            action = action.name()
        self._follow_up = None if action is None else ActionName(action)

    # -- what events change

    def _reset(self) -> None:
        self.latest_message = NO_MESSAGE
        self.latest_bot_utterance = NO_UTTERANCE
        self.latest_action_name = None
        self.latest_action_failed = False
        self.follow_up_action = None
        self.must_listen = False
        self.expected = None
        self._paused = False
        self.history.clear()
        self._on_reset_slots()

    def _on_user(self, event: UserUttered) -> None:
        self.latest_message = event
        self.latest_input_channel = event.input_channel
        self.must_listen = False
        # The message is what the listening was for; any other action that was fixed still comes first, but in Rasa 3.
        if self.follow_up_action == ACTION_LISTEN_NAME or self.history.loops is not None:
            self.follow_up_action = None
        self._state = None
        self.history.record_message(event)

    def _on_action(self, event: ActionExecuted) -> None:
        action_name, history = event.action_name, self.history
        # The state first: it is the one in which the action was chosen, before the action changes it.
        if history.loops is None:
            history.record_action(self.active_state(), action_name)
        else:
            hidden, fixed = bool(event.hide_rule_turn), self.follow_up_action is not None
            history.record_action(self.active_state(), action_name, is_hidden=hidden, is_followup=fixed)
        self.latest_action_name = action_name
        self.latest_action_failed = event.error is not None
        self.expected = None
        # If listening is due first, the fixed action stays for the time after it.
        if not self.must_listen or action_name != ACTION_LISTEN_NAME or self.follow_up_action == ACTION_LISTEN_NAME:
            self.follow_up_action = None
        self.must_listen = False
        self._state = None

    def _on_follow_up(self, action_name: str | None) -> None:
        self.follow_up_action = action_name
        self.must_listen = False

    def _on_must_listen(self) -> None:
        self.must_listen = self.history.loops is None
        if self.follow_up_action is None:
            self.follow_up_action = ACTION_LISTEN_NAME

    def _on_slot(self, key: str, value: Any) -> None:
        slot = self.slots.get(key)
        if slot is None:
            _warn_about_slot(key)
            return
        self._set_value(slot, value)
        self._state = None
        # Slots that no policy sees would only push visible ones out of the history.
        if slot.has_features():
            self.history.record_slot(key, value)

    def _set_value(self, slot: Slot, value: Any) -> None:
        slot.value = value

    def _on_loop(self, event: Event) -> None:
        if isinstance(event, EntitiesAdded):
            if self.history.loops is None or self.latest_action_name != ACTION_LISTEN_NAME:
                return  # As in Rasa, which takes none once something was done.
            message, known = self.latest_message, self.latest_message.entities
            added = [entity for entity in entities_in(event.entities) if entity not in known]
            self.latest_message = replace(message, parse_data={**message.parse_data, "entities": [*known, *added]})
        self.history.record_other(event, self.latest_message)
        self._state = None

    def _on_reset_slots(self) -> None:
        for slot in self.slots.values():
            slot.reset()
        self._state = None

    # The names of these two in 0.9, which the `apply_to` of users' own events calls; training trackers have their own.
    def _set_slot(self, key: str, value: Any) -> None:
        self._on_slot(key, value)

    def _reset_slots(self) -> None:
        self._on_reset_slots()

    # -- questions

    def active_state(self) -> State:
        """Return the state in which the next action is chosen: feature name to value; not to be changed."""
        if self._state is None:
            self._state = self._compute_state()
        return self._state

    def _compute_state(self) -> State:
        state = self.history.present_state(self.latest_message, self.slots.values(), self.latest_action_name)
        if self.latest_action_failed:
            state[FAILED] = 1.0
        return state

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

    def is_listening(self) -> bool:
        """Tell whether the latest action is to listen, and no message has come since."""
        # A message empties the list of this turn's actions: something in it means that none has come since.
        return self.latest_action_name == ACTION_LISTEN_NAME and bool(self.history.turn_actions)

    def is_paused(self) -> bool:
        """Tell whether the bot is silent because somebody else has taken over."""
        return self._paused


@lru_cache(maxsize=1000)
def _warn_about_slot(key: str) -> None:
    logger.warning("the slot %r is not in the domain; its value is not set. This is told once.", key)


def take_snapshot(state: ConversationState) -> dict[str, Any]:
    """Return the snapshot of a tracker; its lists and objects are the tracker's own, not copies."""
    message, bot = state.latest_message, state.latest_bot_utterance
    return {
        "expected": state.expected,
        "slots": {name: slot.value for name, slot in state.slots.items() if not _is_initial(slot)},
        "message": None if message is NO_MESSAGE else _message_parts(message),
        "bot": None if bot is NO_UTTERANCE else [bot.text, bot.data, bot.timestamp],
        # A list for a failed action; older heads, which have only the name, can still be read.
        "action": [state.latest_action_name] if state.latest_action_failed else state.latest_action_name,
        "paused": state._paused,
        "followup": state.follow_up_action,
        "must_listen": state.must_listen,
        "time": state.latest_event_time,
        "restarted_at": state._restarted_at,
        "history": state.history.content(),  # Without key names, which would take as much space as the rest.
        "channel": state.latest_input_channel,
    }


def _message_parts(message: UserUttered) -> list[Any]:
    # Left out if it is not known, as in older heads.
    channel = [] if message.input_channel is None else [message.input_channel]
    return [message.text, message.parse_data, message.timestamp, *channel]


def restore_snapshot(state: ConversationState, snapshot: Mapping[str, Any]) -> None:
    """Give a new tracker the state in `snapshot`, without slots that the domain no longer has."""
    for name, value in snapshot["slots"].items():
        if name in state.slots:
            state.slots[name].value = value
    if snapshot["message"] is not None:
        text, parse_data, stamp, *channel = snapshot["message"]
        channel_name = channel[0] if channel else None
        state.latest_message = UserUttered(text, parse_data=parse_data, timestamp=stamp, input_channel=channel_name)
    if snapshot["bot"] is not None:
        state.latest_bot_utterance = BotUttered(*snapshot["bot"])
    # An older head lacks it.
    state.latest_input_channel = snapshot.get("channel", state.latest_message.input_channel)
    state.latest_action_failed = isinstance(snapshot["action"], list)
    state.latest_action_name = snapshot["action"][0] if state.latest_action_failed else snapshot["action"]
    state._paused = snapshot["paused"]
    state.follow_up_action = snapshot["followup"]
    state.must_listen = snapshot["must_listen"]
    state.expected = expected_in(snapshot)
    state.latest_event_time = snapshot["time"]
    state._restarted_at = snapshot["restarted_at"]
    state.history.restore(dict(zip(state.history.parts, snapshot["history"], strict=True)))


def expected_in(snapshot: Mapping[str, Any]) -> Expected | None:
    """Return the action that a caller was told to run, which only the snapshot has, and no log."""
    stored = snapshot.get("expected")
    return None if stored is None else Expected(*stored)


class Independent:
    """The data that only the tracker refers to, so that a cached tracker need not be copied in each turn."""

    __slots__ = ("_bot", "_message", "_values")

    def __init__(self) -> None:
        self._message: UserUttered | None = None
        self._bot: BotUttered | None = None
        self._values: dict[str, object] = {}

    def take_over(self, state: ConversationState) -> None:
        """Replace mutable data that callers gave to the tracker by copies."""
        message, bot = state.latest_message, state.latest_bot_utterance
        if message is not NO_MESSAGE and message is not self._message:
            parse_data = independent(message.parse_data)
            channel = message.input_channel
            message = UserUttered(
                message.text, parse_data=parse_data, timestamp=message.timestamp, input_channel=channel
            )
            state.latest_message = self._message = message
        if bot.data and bot is not self._bot:
            state.latest_bot_utterance = self._bot = BotUttered(bot.text, independent(bot.data), bot.timestamp)
        for name, slot in state.slots.items():
            # By identity: data that was copied in an earlier turn is the tracker's own already.
            if self._values.get(name) is not slot.value:
                slot.value = self._values[name] = independent(slot.value)


def _is_initial(slot: Slot) -> bool:
    """Tell whether the value, as JSON, is the initial one; 1, 1.0 and True are not the same here."""
    value, initial = slot.value, slot.initial_value
    # Not `==`, for which 1, 1.0 and True are one value, while policies, and JSON, tell them apart.
    return value is initial or (type(value) is type(initial) and repr(value) == repr(initial))
