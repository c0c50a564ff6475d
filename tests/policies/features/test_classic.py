from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from policy_bot import FOUND, ITALIAN, conversation, local_domain
from strategies import logs, small_domain

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.exceptions import ModelError
from rasa_core.history import State
from rasa_core.policies.features.classic import (
    DialogueTrainingData,
    FullDialogueTrackerFeaturizer,
    MaxHistoryTrackerFeaturizer,
    TrackerFeaturizer,
    with_best_intent_only,
)
from rasa_core.policies.features.single_states import (
    BinarySingleStateFeaturizer,
    LabelTokenizerSingleStateFeaturizer,
    SingleStateFeaturizer,
)
from rasa_core.policies.training_examples import rows_and_actions
from rasa_core.trackers import DialogueStateTracker


@pytest.fixture
def domain() -> Domain:
    return local_domain()


@pytest.fixture
def tracker(domain: Domain) -> DialogueStateTracker:
    return conversation(domain, "/greet", "utter_greet", "/bye", "utter_bye", "action_listen")


def names_of(vector: np.ndarray, domain: Domain) -> dict[str, float]:
    return {domain.input_states[index]: float(vector[index]) for index in np.flatnonzero(vector)}


LISTENED = "prev_action_listen"


def guessed(*ranking: tuple[str, float]) -> Event:
    intents = [{"name": name, "confidence": confidence} for name, confidence in ranking]
    return UserUttered("hm", intents[0], [], {"intent": intents[0], "entities": [], "intent_ranking": intents})


class TestBinarySingleStateFeaturizer:
    @pytest.fixture
    def featurizer(self, domain: Domain) -> BinarySingleStateFeaturizer:
        made = BinarySingleStateFeaturizer()
        made.prepare_from_domain(domain)
        return made

    def test_has_a_feature_for_each_name_of_the_domain_in_its_order(self, featurizer, domain) -> None:
        vector = featurizer.encode({"intent_greet": 1.0, "prev_utter_bye": 1.0})
        assert vector.shape == (domain.num_states,)
        assert vector.dtype == np.int32
        assert np.flatnonzero(vector).tolist() == [0, domain.num_states - 1]

    def test_gives_values_as_they_are_in_the_state(self, featurizer, domain) -> None:
        vector = featurizer.encode({"intent_greet": 0.25})
        assert vector.dtype == np.float64
        assert names_of(vector, domain) == {"intent_greet": 0.25}

    def test_encodes_by_a_table_that_somebody_set(self) -> None:
        featurizer = BinarySingleStateFeaturizer()
        featurizer.input_state_map, featurizer.num_features = {"one": 1, "two": 0}, 2
        assert featurizer.encode({"one": 0.7, "three": 1.0}).tolist() == [0.0, 0.7]

    def test_leaves_out_names_that_the_domain_does_not_have(self, featurizer) -> None:
        assert not featurizer.encode({"intent_mumble": 1.0}).any()

    def test_a_missing_state_is_all_padding(self, featurizer, domain) -> None:
        assert featurizer.encode(None).tolist() == [-1.0] * domain.num_states

    def test_an_action_is_one_hot(self, featurizer, domain) -> None:
        one_hot = featurizer.action_as_one_hot("utter_greet", domain)
        assert one_hot.shape == (domain.num_actions,)
        assert one_hot.sum() == one_hot[domain.index_for_action("utter_greet")] == 1.0

    def test_tells_its_parts_and_the_features_of_each_action(self, featurizer, domain) -> None:
        assert featurizer.user_feature_len == len(domain.intent_states + domain.entity_states)
        assert featurizer.slot_feature_len == len(domain.slot_states)
        row = featurizer.create_encoded_all_actions(domain)[domain.index_for_action("utter_bye")]
        assert np.array_equal(row, BinarySingleStateFeaturizer.action_as_one_hot("utter_bye", domain))

    def test_a_missing_action_is_all_padding(self, featurizer, domain) -> None:
        assert featurizer.action_as_one_hot(None, domain).tolist() == [-1.0] * domain.num_actions


