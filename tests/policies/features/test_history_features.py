"""Features that are updated turn by turn equal those of the whole conversation, as the module's table defines them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

import pytest
from feature_groups import groups_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from policy_bot import ITALIAN, conversation, local_domain
from strategies import logs, ordinary_events, small_domain
from tracker_oracle import Oracle, said

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event, Restarted, UserUttered
from rasa_core.policies.features import history
from rasa_core.policies.features.history import HistoryFeaturizer, words_of
from rasa_core.trackers import DialogueStateTracker

SMALL = small_domain()

Named = dict[tuple[str, str], float]


def named(featurizer: HistoryFeaturizer, tracker: DialogueStateTracker) -> Named:
    """Return the features of the present, none of which may come twice."""
    groups = groups_of(featurizer, tracker)
    found = [(block, name, value) for block, group in groups for name, value in group.items()]
    assert len({(block, name) for block, name, _ in found}) == len(found)
    return {(block, name): value for block, name, value in found}


def block(features: Named, wanted: str) -> dict[str, float]:
    return {name: value for (found, name), value in features.items() if found == wanted}


def serve(log: Sequence[Event], domain: Domain, window: int) -> DialogueStateTracker:
    """Fold a log as a server does: one event a turn, each turn from the stored snapshot of the one before."""
    tracker = DialogueStateTracker.from_events("served", [], domain, window)
    for version, event in enumerate(log, 1):
        tracker.update(event)
        tracker = DialogueStateTracker.from_snapshot(
            "served",
            domain,
            json.loads(json.dumps(tracker.snapshot())),
            version=version,
            origin=0,
            window=window,
            read_events=lambda start, stop: log[start:stop],
        )
    return tracker


# -- the table, as slowly and obviously as can be


def best_intent_only(state: dict[str, float]) -> dict[str, float]:
    intents = [name for name in state if name.startswith("intent_")]
    rest = {name: value for name, value in state.items() if name not in intents}
    return ({max(intents, key=lambda name: state[name]): 1.0} if intents else {}) | rest


def as_told(events: Sequence[Event], max_history: int) -> Named:
    """Return what the table says of a whole conversation over `SMALL`."""
    oracle = Oracle(events)
    summary, states = oracle.summary(), oracle.last_states(max_history)
    now = best_intent_only(states[-1])
    ones: list[tuple[str, str]] = []
    for number, names in enumerate(latest_events(states)[:max_history]):
        ones += [(f"event {number}", name) for name in names]
    if not summary["mentions"]:
        ones.append(("now", "no entities"))
    for entity, value, novelty in summary["mentions"]:
        ones += [("value", f"{entity}={value}"), ("novelty", f"{novelty} {entity}")]
    text = oracle.slots["cuisine"]
    if isinstance(text, int | float) or (isinstance(text, str) and len(text) <= 60):
        ones.append(("slot value", f"cuisine={text}"))
    for name, value in summary["slots_set"].items():
        ones += [("slot set", name), *([("slot set to", f"{name}={value}")] if value is not None else [])]
    ones += [("turn", name) for name in summary["turn_actions"]]
    if summary["turn_before"] is not None:
        intent, entities, actions = summary["turn_before"]
        ones += [("intent before", str(intent)), *(("entity before", name) for name in entities)]
        ones += [("action before", name) for name in actions]
        ended = [name for name in actions if name != "action_listen"][::-1]
        ones += [(f"ended {number}", name) for number, name in enumerate(ended[:2])]
    ones += [(f"said {number}", name) for number, name in enumerate(summary["last_actions"][::-1])]
    ones += [("words now", word) for name in now if name.startswith("entity_") for word in parts(name)[1:]]
    ones += [("words turn", word) for name in summary["turn_actions"] for word in parts(name)]
    for number, name in enumerate(summary["last_actions"][::-1][:3]):
        ones += [(f"words said {number}", word) for word in parts(name)]
    ones.append(("length", f"{min(summary['turns'], 8)} turns"))
    ones.append(("length", f"{min(len(summary['turn_actions']), 6)} actions"))
    features = dict.fromkeys(ones, 1.0) | {("now", name): value for name, value in now.items()}
    for kind, counts in zip(("intent", "entity", "action"), oracle.counts.values(), strict=True):
        for name, (count, turn) in counts.items():
            features[kind, name] = 1.0
            features[f"{kind} count", name] = math.log(1 + count)
            features[f"{kind} ago", name] = 0.7 ** (summary["turns"] - turn)
    features["length", "turns"] = math.log(1 + summary["turns"])
    features["length", "actions"] = math.log(1 + len(oracle.states)) / 2
    return features


def latest_events(states: Sequence[dict[str, float]]) -> list[list[str]]:
    """Return the names of each event, latest first: before each state there was an action, and perhaps a message."""
    found = []
    for state in map(best_intent_only, states):
        action = [name for name in state if name.startswith("prev_")]
        if action:
            found.append([*action, *(["failed"] if "failed" in state else [])])
        if action == ["prev_action_listen"]:
            found.append([name for name in state if name.startswith(("intent_", "entity_"))])
    return found[::-1]


def parts(name: str) -> list[str]:
    return [part for part in re.split("[^a-z0-9]", name) if part]


LONG = "n" * 60


@settings(max_examples=50)
@given(logs(), st.integers(1, 4))
@example([said("greet", ("cuisine", LONG + "x")), said("bye", ("cuisine", LONG + "x"), ("cuisine", LONG + "y"))], 1)
def test_features_kept_turn_by_turn_are_those_of_the_whole_conversation(log, max_history) -> None:
    featurizer = HistoryFeaturizer(max_history)
    found = named(featurizer, serve(log, SMALL, max_history))
    assert found == pytest.approx(as_told(log, max_history))
    assert found == named(featurizer, DialogueStateTracker.from_events("whole", log, SMALL))


@settings(deadline=None)
@given(logs(), st.integers(1, 4), st.data())
def test_a_prediction_takes_the_features_that_are_known(log, max_history, data) -> None:
    tracker = DialogueStateTracker.from_events("whole", log, SMALL)
    found = named(HistoryFeaturizer(max_history), tracker)
    known = sorted(data.draw(st.sets(st.sampled_from(sorted(found)))) if found else [])
    featurizer = HistoryFeaturizer(max_history, [*known, ("turn", "never")])
    for _ in range(2):  # What is remembered of the first time is the same.
        indices, values = featurizer.present(tracker)
        assert len(set(indices)) == len(indices)
        assert {featurizer.names[index]: value for index, value in zip(indices, values, strict=True)} == {
            name: found[name] for name in known
        }


def test_what_is_remembered_of_moments_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(history, "PARTS_KEPT", 3)
    tracker = DialogueStateTracker.from_events("whole", [said("greet"), ActionExecuted("utter_greet")], SMALL)
    featurizer = HistoryFeaturizer(2, [("length", "1 turns"), ("turn", "utter_greet")])
    assert featurizer.present(tracker) == featurizer.present(tracker) == ([1, 0], [1.0, 1.0])
    assert len(featurizer._known) <= 3


@given(st.lists(ordinary_events(), max_size=20))
def test_features_never_need_the_log(log) -> None:
    def read_events(start: int, stop: int) -> NoReturn:
        raise AssertionError("the log was read")

    tracker = DialogueStateTracker.from_events("x", log, SMALL, 3)
    resumed = DialogueStateTracker.from_snapshot(
        "x", SMALL, tracker.snapshot(), version=len(log), origin=0, window=3, read_events=read_events
    )
    assert named(HistoryFeaturizer(3), resumed) == named(HistoryFeaturizer(3), tracker)


# -- one conversation


@pytest.fixture
def domain() -> Domain:
    return local_domain()


def test_each_block_says_what_it_is_described_to_say(domain) -> None:
    tracker = conversation(domain, "/greet", "utter_greet", ITALIAN, "action_search", "action_search")
    features = named(HistoryFeaturizer(4), tracker)
    searched = {"prev_action_search": 1.0}
    once, twice = math.log1p(1), math.log1p(2)
    assert {name: block(features, name) for name, _ in features} == {
        "event 0": searched,
        "event 1": searched,
        "event 2": {"intent_inform": 1.0, "entity_cuisine": 1.0},
        "event 3": {"prev_action_listen": 1.0},
        "now": {"intent_inform": 1.0, "entity_cuisine": 1.0, "slot_cuisine_0": 1.0, "slot_price_0": 1.0, **searched},
        "value": {"cuisine=italian": 1.0},
        "slot value": {"cuisine=italian": 1.0},
        "novelty": {"new cuisine": 1.0},
        "turn": {"action_search": 1.0},
        "intent before": {"greet": 1.0},
        "action before": {"utter_greet": 1.0, "action_listen": 1.0},
        "ended 0": {"utter_greet": 1.0},
        "said 0": {"action_search": 1.0},
        "said 1": {"action_search": 1.0},
        "said 2": {"utter_greet": 1.0},
        "intent": {"greet": 1.0, "inform": 1.0},
        "intent count": {"greet": once, "inform": once},
        "entity": {"cuisine": 1.0},
        "entity count": {"cuisine": once},
        "action": {"action_listen": 1.0, "utter_greet": 1.0, "action_search": 1.0},
        "action count": {"action_listen": twice, "utter_greet": once, "action_search": twice},
        "intent ago": {"greet": 0.7, "inform": 1.0},
        "entity ago": {"cuisine": 1.0},
        "action ago": {"action_listen": 0.7, "utter_greet": 0.7, "action_search": 1.0},
        "words now": {"cuisine": 1.0},
        "words turn": {"action": 1.0, "search": 1.0},
        "words said 0": {"action": 1.0, "search": 1.0},
        "words said 1": {"action": 1.0, "search": 1.0},
        "words said 2": {"utter": 1.0, "greet": 1.0},
        "length": {"2 actions": 1.0, "2 turns": 1.0, "turns": math.log1p(2), "actions": math.log1p(5) / 2},
    }


def test_a_new_conversation_has_nothing_but_initial_slots(domain) -> None:
    assert named(HistoryFeaturizer(), conversation(domain)) == {
        ("now", "slot_price_0"): 1.0,
        ("now", "no entities"): 1.0,
        ("length", "0 actions"): 1.0,
        ("length", "0 turns"): 1.0,
        ("length", "turns"): 0.0,
        ("length", "actions"): 0.0,
    }


def test_a_restart_clears_the_summary(domain) -> None:
    fresh, restarted = conversation(domain), conversation(domain, ITALIAN, "action_search", Restarted())
    assert named(HistoryFeaturizer(), restarted) == named(HistoryFeaturizer(), fresh)


def test_only_the_best_intent_of_a_ranking_counts(domain) -> None:
    guesses = [{"name": "bye", "confidence": 0.4}, {"name": "thank", "confidence": 0.3}]
    message = UserUttered("hm", guesses[0], [], {"intent": guesses[0], "entities": [], "intent_ranking": guesses})
    features = named(HistoryFeaturizer(), conversation(domain, ActionExecuted("action_listen"), message))
    assert {(where, name): value for (where, name), value in features.items() if "intent" in where + name} == {
        ("event 0", "intent_bye"): 1.0,
        ("now", "intent_bye"): 1.0,
        ("intent", "bye"): 1.0,
        ("intent count", "bye"): math.log1p(1),
        ("intent ago", "bye"): 1.0,
    }


def test_names_that_the_domain_does_not_have_leave_no_trace(domain) -> None:
    featurizer = HistoryFeaturizer()
    story = conversation(domain, "/greet", "utter_greet", ITALIAN, "action_search", "/bye")
    featurizer.learn_names(
        {name: 2 for before in story.generate_all_prior_trackers() for name in named(featurizer, before)}
    )
    unknown = UserUttered("x", {"name": "mumble"}, [{"entity": "shoe", "value": 1}])
    nothing = UserUttered("x", {"name": None}, [])
    found, expected = (
        featurizer.present(conversation(domain, "/greet", message, ActionExecuted(action)))
        for message, action in ((unknown, "leave town"), (nothing, "go away"))
    )
    assert found == expected


@pytest.mark.parametrize("max_history", [1, 3])
def test_the_size_and_the_features_do_not_grow_with_the_conversation(domain, max_history) -> None:
    featurizer = HistoryFeaturizer(max_history)
    tracker = conversation(domain, window=max_history)
    events = conversation(domain, *["/greet", "utter_greet", ITALIAN, "action_search"] * 100).events
    sizes = []
    for _ in range(3):
        for event in events:
            tracker.update(event)
        sizes.append((len(named(featurizer, tracker)), len(json.dumps(tracker.snapshot())) // 100))
    assert sizes[0] == sizes[1] == sizes[2]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("utter_ask_price", ("utter", "ask", "price")),
        ("hotel-area", ("hotel", "area")),
        ("__a__b a__", ("a", "b")),
        ("frühstück_2", ("frühstück", "2")),
        ("", ()),
    ],
)
def test_a_name_is_made_of_words(name, words) -> None:
    assert words_of(name) == words


# -- which features there are


def test_what_occurs_is_a_feature_but_values_only_when_seen_often_enough() -> None:
    featurizer = HistoryFeaturizer()
    values = [("value", "a=1", 1), ("value", "a=2", 2), ("value", "a=3", 2), ("slot value", "b=1", 3)]
    values += [("slot value", "b=", 2), ("slot value", "b=0", 1)]
    others = [("turn", "utter_hi", 1), ("before", "x", 9)]
    featurizer.learn_names({(where, name): count for where, name, count in values + others})
    assert featurizer.names == [
        ("before", "x"),
        ("slot value", "b="),
        ("slot value", "b=1"),
        ("turn", "utter_hi"),
        ("value", "a=2"),
        ("value", "a=3"),
    ]
    assert featurizer.num_features == 6
    assert featurizer.value_columns.tolist() == [1, 2, 4, 5]


@pytest.mark.parametrize("where", ["value", "slot value", "slot set to"])
def test_the_only_value_of_an_entity_or_slot_is_no_feature(where) -> None:
    featurizer = HistoryFeaturizer()
    featurizer.learn_names({(where, "a=1"): 9, (where, "a=2"): 1, (where, "ab=1"): 9, ("turn", "utter_hi"): 1})
    assert featurizer.names == [("turn", "utter_hi")]


def test_of_many_values_the_thousand_most_frequent_are_features() -> None:
    featurizer = HistoryFeaturizer()
    counts = {("value", f"a={number:04}"): 2 + (number >= 600) for number in range(1600)}
    featurizer.learn_names(counts)
    assert featurizer.names == [("value", f"a={number:04}") for number in range(600, 1600)]
    featurizer.learn_names(Counter(list(counts)[:1100] * 2))
    assert featurizer.names == [("value", f"a={number:04}") for number in range(1000)]


@given(st.permutations([("turn", "a"), ("turn", "b"), ("before", "a"), ("value", "x=1"), ("value", "x=2")]))
def test_the_order_of_features_does_not_depend_on_what_was_seen_first(names) -> None:
    featurizer = HistoryFeaturizer()
    featurizer.learn_names(dict.fromkeys(names, 2))
    assert featurizer.names == sorted(names)


def test_each_feature_has_its_index(domain) -> None:
    tracker = conversation(domain, "/greet", "utter_greet", ITALIAN)
    featurizer = HistoryFeaturizer()
    everything = named(featurizer, tracker)
    others = [(where, "cuisine=french") for where in ("value", "slot value", "slot set to")]
    featurizer.learn_names(dict.fromkeys([*everything, *others], 2))
    indices, values = featurizer.present(tracker)
    assert {featurizer.names[index]: value for index, value in zip(indices, values, strict=True)} == everything
    assert [featurizer.index_of(featurizer.names[index]) for index in indices] == indices
    assert featurizer.index_of(("turn", "no such thing")) is featurizer.index_of(("no such thing", "a")) is None


def test_before_training_there_are_no_features(domain) -> None:
    assert HistoryFeaturizer().present(conversation(domain, "/greet")) == ([], [])
    assert HistoryFeaturizer().num_features == 0


def test_options_and_names_survive_json() -> None:
    featurizer = HistoryFeaturizer(3)
    featurizer.learn_names({("turn", "a"): 1, ("before", "b"): 1})
    twin = HistoryFeaturizer(**json.loads(json.dumps(featurizer.as_dict())))
    assert (twin.max_history, twin.names) == (3, featurizer.names)
    assert twin.index_of(("turn", "a")) == 1


@pytest.mark.parametrize("max_history", [0, -2, 1.5, None])
def test_refuses_a_max_history_that_is_no_number_of_states(max_history) -> None:
    with pytest.raises(ValueError, match="max_history is a number of states, at least 1"):
        HistoryFeaturizer(max_history)


def test_of_too_many_features_those_of_the_present_stay() -> None:
    featurizer = HistoryFeaturizer()
    now = {("now", f"intent_{number}"): 1 for number in range(3000)}
    recent = {("event 0", f"intent_{number}"): number for number in range(3000)}
    before = {("intent ago", f"intent_{number}"): 9999 for number in range(3000)}
    featurizer.learn_names({**before, **recent, **now})
    assert len(featurizer.names) == 4096
    kept = set(featurizer.names)
    assert now.keys() <= kept
    assert not before.keys() & kept
    assert kept - now.keys() == {("event 0", f"intent_{number}") for number in range(3000 - 1096, 3000)}


def test_what_is_so_now_stays_however_many_features_there_are() -> None:
    featurizer = HistoryFeaturizer()
    now = {("now", f"intent_{number}"): 1 for number in range(5000)}
    featurizer.learn_names({**now, ("turn", "utter_greet"): 9})
    assert featurizer.names == sorted(now)
