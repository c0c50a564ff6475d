from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from policy_bot import FOUND, ITALIAN, FixedScores, conversation

from rasa_core.agent import Agent
from rasa_core.events import ACTION_LISTEN_NAME, SlotSet, UserUttered
from rasa_core.exceptions import ModelError, UnsupportedDialogueModelError
from rasa_core.policies import (
    FallbackPolicy,
    MemoizationPolicy,
    Policy,
    PolicyEnsemble,
    Prediction,
    SimplePolicyEnsemble,
)
from rasa_core.policies.ensemble import SlotsSetByActions
from rasa_core.policies.features.classic import MaxHistoryTrackerFeaturizer


@pytest.fixture
def tracker(domain):
    return conversation(domain, "/greet")


def scoring(domain, **scores: float) -> FixedScores:
    return FixedScores([scores.get(name, 0.0) for name in domain.action_names])


class AnotherPolicy(FixedScores):
    """The same under another name."""


class TestPrediction:
    def test_the_highest_score_wins(self, domain, tracker) -> None:
        low, high = scoring(domain, utter_greet=0.6), AnotherPolicy(scoring(domain, utter_bye=0.7).scores)
        prediction = PolicyEnsemble([low, high]).predict(tracker, domain)
        assert (prediction.action, prediction.policy) == ("utter_bye", "AnotherPolicy")

    def test_the_first_of_equals_wins(self, domain, tracker) -> None:
        first, second = scoring(domain, utter_greet=0.7), AnotherPolicy(scoring(domain, utter_bye=0.7).scores)
        prediction = PolicyEnsemble([first, second]).predict(tracker, domain)
        assert (prediction.action, prediction.policy) == ("utter_greet", "FixedScores")

    def test_the_first_of_equal_actions_wins(self, domain, tracker) -> None:
        policy = scoring(domain, utter_bye=0.5, utter_greet=0.5)
        assert PolicyEnsemble([policy]).predict(tracker, domain).action == "utter_greet"

    def test_scores_are_the_probabilities_of_all_actions_in_the_order_of_the_domain(self, domain, tracker) -> None:
        prediction = PolicyEnsemble([scoring(domain, utter_greet=0.6, utter_bye=0.2)]).predict(tracker, domain)
        assert list(prediction.scores) == domain.action_names
        assert math.fsum(prediction.scores.values()) == pytest.approx(1.0)
        assert prediction.scores["utter_greet"] == prediction.confidence == pytest.approx(0.75)

    def test_scores_above_one_still_give_probabilities(self, domain, tracker) -> None:
        prediction = PolicyEnsemble([scoring(domain, utter_greet=1.1)]).predict(tracker, domain)
        assert prediction.confidence == 1.0

    def test_where_nothing_was_learnt_the_bot_listens(self, domain, tracker) -> None:
        share = 1 / domain.num_actions
        scores = dict.fromkeys(domain.action_names, share)
        expected = Prediction(ACTION_LISTEN_NAME, share, None, scores)
        assert PolicyEnsemble([FixedScores()]).predict(tracker, domain) == expected
        assert PolicyEnsemble([]).predict(tracker, domain) == expected

    def test_a_policy_that_cannot_win_is_not_asked(self, domain, tracker, trackers) -> None:
        first, second = MemoizationPolicy(), MemoizationPolicy()
        first.train(trackers, domain)
        second.predict_action_probabilities = pytest.fail  # type: ignore[method-assign]
        assert PolicyEnsemble([first, second]).predict(tracker, domain).action == "utter_greet"

    def test_a_policy_of_unknown_range_is_always_asked(self, domain, tracker, trackers) -> None:
        known = MemoizationPolicy()
        known.train(trackers, domain)
        surer = scoring(domain, utter_bye=1.5)
        assert PolicyEnsemble([known, surer]).predict(tracker, domain).action == "utter_bye"

    def test_the_highest_priority_wins_among_the_sure(self, domain, tracker) -> None:
        unsure, network = scoring(domain), scoring(domain, utter_bye=0.9)
        memo, rule = AnotherPolicy(scoring(domain, utter_greet=0.6).scores), scoring(domain, utter_welcome=0.5)
        unsure.priority, memo.priority, rule.priority = 6, 3, 4
        chosen = [
            PolicyEnsemble(policies).predict(tracker, domain).action for policies in ([network, memo], [memo, network])
        ]
        assert chosen == ["utter_greet", "utter_greet"]
        assert PolicyEnsemble([unsure, network, memo, rule]).predict(tracker, domain).action == "utter_welcome"

    def test_of_equal_priorities_the_highest_score_wins(self, domain, tracker) -> None:
        low, high = scoring(domain, utter_greet=0.6), scoring(domain, utter_bye=0.7)
        low.priority = high.priority = 3
        assert PolicyEnsemble([low, high]).predict(tracker, domain).action == "utter_bye"

    def test_a_policy_below_its_own_threshold_is_not_sure(self, domain, tracker) -> None:
        rule, network = scoring(domain, utter_bye=0.4), scoring(domain, utter_greet=0.3)
        rule.priority, rule.threshold = 4, 0.5
        assert PolicyEnsemble([rule, network]).predict(tracker, domain).action == "utter_greet"
        rule.threshold = 0.4
        assert PolicyEnsemble([rule, network]).predict(tracker, domain).action == "utter_bye"

    def test_a_score_above_one_wins_whatever_the_priorities(self, domain, tracker) -> None:
        """The score is above 1, as that of the fallback was in Rasa Core 0.9."""
        rule, old = scoring(domain, utter_greet=1.0), scoring(domain, utter_bye=1.1)
        rule.priority, rule.HIGHEST_SCORE = 6, 1.0
        prediction = PolicyEnsemble([rule, old]).predict(tracker, domain)
        assert (prediction.action, prediction.confidence) == ("utter_bye", 1.0)

    def test_a_probability_that_is_inexact_claims_nothing(self, domain, tracker) -> None:
        rule, inexact = scoring(domain, utter_greet=0.9), scoring(domain, utter_bye=1.0 + 1e-6)
        rule.priority = 2
        assert PolicyEnsemble([inexact, rule]).predict(tracker, domain).action == "utter_greet"

    def test_a_policy_of_higher_priority_is_asked_after_a_certain_one(self, domain, tracker, trackers) -> None:
        first, second = MemoizationPolicy(), MemoizationPolicy(priority=2)
        first.train(trackers, domain)
        second.lookup = dict.fromkeys(first.lookup, "utter_bye")
        assert PolicyEnsemble([first, second]).predict(tracker, domain).action == "utter_bye"

    def test_scores_may_be_an_array(self, domain, tracker) -> None:
        scores = np.array(scoring(domain, utter_greet=0.5).scores, np.float32)
        prediction = PolicyEnsemble([FixedScores(scores)]).predict(tracker, domain)
        assert type(prediction.confidence) is float
        json.dumps(prediction.scores)

    @pytest.mark.parametrize("odd", [-1.0, math.nan, math.inf], ids=["negative", "not-a-number", "infinite"])
    def test_an_odd_score_counts_as_none(self, domain, tracker, odd) -> None:
        policy = scoring(domain, action_listen=odd, utter_greet=0.5)
        prediction = PolicyEnsemble([policy]).predict(tracker, domain)
        assert (prediction.action, prediction.confidence) == ("utter_greet", 1.0)

    def test_a_wrong_number_of_scores_is_explained(self, domain, tracker) -> None:
        with pytest.raises(ModelError, match="FixedScores gave 2 scores for the 8 actions"):
            PolicyEnsemble([FixedScores([0.1, 0.2])]).predict(tracker, domain)

    @pytest.mark.parametrize("given", [5, "utter_bye", {"utter_bye": 1.0}, np.eye(8)[:1]], ids=repr)
    def test_what_is_no_list_of_scores_is_told_with_the_policy(self, domain, tracker, given) -> None:
        with pytest.raises(ModelError, match=r"FixedScores gave .* and no list with one score for each action"):
            PolicyEnsemble([FixedScores(given)]).predict(tracker, domain)

    def test_old_methods_say_the_same(self, domain, tracker) -> None:
        ensemble = PolicyEnsemble([scoring(domain, utter_greet=0.6, utter_bye=0.2)])
        assert ensemble.predict_next_action(tracker, domain) == domain.index_for_action("utter_greet")
        probabilities = ensemble.probabilities_using_best_policy(tracker, domain)
        assert probabilities == list(ensemble.predict(tracker, domain).scores.values())


