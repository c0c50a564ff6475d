"""Runs the actions of a conversation until it waits for a person: in the inspector, the chat and interactive training.

A function of the type `LeftToAPerson` says which predictions a person has to confirm. In a chat, it is none
(`leave_nothing`). In the draft of a corrected conversation, it is the unsure ones (`leave_doubtful`). In interactive
training, it is each prediction (`leave_everything`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rasa_core.channels.channel import OutputChannel, UserMessage
from rasa_core.events import ACTION_LISTEN_NAME, ACTION_RESTART_NAME, Event, FollowupAction
from rasa_core.exceptions import VersionConflictError
from rasa_core.policies.policy import Prediction
from rasa_core.processor import MessageProcessor
from rasa_core.slash_messages import INFO_PAUSED, info_about, joined, values_info
from rasa_core.teaching.corrections import DRAFT_MARK, Correction, right_action, take_message
from rasa_core.tracker_store.base import Conversation
from rasa_core.tracker_store.digests import FALLBACKS
from rasa_core.tracker_store.idempotency import RequestConditions, RequestResult
from rasa_core.tracker_store.search import UNSURE_BELOW
from rasa_core.trackers import DialogueStateTracker
from rasa_core.turn import State

_LONGEST_NAME: Final = 900  # characters of a conversation's name, which that of its draft adds to

LeftToAPerson = Callable[[DialogueStateTracker, Prediction], bool]
"""Tells whether a person has to confirm a prediction."""


def leave_nothing(tracker: DialogueStateTracker, found: Prediction) -> bool:
    """Return False: a person confirms no prediction."""
    return False


def leave_doubtful(tracker: DialogueStateTracker, found: Prediction) -> bool:
    """Tell whether the bot is unsure, uses its fallback, or would not answer the message."""
    is_unsure = found.confidence < UNSURE_BELOW
    if found.action == ACTION_LISTEN_NAME:
        return is_unsure and tracker.latest_action_name == ACTION_LISTEN_NAME
    return is_unsure or found.action in FALLBACKS


def leave_everything(tracker: DialogueStateTracker, found: Prediction) -> bool:
    """Return True: a person confirms each prediction."""
    return True


def left_in(sender_id: str) -> LeftToAPerson:
    """Return `leave_doubtful` for the draft of a corrected conversation, and `leave_nothing` for any other."""
    return leave_doubtful if DRAFT_MARK in sender_id else leave_nothing


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a conversation waits for.

    Attributes
    ----------
    what : str
        A ``message`` of the user; a person who lets the bot ``resume``; a ``decision`` on the prediction; the events
        of an ``action`` that runs elsewhere; or ``nothing``, if the bot goes on by itself.
    next : Prediction or None
        The prediction, if it waits for a decision, an action or nothing.
    """

    what: Literal["message", "resume", "decision", "action", "nothing"]
    next: Prediction | None = None


def awaited(turns: MessageProcessor, tracker: DialogueStateTracker, left: LeftToAPerson = leave_nothing) -> Awaited:
    """Return what a conversation waits for, without changing it."""
    if turns.is_silent(tracker):
        return Awaited("resume")
    fixed = ACTION_LISTEN_NAME if tracker.must_listen else tracker.follow_up_action
    is_fixed = fixed != ACTION_LISTEN_NAME and fixed in turns.domain.action_indices
    if not tracker.has_begun or (tracker.is_listening() and not is_fixed):
        return Awaited("message")
    found = turns.next_prediction(tracker)
    restarts = found.action == ACTION_RESTART_NAME and turns.wants_restart(tracker)
    if found.action != fixed and not restarts and left(tracker, found):
        return Awaited("decision", found)
    return Awaited("nothing" if turns.runner.runs_here(found.action) else "action", found)


def go_on(
    turns: MessageProcessor,
    tracker: DialogueStateTracker,
    left: LeftToAPerson = leave_nothing,
    channel: OutputChannel | None = None,
) -> Awaited:
    """Run actions until the bot waits for something, and return what it is; ``nothing`` after too many actions."""
    for _ in range(turns.max_number_of_predictions):
        found = awaited(turns, tracker, left)
        if found.next is None or found.what == "decision":
            return found
        if found.what == "nothing":
            run_here(turns, tracker, found.next, channel)
        # A caller may first have to run a custom part of the next action, such as a validation.
        elif turns.continue_turn(tracker, None, [])["next_action"] == found.next.action:
            return found
    return awaited(turns, tracker, left)


def take_action(turns: MessageProcessor, tracker: DialogueStateTracker, action: str) -> None:
    """Run the action that a person has chosen, or wait for it if it runs elsewhere.

    Raises
    ------
    UnknownActionError
        If the domain has no action of this name.
    """
    turns.domain.index_for_action(action)
    if not turns.runner.runs_here(action):
        tracker.update(FollowupAction(action))
        return
    run_here(turns, tracker, right_action(action, turns.domain))