class TestLabelTokenizerSingleStateFeaturizer:
    def test_names_that_share_words_share_features(self, domain) -> None:
        featurizer = LabelTokenizerSingleStateFeaturizer()
        featurizer.prepare_from_domain(domain)
        greet = featurizer.encode({"prev_utter_greet": 1.0})
        bye = featurizer.encode({"prev_utter_bye": 1.0})
        assert greet.sum() == bye.sum() == 2.0
        assert (greet * bye).sum() == 1.0

    def test_words_of_intents_and_actions_have_places_of_their_own_unless_shared(self, domain) -> None:
        apart, shared = (LabelTokenizerSingleStateFeaturizer(use_shared_vocab=shared) for shared in (False, True))
        for featurizer in (apart, shared):
            featurizer.prepare_from_domain(domain)
        assert "utter" not in apart.user_vocab
        assert "intent" not in apart.bot_vocab
        assert shared.user_vocab == shared.bot_vocab == {w: i for i, w in enumerate(sorted(shared.user_vocab))}
        assert {*apart.user_vocab, *apart.bot_vocab} == {*shared.user_vocab}

    def test_words_are_split_at_the_given_symbol(self) -> None:
        featurizer = LabelTokenizerSingleStateFeaturizer(split_symbol="+")
        featurizer.prepare_from_domain(Domain(["ask+price"], [], [], {}))
        assert featurizer.user_vocab == {"intent_ask": 0, "price": 1}

    def test_entities_and_slots_have_features_of_their_own(self, domain) -> None:
        featurizer = LabelTokenizerSingleStateFeaturizer()
        featurizer.prepare_from_domain(domain)
        states = ({name: 1.0, LISTENED: 0.0} for name in ("entity_cuisine", "slot_cuisine_0"))
        entity, slot = map(featurizer.encode, states)
        assert (entity.sum(), slot.sum()) == (2.0, 1.0)
        assert not (entity * slot).any()

    def test_what_users_say_counts_right_after_it_alone(self, domain) -> None:
        featurizer = LabelTokenizerSingleStateFeaturizer()
        featurizer.prepare_from_domain(domain)
        heard = featurizer.encode({"intent_greet": 0.5, LISTENED: 1.0})
        assert [heard[featurizer.user_vocab[word]] for word in ("intent", "greet")] == [0.5, 0.5]
        assert not featurizer.encode({"intent_greet": 1.0}).any()

    def test_tells_its_parts_and_the_words_of_each_action(self, domain) -> None:
        featurizer = LabelTokenizerSingleStateFeaturizer()
        assert (featurizer.user_feature_len, featurizer.slot_feature_len) == (None, None)
        featurizer.prepare_from_domain(domain)
        assert (featurizer.user_feature_len, featurizer.slot_feature_len) == (
            len(featurizer.user_vocab),
            len(featurizer.slot_labels),
        )
        words = featurizer.create_encoded_all_actions(domain)[domain.index_for_action("utter_greet")]
        assert np.array_equal(words, featurizer.encode({"prev_utter_greet": 1.0})[-len(words) :])

    def test_encodes_by_tables_that_somebody_set(self) -> None:
        featurizer = LabelTokenizerSingleStateFeaturizer()
        featurizer.user_labels, featurizer.user_vocab = ["ask_price"], {"ask": 1, "price": 0}
        featurizer.slot_labels = ["slot_open_0"]
        featurizer.bot_labels, featurizer.bot_vocab = ["tell_price"], {"tell": 0, "price": 1}
        state = {"ask_price": 0.25, "slot_open_0": 1.0, "prev_tell_price": 0.5, LISTENED: 1.0, "unknown": 1.0}
        assert featurizer.encode(state).tolist() == [0.25, 0.25, 1.0, 0.5, 0.5]

    def test_a_missing_state_is_all_padding(self, domain) -> None:
        featurizer = LabelTokenizerSingleStateFeaturizer()
        featurizer.prepare_from_domain(domain)
        assert set(featurizer.encode(None).tolist()) == {-1.0}


