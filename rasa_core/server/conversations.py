"""The views of conversations: each checks a request against the domain, calls the `Agent`, and answers.

Every view takes a `Request`, the agent and the sender_id, and returns a response. Names and events in a request are
checked before anything changes. An error names the mistake, and has for programs ``index``, the position of an event in
its list, and ``nearest``, the existing names that look like the name in the request.

The first line of a view's docstring is its summary in ``/openapi.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from werkzeug.wrappers import Response

from rasa_core.channels.channel import UserMessage
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    ActionReverted,
    Event,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.exceptions import DomainError, EventError, UnknownActionError, UnknownSlotError, did_you_mean, nearest
from rasa_core.processor import RasaProcessor
from rasa_core.server.api import inputs
from rasa_core.server.included_events import (
    MOST_TOLD_UNASKED,
    begun_conversation,
    check_length,
    check_told,
    unknown_conversation,
    with_events,
    with_events_if_short,
)
from rasa_core.server.requests import HttpError, Request, at_version, json_response
from rasa_core.slash_messages import joined
from rasa_core.support.strict_json import json_type
from rasa_core.trackers import DialogueStateTracker

if TYPE_CHECKING:
    from rasa_core.agent import Agent
    from rasa_core.domain import Domain
    from rasa_core.processor import MessageProcessor
    from rasa_core.server.api.fields import Body
    from rasa_core.tracker_store.idempotency import RequestResult

MOST_EXPLAINED: Final = 20_000
"""The largest number of events of a conversation that is explained."""
MOST_PLAYED: Final = 200_000
"""The largest number of events that one request may replay in total, which takes about ten seconds."""

_MOST_KEYS_TOLD: Final = 5
_BAD_EVENT: Final = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError)


def list_conversations(request: Request, agent: Agent, sender_id: str) -> Response:
    """List the ids of the conversations, all or a page of them."""
    store, after, most = agent.tracker_store, inputs.AFTER.of(request), inputs.LIMIT.of(request)
    if after is None and most is None:
        return json_response(list(store.keys()))  # A custom store need not support pages.
    return json_response(list(store.keys(after, most)))


def delete(request: Request, agent: Agent, sender_id: str) -> Response:
    """Delete a conversation with all its events."""
    conditions = request.conditions("delete")
    with agent.tracker_store.conversation(sender_id):  # Holds the conversation's lock.
        if conditions is not None:
            conditions.check_version(sender_id, agent.read_tracker(sender_id).version)
        return json_response({"deleted": agent.tracker_store.delete(sender_id)})


def parse(request: Request, agent: Agent, sender_id: str) -> Response:
    """Log a user's message, and return the action to run next."""
    turns, message = _message(request, agent, sender_id)
    answered = turns.parse(message, request.conditions("parse", message.text or ""))
    return _answer(answered, None if request.method == "GET" else _unknown_keys(request, inputs.MESSAGE))


def continue_(request: Request, agent: Agent, sender_id: str) -> Response:
    """Log the action that the caller has run, and return the next action."""
    turns = agent.turns()
    body = inputs.CONTINUE.of(request)
    action = _executed_action(body, agent)
    # Everything is checked before the turn begins, so that a refused request changes nothing.
    events = checked_events(body.get("events", []), agent)
    check_taken_back(events, agent, sender_id)
    error = _error_of(action, body)
    answered = turns.continue_(sender_id, action, events, request.conditions("continue"), error)
    return _answer(answered, _unknown_keys(request, inputs.CONTINUE))


def respond(request: Request, agent: Agent, sender_id: str) -> Response:
    """Log a user's message, run the actions on the server, and return the bot's messages."""
    turns, message = _message(request, agent, sender_id)
    return _answer(turns.respond(message, request.conditions("respond", message.text or "")))


def _message(request: Request, agent: Agent, sender_id: str) -> tuple[MessageProcessor, UserMessage]:
    """Return the user's message, and the processor for it, which uses the NLU model that the request names."""
    turns = agent.turns()
    in_url = request.method == "GET"
    given: dict[str, Any] = request.args.to_dict() if in_url else inputs.MESSAGE.of(request)
    if in_url:
        inputs.MESSAGE.check(given)
    text = given["query"] if "query" in given else given["q"]  # As in 0.9, "query" goes before "q".
    name = given.get("model") if "model" in given or not request.query_string else request.args.get("model")
    if name is not None:
        turns = agent.turns(interpreter=request.interpreter_named(name))
    return turns, UserMessage(text, None, sender_id)


