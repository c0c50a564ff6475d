"""The snapshot of a tracker: all that the next turn needs, JSON-able, and no larger for a longer conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from rasa_core.events import BotUttered, UserUttered
from rasa_core.slots import Slot
from rasa_core.support.strict_json import independent

NO_MESSAGE: Final = UserUttered.empty()
NO_UTTERANCE: Final = BotUttered.empty()
"""What was said last in a conversation in which nobody has spoken yet."""


class State(Protocol):
    """The part of a tracker that a snapshot holds."""

    slots: dict[str, Slot]
    history: Any
    latest_message: UserUttered
    latest_bot_utterance: BotUttered
    latest_action_name: str | None
    follow_up_action: str | None
    latest_event_time: float | None
    _paused: bool
    _restarted_at: int


def take_snapshot(state: State) -> dict[str, Any]:
    """Return the snapshot of a tracker; its parts are those of the tracker itself."""
    message, bot = state.latest_message, state.latest_bot_utterance
    return {
        "slots": {name: slot.value for name, slot in state.slots.items() if not _is_initial(slot)},
        "message": None if message is NO_MESSAGE else [message.text, message.parse_data, message.timestamp],
        "bot": None if bot is NO_UTTERANCE else [bot.text, bot.data, bot.timestamp],
        "action": state.latest_action_name,
        "paused": state._paused,
        "followup": state.follow_up_action,
        "time": state.latest_event_time,
        "restarted_at": state._restarted_at,
        "history": state.history.snapshot(),
    }


def restore_snapshot(state: State, snapshot: Mapping[str, Any]) -> None:
    """Bring a new tracker to where another was when `snapshot` was taken; slots that are gone are left out."""
    for name, value in snapshot["slots"].items():
        if name in state.slots:
            state.slots[name].value = value
    if snapshot["message"] is not None:
        text, parse_data, stamp = snapshot["message"]
        state.latest_message = UserUttered(text, parse_data=parse_data, timestamp=stamp)
    if snapshot["bot"] is not None:
        state.latest_bot_utterance = BotUttered(*snapshot["bot"])
    state.latest_action_name = snapshot["action"]
    state._paused = snapshot["paused"]
    state.follow_up_action = snapshot["followup"]
    state.latest_event_time = snapshot["time"]
    state._restarted_at = snapshot["restarted_at"]
    state.history.restore(snapshot["history"])


class Independent:
    """What a tracker holds that nobody else does, so that a tracker that is kept need not be copied each time."""

    __slots__ = ("_bot", "_message", "_values")

    def __init__(self) -> None:
        self._message: UserUttered | None = None
        self._bot: BotUttered | None = None
        self._values: dict[str, object] = {}

    def take_over(self, state: State) -> None:
        """Replace what callers gave to the tracker, and could still change, by equal data of its own."""
        message, bot = state.latest_message, state.latest_bot_utterance
        if message is not NO_MESSAGE and message is not self._message:
            parse_data = independent(message.parse_data)
            message = UserUttered(message.text, parse_data=parse_data, timestamp=message.timestamp)
            state.latest_message = self._message = message
        if bot.data and bot is not self._bot:
            state.latest_bot_utterance = self._bot = BotUttered(bot.text, independent(bot.data), bot.timestamp)
        for name, slot in state.slots.items():
            if self._values.get(name) is not slot.value:
                slot.value = self._values[name] = independent(slot.value)


def _is_initial(slot: Slot) -> bool:
    """Tell whether the value, as JSON, is the initial one; 1, 1.0 and True are not the same here."""
    value, initial = slot.value, slot.initial_value
    return value is initial or (type(value) is type(initial) and repr(value) == repr(initial))