class WeightedEnsemble(PolicyEnsemble):
    """An ensemble as users wrote one for Rasa Core 0.9: the policies vote."""

    def probabilities_using_best_policy(self, tracker, domain):
        votes = np.array([policy.predict_action_probabilities(tracker, domain) for policy in self.policies])
        return votes.sum(axis=0)


class CautiousEnsemble(PolicyEnsemble):
    """Asks the base class first."""

    def probabilities_using_best_policy(self, tracker, domain):
        scores = super().probabilities_using_best_policy(tracker, domain)
        return scores if max(scores) > 0.9 else domain.num_actions * [0.0]


class PoliteEnsemble(PolicyEnsemble):
    """Chooses an action, and leaves the scores as they are."""

    def predict_next_action(self, tracker, domain):
        found = super().predict_next_action(tracker, domain)
        return domain.index_for_action("utter_greet") if found == domain.index_for_action("utter_bye") else found


class NotedEnsemble(PolicyEnsemble):
    """Writes a file of its own beside the others, as people wrote it: a path is a text."""

    def persist(self, path):
        super().persist(path)
        Path(path + "/note.txt").write_text("voted", encoding="utf-8")


class NotedPolicy(Policy):
    """A policy that persists itself as users wrote it for 0.9, when a path was a text."""

    note = "nothing"

    def predict_action_probabilities(self, tracker, domain):
        return [0.0] * domain.num_actions

    def persist(self, path):
        Path(path + "/note.txt").write_text(self.note, encoding="utf-8")

    @classmethod
    def load(cls, path):
        policy = cls()
        policy.note = Path(path + "/note.txt").read_text(encoding="utf-8")
        return policy


