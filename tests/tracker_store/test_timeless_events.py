"""Reading rows with a cache of events whose times and policies are ignored."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import strategies
from hypothesis import given

from rasa_core.events import ActionExecuted, BotUttered, Event, UserUttered
from rasa_core.events.rasa3 import ActiveLoop
from rasa_core.exceptions import EventError
from rasa_core.support.strict_json import encode_known
from rasa_core.tracker_store.rows import TimelessEvents

_UNSEEN = {"timestamp", "policy", "confidence", "model", "predicted", "moment"}


def seen(event: Event) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(event) if field.name not in _UNSEEN]  # type: ignore[arg-type]
    return {name: getattr(event, name) for name in names}


@given(strategies.logs())
def test_all_but_times_and_deciders_is_read(log: list[Event]) -> None:
    timeless = TimelessEvents()
    for event in [*log, *log]:
        found = timeless.read(encode_known(event.as_dict()))
        assert type(found) is (type(event) if event.type_name != "agent" else BotUttered)
        if event.type_name not in ("bot", "agent"):
            assert seen(found) == seen(Event.from_log(event.as_dict()))


def test_actions_are_one_object_whoever_chose_them_and_failed_ones_another() -> None:
    timeless = TimelessEvents()
    chosen = [("KerasPolicy", 0.31), ("MemoizationPolicy", 1.0), (None, None)]
    made = [ActionExecuted("utter_a", timestamp=1.0 + n, policy=p, confidence=c) for n, (p, c) in enumerate(chosen)]
    failed, hidden = ActionExecuted("utter_a", error="broken"), ActionExecuted("utter_a", hide_rule_turn=True)
    first, *others = (timeless.read(encode_known(event.as_dict())) for event in [*made, failed, hidden])
    assert [one is first for one in others] == [True, True, False, False]
    assert others[2].error == "broken"
    assert others[3].hide_rule_turn is True


@pytest.fixture
def late_messages() -> Iterator[type[Event]]:
    """Let a type of a user's own stand for messages, which looks at when they came."""
    known = Event._subclasses["active_loop"]

    class LateLoop(ActiveLoop):
        type_name = "active_loop"

    yield LateLoop
    Event._subclasses["active_loop"] = known


def test_types_of_users_own_keep_their_times(late_messages: type[Event]) -> None:
    timeless = TimelessEvents()
    rows = [encode_known({"event": "active_loop", "timestamp": moment, "name": "form"}) for moment in (1.5, 2.5)]
    found = [timeless.read(row) for row in rows]
    assert [(type(one), one.timestamp) for one in found] == [(late_messages, 1.5), (late_messages, 2.5)]


def test_what_is_no_event_is_refused_as_ever() -> None:
    timeless = TimelessEvents()
    for row in ('{"event":"user","timestamp":1.0,"text":1}', '{"event":"no such","timestamp":1.0}'):
        with pytest.raises(EventError, match="event"):
            timeless.read(row)
    assert isinstance(
        timeless.read('{"timestamp": 2, "text": "hi", "parse_data": {"intent": {}, "entities": []}, "event": "user"}'),
        UserUttered,
    )
