"""Talking to the bot through the page: it goes on until it listens, or until an action runs in somebody else's code.

Such an action is answered by a person in the page, as the caller would answer it: with its events, or with an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rasa_core.channels.channel import UserMessage
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event
from rasa_core.exceptions import VersionConflictError
from rasa_core.policies.policy import Prediction
from rasa_core.processor import MessageProcessor
from rasa_core.teaching.corrections import DRAFT_MARK
from rasa_core.tracker_store.base import Conversation
from rasa_core.tracker_store.digests import FALLBACKS
from rasa_core.tracker_store.idempotency import RequestConditions, RequestResult
from rasa_core.tracker_store.search import UNSURE_BELOW
from rasa_core.trackers import DialogueStateTracker

State = dict[str, Any]


def say(
    turns: MessageProcessor, sender_id: str, text: str, conditions: RequestConditions | None = None
) -> RequestResult:
    """Take in a message, and go on; the result tells what the bot waits for."""
    if turns.runner.runs_everything:
        answered = turns.respond(UserMessage(text, None, sender_id), conditions)
        return RequestResult({"next_action": None}, answered.version)

    def take(conversation: Conversation) -> State:
        return _run_here(turns, conversation.tracker, turns.start_turn(conversation.tracker, text))

    return turns.change(sender_id, take, conditions)


def act(
    turns: MessageProcessor,
    sender_id: str,
    action: str | None,
    events: Sequence[Event],
    error: str | None = None,
    conditions: RequestConditions | None = None,
    *,
    only_if_sure: bool = False,
) -> RequestResult:
    """Take note of an action that ran elsewhere, or failed there, and go on; without one, just go on.

    The action is logged as the one that was predicted, where it was. With `only_if_sure`, the bot goes on as
    `go_on_while_sure` does.
    """
    turns.check(action, events)
    further = go_on_while_sure if only_if_sure else go_on

    def take(conversation: Conversation) -> State:
        tracker = conversation.tracker
        if action is None:
            return further(turns, tracker, events)
        expected = turns.predict(tracker)
        if error is None and expected.action != action:
            tracker.update(ActionExecuted(action))
            return further(turns, tracker, events)
        known = expected if expected.action == action else Prediction(action, 0.0, None, {})
        confidence = known.confidence if known is expected else None
        tracker.update(ActionExecuted(action, policy=known.policy, confidence=confidence, error=error))
        return further(turns, tracker, events)

    return turns.change(sender_id, take, conditions)


def go_on(turns: MessageProcessor, tracker: DialogueStateTracker, events: Sequence[Event] = ()) -> State:
    """Go on after some events, until the bot listens or an action runs elsewhere."""
    if not turns.runner.runs_everything:
        return _run_here(turns, tracker, turns.continue_turn(tracker, None, events))
    for event in events:
        tracker.update(event)
    dispatcher = turns.dispatcher_for(UserMessage("", None, tracker.sender_id))
    turns.run_until_listening(tracker, dispatcher, lambda: None)
    return {"next_action": None}


def go_on_while_sure(turns: MessageProcessor, tracker: DialogueStateTracker, events: Sequence[Event] = ()) -> State:
    """Go on after some events as `go_on` does, but leave to a person what the bot is unsure of or falls back on."""
    for event in events:
        tracker.update(event)
    dispatcher = turns.dispatcher_for(UserMessage("", None, tracker.sender_id))
    for _ in range(turns.max_number_of_predictions):
        found = turns.predict(tracker)
        if _is_left_to_a_person(tracker, found) or not turns.runner.runs_here(found.action):
            return {"next_action": found.action}
        turns.run_action(found.action, tracker, dispatcher, found)
        if found.action == ACTION_LISTEN_NAME:
            break
    return {"next_action": None}


def _is_left_to_a_person(tracker: DialogueStateTracker, found: Prediction) -> bool:
    """Tell whether the bot is unsure of what comes next, falls back, or knows no answer to a message and would wait."""
    if found.action == tracker.follow_up_action:  # Somebody has fixed it.
        return False
    is_unsure = found.confidence < UNSURE_BELOW
    if found.action == ACTION_LISTEN_NAME:
        return is_unsure and tracker.latest_action_name == ACTION_LISTEN_NAME
    return is_unsure or found.action in FALLBACKS


def _run_here(turns: MessageProcessor, tracker: DialogueStateTracker, answer: State) -> State:
    """Run what the bot says by itself, until it listens or an action runs elsewhere."""
    dispatcher = turns.dispatcher_for(UserMessage("", None, tracker.sender_id))
    for _ in range(turns.max_number_of_predictions):
        name = answer["next_action"]
        if name in (None, ACTION_LISTEN_NAME) or not turns.runner.runs_here(name):
            break
        chosen = Prediction(name, answer["confidence"], answer["policy"], {})
        turns.run_action(name, tracker, dispatcher, chosen)
        answer = turns.continue_turn(tracker, None, [])
    return {"next_action": answer["next_action"]}


def fork(turns: MessageProcessor, sender_id: str, at: int, to: str) -> RequestResult:
    """Begin another conversation with the first events of one; raise `VersionConflictError` if there is one already."""
    events = list(turns.tracker_store.peek(sender_id).events)[:at]

    def begin(conversation: Conversation) -> State:
        if conversation.tracker.version > len(conversation.tracker.pending_events):
            raise VersionConflictError(f"there is a conversation {to!r} already; choose another name.")
        conversation.replace(events)
        return {"sender_id": to}

    return turns.change(to, begin)


def waits_for(turns: MessageProcessor, tracker: DialogueStateTracker) -> dict[str, Any]:
    """Return what a conversation waits for: a message, an action that runs elsewhere, or somebody to go on with it."""
    if tracker.is_paused():
        return {"for": "resume"}
    if tracker.is_listening() or not tracker.has_begun:
        return {"for": "message"}
    found = turns.predict(tracker)
    is_asked = DRAFT_MARK in tracker.sender_id and _is_left_to_a_person(tracker, found)
    if found.action == ACTION_LISTEN_NAME and not is_asked:
        return {"for": "message"}
    here = turns.runner.runs_here(found.action)
    chosen = {"action": found.action, "policy": found.policy, "confidence": found.confidence}
    return {"for": "continue" if here else "action", **chosen}
