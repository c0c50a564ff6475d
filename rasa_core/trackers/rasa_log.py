"""Which events of a Rasa 3 conversation count after rewinds, undos and answered loops, and their JSON as in Rasa 3.

A rewind takes back the latest action before the message, and all events after it. Of a turn in which a message answers
a loop, only the slots that it set count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from rasa_core.events.base import ACTION_LISTEN_NAME, SESSION_START, Event

# The events of a question and its answer; slots, and the beginning and end of a loop, are kept.
_GONE = ("action", "user", "user_featurization", "entities", "caller_action")
_MAY_BE_UNSAID: Final[Mapping[str, dict[str, Any]]] = {
    "action": {"policy": None, "confidence": None, "action_text": None, "hide_rule_turn": False},
    "slot": {"value": None},
    "active_loop": {"name": None},
    "action_execution_rejected": {"policy": None, "confidence": None},
}
"""Keys with null values that our log leaves out, but clients of Rasa and action servers expect in each event."""
_BESIDE_TEXT: Final = dict.fromkeys(("elements", "quick_replies", "buttons", "attachment", "image", "custom"))
"""The parts of a message of the bot beside its text; its event names each of them."""


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
    """Return the keys of a conversation's state that only Rasa 3 has, or has in another form than 0.9."""
    loop, action = tracker.history.loop, tracker.latest_action_name
    values, known = tracker.current_slot_values(), tracker.history.vocabulary
    said = tracker.latest_message
    order = getattr(known, "slot_order", None) or values  # A bot of 0.9 has none.
    return {
        # In the order of the domain, since programs of action servers go through them.
        "slots": {name: values[name] for name in order if name in values},
        "latest_message": _whole_parse(said.parse_data, _id_of(said, tracker.sender_id)),
        "followup_action": tracker.follow_up_action or (ACTION_LISTEN_NAME if action is None else None),
        "latest_input_channel": tracker.latest_input_channel,
        "active_loop": {} if loop is None else _told_of(loop),
        "latest_action": {} if action is None else {"action_name": action},
        "latest_action_name": action,
    }


def beginning_of_session(events: Sequence[Any], before: int | None = None) -> int:
    """Return the position at which the latest session before a position begins, with its action; 0 without sessions."""
    for position in range((len(events) if before is None else before) - 1, -1, -1):
        if events[position].type_name == "session_started":
            action = position - 1
            while action > 0 and events[action].type_name in ("bot", "slot"):  # Events of a custom action before it.
                action -= 1
            return action if action >= 0 and _action(events[action]) == SESSION_START else position
    return 0


def session_known(events: Sequence[Any], before: int | None = None) -> int:
    """Return the first position that Rasa 3 knows during a turn: the beginning of the session in which the turn began.

    `before` is the position in `events` at which the turn begins; without it, the position is guessed.
    """
    if before is not None:
        return beginning_of_session(events, max(before, 0))
    begun = beginning_of_session(events)
    if sum(event.type_name == "user" for event in events[begun:]) > 1:
        return begun
    before = begun - 1
    while before >= 0 and events[before].type_name == "slot":  # Slots that came with the message, before the session.
        before -= 1
    # A message that comes late begins the session in its own turn; a restart has begun it in the turn before.
    in_turn = before >= 0 and _action(events[before]) == ACTION_LISTEN_NAME
    return beginning_of_session(events, begun) if in_turn else begun


def told_as_in_rasa(event: Any, sender_id: str) -> dict[str, Any]:
    """Return an event in JSON, including the keys that Rasa 3 writes with the value null."""
    told = {"metadata": {}, **_MAY_BE_UNSAID.get(event.type_name, {}), **event.as_dict()}
    if event.type_name == "user":
        told = {"input_channel": None, "message_id": _id_of(event, sender_id), **told}
        told["parse_data"] = _whole_parse(told["parse_data"], told["message_id"])
    elif event.type_name == "bot" and isinstance(data := told["data"] or {}, dict):  # Other data stay as they came.
        told["data"] = {**_BESIDE_TEXT, **data}
    return told


def _whole_parse(parse: dict[str, Any], message_id: str | None) -> dict[str, Any]:
    return {"message_id": message_id, "metadata": {}, **parse}


def _id_of(message: Any, sender_id: str) -> str | None:
    """Return an id for a message from a channel, which is always the same, and unique."""
    if message.input_channel is None or (message.metadata or {}).get("is_external"):
        return None
    return hashlib.blake2b(f"{sender_id} {message.timestamp!r}".encode(), digest_size=16).hexdigest()


def _told_of(loop: Any) -> dict[str, Any]:
    told = {name: getattr(loop, name) for name in ("name", "is_interrupted", "rejected")}
    message = loop.trigger_message
    nothing: dict[str, Any] = {"intent": {}, "entities": [], "text": None}
    return {**told, "trigger_message": {"metadata": None, **(nothing if message is None else message)}}


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