class TestEnsemblesOfUsers:
    def votes(self, domain, ensemble_class=WeightedEnsemble):
        once, twice = {"utter_greet": 0.5, "utter_bye": 0.3}, {"utter_bye": 0.3}
        return ensemble_class([scoring(domain, **once), scoring(domain, **twice)])

    def test_what_was_not_understood_wins_over_memory_where_the_highest_score_decides(self, domain, trackers) -> None:
        class HighestScore(PolicyEnsemble):
            def probabilities_using_best_policy(self, tracker, domain):
                return max((one.predict_action_probabilities(tracker, domain) for one in self.policies), key=max)

        ensemble = HighestScore([MemoizationPolicy(), FallbackPolicy(fallback_action_name="utter_bye")])
        ensemble.train(trackers, domain)
        known = conversation(domain, "/greet")
        assert ensemble.predict(known, domain).action == "utter_greet"
        known.update(UserUttered("hm", {"name": "greet", "confidence": 0.1}))
        assert ensemble.predict(known, domain).action == "utter_bye"

    def test_its_scores_decide(self, domain, tracker) -> None:
        prediction = self.votes(domain).predict(tracker, domain)
        assert (prediction.action, prediction.policy) == ("utter_bye", "WeightedEnsemble")
        assert prediction.confidence == pytest.approx(0.6 / 1.1)
        assert self.votes(domain).predict_next_action(tracker, domain) == domain.index_for_action("utter_bye")
        assert self.votes(domain, PolicyEnsemble).predict(tracker, domain).action == "utter_greet"

    def test_it_may_ask_the_ensemble_that_it_extends(self, domain, tracker) -> None:
        unsure = self.votes(domain, CautiousEnsemble).predict(tracker, domain)
        assert (unsure.action, unsure.policy) == (ACTION_LISTEN_NAME, None)
        sure = CautiousEnsemble([scoring(domain, utter_bye=1.0)]).predict(tracker, domain)
        assert (sure.action, sure.confidence) == ("utter_bye", 1.0)

    def test_it_may_choose_the_action_alone(self, domain, tracker) -> None:
        prediction = PoliteEnsemble([scoring(domain, utter_bye=0.6, utter_greet=0.4)]).predict(tracker, domain)
        assert (prediction.action, prediction.policy) == ("utter_greet", "PoliteEnsemble")
        assert prediction.confidence == pytest.approx(0.4)

    @pytest.mark.parametrize("scores", [None, [], np.zeros(3)], ids=["none", "empty", "zeros"])
    def test_without_an_opinion_the_bot_listens(self, domain, tracker, scores) -> None:
        class Silent(PolicyEnsemble):
            def probabilities_using_best_policy(self, tracker, domain):
                return scores

        assert Silent([]).predict(tracker, domain).action == ACTION_LISTEN_NAME

    def test_too_few_scores_are_named(self, domain, tracker) -> None:
        class Short(PolicyEnsemble):
            def probabilities_using_best_policy(self, tracker, domain):
                return [1.0]

        with pytest.raises(ModelError, match=r"Short gave 1 scores for the \d+ actions"):
            Short([]).predict(tracker, domain)

    def test_an_agent_and_its_model_keep_it(self, domain, trackers, tmp_path) -> None:
        agent = Agent(domain, WeightedEnsemble([MemoizationPolicy(), FallbackPolicy(0.3, 0.4, "utter_bye")]))
        agent.train(trackers)
        agent.persist(tmp_path / "model")
        for bot in (agent, Agent.load(tmp_path / "model")):
            assert type(bot.policy_ensemble) is WeightedEnsemble
            assert bot.policy_ensemble.action_fingerprints["action_search"] == {"slots": ["found"]}
            answer = bot.start_message_handling("/greet", "somebody")
            assert (answer["next_action"], answer["policy"]) == ("utter_greet", "WeightedEnsemble")
            assert answer["confidence"] == pytest.approx(1.0 / 1.4)
            assert bot.explain("somebody").policy == "WeightedEnsemble"

    def test_the_bytes_of_other_models_do_not_tell_of_it(self, trackers, tmp_path) -> None:
        SimplePolicyEnsemble([MemoizationPolicy()]).persist(tmp_path)
        assert "ensemble" not in json.loads((tmp_path / "metadata.json").read_text())

    def test_a_list_of_policies_is_the_same_ensemble_before_and_after(self, domain, trackers, tmp_path) -> None:
        agent = Agent(domain, [MemoizationPolicy()])
        agent.train(trackers)
        agent.persist(tmp_path / "model")
        loaded = Agent.load(tmp_path / "model")
        assert type(loaded.policy_ensemble) is type(agent.policy_ensemble) is SimplePolicyEnsemble

    def test_a_class_that_was_not_imported_is_named_with_its_module(self, tmp_path) -> None:
        WeightedEnsemble([MemoizationPolicy()]).persist(tmp_path)
        file = tmp_path / "metadata.json"
        file.write_text(file.read_text().replace("WeightedEnsemble", "WeightyEnsemble"))
        with pytest.raises(ModelError, match=r"WeightyEnsemble.*Did you mean.*import the module.*test_ensemble"):
            PolicyEnsemble.load(tmp_path)