class TestMaxHistoryTrackerFeaturizer:
    def test_a_history_is_sliced_and_padded_in_front(self) -> None:
        states = [{"a": 1.0}, {"b": 1.0}]
        sliced = MaxHistoryTrackerFeaturizer.slice_state_history
        assert [sliced(states, length) for length in (1, 3, None)] == [states[1:], [None, *states], states]

    def test_gives_one_example_a_prediction(self, domain, tracker) -> None:
        data = MaxHistoryTrackerFeaturizer(max_history=3).featurize_trackers([tracker], domain)
        assert data.X.shape == (5, 3, domain.num_states)
        assert data.y.shape == (5, domain.num_actions)
        assert [domain.action_names[row.argmax()] for row in data.y] == [
            "action_listen",
            "utter_greet",
            "action_listen",
            "utter_bye",
            "action_listen",
        ]

    def test_pads_in_front(self, domain, tracker) -> None:
        first = MaxHistoryTrackerFeaturizer(max_history=3).featurize_trackers([tracker], domain).X[0]
        assert set(first[:2].ravel().tolist()) == {-1.0}
        assert names_of(first[2], domain) == {"slot_price_0": 1.0}

    def test_keeps_five_states_unless_told_otherwise(self) -> None:
        assert MaxHistoryTrackerFeaturizer().max_history == 5

    @pytest.mark.parametrize("max_history", [0, -1, 2.5, "3"])
    def test_refuses_a_max_history_that_is_no_number_of_states(self, max_history) -> None:
        with pytest.raises(ValueError, match="max_history is a number of states, at least 1"):
            MaxHistoryTrackerFeaturizer(max_history=max_history)

    @pytest.mark.parametrize(("remove", "examples"), [(True, 5), (False, 10)])
    def test_removes_equal_examples_unless_told_not_to(self, domain, tracker, remove, examples) -> None:
        featurizer = MaxHistoryTrackerFeaturizer(max_history=3, remove_duplicates=remove)
        assert featurizer.featurize_trackers([tracker, tracker], domain).num_examples() == examples

    def test_all_examples_are_equally_long_since_padding_stands_in_front(self, domain, tracker) -> None:
        data = MaxHistoryTrackerFeaturizer(max_history=3).featurize_trackers([tracker], domain)
        assert data.true_length == [3] * data.num_examples()

    def test_leaves_out_actions_that_are_not_to_be_learnt(self, domain) -> None:
        tracker = conversation(domain, ActionExecuted("utter_greet", unpredictable=True), "/bye", "utter_bye")
        states, actions = MaxHistoryTrackerFeaturizer().training_states_and_actions([tracker], domain)
        assert actions == [["action_listen"], ["utter_bye"]]
        assert len(states) == 2

    def test_forgets_what_was_before_a_restart(self, domain) -> None:
        tracker = conversation(domain, "/greet", "utter_greet", Event.from_parameters({"event": "restart"}))
        assert MaxHistoryTrackerFeaturizer().featurize_trackers([tracker], domain).is_empty()

    def test_predicts_from_the_states_that_were_learnt_from(self, domain, tracker) -> None:
        featurizer = MaxHistoryTrackerFeaturizer(max_history=2)
        data = featurizer.featurize_trackers([tracker], domain)
        before_bye = conversation(domain, "/greet", "utter_greet", "/bye")
        assert np.array_equal(featurizer.create_X([before_bye], domain)[0], data.X[3])

    def test_pairs_actions_with_their_states_where_old_events_are_dropped(self, domain) -> None:
        whole = conversation(domain, "/greet", "utter_greet", "/bye", "utter_bye")
        short = DialogueStateTracker("short", domain.slots, max_event_history=2)
        for event in whole.events:
            short.update(event)
        states, actions = MaxHistoryTrackerFeaturizer().predictions_of(short)
        assert [action.action_name for action in actions] == ["utter_bye"]
        assert "intent_bye" in states[0]

    def test_no_conversations_give_no_examples(self, domain) -> None:
        data = MaxHistoryTrackerFeaturizer(max_history=3).featurize_trackers([], domain)
        assert data.X.shape == (0, 0, domain.num_states)
        assert data.is_empty()


