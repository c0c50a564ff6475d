from __future__ import annotations

import json
import math
import threading
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_bot import ITALIAN, conversation, local_domain
from strategies import logs, ordinary_events, small_domain

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, Restarted, UserUttered
from rasa_core.history_featurizer import HistoryFeaturizer
from rasa_core.trackers import DialogueStateTracker

SMALL = small_domain()


def prepared(domain: Domain, max_history: int = 3) -> HistoryFeaturizer:
    featurizer = HistoryFeaturizer(max_history)
    featurizer.prepare_from_domain(domain)
    return featurizer


def dense(sparse: tuple[list[int], list[float]], featurizer: HistoryFeaturizer) -> np.ndarray:
    indices, values = sparse
    assert len(set(indices)) == len(indices)
    vector = np.zeros(featurizer.num_features)
    vector[indices] = values
    return vector


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


@settings(max_examples=60)
@given(logs(), st.integers(1, 4))
def test_features_kept_turn_by_turn_are_those_of_the_whole_conversation(log, max_history) -> None:
    featurizer = prepared(SMALL, max_history)
    served = serve(log, SMALL, max_history)
    whole = DialogueStateTracker.from_events("whole", log, SMALL)
    assert np.array_equal(dense(featurizer.present(served), featurizer), dense(featurizer.present(whole), featurizer))


@settings(max_examples=40)
@given(logs(max_size=12), st.integers(1, 4))
def test_features_learnt_from_are_those_that_predictions_are_made_from(log, max_history) -> None:
    featurizer = prepared(SMALL, max_history)
    whole = DialogueStateTracker.from_events("whole", log, SMALL)
    applied = whole.applied_events()
    actions = [index for index, event in enumerate(applied) if isinstance(event, ActionExecuted)]
    learnt = featurizer.examples(whole)
    assert [name for _, name in learnt] == [applied[index].action_name for index in actions]
    for (example, _), index in zip(learnt, actions, strict=True):
        served = serve(applied[:index], SMALL, max_history)
        assert np.array_equal(dense(example, featurizer), dense(featurizer.present(served), featurizer))


@given(st.lists(ordinary_events(), max_size=20))
def test_features_never_need_the_log(log) -> None:
    def read_events(start: int, stop: int) -> NoReturn:
        raise AssertionError("the log was read")

    tracker = DialogueStateTracker.from_events("x", log, SMALL, 3)
    resumed = DialogueStateTracker.from_snapshot(
        "x", SMALL, tracker.snapshot(), version=len(log), origin=0, window=3, read_events=read_events
    )
    featurizer = prepared(SMALL)
    assert featurizer.present(resumed) == featurizer.present(tracker)


@settings(max_examples=60)
@given(logs())
def test_the_summary_counts_what_stands_in_the_applied_events(log) -> None:
    tracker = serve(log, SMALL, 2)
    counted: Counter[str] = Counter()
    for event in tracker.applied_events():
        if isinstance(event, UserUttered):
            counted.update({event.intent.get("name")} & set(SMALL.intents))
            if event.intent.get("name") not in SMALL.intents_without_entities:
                counted.update({entity["entity"] for entity in event.entities} & set(SMALL.entities))
        elif isinstance(event, ActionExecuted) and event.action_name in SMALL.action_names:
            counted[event.action_name] += 1
    featurizer = prepared(SMALL, 2)
    parts = block(dense(featurizer.present(tracker), featurizer), SMALL, 2)
    assert parts["counts"] == {name: math.log1p(count) for name, count in counted.items()}
    assert parts["seen"] == dict.fromkeys(counted, 1.0)


@pytest.fixture
def domain() -> Domain:
    return local_domain()


def block(vector: np.ndarray, domain: Domain, max_history: int) -> dict[str, dict[str, float]]:
    """Return the parts of a vector by name, as the module describes them."""
    summary = [*domain.intents, *domain.entities, *domain.action_names]
    sizes = [max_history * domain.num_states, len(summary), len(summary), domain.num_actions, 1]
    states, seen, counts, turn_actions, turns = np.split(vector, np.cumsum(sizes)[:-1])

    def named(values: np.ndarray, names: Sequence[str]) -> dict[str, float]:
        return {names[index]: float(values[index]) for index in np.flatnonzero(values)}

    parts = {
        f"state {number}": named(state, domain.input_states)
        for number, state in enumerate(np.split(states, max_history))
    }
    return parts | {
        "seen": named(seen, summary),
        "counts": named(counts, summary),
        "turn": named(turn_actions, domain.action_names),
        "turns": {"messages": float(turns[0])},
    }


