"""What is left of the events of a Rasa 3 conversation.

A rewind takes back everything since the latest action before the message, and that action. A turn in which a loop got
its answer leaves nothing but the slots that it set.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from rasa_core.events.base import Event

# What a question and its answer consist of; slots, and the beginning and end of a loop, stay.
_GONE = ("action", "user", "user_featurization", "entities", "caller_action")


def rasa_positions(events: Sequence[Event], loops: Collection[str]) -> list[int]:
    """Return the positions of the events that count, in order."""
    left: list[int] = []
    for position, event in enumerate(events):
        if event.type_name == "rewind":
            _drop_back_to("user", left, events)
            _drop_back_to("action", left, events)
        elif event.type_name == "undo":
            _drop_back_to("action", left, events)
        # A loop that runs again without a question of anybody else's: what was asked and answered in between does not
        # count.
        elif not (_action(event) in loops and _is_answered(_action(event), left, events)):
            left.append(position)
        else:
            _drop_answer(_action(event), left, events)
    return left


def rasa_state(tracker: Any) -> dict[str, Any]:
    """Return what Rasa 3 tells of the state of a conversation besides what 0.9 does, and otherwise."""
    loop, action = tracker.history.loop, tracker.latest_action_name
    values, known = tracker.current_slot_values(), tracker.history.vocabulary
    order = getattr(known, "slot_order", None) or values  # A bot of 0.9 has none.
    return {
        # In the order of the domain, since programs of action servers go through them.
        "slots": {name: values[name] for name in order if name in values},
        "latest_message": {"metadata": {}, **tracker.latest_message.parse_data},
        "followup_action": tracker.follow_up_action,
        "latest_input_channel": tracker.latest_input_channel,
        "active_loop": {} if loop is None else _told_of(loop),
        "latest_action": {} if action is None else {"action_name": action},
        "latest_action_name": action,
    }


def _told_of(loop: Any) -> dict[str, Any]:
    told = {name: getattr(loop, name) for name in ("name", "is_interrupted", "rejected")}
    message = loop.trigger_message
    return {**told, "trigger_message": None if message is None else {"metadata": None, **message}}


def _action(event: Any) -> str | None:
    """Return the name of the action that was executed; None for other events."""
    return str(event.action_name) if event.type_name == "action" else None


def _drop_back_to(kind: str, left: list[int], events: Sequence[Event]) -> None:
    while left and events[left.pop()].type_name != kind:
        pass


def _is_answered(loop: str | None, left: Sequence[int], events: Sequence[Any]) -> bool:
    """Tell whether the loop ran before, and nothing but an answer to it came since."""
    following: str | None = None
    for position in reversed(left):
        event = events[position]
        kind = event.type_name
        if kind in ("active_loop", "form") and event.loop_name is None:
            return False
        if kind == "action_execution_rejected" and event.action_name == loop:
            return False
        if kind == "user" and following not in (None, loop):
            return False
        if kind == "action":
            if event.action_name == loop:
                return True
            following = event.action_name
    return False


def _drop_answer(loop: str | None, left: list[int], events: Sequence[Event]) -> None:
    for index in range(len(left) - 1, -1, -1):
        event = events[left[index]]
        if _action(event) == loop:
            return
        if event.type_name in _GONE:
            del left[index]