class TestFullDialogueTrackerFeaturizer:
    def test_gives_one_example_a_conversation_padded_behind(self, domain, tracker) -> None:
        short = conversation(domain, "/thank", "utter_welcome")
        data = FullDialogueTrackerFeaturizer().featurize_trackers([tracker, short], domain)
        assert data.X.shape == (2, 5, domain.num_states)
        assert data.y.shape == (2, 5, domain.num_actions)
        assert data.true_length == [5, 2]
        assert set(data.X[1, 2:].ravel().tolist()) == set(data.y[1, 2:].ravel().tolist()) == {-1.0}

    def test_leaves_out_a_first_action_that_is_not_to_be_learnt(self, domain) -> None:
        tracker = conversation(domain, ActionExecuted("utter_greet", unpredictable=True), "/bye", "utter_bye")
        data = FullDialogueTrackerFeaturizer().featurize_trackers([tracker], domain)
        assert data.true_length == [2]

    def test_predicts_from_all_states(self, domain, tracker) -> None:
        x = FullDialogueTrackerFeaturizer().create_X([tracker], domain)
        assert x.shape == (1, 6, domain.num_states)

    def test_knows_no_max_history(self) -> None:
        assert FullDialogueTrackerFeaturizer().max_history is None


class TestIntentProbabilities:
    @pytest.mark.parametrize("make", [MaxHistoryTrackerFeaturizer, FullDialogueTrackerFeaturizer])
    @pytest.mark.parametrize(
        ("use", "expected"),
        [
            (False, {"intent_bye": 1.0}),
            (True, {"intent_bye": 0.5, "intent_thank": 0.25}),
        ],
    )
    def test_count_only_if_wanted(self, domain, make, use, expected) -> None:
        tracker = conversation(domain, guessed(("bye", 0.5), ("thank", 0.25)))
        x = make(use_intent_probabilities=use).create_X([tracker], domain)
        found = {name: value for name, value in names_of(x[0, -1], domain).items() if "intent" in name}
        assert found == expected

    def test_the_first_of_equals_is_the_best(self, domain) -> None:
        tracker = conversation(domain, guessed(("thank", 0.5), ("bye", 0.5)))
        x = MaxHistoryTrackerFeaturizer().create_X([tracker], domain)
        assert names_of(x[0, -1], domain)["intent_thank"] == 1.0

    @given(logs())
    def test_a_state_is_cleaned_as_described(self, log) -> None:
        tracker = DialogueStateTracker.from_events("x", log, small_domain(), 3)
        for state in tracker.last_states(None):
            intents = {name: value for name, value in state.items() if name.startswith("intent_")}
            expected = {name: value for name, value in state.items() if name not in intents}
            if intents:
                best = next(name for name, value in intents.items() if value == max(intents.values()))
                expected[best] = 1.0
            assert with_best_intent_only(state) == expected


class TestPersistence:
    @pytest.mark.parametrize(
        "featurizer",
        [
            MaxHistoryTrackerFeaturizer(max_history=2, remove_duplicates=False, use_intent_probabilities=True),
            MaxHistoryTrackerFeaturizer(LabelTokenizerSingleStateFeaturizer(True, "+")),
            FullDialogueTrackerFeaturizer(BinarySingleStateFeaturizer(), use_intent_probabilities=True),
        ],
        ids=lambda featurizer: type(featurizer).__name__,
    )
    def test_a_featurizer_is_as_before_after_a_round_trip(self, featurizer, domain, tracker, tmp_path) -> None:
        featurizer.persist(tmp_path)
        loaded = TrackerFeaturizer.load(tmp_path)
        assert loaded.as_dict() == featurizer.as_dict()
        assert np.array_equal(loaded.create_X([tracker], domain), featurizer.create_X([tracker], domain))

    def test_the_file_is_plain_json(self, tmp_path) -> None:
        MaxHistoryTrackerFeaturizer(max_history=3).persist(tmp_path)
        content = json.loads((tmp_path / "featurizer.json").read_text())
        assert content["featurizer"] == "MaxHistoryTrackerFeaturizer"
        assert content["max_history"] == 3

    def test_own_classes_are_known_by_their_names(self, tmp_path, domain, tracker) -> None:
        class OnlyTheLatestAction(SingleStateFeaturizer):
            def prepare_from_domain(self, domain: Domain) -> None:
                self.names = domain.prev_action_states

            def encode(self, state):
                wanted = self.names if state is None else [name for name in self.names if name in state]
                return np.array([float(name in wanted) for name in self.names], np.float32)

        MaxHistoryTrackerFeaturizer(OnlyTheLatestAction(), max_history=1).persist(tmp_path)
        x = TrackerFeaturizer.load(tmp_path).create_X([tracker], domain)
        assert x.shape == (1, 1, domain.num_actions)

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (None, "No such file"),
            ("{", ": Expecting property name"),
            ("[]", "its content is not built as this version expects. Train the model again"),
            ("{}", "it has no 'featurizer'. Train"),
            ('{"featurizer": "MaxHistoryFeaturizer"}', "Did you mean 'MaxHistoryTrackerFeaturizer'"),
            (
                '{"featurizer": "MaxHistoryTrackerFeaturizer", "colour": 1, '
                '"state_featurizer": "BinarySingleStateFeaturizer", "state_featurizer_options": {}}',
                "colour",
            ),
        ],
        ids=["missing", "no-json", "no-object", "empty", "unknown-class", "unknown-option"],
    )
    def test_a_bad_file_is_named(self, tmp_path: Path, content, problem) -> None:
        if content is not None:
            (tmp_path / "featurizer.json").write_text(content)
        with pytest.raises(ModelError, match=f"featurizer.json.*{problem}"):
            TrackerFeaturizer.load(tmp_path)