def read_tracker(request: Request, agent: Agent, sender_id: str) -> Response:
    """Return the state of a conversation; an unknown conversation is not created."""
    until = inputs.UNTIL.of(request)
    tracker = agent.read_tracker(sender_id)
    version = tracker.version
    with_all, whole = inputs.EVENTS.of(request), inputs.IGNORE_RESTARTS.of(request)
    wanted = inputs.INCLUDE_EVENTS.of(request) or ("NONE" if not with_all else "ALL" if whole else "AFTER_RESTART")
    if until is not None:
        check_length(tracker.count())
        tracker = tracker.travel_back_in_time(until)
    elif version == 0 and agent.domain.rasa is not None:  # Rasa answers with a new session, which it also stores.
        tracker = begun_conversation(sender_id, agent.domain)
    check_told(tracker, wanted)
    return at_version(with_events(tracker, wanted), version)


def explain(request: Request, agent: Agent, sender_id: str) -> Response:
    """Explain a decision of the bot; an unknown conversation is not created."""
    tracker = agent.read_tracker(sender_id)
    if tracker.count() > MOST_EXPLAINED:
        raise HttpError(
            400,
            f"the conversation has {tracker.count()} events, all of which would be played again; at most "
            f"{MOST_EXPLAINED} are, over HTTP. Use Agent.explain on the store.",
        )
    at = inputs.AT.of(request, len(tracker.events))
    return at_version(agent.explain(tracker, at).as_dict(), tracker.version)


def replace_tracker(request: Request, agent: Agent, sender_id: str) -> Response:
    """Replace all events of a conversation."""
    inputs.INCLUDE_EVENTS.of(request)  # A wrong parameter is refused before anything changes.
    events = checked_events(request.conversation(), agent, is_log=True)
    check_taken_back(events, agent, None)
    answered = agent.processor.replace_events(sender_id, events, request.conditions("replace"))
    return _told(request, agent, sender_id, answered)


def append_events(request: Request, agent: Agent, sender_id: str) -> Response:
    """Append an event or a list of events to a conversation, without a prediction."""
    body = request.json()
    events = checked_events([body] if isinstance(body, dict) else body, agent, is_log=True)
    check_taken_back(events, agent, sender_id)
    if "include_events" in request.args:
        check_told(agent.read_tracker(sender_id), inputs.INCLUDE_EVENTS.of(request))
    return _told(
        request, agent, sender_id, agent.processor.append_events(sender_id, events, request.conditions("append"))
    )


def log_message(request: Request, agent: Agent, sender_id: str) -> Response:
    """Append a user's message, interpreted here or by the caller, without a prediction."""
    body = inputs.LOGGED.of(request)
    agent.turns()  # Raises `ModelError` if the agent has no policies.
    said = {"event": "user", "text": body["text"], "parse_data": body.get("parse_data") or None}
    (message,) = checked_events([said], agent)
    assert isinstance(message, UserUttered)
    if "include_events" in request.args:
        check_told(agent.read_tracker(sender_id), inputs.INCLUDE_EVENTS.of(request))
    answered = agent.processor.append_message(sender_id, message, request.conditions("messages"))
    return _told(request, agent, sender_id, answered)


def predict(request: Request, agent: Agent, sender_id: str) -> Response:
    """Predict the next action of a conversation; nothing is changed."""
    tracker = agent.tracker_store.retrieve(sender_id)
    if tracker is None:
        raise unknown_conversation(sender_id)
    check_length(tracker.count())
    turns = agent.turns()
    if isinstance(turns, RasaProcessor):
        turns.foresee_session(tracker)
    # Actions with equal scores are sorted by name.
    return json_response(_prediction(agent, tracker, lambda name, score: (-score, name), latest_session=True))


