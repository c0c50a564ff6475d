"""The default actions of every bot of Rasa 3: restart, begin a session, go back, and ask the user to rephrase."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from rasa_core.actions.running import RunsActions, take_said
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    Event,
    Restarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.events.rasa3 import ActiveLoop, SessionStarted
from rasa_core.exceptions import LogTooLongError
from rasa_core.rasa3.domain_parts import REQUESTED_SLOT, SNIPPET, TWO_STAGE_FALLBACK
from rasa_core.rasa3.history import RasaHistory
from rasa_core.responses import ResponseDispatcher
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

NLU_FALLBACK: Final = "nlu_fallback"
OUT_OF_SCOPE: Final = "out_of_scope"
ASK_AFFIRMATION: Final = "action_default_ask_affirmation"
ASK_REPHRASE: Final = "action_default_ask_rephrase"
MOST_CARRIED: Final = 100
"""The largest number of slot changes that a new session repeats; of more changes, only the last of each slot."""
LONGEST_READ: Final = 2_000
"""Events of the session before that are read for them."""

Run = Callable[[RunsActions, ResponseDispatcher, DialogueStateTracker], list[Event]]


def _nothing(runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
    return []


def _restart(runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
    return [*runner.say("utter_restart", dispatcher, tracker), Restarted()]


def _session_start(runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
    # All changes, not the values alone: memory and stories see which slot was set, and in which order.
    carried = carried_slots(tracker) if runner.domain.rasa is not None and runner.domain.rasa.carries_slots else []
    return [SessionStarted(), *carried, ActionExecuted(ACTION_LISTEN_NAME)]


def carried_slots(tracker: DialogueStateTracker) -> list[SlotSet]:
    """Return the changes of slots that a new session repeats, as new events.

    After a very long session, these are the current values of slots, so that the whole session need not be read.
    """
    is_whole = tracker.count(since_restart=True) <= LONGEST_READ
    try:
        events = tracker.applied_events() if is_whole else tracker.latest_events(LONGEST_READ)
    except LogTooLongError:  # A turn is not refused for that.
        events, is_whole = [], False
    found = [event for event in events if isinstance(event, SlotSet)]
    if not is_whole:
        return _values_left(tracker, found)
    if len(found) > MOST_CARRIED:
        latest = {event.key: event for event in found}
        found = list(latest.values())
    return [SlotSet(event.key, event.value) for event in found]


def _values_left(tracker: DialogueStateTracker, recent: Iterable[SlotSet]) -> list[SlotSet]:
    """Return the last change of each slot: first slots without a recent change, then the others in order."""
    order = {event.key: number for number, event in enumerate(recent)}
    changed = [name for name, slot in tracker.slots.items() if name in order or slot.value != slot.initial()]
    changed.sort(key=lambda name: order.get(name, -1))
    return [SlotSet(name, tracker.slots[name].value) for name in changed]


def _default_fallback(
    runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker
) -> list[Event]:
    if "utter_default" not in runner.domain.templates and dispatcher.nlg is None:
        text = "nothing is said to %r, where no policy was sure: the domain has no response 'utter_default'; add it."
        logger.warning(text, tracker.sender_id)
    return [*runner.say("utter_default", dispatcher, tracker), UserUtteranceReverted()]


def _back(runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
    # One for "back" itself, and one for the message before it.
    return [*runner.say("utter_back", dispatcher, tracker), UserUtteranceReverted(), UserUtteranceReverted()]


def _deactivate_loop(runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
    return [ActiveLoop(None), SlotSet(REQUESTED_SLOT, None)]


def _revert(runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
    """Take back the turns of the two-stage fallback, and log the last message with the intent that was confirmed."""
    return [UserUtteranceReverted(), ActionExecuted(ACTION_LISTEN_NAME), _again(tracker, is_sure=True)]


def _again(tracker: DialogueStateTracker, *, is_sure: bool) -> UserUttered:
    """Return a copy of the last message, with confidence 1 if the user has confirmed its intent (`is_sure`)."""
    message = tracker.latest_message
    intent = message.intent | ({"confidence": 1.0} if is_sure else {})
    metadata = message.metadata or message.parse_data.get("metadata") or None  # A head has it in the parse alone.
    parse = {**message.parse_data, "intent": intent}
    return UserUttered(message.text, parse_data=parse, input_channel=message.input_channel, metadata=metadata)


def _revert_fallback(runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
    """Take back the questions of a fallback of Rasa 2 and the message before them; the answer replaces the message."""
    assert isinstance(tracker.history, RasaHistory)
    before, last = ["", "", *tracker.history.actions_before(tracker.active_state())][-2:]
    asked_again = ASK_REPHRASE in (last, before if last == ASK_AFFIRMATION else "")
    taken = 2 * (last == ASK_AFFIRMATION) + 3 * asked_again
    if not taken:
        return []
    again = _again(tracker, is_sure=last == ASK_AFFIRMATION)  # In other words, it is as sure as these are.
    return [*[UserUtteranceReverted() for _ in range(taken)], ActionExecuted(ACTION_LISTEN_NAME), again]


def _ask_affirmation(runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
    """Ask the user to confirm the likeliest intent."""
    parse = tracker.latest_message.parse_data
    ranking = [one.get("name") for one in parse.get("intent_ranking") or []]
    intent = tracker.latest_message.intent.get("name")
    if intent == NLU_FALLBACK:  # It is first in the ranking, before the intent with the low confidence.
        intent = next((name for name in ranking if name != NLU_FALLBACK), NLU_FALLBACK)
    buttons = [{"title": "Yes", "payload": f"/{intent}"}, {"title": "No", "payload": f"/{OUT_OF_SCOPE}"}]
    dispatcher.utter_response(
        {"text": f"Did you mean '{intent}'?", "buttons": buttons, "utter_action": ASK_AFFIRMATION}
    )
    return take_said(dispatcher)


def _ask_rephrase(runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
    return runner.say("utter_ask_rephrase", dispatcher, tracker)


def _two_stage_fallback(
    runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker
) -> list[Event]:
    """Ask the user to confirm the intent; if denied, to rephrase; if that is not understood, to confirm again."""
    loop, latest = tracker.history.loop, _latest_intents(tracker)
    begins = loop is None or loop.name != TWO_STAGE_FALLBACK
    found: list[Event] = [ActiveLoop(TWO_STAGE_FALLBACK)] if begins else []
    if latest[:2] == [NLU_FALLBACK] * 2 or latest[:3] == [OUT_OF_SCOPE, NLU_FALLBACK, OUT_OF_SCOPE]:
        return [*found, ActiveLoop(None), *runner.run("action_default_fallback", dispatcher, tracker)]
    if begins or latest[:1] == [NLU_FALLBACK]:
        return [*found, *runner.run(ASK_AFFIRMATION, dispatcher, tracker)]
    if latest[:1] == [OUT_OF_SCOPE]:
        return runner.run(ASK_REPHRASE, dispatcher, tracker)
    return [ActiveLoop(None), *_revert(runner, dispatcher, tracker)]


def _latest_intents(tracker: DialogueStateTracker) -> list[Any]:
    """Return the intents of the last messages, the latest first, up to the latest rewind."""
    intents: list[Any] = []
    for event in reversed(tracker.latest_events(_LOOP_LENGTH)):
        if isinstance(event, UserUtteranceReverted | Restarted):
            break
        if isinstance(event, UserUttered):
            intents.append(event.intent.get("name"))
    return intents


_LOOP_LENGTH: Final = 100  # Events that are looked through; a loop that asks twice has a dozen.

DEFAULT_ACTIONS: Final[Mapping[str, Run]] = {
    ACTION_LISTEN_NAME: _nothing,
    "action_restart": _restart,
    "action_session_start": _session_start,
    "action_default_fallback": _default_fallback,
    "action_deactivate_loop": _deactivate_loop,
    "action_revert_fallback_events": _revert_fallback,
    ASK_AFFIRMATION: _ask_affirmation,
    ASK_REPHRASE: _ask_rephrase,
    TWO_STAGE_FALLBACK: _two_stage_fallback,
    "action_unlikely_intent": _nothing,
    "action_back": _back,
    SNIPPET: _nothing,
    "action_extract_slots": lambda runner, dispatcher, tracker: runner.extract_slots(dispatcher, tracker),
}
