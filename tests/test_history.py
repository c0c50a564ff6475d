"""The bounded summary of a conversation that policies see."""

from __future__ import annotations

import json

from rasa_core.history import History, Vocabulary

VOCABULARY = Vocabulary(
    frozenset({"greet", "chitchat"}), frozenset({"name"}), frozenset({"utter_hi"}), frozenset({"chitchat"})
)


def history_of(count: int, window: int | None) -> History:
    """Return a history of `count` actions in the states s0, s1, ..."""
    history = History(window)
    for index in range(count):
        history.record_action({f"s{index}": 1.0}, f"action_{index}")
    return history


def test_only_the_last_states_are_kept() -> None:
    history = history_of(5, window=2)
    assert list(history.states) == [{"s3": 1.0}, {"s4": 1.0}]
    assert history.length == 5


def test_without_a_window_all_states_are_kept() -> None:
    assert len(history_of(50, window=None).states) == 50


def test_it_knows_how_far_back_it_reaches() -> None:
    history = history_of(5, window=2)
    assert [history.reaches(count) for count in (0, 2, 3, None)] == [True, True, False, False]


def test_a_short_conversation_is_there_as_a_whole() -> None:
    history = history_of(2, window=2)
    assert [history.reaches(count) for count in (0, 2, 9, None)] == [True, True, True, True]


def test_occurrences_are_counted() -> None:
    history = History()
    history.record_user("greet", ["name", "name"])
    history.record_user("greet", ["name"])
    history.record_user(None, [])
    history.record_action({}, "utter_hi")
    assert (history.turns, history.intents, history.entities) == (3, {"greet": 2}, {"name": 2})
    assert history.actions == {"utter_hi": 1}


def test_names_outside_the_vocabulary_are_not_counted() -> None:
    history = History(vocabulary=VOCABULARY)
    history.record_user("mumble", ["shoe_size"])
    history.record_action({}, "action_elsewhere")
    assert (history.turns, history.length) == (1, 1)
    assert (history.intents, history.entities, history.actions) == ({}, {}, {})


def test_entities_of_an_intent_that_does_without_them_are_not_counted() -> None:
    history = History(vocabulary=VOCABULARY)
    history.record_user("chitchat", ["name"])
    assert (history.intents, history.entities) == ({"chitchat": 1}, {})


def test_the_actions_of_a_turn_are_those_since_the_latest_message() -> None:
    history = history_of(3, window=None)
    history.record_user("greet", [])
    history.record_action({}, "utter_hi")
    assert history.turn_actions == ["utter_hi"]


def test_no_more_than_ten_actions_of_a_turn_are_kept() -> None:
    assert history_of(30, window=0).turn_actions == [f"action_{index}" for index in range(20, 30)]


def test_a_snapshot_restores_everything() -> None:
    history = history_of(4, window=2)
    history.record_user("greet", ["name"])
    twin = History(window=2)
    twin.restore(json.loads(json.dumps(history.snapshot())))
    assert twin.snapshot() == history.snapshot()
    assert twin.states.maxlen == 2


def test_a_snapshot_does_not_change_with_the_history_nor_the_history_with_it() -> None:
    history = History()
    history.record_user("greet", ["name"])
    history.record_action({}, "utter_hi")
    snapshot = history.snapshot()
    before = json.dumps(snapshot)
    first, second = History(), History()
    for one in (first, second):
        one.restore(snapshot)
    for one in (history, first):
        one.record_user("greet", ["name"])
        one.record_action({}, "utter_hi")
    assert json.dumps(snapshot) == before
    assert second.snapshot() == snapshot


def test_a_copy_is_independent() -> None:
    history = history_of(2, window=3)
    twin = history.copy()
    assert (twin.snapshot(), twin.window) == (history.snapshot(), 3)
    twin.record_user("greet", ["name"])
    twin.record_action({}, "utter_hi")
    assert history.snapshot() == history_of(2, window=3).snapshot()


def test_clearing_forgets_everything() -> None:
    history = history_of(4, window=2)
    history.record_user("greet", ["name"])
    history.clear()
    assert history.snapshot() == History(window=2).snapshot()
