"""Malformed JSON of events is refused with an error that names the key."""

from __future__ import annotations

from typing import Any

import pytest

from rasa_core.events import Event
from rasa_core.exceptions import EventError

REMINDER = {"action": "action_remind", "date_time": "2018-09-03T11:41:10"}
USER = {"event": "user", "text": "hi", "parse_data": {"intent": {"name": "greet"}, "entities": []}}


def user(**parse_data: object) -> dict[str, Any]:
    return {**USER, "parse_data": {**USER["parse_data"], **parse_data}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        (["slot"], "an event is a JSON object, not list"),
        (None, "an event is a JSON object, not NoneType"),
        ({"name": "x"}, 'needs the key "event"'),
        ({"event": 3}, 'needs the key "event"'),
        (
            {"event": "slott"},
            "unknown event type 'slott'. Did you mean 'slot'?.* Known types: action, .*agent, bot",
        ),
        ({"event": "event"}, "unknown event type 'event'"),
        (
            {"event": "restart", "timestamp": "noon"},
            '"timestamp" of event "restart" is Unix time in seconds, not \'noon\'',
        ),
        ({"event": "restart", "timestamp": True}, '"timestamp" of event "restart"'),
        ({"event": "restart", "timestamp": float("nan")}, '"timestamp" of event "restart"'),
        ({"event": "restart", "timestamp": float("inf")}, '"timestamp" of event "restart"'),
        ({"event": "restart", "timestamp": 10**400}, '"timestamp" of event "restart"'),
        ({"event": "slot", "value": 1}, '"name" of event "slot" is missing; it is a string'),
        ({"event": "slot", "name": 5}, '"name" of event "slot" must be a string, not int'),
        ({"event": "action"}, '"name" of event "action" is missing'),
        ({"event": "action", "name": ["x"]}, '"name" of event "action" must be a string, not list'),
        ({"event": "action", "name": "x", "policy": 1}, '"policy" of event "action" must be a string'),
        ({"event": "action", "name": "x", "confidence": "1"}, '"confidence" of event "action" must be a number'),
        ({"event": "action", "name": "x", "confidence": True}, '"confidence" of event "action" must be a number'),
        ({"event": "action", "name": "x", "confidence": float("nan")}, '"confidence" of event "action"'),
        ({"event": "followup", "name": 1}, '"name" of event "followup" must be a string'),
        ({"event": "bot", "text": 1}, '"text" of event "bot" must be a string, not int'),
        ({**REMINDER, "event": "reminder", "action": None}, '"action" of event "reminder" is missing'),
        ({**REMINDER, "event": "reminder", "date_time": None}, '"date_time" of event "reminder" is missing'),
        (
            {**REMINDER, "event": "reminder", "date_time": "soon"},
            '"date_time" of event "reminder" is like .*not \'soon\'',
        ),
        (
            {**REMINDER, "event": "reminder", "kill_on_user_msg": "no"},
            '"kill_on_user_msg" .* must be true or false',
        ),
        ({**REMINDER, "event": "reminder", "name": 3}, '"name" of event "reminder" must be a string'),
        ({"event": "user", "text": "hi"}, '"parse_data" of event "user" is missing; it is an object'),
        ({**USER, "text": 3}, '"text" of event "user" must be a string'),
        ({**USER, "parse_data": []}, '"parse_data" of event "user" must be an object'),
        ({**USER, "parse_data": {"entities": []}}, '"parse_data" needs "intent"'),
        ({**USER, "parse_data": {"intent": {}}}, '"parse_data" needs "entities"'),
        (user(intent="greet"), '"parse_data" needs "intent"'),
        (user(intent={"name": 1}), '"parse_data" needs "intent"'),
        (user(intent={"name": "greet", "confidence": 10**400}), '"parse_data" needs "intent"'),
        (user(entities=None), '"parse_data" needs "entities"'),
        (user(entities=["name"]), '"parse_data" needs "entities"'),
        (user(entities=[{"value": 1}]), '"parse_data" needs "entities"'),
        (user(intent_ranking={"greet": 1}), '"intent_ranking" of "parse_data"'),
        (user(intent_ranking=[{"name": "greet", "confidence": "high"}]), '"intent_ranking" of "parse_data"'),
    ],
    ids=lambda part: str(part)[:40] if isinstance(part, str) else "",
)
def test_malformed_json_names_the_key(form: Any, problem: str) -> None:
    with pytest.raises(EventError, match=problem):
        Event.from_parameters(form)
