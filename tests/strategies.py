"""Hypothesis strategies for events over a small domain that has every kind of slot.

`events()` gives any event, `ordinary_events()` those that never need the past of a conversation, and `logs()`
whole conversations. Names are mostly those of `DOMAIN`; some are unknown to it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from rasa_core.domain import Domain
from rasa_core.events import (
    ActionExecuted,
    ActionReverted,
    AgentUttered,
    AllSlotsReset,
    BotUttered,
    ConversationPaused,
    ConversationResumed,
    Event,
    FollowupAction,
    ReminderScheduled,
    Restarted,
    SlotSet,
    StoryExported,
    UserUtteranceReverted,
    UserUttered,
)

DOMAIN = """
intents: [greet, inform, bye, {chitchat: {use_entities: false}}]
entities: [cuisine, people, tags]
slots:
  cuisine: {type: text}
  people: {type: float, min_value: 0, max_value: 8, initial_value: 2}
  tags: {type: list, initial_value: [old]}
  price: {type: categorical, values: [low, high]}
  happy: {type: bool, initial_value: true}
  notes: {type: unfeaturized, initial_value: {seen: []}}
templates:
  utter_greet: hello
  utter_bye: bye
actions: [utter_greet, utter_bye]
"""

INTENTS = ("greet", "inform", "bye", "chitchat", "mumble")
ENTITIES = ("cuisine", "people", "tags", "shoe_size")
SLOTS = ("cuisine", "people", "tags", "price", "happy", "notes", "no_such_slot")
ACTIONS = ("action_listen", "action_restart", "utter_greet", "utter_bye", "action_elsewhere")


def small_domain() -> Domain:
    """Return a new domain, read from `DOMAIN`."""
    return Domain.from_yaml(DOMAIN)


def texts() -> st.SearchStrategy[str]:
    """Return text as it comes in JSON, with odd characters; lone surrogates are left out."""
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def json_values() -> st.SearchStrategy[Any]:
    """Return anything that JSON can express."""
    numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    plain = st.none() | st.booleans() | numbers | texts()
    return st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
        max_leaves=5,
    )


def timestamps() -> st.SearchStrategy[float]:
    """Return Unix times in seconds, out of order."""
    return st.floats(1.0, 4e9)


def confidences() -> st.SearchStrategy[float | None]:
    """Return probabilities, or None."""
    return st.none() | st.floats(0.0, 1.0)


def slot_values() -> st.SearchStrategy[Any]:
    """Return values that mean something to some slot of the domain, and others."""
    telling = ["low", "HIGH", "", "1", "old", 0, 1, 2, 2.0, 5.5, True, False, None]
    return st.sampled_from(telling) | st.sampled_from([["old"], [], {"seen": []}]) | json_values()


@st.composite
def user_messages(draw: st.DrawFn) -> UserUttered:
    """Return what a user said, as an interpreter understood it."""

    def intent(name: str | None) -> dict[str, Any]:
        confidence = draw(confidences())
        return {"name": name} if confidence is None else {"name": name, "confidence": confidence}

    entity = st.fixed_dictionaries({"entity": st.sampled_from(ENTITIES), "value": slot_values()})
    name = draw(st.sampled_from((*INTENTS, None)))
    parse_data: dict[str, Any] = {
        "text": draw(texts()),
        "intent": draw(st.sampled_from([intent(name), {}] if name is None else [intent(name)])),
        "entities": draw(st.lists(entity, max_size=3)),
    }
    if draw(st.booleans()):
        others = draw(st.lists(st.sampled_from(INTENTS), max_size=2))
        parse_data["intent_ranking"] = [intent(other) for other in (name, *others)]
    return UserUttered(parse_data["text"], parse_data=parse_data, timestamp=draw(timestamps()))


def ordinary_events() -> st.SearchStrategy[Event]:
    """Return events that never need the past: all but rewinding and undoing."""
    stamps = timestamps()
    said = st.none() | texts()
    data = st.none() | st.dictionaries(texts(), json_values(), max_size=2)
    actions = st.sampled_from(ACTIONS)
    moments = st.datetimes(datetime(2018, 1, 1), datetime(2030, 1, 1))
    return st.one_of(
        user_messages(),
        st.builds(
            ActionExecuted,
            actions,
            stamps,
            policy=st.none() | texts(),
            confidence=confidences(),
            error=st.none() | texts(),
        ),
        st.builds(SlotSet, st.sampled_from(SLOTS), slot_values(), stamps),
        st.builds(BotUttered, said, data, stamps),
        st.builds(AgentUttered, said, data, stamps),
        st.builds(FollowupAction, st.none() | actions, stamps),
        st.builds(ReminderScheduled, actions, moments, texts(), st.booleans(), stamps),
        st.builds(StoryExported, st.none(), stamps),
        *(st.builds(kind, stamps) for kind in (AllSlotsReset, Restarted, ConversationPaused, ConversationResumed)),
    )


def events() -> st.SearchStrategy[Event]:
    """Return any event except topics."""
    reverting = (st.builds(kind, timestamps()) for kind in (UserUtteranceReverted, ActionReverted))
    return st.one_of(ordinary_events(), *reverting)


def logs(max_size: int = 20) -> st.SearchStrategy[list[Event]]:
    """Return the events of a conversation, in any order that a caller may send them."""
    actions = st.builds(ActionExecuted, st.sampled_from(ACTIONS), timestamp=timestamps())
    return st.lists(st.one_of(user_messages(), actions, actions, events()), max_size=max_size)
