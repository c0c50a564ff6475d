"""The domain: its features and actions, reading and writing it, and what depends on it."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from small_bots import DOMAIN_OF_EVERY_KIND as BOT

from rasa_core.actions.action import ActionListen, ActionRestart, UtterAction
from rasa_core.domain import PREV_PREFIX, Domain, check_domain_sanity
from rasa_core.events import (
    ActionExecuted,
    Event,
    FollowupAction,
    ReminderScheduled,
    Restarted,
    SlotSet,
    UserUttered,
)
from rasa_core.exceptions import DomainError, ModelError, UnknownActionError, UnknownSlotError
from rasa_core.slots import ListSlot, TextSlot
from rasa_core.trackers import DialogueStateTracker


@pytest.fixture
def domain() -> Domain:
    return Domain.from_yaml(BOT)


# -- features and actions


def test_feature_names_and_their_order_are_exact(domain: Domain) -> None:
    assert domain.input_states == [
        "intent_greet",
        "intent_bye",
        "intent_chitchat",
        "entity_name",
        "entity_age",
        "slot_adult_0",
        "slot_age_0",
        "slot_level_0",
        "slot_level_1",
        "slot_name_0",
        "slot_tags_0",
        "prev_action_listen",
        "prev_action_restart",
        "prev_utter_hi",
        "prev_utter_ask",
    ]
    assert domain.num_states == 15
    assert domain.input_state_map["slot_level_1"] == domain.index_of_state("slot_level_1") == 8
    assert domain.index_of_state("slot_level_2") is None
    assert PREV_PREFIX == "prev_"


def test_the_parts_of_the_features_are_told_apart(domain: Domain) -> None:
    parts = (domain.intent_states, domain.entity_states, domain.slot_states, domain.prev_action_states)
    assert [len(part) for part in parts] == [3, 2, 6, 4]
    assert list(chain(*parts)) == domain.input_states


def test_slots_are_in_the_order_of_their_names_however_the_domain_is_made() -> None:
    domain = Domain([], [], [TextSlot("b"), TextSlot("a")], {})
    assert domain.slot_states == ["slot_a_0", "slot_b_0"]


def test_listening_and_restarting_are_the_first_actions(domain: Domain) -> None:
    assert domain.action_names == ["action_listen", "action_restart", "utter_hi", "utter_ask"]
    assert domain.num_actions == 4
    assert domain.action_indices["utter_hi"] == domain.index_for_action("utter_hi") == 2
    assert domain.action_map["utter_hi"] == (2, domain.action_for_name("utter_hi"))  # As in 0.9.
    assert list(domain.action_map) == domain.action_names
    assert isinstance(domain.action_for_name("action_listen"), ActionListen)
    assert isinstance(domain.action_for_index(1), ActionRestart)
    assert isinstance(domain.action_for_index(2), UtterAction)
    assert [action.name() for action in Domain.DEFAULT_ACTIONS] == domain.action_names[:2]


@pytest.mark.parametrize("index", [-1, 4])
def test_an_index_outside_is_refused(domain: Domain, index: int) -> None:
    with pytest.raises(UnknownActionError, match=f"no action has the index {index}; there are 4"):
        domain.action_for_index(index)


@pytest.mark.parametrize("error", [DomainError, ValueError, LookupError])
def test_an_unknown_action_is_answered_with_the_nearest_names(domain: Domain, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"the domain has no action 'utter_hii'. Did you mean 'utter_hi'"):
        domain.action_for_name("utter_hii")


# -- events


def test_events_that_name_what_exists_pass(domain: Domain) -> None:
    for event in (SlotSet("name", 1), ActionExecuted("utter_hi"), FollowupAction(None), Restarted()):
        domain.check_event(event)


def test_an_unknown_slot_is_refused_with_the_nearest_names(domain: Domain) -> None:
    with pytest.raises(UnknownSlotError, match=r"the domain has no slot 'nme'. Did you mean 'name'\?"):
        domain.check_event(SlotSet("nme"))


@pytest.mark.parametrize(
    "event",
    [
        ActionExecuted("utter_h"),
        ActionExecuted(""),
        FollowupAction("utter_h"),
        ReminderScheduled("utter_h", datetime(2018, 9, 3)),
    ],
    ids=repr,
)
def test_an_event_with_an_unknown_action_is_refused(domain: Domain, event: Event) -> None:
    with pytest.raises(UnknownActionError, match=r"the domain has no action '(utter_h)?'"):
        domain.check_event(event)


def test_entities_set_the_slots_of_their_names() -> None:
    domain = Domain.from_yaml("{slots: {name: {type: text}, tags: {type: list}, age: {type: float}}}")
    entities: list[dict[str, Any]] = [
        {"entity": "tags", "value": "a"},
        {"entity": "name", "value": "Zoë"},
        {"entity": "tags", "value": "b"},
        {"entity": "name", "value": "Ida"},
        {"entity": "shoe_size", "value": 40},
    ]
    assert domain.slots_for_entities(entities) == [SlotSet("name", "Ida"), SlotSet("tags", ["a", "b"])]


def test_an_entity_without_a_value_empties_its_slot() -> None:
    domain = Domain.from_yaml("slots: {name: {type: text}}")
    assert domain.slots_for_entities([{"entity": "name"}]) == [SlotSet("name", None)]


def test_entities_set_no_slots_where_the_config_says_so(domain: Domain) -> None:
    assert domain.slots_for_entities([{"entity": "name", "value": "Zoë"}]) == []


def test_entities_set_a_list_slot_of_a_class_of_ones_own_to_all_values() -> None:
    class Own(ListSlot):
        pass

    domain = Domain([], [], [Own("tags")], {})
    assert domain.slots_for_entities([{"entity": "tags", "value": 1}]) == [SlotSet("tags", [1])]


# -- features of a conversation


def test_the_features_of_a_moment_are_exact(domain: Domain) -> None:
    tracker = DialogueStateTracker.from_events("a", [ActionExecuted("action_listen")], domain)
    parse_data = {
        "intent": {"name": "greet", "confidence": 0.8},
        "entities": [{"entity": "name", "value": "Zoë"}, {"entity": "shoe_size", "value": 40}],
        "intent_ranking": [{"name": "greet", "confidence": 0.8}, {"name": "mumble", "confidence": 0.2}],
    }
    for event in (UserUttered("hi", parse_data=parse_data), SlotSet("age", 25), SlotSet("adult", False)):
        tracker.update(event)
    state = {
        "intent_greet": 0.8,
        "intent_mumble": 0.2,
        "entity_name": 1.0,
        "entity_shoe_size": 1.0,
        "slot_age_0": 0.25,
        "slot_level_0": 1.0,
        "prev_action_listen": 1.0,
    }
    assert domain.get_active_states(tracker) == state
    assert domain.get_prev_action_states(tracker) == {"prev_action_listen": 1.0}
    assert domain.get_parsing_states(tracker) == {key: state[key] for key in state if key != "prev_action_listen"}
    assert domain.states_for_tracker_history(tracker) == [{"slot_level_0": 1.0}, state]


@pytest.mark.parametrize(
    ("intent", "feature"),
    [
        ({"name": "greet"}, 1.0),
        ({"name": "greet", "confidence": None}, 1.0),
        ({"name": "greet", "confidence": 0}, 0.0),
    ],
)
def test_an_intent_without_ranking_counts_by_its_confidence(
    domain: Domain, intent: dict[str, Any], feature: float
) -> None:
    tracker = DialogueStateTracker.from_events("a", [UserUttered("hi", intent)], domain)
    assert domain.get_active_states(tracker)["intent_greet"] == feature


def test_entities_of_an_intent_that_does_without_them_are_no_features(domain: Domain) -> None:
    message = UserUttered("hm", {"name": "chitchat"}, [{"entity": "name", "value": "Zoë"}])
    tracker = DialogueStateTracker.from_events("a", [message], domain)
    assert domain.get_active_states(tracker) == {"intent_chitchat": 1.0, "slot_level_0": 1.0}


def test_nothing_is_active_before_anything_happened() -> None:
    domain = Domain.from_yaml("slots: {a: {type: text}}")
    tracker = DialogueStateTracker.from_events("a", [], domain)
    assert (domain.get_active_states(tracker), domain.get_prev_action_states(tracker)) == ({}, {})


# -- templates


def test_templates_are_chosen_in_the_same_sequence_every_time() -> None:
    first, second = Domain.from_yaml(BOT), Domain.from_yaml(BOT)
    chosen = [first.random_template_for("utter_hi") for _ in range(20)]
    assert chosen == [second.random_template_for("utter_hi") for _ in range(20)]
    assert {"text": "hi"} in chosen
    assert {"text": "hello {name}"} in chosen


def test_an_unknown_template_is_none(domain: Domain) -> None:
    assert domain.random_template_for("utter_x") is None


# -- specifications and sanity


def test_a_specification_is_compared(domain: Domain, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "dialogue"  # It is made.
    domain.persist_specification(folder)
    assert Domain.load_specification(folder) == {"states": domain.input_states}
    assert domain.compare_with_specification(folder) is True


def test_the_specification_of_a_model_is_that_of_its_domain(domain: Domain, tmp_path: Path) -> None:
    domain.persist(tmp_path / "domain.yml")

    assert domain.compare_with_specification(tmp_path) is True
    with pytest.raises(ModelError, match=r"Domain specification has changed.*new \['intent_more'\]"):
        Domain.from_yaml(BOT.replace("intents: [", "intents: [more, ")).compare_with_specification(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("entities: [name, age]", "entities: [name]", r"missing \['entity_age'\], new \[\]. Train it again"),
        (
            "actions: [utter_hi, utter_ask]",
            "actions: [utter_ask, utter_hi]",
            "the names are in another order. Train",
        ),
    ],
)
def test_a_changed_domain_is_told_apart(domain: Domain, tmp_path: Path, old: str, new: str, problem: str) -> None:
    domain.persist_specification(tmp_path)
    with pytest.raises(ModelError, match=f"Domain specification has changed since the model was trained: {problem}"):
        Domain.from_yaml(BOT.replace(old, new)).compare_with_specification(tmp_path)


def test_a_sane_domain_passes(domain: Domain) -> None:
    check_domain_sanity(domain)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda: Domain(["a", "b", "a"], [], [], {}), "intents of the domain stand there more than once: a"),
        (lambda: Domain([], ["a", "a"], [], {}), "entities of the domain"),
        (lambda: Domain([], [], [TextSlot("a"), TextSlot("a")], {}), "slots of the domain"),
    ],
)
def test_names_that_stand_twice_are_found(made: Any, problem: str) -> None:
    with pytest.raises(DomainError, match=problem):
        check_domain_sanity(made())


def test_an_action_that_stands_twice_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="the action 'utter_a' stands twice"):
        Domain([], [], [], {"utter_a": [{"text": "a"}]}, ["utter_a", "utter_a"])


@pytest.mark.parametrize("factory", ["local", "remote"])
def test_actions_are_made_with_the_built_in_ones(factory: str) -> None:
    made = Domain.instantiate_actions(factory, ["utter_hi"], None, {"utter_hi": [{"text": "hi"}]})
    assert [action.name() for action in made] == ["action_listen", "action_restart", "utter_hi"]


def test_the_actions_of_a_domain_are_those_that_a_class_of_ones_own_makes() -> None:
    class OwnDomain(Domain):
        @staticmethod
        def instantiate_actions(*args: Any) -> list[Any]:
            return [*Domain.instantiate_actions(*args), UtterAction("utter_more")]

    domain = OwnDomain.from_yaml("actions: [utter_hi]\ntemplates: {utter_hi: hi}")
    assert [action.name() for action in domain.actions][2:] == ["utter_hi", "utter_more"]
