from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from at_once import at_once
from own_policies import LinearPolicy
from policy_bot import DOMAIN, FOUND, ITALIAN, QUICK, STORIES, again, chosen, conversation, needs_keras

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError
from rasa_core.policies import KerasPolicy, MemoizationPolicy, keras_policy, keras_training, network_training
from rasa_core.policies.features.classic import (
    FullDialogueTrackerFeaturizer,
    MaxHistoryTrackerFeaturizer,
)
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.features.single_states import (
    LabelTokenizerSingleStateFeaturizer,
)
from rasa_core.policies.network import PolicyNetwork
from rasa_core.policies.network_batches import Schedule
from rasa_core.policies.network_training import Trained
from rasa_core.policies.training_turns import NO_PLACES, NO_TURNS, StoredTurns

pytestmark = pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`:UserWarning")


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


class TestTheNetworkOfItsOwn:
    @pytest.mark.parametrize("story", STORIES, ids=range(len(STORIES)))
    def test_learns_the_stories(self, trained, domain, story) -> None:
        for index, step in enumerate(story):
            if isinstance(step, str) and not step.startswith("/"):
                assert chosen(trained, domain, *story[:index]) == step

    def test_goes_on_where_no_story_went(self, trained, domain) -> None:
        steps = ("/thank", "utter_welcome", ITALIAN, "action_search", FOUND, "utter_found", "/thank")
        assert chosen(trained, domain, *steps) == "utter_welcome"

    def test_is_served_by_numpy(self, trained) -> None:
        assert isinstance(trained.model, PolicyNetwork)
        assert trained.current_epoch == 60

    def test_has_nothing_to_say_before_training(self, domain) -> None:
        policy = KerasPolicy()
        assert policy.predict_action_probabilities(conversation(domain), domain) == [0.0] * domain.num_actions

    def test_a_domain_with_other_actions_is_explained(self, trained, domain) -> None:
        other = Domain(["greet"], [], [], {})
        tracker = conversation(other, "/greet")
        with pytest.raises(ModelError, match=r"trained for \d+ actions, and this domain has 2, or others.*again"):
            trained.predict_action_probabilities(tracker, other)
        with pytest.raises(ModelError, match=r"trained for \d+ actions, and this domain has 2, or others.*again"):
            trained.continue_training([tracker], other)
        renamed = Domain.from_yaml(DOMAIN.replace("utter_bye", "utter_see_you"))
        with pytest.raises(ModelError, match=r"and this domain has \d+, or others"):
            trained.predict_action_probabilities(conversation(renamed), renamed)
        with pytest.raises(ModelError, match="actions, and this domain has 2"):
            KerasPolicy(HistoryFeaturizer(names=trained._history.names), trained.model).predict_action_probabilities(
                tracker, other
            )

    def test_goes_on_with_more_intents_than_it_was_trained_on(self, trained, domain) -> None:
        wider = Domain.from_yaml(DOMAIN.replace("intents: [greet", "intents: [applaud, greet"))
        expected = trained.predict_action_probabilities(conversation(domain, "/greet"), domain)
        assert trained.predict_action_probabilities(conversation(wider, "/greet"), wider) == expected

    def test_a_network_for_other_features_is_explained(self, trained, domain) -> None:
        tracker = conversation(domain, "/greet")
        wanted = r"trained on \d+ features, and there are \d+ now\. Train the model again"
        for featurizer in (HistoryFeaturizer(), MaxHistoryTrackerFeaturizer()):
            policy = KerasPolicy(featurizer, trained.model)
            with pytest.raises(ModelError, match=wanted):
                policy.predict_action_probabilities(tracker, domain)
            with pytest.raises(ModelError, match=wanted):
                policy.continue_training([tracker], domain)

    def test_first_use_by_many_threads_at_once(self, trained, domain) -> None:
        tracker = conversation(domain, "/greet")
        expected = trained.predict_action_probabilities(tracker, domain)
        policy = again(trained)
        found = at_once(lambda _: policy.predict_action_probabilities(tracker, domain), range(8))
        assert found == [expected] * 8

    def test_learns_from_a_classic_featurizer_too(self, domain, trackers, tmp_path) -> None:
        policy = KerasPolicy(MaxHistoryTrackerFeaturizer(LabelTokenizerSingleStateFeaturizer(), max_history=3))
        policy.train(trackers, domain, epochs=100, verbose=0)
        assert policy.max_history == 3
        assert chosen(policy, domain, "/greet", "utter_greet") == "utter_ask_cuisine"
        policy.persist(tmp_path)
        assert chosen(KerasPolicy.load(tmp_path), domain, "/greet", "utter_greet") == "utter_ask_cuisine"

    def test_learns_from_whole_dialogues_and_is_served_without_keras(
        self, domain, trackers, tmp_path, run_python
    ) -> None:
        policy = KerasPolicy(FullDialogueTrackerFeaturizer())
        policy.train(trackers, domain, epochs=120, verbose=0)
        assert policy.max_history is None
        for story in STORIES:
            for index, step in enumerate(story):
                if isinstance(step, str) and not step.startswith("/"):
                    assert chosen(policy, domain, *story[:index]) == step
        policy.persist(tmp_path)
        program = (
            "import json, policy_bot\n"
            "from rasa_core.policies import KerasPolicy\n"
            "policy, domain = KerasPolicy.load(sys.argv[1]), policy_bot.local_domain()\n"
            "tracker = policy_bot.conversation(domain, '/greet', 'utter_greet')\n"
            "print(json.dumps(policy.predict_action_probabilities(tracker, domain)))\n"
            "assert not {'keras', 'jax'} & sys.modules.keys()\n"
        )
        done = run_python(program, tmp_path)
        assert done.returncode == 0, done.stderr
        told = policy.predict_action_probabilities(conversation(domain, "/greet", "utter_greet"), domain)
        assert json.loads(done.stdout) == pytest.approx(told, abs=1e-6)

    @pytest.mark.parametrize("featurizer", [HistoryFeaturizer(), MaxHistoryTrackerFeaturizer()])
    def test_stories_without_actions_are_refused(self, domain, featurizer) -> None:
        with pytest.raises(ModelError, match=r"nothing to learn from.*Add stories"):
            KerasPolicy(featurizer).train([conversation(domain)], domain, **QUICK)

    def test_takes_no_model_that_it_cannot_serve(self) -> None:
        with pytest.raises(ValueError, match=r"model is a PolicyNetwork or a Keras model, not object"):
            KerasPolicy(model=object())

    def test_looks_at_five_states_unless_told_otherwise(self) -> None:
        assert KerasPolicy().max_history == 5
        assert KerasPolicy(HistoryFeaturizer(2)).max_history == 2


class TestFinishedConversations:
    @pytest.mark.parametrize("at_once", [1, 6, 8192])
    def test_are_predicted_as_one_moment_after_the_other(self, trained, domain, trackers, at_once, monkeypatch) -> None:
        monkeypatch.setattr(keras_policy, "ROWS_AT_ONCE", at_once)
        conversations = [*trackers, conversation(domain), *trackers[:2]]
        found = trained.predict_conversations(conversations, domain)
        assert len(found) == len(conversations)
        for tracker, probabilities in zip(conversations, found, strict=True):
            assert probabilities.shape == (tracker.history.length, domain.num_actions)
            for before, row in zip(tracker.generate_all_prior_trackers(), probabilities, strict=False):
                assert row.tolist() == pytest.approx(trained.predict_action_probabilities(before, domain), abs=1e-5)

    def test_may_be_none(self, trained, domain) -> None:
        assert trained.predict_conversations([], domain) == []

    def test_are_not_predicted_at_once_before_training(self, domain, trackers) -> None:
        with pytest.raises(ModelError, match="only a network of history features"):
            KerasPolicy().predict_conversations(trackers, domain)


class TestTrainingOptions:
    def test_reach_the_training(self, network_trained, domain, trackers) -> None:
        policy = KerasPolicy()
        policy.train(trackers, domain, epochs=7, batch_size=3, validation_split=0.25, verbose=0, seed=5, unknown=1)
        assert network_trained[0]["schedule"] == Schedule(7, 1, 3)
        told = {name: network_trained[0][name] for name in ("validation_split", "silent", "seed", "start")}
        assert told == {"validation_split": 0.25, "silent": True, "seed": 5, "start": None}
        assert network_trained[0]["names"] == domain.action_names
        assert (policy.current_epoch, policy.calibration) == (7, {"temperature": 2.0})

    def test_are_chosen_by_the_number_of_rows(self, network_trained, domain, trackers) -> None:
        KerasPolicy().train(trackers, domain)
        rows = network_trained[0]["examples"]
        assert network_trained[0]["schedule"] == Schedule.of(len(rows), None, None)
        assert network_trained[0]["silent"] is False

    def test_reach_the_training_of_a_network_of_your_own(self, fitted, domain, trackers) -> None:
        LinearPolicy().train(trackers, domain, epochs=7, batch_size=3, validation_split=0.25, verbose=0, unknown=1)
        told = {name: fitted[0][name] for name in ("epochs", "batch_size", "validation_split", "silent")}
        assert told == {"epochs": 7, "batch_size": 3, "validation_split": 0.25, "silent": True}

    @pytest.mark.parametrize("featurizer", [HistoryFeaturizer(), MaxHistoryTrackerFeaturizer()])
    @pytest.mark.parametrize("limit", [0, 4])
    def test_can_limit_the_examples(self, network_trained, domain, trackers, featurizer, limit) -> None:
        policy = KerasPolicy(featurizer)
        if limit:
            policy.train(trackers, domain, max_training_samples=limit)
            assert len(network_trained[0]["examples"]) == limit
        else:
            with pytest.raises(ModelError, match="nothing to learn from"):
                policy.train(trackers, domain, max_training_samples=limit)

    def test_conversations_may_come_one_at_a_time(self, network_trained, domain, trackers) -> None:
        for conversations in (trackers, iter(trackers)):
            KerasPolicy().train(conversations, domain)
        first, second = (call["examples"] for call in network_trained)
        assert first.dense(first.block(0)).tolist() == second.dense(second.block(0)).tolist()

    def test_rows_of_a_network_of_your_own_have_weights(self, fitted, domain, trackers) -> None:
        LinearPolicy(HistoryFeaturizer(2)).train([*trackers, *trackers], domain)
        assert fitted[0]["weights"].mean() == pytest.approx(1.0)
        assert len(fitted[0]["weights"]) == len(fitted[0]["x"]) == len(fitted[0]["y"])

    def test_training_again_learns_the_features_anew(self, fitted, domain, trackers) -> None:
        policy = LinearPolicy(HistoryFeaturizer(2))
        for conversations in (trackers[-1:], trackers):
            policy.train(conversations, domain)
        assert fitted[1]["x"].shape[1] == policy._history.num_features > fitted[0]["x"].shape[1]
        policy.continue_training([conversation(domain, "/restart", "utter_bye")], domain)
        assert fitted[2]["x"].shape[1] == fitted[1]["x"].shape[1]

    @pytest.mark.parametrize(("split", "kept", "tested"), [(0.25, 6, 2), (0.0, 8, 0), (0.01, 8, 0), (1.0, 8, 0)])
    def test_a_share_is_held_out_at_random(self, split, kept, tested) -> None:
        class Model:
            compiled = True

            def fit(self, x, y, *, sample_weight, validation_data, **options) -> None:
                self.x, self.weights = x[:, 0], sample_weight
                self.tested = np.array([]) if validation_data is None else validation_data[0][:, 0]

        model, x = Model(), np.arange(8, dtype=np.float32)[:, None]
        with keras_training.seeded(3):
            options = {"epochs": 1, "batch_size": 2, "validation_split": split}
            keras_training.fit(model, x, x, weights=x[:, 0] + 1, **options)
        assert (len(model.x), len(model.tested)) == (kept, tested)
        assert sorted([*model.x, *model.tested]) == x[:, 0].tolist()
        assert model.weights.tolist() == (model.x + 1).tolist()

    def test_leave_global_random_states_as_they_were(self, fitted, network_trained, domain, trackers) -> None:
        random.seed(5)
        np.random.seed(5)
        expected = random.random(), np.random.random()
        random.seed(5)
        np.random.seed(5)
        for policy in (KerasPolicy(), LinearPolicy()):
            policy.train(trackers, domain, **QUICK)
        assert (random.random(), np.random.random()) == expected


class TestProgress:
    def test_training_shows_one_line_on_a_terminal(self, linear, domain, trackers, monkeypatch) -> None:
        pty = pytest.importorskip("pty")
        master, slave = pty.openpty()
        with os.fdopen(slave, "w") as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            linear.continue_training(trackers, domain, epochs=2, validation_split=0.2)
            monkeypatch.undo()
            written = b""
            while not written.endswith(b"\n"):
                written += os.read(master, 65536)
        os.close(master)
        before, first, last = written.decode().rstrip().split("\r")
        assert before == ""
        assert first.startswith("training KerasPolicy, epoch 1/2")
        assert last.startswith("training KerasPolicy, epoch 2/2")
        assert "loss" in last
        assert "accuracy" in last
        assert len(last) < 80

    def test_training_is_logged_where_there_is_no_terminal(self, linear, domain, trackers, caplog, capsys) -> None:
        caplog.set_level(logging.INFO, "rasa_core")
        linear.continue_training(trackers, domain, epochs=2)
        (told,) = [record.getMessage() for record in caplog.records if "epoch" in record.getMessage()]
        assert told.startswith("training KerasPolicy, epoch 2/2")
        assert "loss" in told
        assert capsys.readouterr() == ("", "")


class TestContinuedTraining:
    def test_starts_where_training_ended(self, trained, domain, trackers, caplog) -> None:
        policy = again(trained)
        more = conversation(domain, "/greet", "utter_greet", "/thank", "utter_bye")
        caplog.set_level(logging.INFO, "rasa_core")
        policy.continue_training([*trackers, more], domain, epochs=3, validation_split=0.2)
        assert policy.current_epoch == 63
        assert policy.model is not trained.model
        assert chosen(policy, domain, "/greet", "utter_greet") == "utter_ask_cuisine"
        *_, told = [record.getMessage() for record in caplog.records if "epoch" in record.getMessage()]
        assert told.startswith("training KerasPolicy, epoch 3/3")
        for figure in ("loss", "accuracy", "validation loss", "validation accuracy"):
            assert figure in told

    def test_keeps_features_training_turns_and_calibration(self, network_trained, domain, trackers) -> None:
        policy = KerasPolicy()
        policy.train(trackers, domain)
        names, calibration = list(policy._history.names), policy.calibration
        policy.continue_training([conversation(domain, "/restart", "utter_bye")], domain)
        assert (policy._history.names, policy.calibration) == (names, calibration)
        assert network_trained[1]["examples"].num_features == len(names)
        assert isinstance(network_trained[1]["start"], PolicyNetwork)

    def test_trains_one_epoch_unless_told_otherwise(self, network_trained, trained, domain, trackers) -> None:
        policy = again(trained)
        policy.continue_training(trackers, domain)
        assert network_trained[0]["schedule"].epochs == 1
        assert network_trained[0]["start"] is trained.model
        assert policy.current_epoch == 61

    @pytest.mark.parametrize("epochs", [{}, {"epochs": None}], ids=["not given", "none"])
    def test_a_network_of_your_own_trains_one_epoch_too(self, fitted, domain, trackers, epochs) -> None:
        policy = LinearPolicy()
        policy.train(trackers, domain, epochs=3)
        policy.continue_training(trackers, domain, **epochs)
        assert [call["epochs"] for call in fitted] == [3, 1]
        assert policy.current_epoch == 4

    def test_trains_from_scratch_where_nothing_was_learnt(self, network_trained, domain, trackers) -> None:
        policy = KerasPolicy()
        policy.continue_training(trackers, domain, epochs=2)
        assert policy.current_epoch == 2
        assert isinstance(policy.model, PolicyNetwork)

    def test_a_network_of_another_kind_is_explained(self, network_trained, trained, domain, trackers) -> None:
        policy = again(trained)
        kernel = np.zeros((trained.model.input_size, domain.num_actions), np.float32)
        policy.model = PolicyNetwork([(kernel, kernel[0])])
        with pytest.raises(ModelError, match="the network has other layers than those that are trained now"):
            policy.continue_training(trackers, domain)

    def test_goes_on_with_a_keras_model_of_your_own(self, fitted, linear, domain, trackers) -> None:
        model = linear.model
        linear.continue_training(trackers, domain)
        assert linear.model is fitted[0]["model"] is model


@pytest.fixture(scope="module")
def from_files(domain, tmp_path_factory) -> tuple[KerasPolicy, list]:
    """Return a policy that learnt from story files, and the conversations that they make."""
    folder = tmp_path_factory.mktemp("stories")
    (folder / "stories.md").write_text(FILE_OF_STORIES)
    agent = Agent(domain, [])
    conversations = agent.load_data(str(folder / "stories.md"), augmentation_factor=5)
    policy = KerasPolicy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_training, "train", lambda *args, **options: Trained(PolicyNetwork([]), {}))
        needs_keras()
        policy.train(conversations, domain)
    return policy, conversations


FILE_OF_STORIES = """
## hello
* greet
  - utter_greet
  - utter_ask_cuisine

## search
* inform{"cuisine": "italian"}
  - action_search
  - slot{"found": "Da Mario"}
  - utter_found
* thank
  - utter_welcome

## leave
* bye
  - utter_bye
"""


class TestLessons:
    @pytest.mark.parametrize(
        ("steps", "action", "place"),
        [
            (("/greet",), "utter_greet", 'stories.md:4 "hello"'),
            (("/greet", "utter_greet"), "utter_ask_cuisine", 'stories.md:5 "hello"'),
            ((ITALIAN, "action_search", FOUND, "utter_found", "/thank"), "utter_welcome", 'stories.md:13 "search"'),
        ],
    )
    def test_a_turn_that_stands_in_a_story_comes_first(self, from_files, domain, steps, action, place) -> None:
        policy, _ = from_files
        told = policy.training_turns(conversation(domain, *steps), domain)
        first, *others = told.turns
        assert (first.action, first.places) == (action, (place,))
        assert first.similarity == pytest.approx(1.0, abs=1e-6)
        assert all(0 <= other.similarity < 1 for other in others)
        assert len(told.turns) == 5
        assert told.note is None

    def test_as_many_are_told_as_wanted_the_nearest_first(self, from_files, domain) -> None:
        policy, _ = from_files
        tracker = conversation(domain, "/thank", "utter_welcome", ITALIAN, "action_search", FOUND)
        told = policy.training_turns(tracker, domain, limit=3).turns
        assert told[0].action == "utter_found"
        assert [turn.similarity for turn in told] == sorted([one.similarity for one in told], reverse=True)
        assert len(told) == 3

    def test_are_kept_with_the_policy(self, from_files, domain, tmp_path) -> None:
        policy, _ = from_files
        policy._training_turns.save(tmp_path)
        twin = KerasPolicy(HistoryFeaturizer(names=policy._history.names), PolicyNetwork([]))
        twin._training_turns = StoredTurns(folder=tmp_path)
        tracker = conversation(domain, "/greet")
        assert twin.training_turns(tracker, domain) == policy.training_turns(tracker, domain)

    def test_of_conversations_that_stand_nowhere_say_so(self, trained, domain) -> None:
        told = trained.training_turns(conversation(domain, "/greet"), domain)
        assert (told.turns, told.note) == ((), NO_PLACES)

    def test_of_a_model_without_them_say_so(self, trained, domain) -> None:
        assert again(trained).training_turns(conversation(domain, "/greet"), domain).note == NO_TURNS

    def test_there_are_none_before_training_nor_with_a_classic_featurizer(self, trained, domain) -> None:
        tracker = conversation(domain, "/greet")
        assert KerasPolicy().training_turns(tracker, domain) is None
        assert KerasPolicy(MaxHistoryTrackerFeaturizer(), trained.model).training_turns(tracker, domain) is None


class TestPersistence:
    def test_a_loaded_policy_predicts_the_same(self, trained, domain, tmp_path) -> None:
        trained.persist(tmp_path)
        loaded = KerasPolicy.load(tmp_path)
        tracker = conversation(domain, "/greet")
        expected = trained.predict_action_probabilities(tracker, domain)
        assert loaded.predict_action_probabilities(tracker, domain) == expected
        assert loaded.current_epoch == 60
        assert loaded.calibration == trained.calibration
        assert loaded.training_turns(tracker, domain) == trained.training_turns(tracker, domain)

    def test_a_loaded_policy_writes_the_same_bytes(self, trained, tmp_path) -> None:
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
        trained.persist(tmp_path / "one")
        KerasPolicy.load(tmp_path / "one").persist(tmp_path / "other")
        assert digests(tmp_path / "one") == digests(tmp_path / "other")

    def test_a_model_of_the_version_before_is_to_be_trained_again(self, trained, tmp_path) -> None:
        trained.persist(tmp_path)
        options = json.loads((tmp_path / "keras_policy.json").read_text())
        before = {"format": 1, "history_featurizer": {"max_history": 5}, "trained": True}
        before |= {"epochs": options["epochs"], "rnn_size": 32}
        for content in (before, options | {"format": 1}, options | {"format": 99}):
            (tmp_path / "keras_policy.json").write_text(json.dumps(content))
            with pytest.raises(
                ModelError, match=r"keras_policy\.json.*has format \d+, and this version reads \d.*again"
            ):
                KerasPolicy.load(tmp_path)

    def test_weights_of_another_training_are_noticed(self, trained, tmp_path) -> None:
        trained.persist(tmp_path)
        kernel = np.zeros((3, 2), np.float32)
        PolicyNetwork([(kernel, kernel[0])]).save(tmp_path / "weights.npz")
        with pytest.raises(ModelError, match=r"trained on 3 features, and there are \d+ now.*again"):
            KerasPolicy.load(tmp_path)

    def test_a_policy_that_was_not_trained_can_be_written(self, domain, tmp_path) -> None:
        KerasPolicy(HistoryFeaturizer(3)).persist(tmp_path)
        loaded = KerasPolicy.load(tmp_path)
        assert loaded.model is None
        assert loaded.max_history == 3

    def test_another_process_trains_the_same_bytes_and_says_nothing(self, trained, tmp_path, run_python) -> None:
        program = (
            "import policy_bot, rasa_core.policies as policies\n"
            "domain = policy_bot.local_domain()\n"
            "policy = policies.KerasPolicy()\n"
            "policy.train(policy_bot.stories(domain), domain, epochs=60, verbose=0)\n"
            "policy.persist(sys.argv[1])\n"
        )
        for name in ("here", "there"):
            (tmp_path / name).mkdir()
        trained.persist(tmp_path / "here")
        done = run_python(program, tmp_path / "there", PYTHONHASHSEED="7")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert digests(tmp_path / "here") == digests(tmp_path / "there")

    def test_another_seed_gives_another_network(self, network_trained, domain, trackers) -> None:
        policies = [KerasPolicy(), KerasPolicy(), KerasPolicy()]
        for policy, seed in zip(policies, (1, 2, 1), strict=True):
            policy.train(trackers, domain, seed=seed)
        first, second, third = (policy.model.layers[0][0] for policy in policies)
        assert not np.array_equal(first, second)
        assert np.array_equal(first, third)

    @pytest.mark.parametrize("file", ["keras_policy.json", "weights.npz"])
    @pytest.mark.parametrize("content", [None, b"", b"{}"], ids=["missing", "empty", "no-keys"])
    def test_a_damaged_file_is_named(self, trained, tmp_path, file, content) -> None:
        trained.persist(tmp_path)
        (tmp_path / file).unlink()
        if content is not None:
            (tmp_path / file).write_bytes(content)
        with pytest.raises(ModelError, match=rf"{file}.*[Tt]rain the model again"):
            KerasPolicy.load(tmp_path)

    def test_nothing_that_was_written_is_code(self, trained, lstm, tmp_path) -> None:
        for policy in (trained, lstm):
            policy.persist(tmp_path)
            json.loads((tmp_path / "keras_policy.json").read_text())
            with np.load(tmp_path / "weights.npz", allow_pickle=False) as arrays:
                assert all(arrays[name].dtype.kind in "fi" for name in arrays.files)


def test_training_without_keras_says_how_to_install_it(monkeypatch, domain, trackers) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ModelError, match="pip install keras jax scipy"):
        KerasPolicy().train(trackers, domain, **QUICK)


def test_a_loaded_model_is_served_without_keras(trained, trackers, domain, tmp_path, run_python) -> None:
    memo = MemoizationPolicy()
    memo.train(trackers, domain)
    Agent(domain, [memo, trained]).persist(tmp_path / "model")
    program = (
        "from rasa_core.agent import Agent\n"
        "agent = Agent.load(sys.argv[1])\n"
        "answer = agent.start_message_handling('/greet')\n"
        "answer = agent.continue_message_handling('default', 'utter_welcome', [])\n"
        "print(answer['policy'], {'keras', 'jax', 'tensorflow', 'torch'} & set(sys.modules))\n"
    )
    done = run_python(program, tmp_path / "model")
    assert (done.stdout, done.stderr) == ("KerasPolicy set()\n", "")