class TestConstruction:
    def test_a_single_policy_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"write policies=\[\.\.\.\] around a single policy"):
            PolicyEnsemble(MemoizationPolicy())  # type: ignore[arg-type]

    def test_anything_but_policies_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'memo' is not a Policy"):
            PolicyEnsemble(["memo"])  # type: ignore[list-item]

    @pytest.mark.parametrize(
        ("policies", "window"),
        [
            ([], 5),
            ([FallbackPolicy()], 1),
            ([MemoizationPolicy(max_history=3), MemoizationPolicy(max_history=7)], 7),
            ([FixedScores(), FallbackPolicy()], 5),
        ],
        ids=["none", "fallback", "two", "old"],
    )
    def test_the_window_is_as_long_as_any_policy_needs(self, policies, window) -> None:
        assert PolicyEnsemble(policies).window == window


class TestTraining:
    def test_every_policy_is_trained(self, domain, trackers) -> None:
        first, second = MemoizationPolicy(), MemoizationPolicy(max_history=2)
        PolicyEnsemble([first, second]).train(trackers, domain, epochs=3)
        assert first.lookup
        assert second.lookup

    def test_without_conversations_what_was_learnt_stays(self, domain, trackers, tracker) -> None:
        ensemble = PolicyEnsemble([MemoizationPolicy()])
        ensemble.train(trackers, domain)
        ensemble.train([], domain)
        assert ensemble.predict(tracker, domain).action == "utter_greet"
        assert ensemble.action_fingerprints

    def test_it_keeps_which_slots_which_action_sets(self, domain, trackers) -> None:
        ensemble = PolicyEnsemble([MemoizationPolicy()])
        ensemble.train(trackers, domain)
        assert ensemble.action_fingerprints["action_search"] == {"slots": ["found"]}
        assert ensemble.action_fingerprints["utter_greet"] == {"slots": []}

    def test_continued_training_adds_to_that(self, domain, trackers) -> None:
        ensemble = PolicyEnsemble([MemoizationPolicy()])
        ensemble.train(trackers, domain)
        ensemble.continue_training([conversation(domain, "/bye", "utter_bye", SlotSet("price", "high"))], domain)
        assert ensemble.action_fingerprints["utter_bye"] == {"slots": ["price"]}
        assert ensemble.action_fingerprints["action_search"] == {"slots": ["found"]}

    def test_slots_that_the_user_sets_belong_to_no_action(self, domain) -> None:
        tracker = conversation(domain, ITALIAN, "action_search", FOUND, SlotSet("price", "high"))
        assert SlotsSetByActions().of([tracker]) == {
            "action_listen": {"slots": []},
            "action_search": {"slots": ["found", "price"]},
        }