def run_here(
    turns: MessageProcessor, tracker: DialogueStateTracker, prediction: Prediction, channel: OutputChannel | None = None
) -> None:
    """Run an action in this process, and log it with its prediction, even if it is interrupted."""
    start, dispatcher = tracker.version, turns.dispatcher_for(UserMessage("", channel, tracker.sender_id))
    try:
        turns.take_step(tracker, prediction, dispatcher)
    except KeyboardInterrupt:
        if tracker.version == start:
            tracker.update(turns.expected(prediction, prediction.action).executed(prediction.action, "interrupted"))
        raise


# -- in a conversation of a store


def say(
    turns: MessageProcessor,
    sender_id: str,
    text: str,
    conditions: RequestConditions | None = None,
    channel: OutputChannel | None = None,
) -> RequestResult:
    """Log a message and run actions; the result names the action that has to run elsewhere, if there is one."""
    if turns.runner.runs_everything:
        answered = turns.respond(UserMessage(text, channel, sender_id), conditions)
        tracker = turns.tracker_store.retrieve(sender_id)
        info = None if tracker is None else _info_on(turns, tracker)
        return RequestResult(told_of(Awaited("message"), info), answered.version)

    def take(conversation: Conversation) -> State:
        info = turns.start_turn(conversation.tracker, text).get("info")
        return told_of(go_on(turns, conversation.tracker, leave_nothing, channel), info)

    return turns.change(sender_id, take, conditions)


def _info_on(turns: MessageProcessor, tracker: DialogueStateTracker) -> str | None:
    """Return the ``info`` of `start_turn` about the latest message, if it is being answered."""
    info = info_about(tracker.latest_message, turns.domain, tracker.slots)
    return joined(INFO_PAUSED, info) if turns.is_silent(tracker) else info


def act(
    turns: MessageProcessor,
    sender_id: str,
    action: str | None,
    events: Sequence[Event],
    error: str | None = None,
    conditions: RequestConditions | None = None,
    *,
    left: LeftToAPerson = leave_nothing,
    channel: OutputChannel | None = None,
) -> RequestResult:
    """Log an action that ran or failed elsewhere, if one is given, and run the following actions."""
    turns.check(action, events)

    def take(conversation: Conversation) -> State:
        tracker = conversation.tracker
        if action is not None and tracker.expected is None:  # No answer has named the action, as in a fork.
            predicted = turns.next_prediction(tracker)
            tracker.expected = turns.expected(predicted, predicted.action)
        info = values_info(events, tracker.slots)
        turns.take_report(tracker, action, list(events), error)
        return told_of(go_on(turns, tracker, left, channel), info)

    return turns.change(sender_id, take, conditions)


def told_of(found: Awaited, info: str | None = None) -> State:
    """Return the answer for a caller, with the next action, or None if the conversation waits for a message."""
    told = {"next_action": None if found.next is None else found.next.action}
    return told if info is None else {**told, "info": info}


def fork(turns: MessageProcessor, sender_id: str, at: int, to: str) -> RequestResult:
    """Start the conversation `to` with the first `at` events of another; `VersionConflictError` if `to` exists."""
    events = list(turns.tracker_store.peek(sender_id).events)[:at]

    def begin(conversation: Conversation) -> State:
        if conversation.tracker.version > len(conversation.tracker.pending_events):
            raise VersionConflictError(f"there is a conversation {to!r} already; choose another name.")
        conversation.replace(events)
        return {"sender_id": to}

    return turns.change(to, begin)


def correct(turns: MessageProcessor, sender_id: str, events: Sequence[Event], right: Correction) -> RequestResult:
    """Start a draft, a copy of the conversation up to a step with the correction of this step, and run actions.

    Raises
    ------
    TeachingError, UnknownActionError, EventError
        If there is no such step, or the correction has an unknown name; no draft is made.
    """
    beginning, to = right.beginning(events), _free_name(turns, sender_id)

    def begin(conversation: Conversation) -> State:
        conversation.replace(beginning)
        if right.action is not None:
            take_action(turns, conversation.tracker, right.action)
        else:
            message = events[right.at] if right.at < len(events) else None
            take_message(turns, conversation.tracker, message, right.intent or "", right.entities)
        return {"sender_id": to, **told_of(go_on(turns, conversation.tracker, leave_doubtful))}

    return turns.change(to, begin)


def _free_name(turns: MessageProcessor, sender_id: str) -> str:
    """Return the name of the next draft of a conversation."""
    base = sender_id.partition(DRAFT_MARK)[0][:_LONGEST_NAME] + DRAFT_MARK
    number = 1
    while turns.tracker_store.retrieve(f"{base}{number}") is not None:
        number += 1
    return f"{base}{number}"