def test_each_block_says_what_it_is_described_to_say(domain) -> None:
    featurizer = prepared(domain, 2)
    tracker = conversation(domain, "/greet", "utter_greet", ITALIAN, "action_search", "action_search")
    assert block(dense(featurizer.present(tracker), featurizer), domain, 2) == {
        "state 0": {
            "intent_inform": 1.0,
            "entity_cuisine": 1.0,
            "slot_cuisine_0": 1.0,
            "slot_price_0": 1.0,
            "prev_action_search": 1.0,
        },
        "state 1": {
            "intent_inform": 1.0,
            "entity_cuisine": 1.0,
            "slot_cuisine_0": 1.0,
            "slot_price_0": 1.0,
            "prev_action_search": 1.0,
        },
        "seen": dict.fromkeys(["greet", "inform", "cuisine", ACTION_LISTEN_NAME, "utter_greet", "action_search"], 1.0),
        "counts": {
            **dict.fromkeys(["greet", "inform", "cuisine", "utter_greet"], math.log1p(1)),
            **dict.fromkeys([ACTION_LISTEN_NAME, "action_search"], math.log1p(2)),
        },
        "turn": {"action_search": 1.0},
        "turns": {"messages": math.log1p(2)},
    }


def test_a_new_conversation_has_nothing_but_initial_slots(domain) -> None:
    featurizer = prepared(domain)
    vector = dense(featurizer.present(conversation(domain)), featurizer)
    assert {domain.input_states[index] for index in np.flatnonzero(vector)} == {"slot_price_0"}


def test_a_restart_clears_the_summary(domain) -> None:
    featurizer = prepared(domain)
    fresh, restarted = conversation(domain), conversation(domain, ITALIAN, "action_search", Restarted())
    assert featurizer.present(restarted) == featurizer.present(fresh)


def test_only_the_best_intent_of_a_ranking_counts(domain) -> None:
    guesses = [{"name": "bye", "confidence": 0.4}, {"name": "thank", "confidence": 0.3}]
    message = UserUttered("hm", guesses[0], [], {"intent": guesses[0], "entities": [], "intent_ranking": guesses})
    featurizer = prepared(domain)
    parts = block(dense(featurizer.present(conversation(domain, message)), featurizer), domain, 3)
    assert parts["state 0"] == {"intent_bye": 1.0, "slot_price_0": 1.0}


def test_names_that_the_domain_does_not_have_leave_no_trace(domain) -> None:
    featurizer = prepared(domain)
    known = conversation(domain, "/greet")
    unknown = conversation(domain, "/greet", UserUttered("x", {"name": "mumble"}, [{"entity": "shoe", "value": 1}]))
    added = dense(featurizer.present(unknown), featurizer) - dense(featurizer.present(known), featurizer)
    intent, turns = domain.input_state_map["intent_greet"], featurizer.num_features - 1
    assert np.flatnonzero(added).tolist() == [intent, turns]


def test_the_size_and_the_features_do_not_grow_with_the_conversation(domain) -> None:
    featurizer = prepared(domain)
    tracker = conversation(domain, window=3)
    sizes = []
    for _ in range(3):
        for event in conversation(domain, *["/greet", "utter_greet", ITALIAN, "action_search"] * 200).events:
            tracker.update(event)
        sizes.append((len(featurizer.present(tracker)[0]), len(json.dumps(tracker.snapshot())) // 100))
    assert sizes[0] == sizes[1] == sizes[2]


def test_training_arrays_hold_each_distinct_example_once_with_its_weight(domain) -> None:
    featurizer = HistoryFeaturizer(2)
    tracker = conversation(domain, "/greet", "utter_greet")
    x, y, weights = featurizer.training_arrays([tracker, tracker, conversation(domain, "/bye")], domain)
    assert x.shape == (2, featurizer.num_features)
    assert [domain.action_names[index] for index in y] == ["action_listen", "utter_greet"]
    assert weights.tolist() == pytest.approx([3 / 2.5, 2 / 2.5])


def test_no_conversations_give_empty_arrays(domain) -> None:
    x, y, weights = HistoryFeaturizer(2).training_arrays([], domain)
    assert (len(x), len(y), len(weights)) == (0, 0, 0)


def test_actions_that_are_not_to_be_learnt_are_counted_but_no_examples(domain) -> None:
    featurizer = prepared(domain)
    tracker = conversation(domain, ActionExecuted("utter_welcome", unpredictable=True), "/bye", "utter_bye")
    examples = featurizer.examples(tracker)
    assert [name for _, name in examples] == ["action_listen", "utter_bye"]
    assert block(dense(examples[0][0], featurizer), domain, 3)["seen"] == {"utter_welcome": 1.0}


def test_preparing_disturbs_no_other_thread(domain) -> None:
    featurizer = prepared(domain)
    tracker = conversation(domain, ITALIAN, "action_search")
    expected = featurizer.present(tracker)
    seen: list[object] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait(10)
        for _ in range(200):
            featurizer.prepare_from_domain(domain)
            seen.append(featurizer.present(tracker) == expected)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 800
    assert all(seen)


@pytest.mark.parametrize("max_history", [0, -2, 1.5, None])
def test_refuses_a_max_history_that_is_no_number_of_states(max_history) -> None:
    with pytest.raises(ValueError, match="max_history is a number of states, at least 1"):
        HistoryFeaturizer(max_history)
