"""The values that a conversation may have: one check for Python, HTTP, messages, buttons and custom events."""

from __future__ import annotations

import dataclasses
import json
import logging
from array import array
from collections import OrderedDict, UserDict, UserString, deque, namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import strategies
from callers import Caller, make_processor
from hypothesis import given
from hypothesis import strategies as st
from policy_bot import ITALIAN, Script, local_domain

from rasa_core.actions.action import Action
from rasa_core.agent import Agent
from rasa_core.channels import UserMessage
from rasa_core.events import BotUttered, Event, SlotSet, UserUttered
from rasa_core.exceptions import EventError, InterpreterError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.support.strict_json import MAX_DEPTH, decode, plain
from rasa_core.trackers import DialogueStateTracker

DOMAIN = local_domain()


class Size(Enum):
    SMALL = "small"
    PAIR = (1, 2)


class Rank(IntEnum):
    FIRST = 1


class Chosen(Enum):
    BEST = Size.SMALL


class Flags(IntFlag):
    A = 1
    B = 2


class Shouted(str):
    def __str__(self) -> str:
        return self.upper()


@dataclasses.dataclass
class Place:
    name: str
    at: tuple[float, float] = (1.5, 2.5)


@dataclasses.dataclass(frozen=True, slots=True)
class Both:
    at: Place
    on: date


Pair = namedtuple("Pair", "a b")