class TestDialogueTrainingData:
    def test_can_be_cut_to_a_number_of_examples(self) -> None:
        data = DialogueTrainingData(np.zeros((3, 2, 4), np.float32), np.zeros((3, 2), np.float32), [2, 1, 2])
        data.limit_training_data_to(2)
        assert (len(data.X), len(data.y), data.true_length) == (2, 2, [2, 1])

    def test_slots_and_entities_are_features(self, domain) -> None:
        tracker = conversation(domain, ITALIAN, FOUND, SlotSet("price", "high"))
        x = MaxHistoryTrackerFeaturizer(max_history=1).create_X([tracker], domain)
        assert names_of(x[0, 0], domain) == {
            "intent_inform": 1.0,
            "entity_cuisine": 1.0,
            "slot_cuisine_0": 1.0,
            "slot_price_1": 1.0,
            "prev_action_listen": 1.0,
        }

    def test_can_grow_and_be_shuffled(self) -> None:
        x = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
        data = DialogueTrainingData(x[:1], np.eye(3, dtype=np.float32)[:1], [2])
        data.append(x[1:], np.eye(3, dtype=np.float32)[1:])
        assert (data.num_examples(), data.max_history(), data.true_length) == (3, 2, [2, 2, 2])
        shuffled_x, shuffled_y = data.shuffled_X_y()
        order = shuffled_y.argmax(axis=1)
        assert sorted(order) == [0, 1, 2]
        assert np.array_equal(shuffled_x, x[order])
        some_x, some_y = data.random_samples(2)
        assert np.array_equal(some_x, x[some_y.argmax(axis=1)])
        assert len(set(some_y.argmax(axis=1))) == 2


class TestNamesOfOld:
    @pytest.mark.parametrize("featurizer", [BinarySingleStateFeaturizer(), LabelTokenizerSingleStateFeaturizer()])
    def test_a_featurizer_knows_how_long_its_vectors_are(self, featurizer, domain) -> None:
        assert featurizer.num_features == 0
        featurizer.prepare_from_domain(domain)
        assert featurizer.num_features == len(featurizer.encode({})) > 0

    def test_a_binary_featurizer_tells_where_each_feature_is(self, domain) -> None:
        featurizer = BinarySingleStateFeaturizer()
        featurizer.prepare_from_domain(domain)
        assert featurizer.encode({"intent_bye": 0.5})[featurizer.input_state_map["intent_bye"]] == 0.5

    def test_a_subclass_may_look_at_more_states_by_default(self) -> None:
        class Longer(MaxHistoryTrackerFeaturizer):
            MAX_HISTORY_DEFAULT = 9

        assert (Longer().max_history, MaxHistoryTrackerFeaturizer.MAX_HISTORY_DEFAULT) == (9, 5)