def predict_events(request: Request, agent: Agent, sender_id: str) -> Response:
    """Predict the next action after the given events; nothing is stored."""
    events = checked_events(request.json(), agent, is_log=True)
    check_taken_back(events, agent, None)
    tracker = DialogueStateTracker.from_events("default", events, agent.domain)
    if not events and agent.domain.rasa is not None:
        tracker.follow_up_action = ACTION_LISTEN_NAME  # Every conversation of Rasa 3 begins with it.
    order, wanted = agent.domain.action_indices, inputs.INCLUDE_EVENTS.of(request) or "AFTER_RESTART"
    return json_response(_prediction(agent, tracker, lambda name, score: order[name], wanted))


def _prediction(
    agent: Agent,
    tracker: DialogueStateTracker,
    order: Callable[[str, float], Any],
    wanted: str = "AFTER_RESTART",
    *,
    latest_session: bool = False,
) -> dict[str, Any]:
    found = agent.predict(tracker)
    scores = sorted(found.scores.items(), key=lambda item: order(*item))
    began, of_rasa = tracker.turn_began, None
    if agent.domain.rasa is not None:
        of_rasa = with_events(tracker, wanted, latest_session=latest_session, began=began)
        of_rasa["followup_action"] = None  # The prediction has used it up.
    return {
        "scores": [{"action": name, "score": score} for name, score in scores],
        "policy": found.policy,
        "confidence": found.confidence,
        "tracker": of_rasa or tracker.current_state(should_include_events=True),
    }


def _told(request: Request, agent: Agent, sender_id: str, answered: RequestResult) -> Response:
    """Answer with the result of a change, or with the state and the events that the request asks for."""
    wanted = inputs.INCLUDE_EVENTS.of(request)
    # A repeated request with an idempotency key gets the same bytes, whatever has happened since.
    if wanted is None and (agent.domain.rasa is None or "Idempotency-Key" in request.headers):
        return _answer(answered)
    tracker, is_replaced = agent.read_tracker(sender_id), answered.result.get("events") is not None
    if wanted is None:  # By default, clients of Rasa 3 get the events, unless the conversation is too long.
        wanted = "AFTER_RESTART" if is_replaced or tracker.count() <= MOST_TOLD_UNASKED else "NONE"
    return at_version(with_events_if_short(tracker, wanted, latest_session=not is_replaced), tracker.version)


def _unknown_keys(request: Request, described: Body) -> str | None:
    """Return a note about keys in the body that look like misspelt keys of `described`; other keys are ignored."""
    unknown = [key for key in request.body_keys if key not in described.fields][:_MOST_KEYS_TOLD]
    if not unknown:
        return None
    hints = {key: did_you_mean(key, described.fields) for key in unknown}
    told = "The body has a key {!r}, which means nothing here.{}"
    return joined(*(told.format(key[:80], hint) for key, hint in hints.items() if hint))


def _answer(answered: RequestResult, info: str | None = None) -> Response:
    result = answered.result
    if info is not None:  # The note depends on the body alone, so a repeated answer has the same note.
        result = {**result, "info": joined(result.get("info"), info)}
    return at_version(result, answered.version)


# -- actions and events in a body


def _executed_action(body: Mapping[str, Any], agent: Agent) -> str | None:
    """Return the name of the action that the caller has run, or None."""
    name: str | None = body.get("executed_action")
    if name is not None and name not in agent.domain.action_indices:
        _check_names(ActionExecuted(name), agent.domain, "", {})
    return name


def _error_of(action: str | None, body: Mapping[str, Any]) -> str | None:
    """Return the error of the caller's action, or None if it did not fail; an error may be an empty text."""
    error: str | None = body.get("error")
    if error is not None and action is None:
        raise HttpError(400, '"error" says why an action failed; send the name of the action as "executed_action".')
    return error


def checked_events(items: object, agent: Agent, *, is_log: bool = False) -> list[Event]:
    """Return the events of a JSON list; raise `HttpError` 400 if one of them is wrong.

    A log (`is_log`) may contain names that the domain does not have, if `inputs.any_name_in_logs` says so.
    """
    if not isinstance(items, list):
        raise HttpError(400, f"events are sent as a list, not as {json_type(items)}.")
    takes_any = is_log and inputs.any_name_in_logs(agent.domain)
    return [_event(item, index, agent, takes_any) for index, item in enumerate(items)]