class TestPersistence:
    def test_policies_and_ensembles_of_old_write_and_read_at_paths_that_are_texts(self, domain, tmp_path) -> None:
        policy = NotedPolicy()
        policy.note = "learnt"
        Agent(domain, policies=NotedEnsemble([policy])).persist(tmp_path / "model")
        loaded = Agent.load(tmp_path / "model").policy_ensemble
        assert isinstance(loaded, NotedEnsemble)
        assert [policy.note for policy in loaded.policies] == ["learnt"]
        assert (tmp_path / "model" / "note.txt").read_text(encoding="utf-8") == "voted"
        assert "domain" in PolicyEnsemble.load_metadata(tmp_path / "model")["fingerprints"]

    @pytest.fixture
    def written(self, domain, trackers, tmp_path):
        ensemble = SimplePolicyEnsemble(
            [
                MemoizationPolicy(MaxHistoryTrackerFeaturizer(max_history=3)),
                FallbackPolicy(0.1),
                FixedScores(),
            ]
        )
        ensemble.train(trackers, domain)
        ensemble.persist(tmp_path / "model", {"fingerprints": {"domain": "x"}})
        return tmp_path / "model"

    def test_a_loaded_ensemble_has_the_same_policies(self, written) -> None:
        loaded = PolicyEnsemble.load(written)
        assert [type(policy) for policy in loaded.policies] == [
            MemoizationPolicy,
            FallbackPolicy,
            FixedScores,
        ]
        assert loaded.policies[1].nlu_threshold == 0.1
        assert loaded.action_fingerprints["action_search"] == {"slots": ["found"]}

    def test_what_was_set_for_one_policy_alone_comes_back(self, domain, trackers, tmp_path) -> None:
        policies = [MemoizationPolicy(priority=3), FallbackPolicy(), FixedScores()]
        policies[2].threshold = 0.5
        PolicyEnsemble(policies).persist(tmp_path)
        loaded = PolicyEnsemble.load(tmp_path).policies
        assert [(policy.priority, policy.threshold) for policy in loaded] == [(3, 0.0), (1, 0.0), (1, 0.5)]
        assert "priority" not in PolicyEnsemble.load_metadata(tmp_path)["policies"][1]

    def test_policies_are_known_though_nobody_has_imported_them(self, written, run_python) -> None:
        program = (
            "import rasa_core.policies\n"
            "print({f'rasa_core.policies.{name}' for name in ('keras_policy', 'fallback')} & set(sys.modules))\n"
            "from rasa_core.policies.ensemble import PolicyEnsemble\n"
            "print(PolicyEnsemble.load(sys.argv[1]).policies[1])\n"
        )
        metadata = written / "metadata.json"
        content = json.loads(metadata.read_text())
        metadata.write_text(json.dumps(content | {"policies": content["policies"][:2]}))
        done = run_python(program, written)
        assert done.stderr == ""
        assert done.stdout.startswith("set()\n<rasa_core.policies.fallback.FallbackPolicy")

    def test_each_policy_has_a_folder(self, written) -> None:
        assert sorted(path.name for path in written.iterdir()) == [
            "metadata.json",
            "policy_0_MemoizationPolicy",
            "policy_1_FallbackPolicy",
            "policy_2_FixedScores",
        ]

    def test_metadata_says_what_the_model_is(self, written) -> None:
        metadata = PolicyEnsemble.load_metadata(written)
        assert metadata["format"] == 1
        assert metadata["max_histories"] == [3, 1, 5]
        assert metadata["fingerprints"] == {"domain": "x"}
        assert metadata["policies"][0]["class"] == "MemoizationPolicy"

    def test_a_policy_class_that_is_not_known_is_named_with_its_module(self, written, monkeypatch) -> None:
        monkeypatch.delitem(Policy.registry, "FixedScores")
        with pytest.raises(ModelError, match=r"metadata\.json: .*'FixedScores' is not known.*import the.*policy_bot"):
            PolicyEnsemble.load(written)

    def test_a_model_of_a_newer_version_is_refused(self, written) -> None:
        file = written / "metadata.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 2, "rasa_core": "9.9"}))
        with pytest.raises(UnsupportedDialogueModelError, match=r"metadata.json.*format 2.*rasa_core 9.9"):
            PolicyEnsemble.load(written)

    def test_a_model_of_rasa_core_0_is_refused(self, tmp_path) -> None:
        (tmp_path / "policy_metadata.json").write_text("{}")
        with pytest.raises(UnsupportedDialogueModelError, match=r"written by Rasa Core 0\.x.*train a new model"):
            PolicyEnsemble.load(tmp_path)

    def test_a_folder_without_a_model_is_named(self, tmp_path) -> None:
        with pytest.raises(ModelError, match=r"there is no model in .*metadata.json.*check the path"):
            PolicyEnsemble.load(tmp_path)

    @pytest.mark.parametrize(
        "content",
        [
            "{",
            "[]",
            "{}",
            '{"format": "x"}',
            '{"format": 1}',
            '{"format": 1, "policies": [{}]}',
            '{"format": 1, "fingerprints": null, "policies": []}',
            '{"format": 1, "policies": [{"class": "FallbackPolicy", "folder": ".."}]}',
            '{"format": 1, "policies": [{"class": "FallbackPolicy", "folder": ""}]}',
        ],
    )
    def test_damaged_metadata_is_named(self, tmp_path, content) -> None:
        model = tmp_path / "model"
        model.mkdir()
        (model / "metadata.json").write_text(content)
        FallbackPolicy().persist(tmp_path)
        FallbackPolicy().persist(model)
        with pytest.raises(ModelError, match=r"cannot read .*metadata.json.*again"):
            PolicyEnsemble.load(model)