def test_a_featurizer_of_ones_own_may_set_its_length() -> None:
    class Own(BinarySingleStateFeaturizer):
        def prepare_from_domain(self, domain: Domain) -> None:  # type: ignore[override]
            self.num_features = 3

    featurizer = Own()
    featurizer.prepare_from_domain(Domain([], [], [], {}))
    assert featurizer.num_features == 3


class Scaled(BinarySingleStateFeaturizer):
    """A featurizer as users write one: it has options of its own, and no method that persists them."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self._scale = scale

    def encode(self, state: State | None) -> NDArray[Any]:
        return super().encode(state) * self._scale


class LastTwo(MaxHistoryTrackerFeaturizer):
    """Takes other arguments than its base."""

    def __init__(self, note: str, scale: float) -> None:
        super().__init__(Scaled(scale), 2)
        self.note = note


class EveryOther(TrackerFeaturizer):
    """Written from the base, as in 0.9: the states of a moment lead to one action."""

    max_history = 2

    def training_states_and_actions(self, trackers, domain):  # type: ignore[no-untyped-def]
        states, actions = [], []
        for tracker in trackers:
            before = self._create_states(tracker, domain, is_binary_training=True)
            told = [event for event in tracker.applied_events() if isinstance(event, ActionExecuted)]
            for number, action in enumerate(told):
                states.append(([None] * 2 + before[: number + 1])[-2:])
                actions.append([action.action_name])
        return states, actions

    def prediction_states(self, trackers, domain):  # type: ignore[no-untyped-def]
        return [([None] * 2 + self._create_states(tracker, domain))[-2:] for tracker in trackers]


class TestFeaturizersOfUsers:
    def test_one_written_from_the_base_teaches_a_network(self, domain, tracker) -> None:
        data = EveryOther().featurize_trackers([tracker], domain)
        assert data.y.shape == (len(data.X), domain.num_actions)
        assert data.X.shape[1:] == (2, domain.num_states)
        rows, actions = rows_and_actions(data)
        assert [domain.action_names[action] for action in actions][1:3] == ["utter_greet", "action_listen"]
        assert rows.shape == (len(actions), 2 * domain.num_states)

    def test_its_states_have_the_best_intent_alone_unless_they_are_those_of_stories(self, domain) -> None:
        tracker = conversation(domain, "action_listen")
        tracker.update(guessed(("greet", 0.6), ("bye", 0.4)))
        featurizer = EveryOther()
        said, as_told = (
            featurizer._create_states(tracker, domain)[-1],
            featurizer._create_states(tracker, domain, True)[-1],
        )
        assert (said["intent_greet"], "intent_bye" in said) == (1.0, False)
        assert (as_told["intent_greet"], as_told["intent_bye"]) == (0.6, 0.4)

    def test_what_they_hold_comes_back(self, domain, tmp_path) -> None:
        LastTwo("mine", 0.5).persist(tmp_path)
        loaded = MaxHistoryTrackerFeaturizer.load(tmp_path)
        assert isinstance(loaded, LastTwo)
        assert (loaded.note, loaded.max_history, loaded.remove_duplicates) == ("mine", 2, True)
        tracker = conversation(domain, ITALIAN)
        assert np.array_equal(loaded.create_X([tracker], domain), LastTwo("", 0.5).create_X([tracker], domain))
        assert loaded.create_X([tracker], domain).max() == 0.5

    def test_what_json_does_not_have_is_told(self, tmp_path, caplog) -> None:
        featurizer = LastTwo("mine", 1.0)
        featurizer.words = {"a"}  # type: ignore[attr-defined]
        featurizer.persist(tmp_path)
        assert "a model does not keep words of a LastTwo" in caplog.text
        assert not hasattr(MaxHistoryTrackerFeaturizer.load(tmp_path), "words")

    def test_the_module_of_one_that_was_not_imported_is_named(self, tmp_path, monkeypatch) -> None:
        LastTwo("mine", 1.0).persist(tmp_path)
        for registry, name in ((TrackerFeaturizer.registry, "LastTwo"), (SingleStateFeaturizer.registry, "Scaled")):
            monkeypatch.delitem(registry, name)
            with pytest.raises(ModelError, match=rf"the class '{name}' is not known here.*\({__name__}\)"):
                TrackerFeaturizer.load(tmp_path)
            monkeypatch.undo()
