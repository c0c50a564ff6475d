"""What requests mean: messages, actions and events, checked against the domain before anything changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rasa_core.events import ActionExecuted, Event
from rasa_core.exceptions import DomainError, EventError, UnknownActionError, UnknownSlotError, nearest
from rasa_core.server.errors import HttpError

if TYPE_CHECKING:
    from rasa_core.agent import Agent
    from rasa_core.domain import Domain

_MISSING_MESSAGE = 'the message is missing; send it as {"query": "..."}, or as {"q": "..."}.'
_BAD_EVENT = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError)


def object_of(body: object) -> dict[str, Any]:
    """Return `body` if it is a JSON object."""
    if isinstance(body, dict):
        return body
    raise HttpError(400, f"the body must be a JSON object, not {json_type(body)}.")


def message_text(parameters: Mapping[str, Any]) -> str:
    """Return the user's message from ``query`` or, where that is missing, ``q``."""
    for key in ("query", "q"):
        if key in parameters:
            text = parameters[key]
            if isinstance(text, str):
                return text
            raise HttpError(400, f'"{key}" must be the message as a string, not {json_type(text)}.')
    raise HttpError(400, _MISSING_MESSAGE)


def model_name(parameters: Mapping[str, Any]) -> str | None:
    """Return the NLU model that is to understand the message, None if none is named."""
    name = parameters.get("model")
    if name is None or isinstance(name, str):
        return name
    raise HttpError(400, f'"model" must be the name of a model as a string, not {json_type(name)}.')


def executed_action(body: Mapping[str, Any], agent: Agent) -> str | None:
    """Return the name of the action that the caller has run, None if it ran none."""
    name = body.get("executed_action")
    if name is None:
        return None
    if not isinstance(name, str):
        raise HttpError(400, f'"executed_action" must be the name of an action or null, not {json_type(name)}.')
    _check_names(ActionExecuted(name), agent.domain, "", {})
    return name


def events_of(items: object, agent: Agent) -> list[Event]:
    """Return the events of a JSON list.

    Raises
    ------
    HttpError
        400 if one of them is wrong, with ``index``, its position in the list, and where it names what does
        not exist with ``nearest``, the existing names that look like it.
    """
    if not isinstance(items, list):
        raise HttpError(400, f"events are sent as a list, not as {json_type(items)}.")
    return [_event(item, index, agent) for index, item in enumerate(items)]


def _event(item: object, index: int, agent: Agent) -> Event:
    where, details = f"event {index}: ", {"index": index}
    if not isinstance(item, dict):
        raise HttpError(400, f"{where}an event is an object, not {json_type(item)}.", details=details)
    problem = _shape_problem(item)
    if problem is not None:
        raise HttpError(400, where + problem, details=details)
    if item["event"] == "user" and item.get("parse_data") is None:
        item = {**item, "parse_data": agent.processor.understand(item["text"])}
    try:
        event = Event.from_parameters(item)
    except EventError as error:
        known = _event_types()
        near = {} if item["event"] in known else {"nearest": nearest(item["event"], known)}
        raise HttpError(400, f"{where}{error}", details={**details, **near}) from None
    except _BAD_EVENT as error:  # From event classes of users' own, which need not check what they are given.
        problem = f'{where}{type(error).__name__} in "{item["event"]}": {error}'
        raise HttpError(400, problem, details=details) from error
    _check_names(event, agent.domain, where, details)
    return event


def _shape_problem(item: Mapping[str, Any]) -> str | None:
    """Return what keeps `item` from being an event that may come over HTTP."""
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


def _event_types(base: type[Event] = Event) -> set[str]:
    below = set[str]().union(*map(_event_types, base.__subclasses__()))
    return below if base is Event else below | {base.type_name}


def unix_time(text: str) -> float:
    """Return the moment that the parameter ``until`` names, in seconds."""
    try:
        moment = float(text)
    except ValueError:
        moment = math.nan
    if not math.isfinite(moment):
        raise HttpError(400, f'"until" is Unix time in seconds, such as 1536000000.5, not {text[:40]!r}.')
    return moment


def count(text: str) -> int:
    """Return the number in the parameter ``limit``."""
    if text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text):
        return int(text)
    raise HttpError(400, f'"limit" is a whole number above 0, not {text[:40]!r}.')


def position(text: str, last: int) -> int:
    """Return the number of events in the parameter ``at``, at most `last`."""
    if text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= last:
        return int(text)
    raise HttpError(400, f'"at" is a number of events of this conversation, from 0 to {last}, not {text[:40]!r}.')


def json_type(value: object) -> str:
    """Return what a JSON value is called in JSON."""
    if value is None:
        return "null"
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return names[type(value)]