class OnlyPredicts(Policy):
    def predict_action_probabilities(self, tracker, domain):
        return [float(name == "utter_bye") for name in domain.action_names]


class TestPolicy:
    def test_a_policy_that_says_nothing_else_looks_at_five_states(self) -> None:
        assert FixedScores().max_history == 5
        assert isinstance(FixedScores().featurizer, MaxHistoryTrackerFeaturizer)

    def test_training_data_can_be_limited(self, domain, trackers) -> None:
        data = FixedScores().featurize_for_training(trackers, domain, max_training_samples=3)
        assert data.num_examples() == 3

    def test_a_policy_that_only_predicts_can_be_trained_and_kept(self, domain, trackers, tmp_path) -> None:
        agent = Agent(domain, [OnlyPredicts(MaxHistoryTrackerFeaturizer(max_history=3))])
        agent.train(trackers)
        agent.persist(tmp_path / "model")
        loaded = Agent.load(tmp_path / "model")
        assert loaded.policy_ensemble.policies[0].max_history == 3
        assert loaded.start_message_handling("/greet")["next_action"] == "utter_bye"

    def test_the_options_of_a_policy_come_back_with_its_model(self, tmp_path, caplog) -> None:
        class Wordy(OnlyPredicts):
            def __init__(self, word="urgent", *, limits=(), hour=3, then=None, priority=None) -> None:
                super().__init__(priority=priority)
                self.word, self._limits, self.hour, self.then = word, list(limits), hour, then

        Wordy("help", limits=[1, 2.5], then=print).persist(tmp_path)
        assert json.loads((tmp_path / "options.json").read_text()) == {"limits": [1, 2.5], "word": "help"}
        loaded = Wordy.load(tmp_path)
        assert (loaded.word, loaded._limits, loaded.hour, loaded.then) == ("help", [1, 2.5], 3, None)
        assert "a model does not keep the option 'then' of Wordy" in caplog.text

        (tmp_path / "options.json").write_text('{"wrod": "x"}')
        with pytest.raises(ModelError, match=r"Wordy cannot be made with the options wrod .*'wrod'"):
            Wordy.load(tmp_path)
        (tmp_path / "options.json").write_text("[")
        with pytest.raises(ModelError, match="cannot read the options of a policy"):
            Wordy.load(tmp_path)

    def test_a_policy_without_options_and_one_that_reads_itself_write_none(self, tmp_path) -> None:
        NotedPolicy().persist(str(tmp_path))
        OnlyPredicts().persist(tmp_path)
        assert not (tmp_path / "options.json").exists()

    def test_what_a_policy_lacks_is_named(self, tmp_path) -> None:
        class Demanding(OnlyPredicts):
            def __init__(self, wanted) -> None:
                super().__init__()

        Demanding("this").persist(tmp_path)
        with pytest.raises(ModelError, match=r"Demanding cannot be made .*'wanted'.*class method load\(path\)"):
            Demanding.load(tmp_path)