CONVERTED: dict[str, tuple[Any, Any]] = {
    "Decimal": (Decimal("1.5"), 1.5),
    "whole Decimal": (Decimal("10"), 10),
    "datetime": (datetime(2018, 9, 3, 11, 41, 10, tzinfo=UTC), "2018-09-03T11:41:10+00:00"),
    "date": (date(2018, 9, 3), "2018-09-03"),
    "time": (time(11, 41), "11:41:00"),
    "tuple": ((1, (2, [3])), [1, [2, [3]]]),
    "named tuple": (Pair(1, 2), [1, 2]),
    "set": ({3, 1, 2}, [1, 2, 3]),
    "mixed set": (frozenset({"b", 1, None}), ["b", 1, None]),
    "deque": (deque([1]), [1]),
    "range": (range(2), [0, 1]),
    "ordered dict": (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    "enum": (Size.SMALL, "small"),
    "enum of a tuple": (Size.PAIR, [1, 2]),
    "enum as a key": ({Size.SMALL: 1}, {"small": 1}),
    "int enum": (Rank.FIRST, 1),
    "dataclass": (Place("Da Mario"), {"name": "Da Mario", "at": [1.5, 2.5]}),
    "NumPy float": (np.float32(0.5), 0.5),
    "NumPy int": (np.int64(3), 3),
    "NumPy bool": (np.bool_(True), True),
    "NumPy text": (np.str_("a"), "a"),
    "NumPy array": (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    "NumPy date": (np.datetime64("2018-09-03T11:41:10"), "2018-09-03T11:41:10"),
    "UUID": (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "NumPy long float": (np.longdouble(0.5), 0.5),
    "NumPy long floats": (np.array([0.5, 1], dtype=np.longdouble), [0.5, 1.0]),
    "NumPy small float": (np.float16(0.5), 0.5),
    "NumPy objects": (np.array([None, Decimal(2)], dtype=object), [None, 2]),
    "NumPy record": (np.array([(1, "a")], dtype=[("x", "i4"), ("y", "U1")]), [[1, "a"]]),
    "masked array": (np.ma.array([1, 2], mask=[False, True]), [1, None]),  # type: ignore[no-untyped-call]
    "user's text": (UserString("a"), "a"),
    "user's dict": (UserDict(a=Rank.FIRST), {"a": 1}),
    "text with another str()": (Shouted("a"), "a"),
    "set of sets": (frozenset({frozenset({2, 1}), frozenset({0})}), [[0], [1, 2]]),
    "enum of an enum": (Chosen.BEST, "small"),
    "flag": (Flags.A | Flags.B, 3),
    "array": (array("d", [1.5]), [1.5]),
    "dataclass of a dataclass": (
        Both(Place("a"), date(2018, 9, 3)),
        {"at": {"name": "a", "at": [1.5, 2.5]}, "on": "2018-09-03"},
    ),
    "path": (PurePosixPath("a/b"), "a/b"),
}
DICT_CIRCLE: dict[str, Any] = {}
DICT_CIRCLE["a"] = DICT_CIRCLE
CIRCLE: list[Any] = []
CIRCLE += [CIRCLE, CIRCLE]
REFUSED: dict[str, Any] = {
    "nan": float("nan"),
    "infinity": [float("-inf")],
    "NumPy nan": np.float64("nan"),
    "Decimal nan": Decimal("NaN"),
    "huge Decimal": Decimal("1E+1000000"),
    "huge integer": 10**5000,
    "huge range": range(10**9),
    "range longer than any number of items": range(10**30),
    "int key": {1: "a"},
    "bytes": b"x",
    "memory": memoryview(b"x"),
    "NumPy bytes": np.array([b"x"]),
    "NumPy nans": np.array([1.0, np.nan]),
    "NumPy complex": np.complex64(1),
    "NumPy durations": np.array([1], dtype="m8[s]"),
    "long nan": np.longdouble("nan"),
    "null as a key": {None: 1},
    "true as a key": {True: 1, "true": 2},
    "fraction": Fraction(1, 2),
    "dict circle": DICT_CIRCLE,
    "signalling nan": Decimal("sNaN"),
    "timedelta": timedelta(1),
    "not a time": np.datetime64("NaT", "s"),
    "complex": 1j,
    "object": object(),
    "class": Place,
    "generator": (one for one in [1]),
    "circle": CIRCLE,
    "deep": json.loads("[" * 200 + "]" * 200),
}
by_converted = pytest.mark.parametrize(("given", "expected"), CONVERTED.values(), ids=CONVERTED)
by_refused = pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, and of the same types."""
    return json.dumps(one) == json.dumps(other) and type(one) is type(other)


# -- roads by which a value comes in


def by_tracker(value: Any) -> Any:
    tracker = DialogueStateTracker.from_events("anna", [SlotSet("found", value)], DOMAIN)
    return tracker.get_slot("found")


def by_continue(value: Any) -> Any:
    caller = Caller(make_processor())
    return caller.next("action_search", SlotSet("found", value))["tracker"]["slots"]["found"]


def by_append(value: Any) -> Any:
    agent = Agent(DOMAIN, [Script({})])
    agent.append_events("anna", [SlotSet("found", value)])
    return agent.read_tracker("anna").get_slot("found")


def by_replacing(value: Any) -> Any:
    agent = Agent(DOMAIN, [Script({})])
    return agent.replace_events("anna", [SlotSet("found", value)])["slots"]["found"]


def by_data(value: Any) -> Any:
    tracker = DialogueStateTracker.from_events("anna", [BotUttered("x", {"custom": value})], DOMAIN)
    return (tracker.latest_bot_utterance.data or {})["custom"]


def by_an_event_of_ones_own(value: Any) -> Any:
    class Noted(Event):
        type_name = "noted"

        def __init__(self, note: Any = None, timestamp: float | None = None) -> None:
            super().__init__(timestamp)
            self.note = note

        def _parameters(self) -> dict[str, Any]:
            return {"note": self.note}

        @classmethod
        def _from_parameters(cls, parameters: Any) -> Event:
            return cls(parameters["note"])

        def apply_to(self, tracker: DialogueStateTracker) -> None:
            tracker.slots["found"].value = self.note

    agent = Agent(DOMAIN, [Script({})])
    agent.append_events("anna", [Noted(value)])
    return agent.read_tracker("anna").get_slot("found")


def by_a_message(value: Any) -> Any:
    message = UserUttered("x", {"name": "greet"}, [{"entity": "cuisine", "value": value}])
    tracker = DialogueStateTracker.from_events("anna", [message], DOMAIN)
    return tracker.latest_message.entities[0]["value"]


ROADS = [
    by_tracker,
    by_continue,
    by_append,
    by_replacing,
    by_data,
    by_an_event_of_ones_own,
    by_a_message,
]
by_road = pytest.mark.parametrize("road", ROADS, ids=lambda road: road.__name__)


@pytest.fixture(autouse=True)
def _event_classes_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Event, "_subclasses", dict(Event._subclasses))


@by_road
@by_converted
def test_what_has_one_obvious_form_gets_it(road: Callable[[Any], Any], given: Any, expected: Any) -> None:
    assert same(road(given), expected)


@by_road
@by_refused
def test_what_has_none_is_refused(road: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(EventError, match=r'the event "[a-z]+" cannot be stored as JSON: '):
        road(value)


@given(strategies.json_values())
def test_json_stays_what_it_is(value: Any) -> None:
    assert plain(value) is value


@pytest.mark.parametrize(
    "event",
    [SlotSet(5, 1), BotUttered(5), UserUttered(5, {"name": "greet"})],  # type: ignore[arg-type]
    ids=["slot", "text", "message"],
)
def test_an_event_that_could_not_be_read_back_is_refused(event: Event) -> None:
    with pytest.raises(EventError, match="must be "):
        DialogueStateTracker.from_events("anna", [event], DOMAIN)


# -- actions that run here


def run_action(run: Callable[..., Any]) -> tuple[list[dict[str, Any]], DialogueStateTracker]:
    """Return the messages of the bot, and the conversation, if ``action_search`` does this."""
    domain = local_domain()

    class Replaced(Action):
        def name(self) -> str:
            return "action_search"

        def run(self, dispatcher, tracker, domain):
            return run(dispatcher)

    domain.actions[domain.index_for_action("action_search")] = Replaced()
    following = {("inform", "action_listen"): "action_search", ("inform", "action_search"): "utter_found"}
    agent = Agent(domain, [Script(following)])
    said = agent.handle_message(ITALIAN)
    assert said is not None
    return said, agent.read_tracker("default")


@by_converted
def test_an_action_may_return_it(given: Any, expected: Any) -> None:
    _, tracker = run_action(lambda dispatcher: [SlotSet("found", given)])
    assert same(tracker.get_slot("found"), expected)


@by_converted
def test_an_action_may_say_it(given: Any, expected: Any) -> None:
    buttons = [{"title": "Yes", "payload": given}]
    said, tracker = run_action(lambda dispatcher: dispatcher.utter_button_message("well?", buttons))
    assert same(said[0]["data"][0]["payload"], expected)
    (logged, _) = [event for event in tracker.events if isinstance(event, BotUttered)]
    assert logged.data is not None
    assert same(logged.data["buttons"][0]["payload"], expected)


FAILING: dict[str, Callable[[Any, Any], Any]] = {
    "slot": lambda dispatcher, value: [SlotSet("price", "high"), SlotSet("found", value)],
    "buttons": lambda dispatcher, value: dispatcher.utter_button_message("x", [{"payload": value}]),
    "cards": lambda dispatcher, value: dispatcher.utter_custom_message({"title": value}),
    "image": lambda dispatcher, value: dispatcher.utter_attachment(value),
    "event": lambda dispatcher, value: [BotUttered("x", {"a": value})],
}


@by_refused
@pytest.mark.parametrize("fail", FAILING.values(), ids=FAILING)
def test_anything_else_fails_the_action_and_the_turn_goes_on(fail, value, caplog) -> None:
    said, tracker = run_action(lambda dispatcher: fail(dispatcher, value))
    assert [message.get("action") for message in said] == ["action_search", None]
    names = [event.action_name for event in tracker.events if event.type_name == "action"]
    assert names == ["action_listen", "action_search", "utter_found", "action_listen"]
    (failed,) = [event for event in tracker.events if "error" in event.as_dict()]
    assert failed.error.startswith("EventError: ")
    assert tracker.get_slot("price") == "low"
    assert "the action 'action_search' failed" in caplog.text


def test_a_text_that_is_none_fails_the_action() -> None:
    said, _ = run_action(lambda dispatcher: dispatcher.utter_button_message(5, []))
    assert said[0]["action"] == "action_search"


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "told"),
    [(Unspeakable(), "Unspeakable"), (ValueError("\ud83d!"), "ValueError: ?!"), (StopIteration(), "StopIteration")],
    ids=["no text", "half a character", "no more"],
)
def test_whatever_an_action_raises_is_told_in_a_text_that_can_be_kept(
    error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "rasa_core")  # A process cannot report half a character to another one.

    def fail(dispatcher: Any) -> None:
        raise error

    _, tracker = run_action(fail)
    assert [event.error for event in tracker.events if "error" in event.as_dict()] == [told]


@pytest.mark.parametrize("returned", [SlotSet("found", 1), True, "done", {"event": "slot"}], ids=repr)
def test_what_is_no_list_of_events_is_told_as_it_is(returned: Any) -> None:
    _, tracker = run_action(lambda dispatcher: returned)
    (error,) = [event.error for event in tracker.events if "error" in event.as_dict()]
    assert error.startswith("EventError: an action returns a list of Event objects, such as [SlotSet(...)], and not ")


@pytest.mark.parametrize("returned", [None, (), False, {}], ids=repr)
def test_nothing_is_no_events(returned: Any) -> None:
    _, tracker = run_action(lambda dispatcher: returned)
    assert not [event for event in tracker.events if "error" in event.as_dict()]


# -- messages


class Fixed(NaturalLanguageInterpreter):
    def __init__(self, value: Any) -> None:
        self.value = value

    def parse(self, text: str) -> Any:
        entities = [{"entity": "found", "value": self.value}]
        return {"text": text, "intent": {"name": "greet", "confidence": np.float32(0.5)}, "entities": entities}


@by_converted
def test_an_interpreter_may_find_it(given: Any, expected: Any) -> None:
    caller = Caller(make_processor())
    caller.processor.interpreter = Fixed(given)
    answer = caller.parse("hi")
    assert same(answer["tracker"]["slots"]["found"], expected)
    assert same(answer["tracker"]["latest_message"]["intent"]["confidence"], 0.5)


@by_refused
def test_an_interpreter_that_finds_anything_else_is_to_blame(value: Any) -> None:
    caller = Caller(make_processor())
    caller.processor.interpreter = Fixed(value)
    with pytest.raises(InterpreterError, match="Fixed returned no parse: "):
        caller.parse("hi")


def test_a_message_that_means_more_than_anybody_says_is_refused() -> None:
    processor = make_processor()
    many = f'/inform{{"tags": {[1] * 10_001}}}'
    for road in (
        lambda: processor.parse(UserMessage(many, None, "anna")),
        lambda: processor.respond(UserMessage(many, None, "anna")),
        lambda: processor.append_events("anna", [UserUttered("x", {}, [{"entity": "tags", "value": 1}] * 10_001)]),
        lambda: processor.append_events(
            "anna", [UserUttered("x", parse_data={"intent": {}, "entities": [], "intent_ranking": [{}] * 10_001})]
        ),
    ):
        with pytest.raises(EventError, match="of a message has at most 10000 items, not 10001"):
            road()
    assert processor.tracker_store.retrieve("anna") is None

    assert (
        len(processor.parse(UserMessage(many.replace("1, ", "", 1), None, "anna")).result["tracker"]["slots"]["tags"])
        == 10_000
    )


VALUES = st.recursive(
    st.sampled_from(["\\ud83d", "9" * 300, "9" * 4000, "1e400", "NaN", "0." + "9" * 4000, '"\\ud83d"', '"é🎉"', "1"]),
    lambda inner: st.lists(inner, max_size=2).map(lambda parts: f"[{','.join(parts)}]"),
)
DEEP = st.integers(80, 110).map(lambda depth: "[" * depth + "]" * depth)


@given(value=VALUES | DEEP | DEEP.map(lambda text: text.replace("[", '{"a":[', 1).replace("]", "]}", 1)))
def test_what_a_message_brought_into_the_log_can_be_put_back(value: str) -> None:
    processor = make_processor()
    processor.parse(UserMessage('/inform{"tags": ' + value + "}", None, "anna"))
    state = processor.tracker_store.peek("anna").current_state(should_include_events=True)
    read = decode(json.dumps(state))
    events = [Event.from_parameters(event).storable() for event in decode(json.dumps(read["events"]))]
    assert processor.replace_events("bert", events).result["slots"] == state["slots"]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "1",
            "-1",
            "-0",
            "-0.0",
            "1.5e300",
            "1E5",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
        ),
        *(
            "0.1234567890123456789",
            "123456789012345678.5",
            '"\\ud800"',
            '"\ud800"',
            '"\u00e9\U0001f600"',
            '{"a": 1, "b": 2, "a": 3}',
        ),
        *(f"{'1' * 300}", f"[{'9' * 25}, -0, 1e2]", " [1 , true , null ] ", '"\\u0000"'),
    ],
)
def test_json_is_read_as_python_reads_it(text: str) -> None:
    assert repr(decode(text)) == repr(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        "1e400",
        "-1e999",
        "1" * 301,
        "[" * 101 + "]" * 101,
        "[" * 5000,
        "01",
        '"\n"',
        "[1,]",
        "\ufeff1",
        "",
    ],
)
def test_what_is_no_sound_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)


@pytest.mark.parametrize("depth", range(MAX_DEPTH - 8, MAX_DEPTH + 2))
def test_what_is_sent_as_an_event_can_be_put_back(depth: int) -> None:
    event = {"event": "slot", "name": "found", "value": json.loads("[" * depth + "]" * depth)}
    try:
        decode(json.dumps(event))
        Agent(DOMAIN, [Script({})]).append_events("anna", [Event.from_parameters(event)])
    except ValueError:
        return
    decode(json.dumps({"events": [event]}))
