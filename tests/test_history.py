"""The bounded history of a conversation from which policies predict."""

from __future__ import annotations

import json
import math

import pytest

from rasa_core.history import CHANGED, NEW, SAME, History, Mention, TurnSummary, Vocabulary

VOCABULARY = Vocabulary(
    frozenset({"greet", "chitchat"}), frozenset({"name"}), frozenset({"utter_hi"}), frozenset({"chitchat"})
)
ANNA = ("name", "Anna")


def history_of(count: int, window: int | None) -> History:
    """Return a history of `count` actions in the states s0, s1, ..."""
    history = History(window)
    for index in range(count):
        history.record_action({f"s{index}": 1.0}, f"action_{index}")
    return history


def full_history() -> History:
    """Return a history with a value in each of its fields."""
    history = history_of(4, window=2)
    history.record_user("greet", [ANNA])
    history.record_action({"intent_greet": 1.0}, "utter_hi")
    history.record_user("bye", [("name", "Bob"), ("size", 3)])
    history.record_action({"intent_bye": 0.5}, "action_listen")
    history.record_slot("city", "rome")
    return history


def test_a_full_history_tells_something_in_each_field() -> None:
    assert all(full_history().snapshot().values())


class TestStates:
    def test_only_the_last_are_kept(self) -> None:
        history = history_of(5, window=2)
        assert list(history.states) == [{"s3": 1.0}, {"s4": 1.0}]
        assert history.length == 5

    def test_without_a_window_all_are_kept(self) -> None:
        assert len(history_of(50, window=None).states) == 50

    def test_it_is_known_how_far_back_they_reach(self) -> None:
        history = history_of(5, window=2)
        assert [history.reaches(count) for count in (0, 2, 3, None)] == [True, True, False, False]

    def test_a_short_conversation_is_there_as_a_whole(self) -> None:
        history = history_of(2, window=2)
        assert [history.reaches(count) for count in (0, 2, 9, None)] == [True, True, True, True]


class TestCounts:
    def test_occurrences_are_counted(self) -> None:
        history = History()
        history.record_user("greet", [ANNA, ("name", "Bob")])
        history.record_user("greet", [ANNA])
        history.record_user(None, [])
        history.record_action({}, "utter_hi")
        assert (history.turns, history.intents, history.entities) == (3, {"greet": (2, 2)}, {"name": (2, 2)})
        assert history.actions == {"utter_hi": (1, 3)}

    def test_it_is_known_in_which_turn_something_occurred_last(self) -> None:
        history = History()
        history.record_action({}, "utter_hi")
        for intent in ("greet", "bye", "bye"):
            history.record_user(intent, [ANNA] if intent == "greet" else [])
        history.record_action({}, "utter_bye")
        assert history.intents == {"greet": (1, 1), "bye": (2, 3)}
        assert history.entities == {"name": (1, 1)}
        assert history.actions == {"utter_hi": (1, 0), "utter_bye": (1, 3)}

    def test_names_outside_the_vocabulary_are_not_counted(self) -> None:
        history = History(vocabulary=VOCABULARY)
        history.record_user("mumble", [("shoe_size", 43)])
        history.record_action({}, "action_elsewhere")
        assert (history.turns, history.length) == (1, 1)
        assert (history.intents, history.entities, history.actions) == ({}, {}, {})
        assert (history.intent, history.mentions, history.values) == (None, [], {})

    def test_entities_of_an_intent_that_does_without_them_do_not_count(self) -> None:
        history = History(vocabulary=VOCABULARY)
        history.record_user("chitchat", [ANNA])
        assert (history.intents, history.entities, history.mentions) == ({"chitchat": (1, 1)}, {}, [])


class TestSlotsSet:
    def test_are_those_after_the_latest_message_or_action(self) -> None:
        history = History()
        history.record_slot("city", "rome")
        history.record_slot("size", 3)
        history.record_slot("city", "paris")
        assert history.slots_set == {"city": "paris", "size": "3"}
        history.record_action({}, "utter_hi")
        assert history.slots_set == {}
        history.record_slot("tags", ["a"])
        assert history.slots_set == {"tags": None}
        history.record_user("greet", [])
        assert history.slots_set == {}

    def test_are_not_too_many(self) -> None:
        history = History()
        for number in range(1000):
            history.record_slot(f"slot_{number}", "x" * number)
        assert len(history.slots_set) < 30
        assert history.slots_set["slot_999"] is None


class TestMentions:
    def test_a_value_is_new_or_the_same_as_last_time_or_has_changed(self) -> None:
        history = History()
        found = []
        for value in ("Anna", "Anna", "Bob", "Anna"):
            history.record_user("inform", [("name", value)])
            found += history.mentions
        assert found == [
            Mention("name", "Anna", NEW),
            Mention("name", "Anna", SAME),
            Mention("name", "Bob", CHANGED),
            Mention("name", "Anna", CHANGED),
        ]

    def test_values_in_one_message_are_compared_with_the_messages_before(self) -> None:
        history = History()
        history.record_user("inform", [ANNA, ("name", "Bob"), ANNA])
        assert {mention.novelty for mention in history.mentions} == {NEW}
        history.record_user("inform", [("name", "Bob"), ANNA])
        assert [mention.novelty for mention in history.mentions] == [CHANGED, SAME]

    def test_a_value_is_remembered_over_messages_without_it(self) -> None:
        history = History()
        for entities in ([ANNA], [], [("size", 1)], [ANNA]):
            history.record_user("inform", entities)
        assert history.mentions == [Mention("name", "Anna", SAME)]

    @pytest.mark.parametrize(
        ("one", "other"),
        [({"a": 1, "b": 2}, {"b": 2, "a": 1}), ((1, "x"), [1, "x"]), (["\ud800"], ["\ud800"])],
        ids=["keys in another order", "tuple and list", "half a character"],
    )
    def test_what_is_the_same_in_json_is_the_same_value(self, one, other) -> None:
        history = History()
        for value in (one, other):
            history.record_user("inform", [("name", value)])
        assert history.mentions[0].novelty == SAME

    @pytest.mark.parametrize(("value", "text"), [("x", "x"), (3, "3"), (2.5, "2.5"), (None, "None"), ([1], "[1]")])
    def test_a_value_is_told_as_text(self, value, text) -> None:
        history = History()
        history.record_user("inform", [("name", value)])
        assert history.mentions[0].value == text

    def test_long_values_are_cut_and_still_told_apart(self) -> None:
        history = History()
        for end in ("x", "y"):
            history.record_user("inform", [("name", "n" * 1000 + end)])
        assert history.mentions == [Mention("name", "n" * 60, CHANGED)]

    def test_no_more_than_twenty_are_kept(self) -> None:
        history = History()
        history.record_user("inform", [("name", value) for value in range(30)])
        assert [mention.value for mention in history.mentions] == list(map(str, range(20)))


