"""Networks of the users' own, trained and served by Keras."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import pytest
from at_once import at_once
from own_policies import LinearPolicy, LstmPolicy, StepwisePolicy
from policy_bot import STORIES, chosen, conversation

from rasa_core.exceptions import ModelError
from rasa_core.policies import KerasPolicy
from rasa_core.policies.features.classic import (
    FullDialogueTrackerFeaturizer,
    MaxHistoryTrackerFeaturizer,
)
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.features.single_states import (
    BinarySingleStateFeaturizer,
)
from rasa_core.policies.keras_training import import_keras

pytestmark = pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`:UserWarning")


class AsAbove(KerasPolicy):
    def model_architecture(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Any:
        return super().model_architecture(input_shape, output_shape)


class TestAnArchitectureOfYourOwn:
    def test_learns_from_classic_features(self, lstm, domain) -> None:
        assert lstm.model.input_shape == (None, 5, domain.num_states)
        assert lstm.model.count_params() > 0
        assert lstm.rnn_size == 8
        assert len(lstm.predict_action_probabilities(conversation(domain, "/greet"), domain)) == domain.num_actions

    def test_predicts_the_same_in_another_process_once_its_class_is_imported(
        self, linear, domain, tmp_path, run_python
    ) -> None:
        program = (
            "import json, warnings, policy_bot\n"
            "warnings.simplefilter('ignore', UserWarning)\n"
            "from rasa_core.policies import Policy\n"
            "import own_policies\n"
            "domain = policy_bot.local_domain()\n"
            "policy = Policy.registry['LinearPolicy'].load(sys.argv[1])\n"
            "tracker = policy_bot.conversation(domain, '/greet')\n"
            "print(json.dumps(policy.predict_action_probabilities(tracker, domain)))\n"
        )
        linear.persist(tmp_path)
        done = run_python(program, tmp_path)
        assert done.returncode == 0, done.stderr
        expected = linear.predict_action_probabilities(conversation(domain, "/greet"), domain)
        assert json.loads(done.stdout) == pytest.approx(expected, abs=1e-6)

    def test_can_learn_whole_dialogues(self, domain, trackers, tmp_path) -> None:
        policy = StepwisePolicy(FullDialogueTrackerFeaturizer())
        policy.train(trackers, domain, epochs=80, verbose=0)
        assert policy.max_history is None
        assert chosen(policy, domain, "/thank", "utter_welcome", "/greet") == "utter_greet"
        policy.persist(tmp_path)
        tracker = conversation(domain, "/greet")
        loaded = StepwisePolicy.load(tmp_path)
        assert loaded.predict_action_probabilities(tracker, domain) == pytest.approx(
            policy.predict_action_probabilities(tracker, domain)
        )

    def test_gets_a_time_axis_that_it_can_ignore(self, fitted, domain, trackers) -> None:
        LstmPolicy(FullDialogueTrackerFeaturizer()).train(trackers, domain)
        steps = max(len(story) for story in STORIES)
        assert fitted[0]["x"].shape[1] == steps
        assert fitted[0]["model"].output_shape == (None, None, domain.num_actions)

    @pytest.mark.parametrize(
        ("featurizer", "shape"),
        [
            (MaxHistoryTrackerFeaturizer(BinarySingleStateFeaturizer(), 3), (None, 3)),
            (FullDialogueTrackerFeaturizer(BinarySingleStateFeaturizer()), (None, 8)),
            (HistoryFeaturizer(), (None,)),
        ],
        ids=["states in a row", "whole dialogues", "history"],
    )
    def test_may_begin_with_the_one_of_the_class_above(self, domain, trackers, featurizer, shape) -> None:
        policy = AsAbove(featurizer)
        policy.train(trackers, domain, epochs=1)
        assert policy.model.input_shape[: len(shape)] == shape
        assert len(policy.predict_action_probabilities(conversation(domain, "/greet"), domain)) == domain.num_actions

    def test_can_learn_from_history_features_and_need_not_be_compiled(self, domain, trackers) -> None:
        policy = LinearPolicy(HistoryFeaturizer(2))
        policy.train(trackers, domain, epochs=60, batch_size=4, verbose=0)
        assert chosen(policy, domain, "/greet", "utter_greet") == "utter_ask_cuisine"

    def test_is_safe_to_share_between_threads(self, linear, domain) -> None:
        trackers = [conversation(domain, *steps) for steps in (("/greet",), ("/bye",), ("/thank",))]
        expected = [linear.predict_action_probabilities(tracker, domain) for tracker in trackers]
        found: list[bool] = []

        def predict(index: int) -> None:
            for _ in range(20):
                scores = linear.predict_action_probabilities(trackers[index], domain)
                found.append(scores == expected[index])

        at_once(predict, range(3))
        assert found == [True] * 60

    def test_damaged_weights_are_named(self, linear, tmp_path) -> None:
        linear.persist(tmp_path)
        np.savez(tmp_path / "weights.npz", weight_0=np.zeros((2, 2), np.float32))
        with pytest.raises(ModelError, match=r"keras_policy.json.*again"):
            LinearPolicy.load(tmp_path)


class TestAModelThatIsGiven:
    def sequential(self, domain, seed=0):
        keras = import_keras()
        keras.utils.set_random_seed(seed)
        last = keras.layers.Dense(domain.num_actions, activation="softmax", kernel_regularizer="l2")
        return keras.Sequential([keras.Input((5, domain.num_states)), keras.layers.Flatten(), last])

    def test_is_trained_and_comes_back_from_its_folder(self, domain, trackers, tmp_path) -> None:
        model = self.sequential(domain)
        policy = KerasPolicy(MaxHistoryTrackerFeaturizer(BinarySingleStateFeaturizer(), max_history=5), model=model)
        policy.train(trackers, domain, epochs=80, batch_size=8, verbose=0)
        assert policy.model is model
        assert chosen(policy, domain, "/greet", "utter_greet") == "utter_ask_cuisine"
        policy.persist(tmp_path)
        tracker = conversation(domain, "/greet")
        expected = policy.predict_action_probabilities(tracker, domain)
        assert KerasPolicy.load(tmp_path).predict_action_probabilities(tracker, domain) == pytest.approx(expected)

    def test_may_be_functional_and_trained_elsewhere(self, domain, tmp_path) -> None:
        keras = import_keras()
        inputs = keras.Input((5, domain.num_states))
        outputs = keras.layers.Dense(domain.num_actions, activation="softmax")(keras.layers.LSTM(4)(inputs))
        policy = KerasPolicy(model=keras.Model(inputs, outputs))
        tracker = conversation(domain, "/greet")
        expected = policy.predict_action_probabilities(tracker, domain)
        assert sum(expected) == pytest.approx(1.0)
        policy.persist(tmp_path)
        assert KerasPolicy.load(tmp_path).predict_action_probabilities(tracker, domain) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("module", "name"),
        [("os", "system"), ("keras", "function"), ("keras.layers", "Lambda"), ("keras.utils", "get_file")],
    )
    def test_that_would_run_code_is_refused(self, domain, tmp_path, module, name) -> None:
        KerasPolicy(model=self.sequential(domain)).persist(tmp_path)
        file = tmp_path / "keras_policy.json"
        options = json.loads(file.read_text())
        architecture = json.loads(options["architecture"])
        architecture["config"]["layers"][1] |= {"module": module, "class_name": name}
        file.write_text(json.dumps(options | {"architecture": json.dumps(architecture)}))
        with pytest.raises(ModelError, match=rf"'{name}' of '{module}', which would run code"):
            KerasPolicy.load(tmp_path)

    def test_defaults_of_a_subclass_count_where_nothing_is_given(self, fitted, domain, trackers) -> None:
        class Bigger(LstmPolicy):
            defaults: ClassVar = {"rnn_size": 6, "epochs": 3, "batch_size": 7}

        Bigger().train(trackers, domain)
        assert (fitted[-1]["epochs"], fitted[-1]["batch_size"]) == (3, 7)
        Bigger().train(trackers, domain, epochs=2, rnn_size=4)
        assert (fitted[-1]["epochs"], fitted[-1]["model"].layers[-2].input.shape[-1]) == (2, 4)
        assert KerasPolicy.defaults["rnn_size"] == KerasPolicy().rnn_size == 32
