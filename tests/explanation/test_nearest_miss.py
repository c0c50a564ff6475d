"""The single change that would have made the second-best action the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, SlotSet, UserUttered
from rasa_core.explanation import Change, NearestMiss
from rasa_core.explanation.nearest_miss import other_values
from rasa_core.policies.policy import Policy
from rasa_core.rasa3.slots import rasa_slot
from rasa_core.slots import Slot
from rasa_core.trackers import DialogueStateTracker

DOMAIN = Domain.from_yaml(
    """
intents: [ask, deny, leave, restart]
entities: [city, colour]
slots:
  city: {type: text}
  vip: {type: bool}
  price: {type: categorical, values: [low, high]}
  rating: {type: float, max_value: 5}
  seen: {type: list}
  note: {type: unfeaturized}
actions: [utter_a, utter_b, utter_c]
action_factory: remote
"""
)

Says = Callable[[DialogueStateTracker], str]


class Says90(Policy):
    """Gives 0.9 to one action, and the rest to `utter_b`."""

    max_history = 3

    def __init__(self, says: Says) -> None:
        self.says = says
        self.asked = 0

    def train(self, training_trackers: Sequence[DialogueStateTracker], domain: Domain, **kwargs: Any) -> None:
        """Learn nothing."""

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        self.asked += 1
        chosen = self.says(tracker)
        return [{chosen: 0.9, "utter_b": 0.1}.get(name, 0.0) for name in domain.action_names]


def message(intent: str, **entities: str) -> UserUttered:
    found = [{"entity": name, "value": value} for name, value in entities.items()]
    return UserUttered("...", {"name": intent, "confidence": 0.8}, found)


def missed(says: Says, *events: Any) -> NearestMiss:
    told = [ActionExecuted("action_listen"), *events]
    for event in list(told):
        if isinstance(event, UserUttered):
            at = told.index(event) + 1
            told[at:at] = DOMAIN.slots_for_entities(event.entities)
    tracker = DialogueStateTracker.from_events("x", told, DOMAIN)
    found = Agent(DOMAIN, [Says90(says)]).explain(tracker, len(told)).nearest_miss
    assert found is not None
    assert (found.action, found.policy, found.score) == ("utter_b", "Says90", 0.1)
    return found


def where(condition: Callable[[DialogueStateTracker], bool]) -> Says:
    return lambda tracker: "utter_b" if condition(tracker) else "utter_a"


def as_tuple(change: Change) -> tuple[Any, ...]:
    return change.kind, change.name, change.before, change.after


@pytest.mark.parametrize(
    ("says", "events", "change"),
    [
        pytest.param(
            where(lambda tracker: tracker.get_slot("price") == "high"),
            [message("ask")],
            ("slot", "price", None, "high"),
            id="slot with another value",
        ),
        pytest.param(
            where(lambda tracker: tracker.get_slot("city") is None),
            [SlotSet("city", "Rome"), message("ask")],
            ("slot", "city", "Rome", None),
            id="slot that is not set",
        ),
        pytest.param(
            where(lambda tracker: tracker.latest_message.intent["name"] == "leave"),
            [message("ask")],
            ("intent", "ask", "ask", "leave"),
            id="intent",
        ),
        pytest.param(
            where(lambda tracker: any(tracker.get_latest_entity_values("colour"))),
            [message("ask")],
            ("entity", "colour", None, "..."),
            id="entity that is there",
        ),
        pytest.param(
            where(lambda tracker: not any(tracker.get_latest_entity_values("colour"))),
            [message("ask", colour="red")],
            ("entity", "colour", "red", None),
            id="entity that is not there",
        ),
        pytest.param(
            where(lambda tracker: tracker.latest_action_name == "utter_c"),
            [message("ask"), ActionExecuted("utter_a")],
            ("action", "utter_a", "utter_a", "utter_c"),
            id="another action before",
        ),
        pytest.param(
            where(lambda tracker: tracker.latest_action_name == "action_listen"),
            [message("ask"), ActionExecuted("utter_a")],
            ("action", "utter_a", "utter_a", None),
            id="no action before",
        ),
        pytest.param(
            where(lambda tracker: tracker.latest_action_name == "utter_c" and not tracker.latest_action_failed),
            [message("ask"), ActionExecuted("utter_c", error="down")],
            ("action", "utter_c", 'utter_c{"failed": true}', "utter_c"),
            id="no failure before",
        ),
    ],
)
def test_the_difference_that_decides_is_found(says: Says, events: list[Any], change: tuple[Any, ...]) -> None:
    found = missed(says, *events)

    assert found.is_enough
    assert [as_tuple(one) for one in found.changes] == [change]
    assert found.changes[0].confidence == pytest.approx(1.0)


def test_an_entity_brings_its_slot_and_takes_it_away() -> None:
    both = where(lambda tracker: tracker.get_slot("city") == "..." and any(tracker.get_latest_entity_values("city")))
    neither = where(lambda tracker: not tracker.get_slot("city") and not any(tracker.get_latest_entity_values("city")))

    assert as_tuple(missed(both, message("ask")).changes[0]) == ("entity", "city", None, "...")
    assert as_tuple(missed(neither, message("ask", city="Rome")).changes[0]) == ("entity", "city", "Rome", None)


def test_a_slot_may_have_been_otherwise_since_the_message() -> None:
    says = where(lambda tracker: all(state.get("slot_vip_0") for state in tracker.last_states(2)))

    assert as_tuple(missed(says, message("ask"), ActionExecuted("utter_c")).changes[0]) == ("slot", "vip", None, True)


def test_the_smallest_differences_come_first() -> None:
    says = where(lambda tracker: tracker.latest_message.intent["name"] == "deny" or tracker.get_slot("price") == "low")

    found = missed(says, message("ask"))

    assert [as_tuple(change) for change in found.changes] == [
        ("slot", "price", None, "low"),
        ("intent", "ask", "ask", "deny"),
    ]


def test_if_nothing_is_enough_what_helps_most_is_told() -> None:
    class Hesitates(Says90):
        def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
            doubt = 0.3 if tracker.latest_message.intent["name"] == "deny" else 0.1
            return [{"utter_a": 1 - doubt, "utter_b": doubt}.get(name, 0.0) for name in domain.action_names]

    tracker = DialogueStateTracker.from_events("x", [ActionExecuted("action_listen"), message("ask")], DOMAIN)
    found = Agent(DOMAIN, [Hesitates(lambda tracker: "")]).explain(tracker).nearest_miss

    assert found is not None
    assert not found.is_enough
    assert [as_tuple(change) for change in found.changes] == [("intent", "ask", "ask", "deny")]
    assert found.changes[0].confidence == pytest.approx(0.3)


def test_if_nothing_helps_nothing_is_told() -> None:
    found = missed(lambda tracker: "utter_a", message("ask"), ActionExecuted("utter_c"))

    assert (found.is_enough, found.changes) == (False, ())
    assert found.tried > 10


def test_before_anybody_has_spoken_only_slots_can_differ() -> None:
    found = missed(where(lambda tracker: bool(tracker.get_slot("seen"))))

    assert as_tuple(found.changes[0]) == ("slot", "seen", None, ["..."])


def test_what_another_policy_wants_comes_second_where_the_first_is_certain() -> None:
    class Certain(Says90):
        def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
            known = tracker.latest_message.intent["name"] == "ask"
            return [float(known and name == "utter_a") for name in domain.action_names]

    policies = [Certain(lambda tracker: ""), Says90(lambda tracker: "utter_c")]
    tracker = DialogueStateTracker.from_events("x", [ActionExecuted("action_listen"), message("ask")], DOMAIN)
    found = Agent(DOMAIN, policies).explain(tracker).nearest_miss

    assert found is not None
    assert (found.action, found.policy, found.score) == ("utter_c", "Says90", 0.9)
    assert {change.after for change in found.changes} == {"deny", "leave"}


def test_the_work_is_bounded() -> None:
    names = ", ".join(f"intent_{number}" for number in range(900))
    domain = Domain.from_yaml(f"{{intents: [{names}], actions: [utter_a, utter_b], action_factory: remote}}")
    policy = Says90(lambda tracker: "utter_a")
    tracker = DialogueStateTracker.from_events("x", [message("intent_0")], domain)

    found = Agent(domain, [policy]).explain(tracker).nearest_miss

    assert found is not None
    assert found.tried == 400
    assert policy.asked == 402


def test_of_a_message_with_very_many_entities_fewer_differences_are_tried() -> None:
    names = ", ".join(f"intent_{number}" for number in range(900))
    domain = Domain.from_yaml(
        f"{{intents: [{names}], entities: [a], actions: [utter_a, utter_b], action_factory: remote}}"
    )
    found = [{"entity": "a", "value": number} for number in range(10_000)]
    said = UserUttered("...", {"name": "intent_0"}, found)
    tracker = DialogueStateTracker.from_events("x", [said], domain)

    miss = Agent(domain, [Says90(lambda tracker: "utter_a")]).explain(tracker).nearest_miss

    assert miss is not None
    assert miss.tried == 20


def test_policies_see_the_whole_conversation_in_each_variant() -> None:
    seen = []

    def says(tracker: DialogueStateTracker) -> str:
        seen.append((len(tracker.events), len(tracker.last_states(None))))
        return "utter_a"

    missed(says, message("ask"), *[ActionExecuted("utter_c")] * 9, message("deny"))

    assert {states for _, states in seen} == {11}
    assert min(events for events, _ in seen) >= 12


@pytest.mark.parametrize(
    ("name", "value", "others"),
    [
        ("city", None, ["..."]),
        ("city", "Rome", [None]),
        ("vip", None, [True]),
        ("vip", True, [False]),
        ("price", "low", ["high", None]),
        ("price", "none of these", ["low", "high"]),
        ("rating", 2.5, [5.0, 0.0]),
        ("rating", None, [5.0]),
        ("seen", ["x"], [None]),
        ("note", "x", []),
    ],
)
def test_values_differ_from_the_present_one_for_policies(name: str, value: Any, others: list[Any]) -> None:
    slot = {slot.name: slot for slot in DOMAIN.slots}[name].fresh()
    slot.value = value

    assert other_values(slot) == others


@pytest.mark.parametrize(
    ("described", "value", "others"),
    [
        ({"type": "bool"}, None, [True, False]),
        ({"type": "bool"}, False, [True, None]),
        ({"type": "categorical", "values": ["low", "high"]}, "low", ["high", None]),
        ({"type": "float", "max_value": 5}, None, [5, 0.0]),
        ({"type": "list"}, ["a"], [None]),
        ({"type": "text"}, None, ["..."]),
        ({"type": "any"}, "x", []),
        ({"type": "bool", "influence_conversation": False}, None, []),
    ],
)
def test_slots_of_rasa_3_tell_false_and_0_from_nothing(described: Any, value: Any, others: list[Any]) -> None:
    slot = rasa_slot("s", {**described})
    slot.value = value
    assert other_values(slot) == others


def test_slots_of_users_own_are_tried_with_their_initial_value() -> None:
    class Mood(Slot):
        def as_feature(self) -> list[float]:
            return [float(len(self.value))]

    slot = Mood("mood", initial_value="calm")
    slot.value = "very excited"

    assert other_values(slot) == [None, "calm"]


def test_changes_are_told_in_words() -> None:
    told = [
        Change("slot", "city", "Rome", None, 1.0).text,
        Change("slot", "price", None, "high", 1.0).text,
        Change("entity", "city", None, "...", 1.0).text,
        Change("entity", "city", "Rome", None, 1.0).text,
        Change("intent", "ask", "ask", "deny", 1.0).text,
        Change("action", "utter_a", "utter_a", None, 1.0).text,
        Change("action", "utter_a", "utter_a", "utter_c", 1.0).text,
        Change("action", "utter_a", 'utter_a{"failed": true}', "utter_a", 1.0).text,
    ]

    assert told == [
        "if the slot 'city' were not set (it is \"Rome\")",
        "if the slot 'price' were \"high\" (it is not set)",
        "if the message had an entity 'city'",
        "if the message had no entity 'city'",
        "if the intent were 'deny' (it is 'ask')",
        "if nothing had run instead of 'utter_a'",
        "if 'utter_c' had run instead of 'utter_a'",
        "if 'utter_a' had not failed",
    ]