class TestTurns:
    def test_the_actions_of_a_turn_are_those_since_the_latest_message(self) -> None:
        history = history_of(3, window=None)
        history.record_user("greet", [])
        history.record_action({}, "utter_hi")
        assert history.turn_actions == ["utter_hi"]

    def test_no_more_than_ten_actions_of_a_turn_are_kept(self) -> None:
        assert history_of(30, window=0).turn_actions == [f"action_{index}" for index in range(20, 30)]

    def test_before_the_first_message_there_is_no_turn(self) -> None:
        history = history_of(3, window=None)
        history.record_user("greet", [ANNA])
        assert history.turn_before is None

    def test_the_turn_before_tells_intent_entities_and_actions(self) -> None:
        history = History()
        history.record_user("greet", [("size", 3), ANNA, ("size", 4)])
        for action in ("utter_hi", "action_listen"):
            history.record_action({}, action)
        history.record_user("bye", [])
        history.record_action({}, "utter_bye")
        assert history.turn_before == TurnSummary("greet", ["size", "name"], ["utter_hi", "action_listen"])
        assert (history.intent, history.turn_actions) == ("bye", ["utter_bye"])

    def test_the_turn_before_is_there_though_nothing_of_it_was_understood(self) -> None:
        history = History(vocabulary=VOCABULARY)
        for _ in range(2):
            history.record_user("mumble", [("shoe_size", 43)])
        assert history.turn_before == TurnSummary(None, [], [])

    def test_the_last_four_actions_other_than_listening_are_kept(self) -> None:
        history = History()
        for number in range(6):
            history.record_action({}, f"action_{number}")
            history.record_action({}, "action_listen")
        assert history.last_actions == ["action_2", "action_3", "action_4", "action_5"]


def test_its_size_has_a_bound() -> None:
    history = History(3, VOCABULARY)
    sizes = []
    for turn in range(10, 1010):
        history.record_user("greet", [("name", f"{turn:05} " * 20), (f"entity {turn}", turn)] * 30)
        for _ in range(20):
            history.record_action({f"s{turn:05}": 1.0}, f"action {turn:05}")
        if turn in (11, 99, 1009):
            sizes.append(len(json.dumps(history.snapshot())))
    assert max(sizes) - min(sizes) < 20


class TestCopies:
    def test_a_snapshot_restores_everything(self) -> None:
        history, twin = full_history(), History(window=2)
        twin.restore(json.loads(json.dumps(history.snapshot())))
        assert twin.snapshot() == history.snapshot()
        assert {type(mention) for mention in twin.mentions} == {Mention}
        assert (twin.turn_before, twin.states.maxlen) == (history.turn_before, 2)

    def test_a_restored_history_goes_on_as_the_first(self) -> None:
        history, twin = full_history(), History(window=2)
        twin.restore(json.loads(json.dumps(history.snapshot())))
        for one in (history, twin):
            one.record_user("greet", [("name", "Bob"), ("size", 4)])
            one.record_action({}, "utter_hi")
        assert twin.snapshot() == history.snapshot()
        assert [mention.novelty for mention in twin.mentions] == [SAME, CHANGED]

    def test_a_snapshot_does_not_change_with_the_history_nor_the_history_with_it(self) -> None:
        history = full_history()
        snapshot = history.snapshot()
        before = json.dumps(snapshot)
        first, second = History(2), History(2)
        for one in (first, second):
            one.restore(snapshot)
        for one in (history, first):
            one.record_user("greet", [ANNA])
            one.record_action({}, "utter_hi")
        assert json.dumps(snapshot) == before
        assert second.snapshot() == snapshot

    def test_a_copy_is_independent(self) -> None:
        history = full_history()
        twin = history.copy()
        assert (twin.snapshot(), twin.window) == (history.snapshot(), 2)
        twin.record_user("greet", [ANNA])
        twin.record_action({}, "utter_hi")
        assert history.snapshot() == full_history().snapshot()

    def test_clearing_forgets_everything(self) -> None:
        history = full_history()
        history.clear()
        assert history.snapshot() == History(window=2).snapshot()


def test_values_of_any_size_may_be_recorded() -> None:
    history = History()
    for name, value in {
        "huge": 10**5000,
        "long": "x" * 10**6,
        "half": "\ud800",
        "bytes": b"x",
        "nan": math.nan,
    }.items():
        history.record_slot(name, value)
    assert history.slots_set == {"huge": None, "long": None, "half": "\ud800", "bytes": None, "nan": "nan"}
    assert len(json.dumps(history.snapshot())) < 1000