def check_taken_back(events: list[Event], agent: Agent, sender_id: str | None) -> None:
    """Raise `HttpError` 400 if there are too many events ``rewind`` and ``undo`` to carry out in about ten seconds.

    Each of them replays the whole conversation. The conversation is that of `sender_id`, or, for None, `events` alone.
    """
    taken_back = sum(isinstance(event, UserUtteranceReverted | ActionReverted) for event in events)
    if not taken_back:
        return
    length = len(events) + (0 if sender_id is None else agent.read_tracker(sender_id).count(since_restart=True))
    most = MOST_PLAYED // length
    if taken_back > most:
        remedy = "Send them in several." if most else 'Send a "restart", and then what is to count.'
        raise HttpError(
            400,
            f'{taken_back} events are "rewind" or "undo", each of which plays {length} events again; at most {most} '
            f"of them are taken in one request to a conversation of this length. {remedy}",
        )


def _event(item: object, index: int, agent: Agent, takes_any_name: bool) -> Event:
    where, details = f"event {index}: ", {"index": index}
    if not isinstance(item, dict):
        raise HttpError(400, f"{where}an event is an object, not {json_type(item)}.", details=details)
    problem = _shape_problem(item)
    if problem is not None:
        raise HttpError(400, where + problem, details=details)
    if item["event"] == "user" and item.get("parse_data") is None:
        parsed, interpreter = agent.processor.understood(item["text"])
        # An "interpreter" that is no text is passed on, so that the event's own check refuses it.
        by = interpreter if isinstance(item.get("interpreter"), str | None) else item["interpreter"]
        item = {**item, "parse_data": parsed, "interpreter": by}
    try:
        event = Event.from_parameters(item).storable()
    except EventError as error:
        known = Event.known_types()
        near = {} if item["event"] in known else {"nearest": nearest(item["event"], known)}
        raise HttpError(400, f"{where}{error}", details={**details, **near}) from None
    except _BAD_EVENT as error:  # A custom event class may raise other errors, since it need not check its values.
        problem = f'{where}{type(error).__name__} in "{item["event"]}": {error}'
        raise HttpError(400, problem, details=details) from error
    if not takes_any_name:
        _check_names(event, agent.domain, where, details)
    return event


def _shape_problem(item: Mapping[str, Any]) -> str | None:
    """Return why `item` is not an event that may be sent over HTTP, or None if it is."""
    if not isinstance(item.get("event"), str):
        return 'the key "event" must hold the type of the event, such as {"event": "restart"}.'
    if item["event"] == "export":
        return '"export" writes files, and is not accepted over HTTP.'
    if item["event"] == "user" and item.get("parse_data") is None and not isinstance(item.get("text"), str):
        return 'a "user" event needs "text", or "parse_data", or both.'
    return None


def _check_names(event: Event, domain: Domain, where: str, details: Mapping[str, Any]) -> None:
    """Raise `HttpError` 400 if the event names an action or a slot that the domain does not have."""
    known: Iterable[str]
    problem: DomainError
    try:
        domain.check_event(event)
        return
    except UnknownSlotError as error:
        problem, name, known = error, getattr(event, "key", ""), [slot.name for slot in domain.slots]
    except UnknownActionError as error:
        problem, name, known = error, getattr(event, "action_name", ""), domain.action_names
    raise HttpError(400, f"{where}{problem}", details={**details, "nearest": nearest(name, known)})


TALKS: Final = {
    "/parse": {"GET": parse, "POST": parse},
    "/continue": {"POST": continue_},
    "/respond": {"GET": respond, "POST": respond},
}
"""Views by path and method, below a conversation and, for the conversation "default", also at the top."""

OF_A_CONVERSATION: Final = {
    **TALKS,
    "": {"DELETE": delete},
    "/tracker": {"GET": read_tracker, "HEAD": read_tracker, "PUT": replace_tracker},
    "/tracker/events": {"POST": append_events, "PUT": replace_tracker},
    "/explain": {"GET": explain, "HEAD": explain},
    "/predict": {"POST": predict},
    "/messages": {"POST": log_message},
}
"""Views of the paths below a conversation, by path and method."""

GENERAL: Final = {
    **TALKS,
    "/conversations": {"GET": list_conversations, "HEAD": list_conversations},
    "/model/predict": {"POST": predict_events},
}
"""Views of other paths, by path and method."""
