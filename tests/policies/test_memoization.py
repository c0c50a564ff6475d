from __future__ import annotations

import json
import weakref
from collections.abc import Iterator

import pytest
from policy_bot import FOUND, ITALIAN, STORIES, conversation, said

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Restarted, SlotSet, UserUttered
from rasa_core.exceptions import ModelError
from rasa_core.policies import AugmentedMemoizationPolicy, MemoizationPolicy, Policy
from rasa_core.policies.features.classic import FullDialogueTrackerFeaturizer, MaxHistoryTrackerFeaturizer
from rasa_core.trackers import DialogueStateTracker


@pytest.fixture
def policy(domain, trackers) -> MemoizationPolicy:
    made = MemoizationPolicy()
    made.train(trackers, domain)
    return made


def glued(domain, *steps):
    made = conversation(domain, *steps)
    made.is_augmented = True
    return made


def recalled(policy: Policy, domain, *steps) -> str | None:
    scores = policy.predict_action_probabilities(conversation(domain, *steps), domain)
    assert len(scores) == domain.num_actions
    assert sorted(scores)[:-1] == [0.0] * (domain.num_actions - 1)
    return domain.action_names[scores.index(1.0)] if 1.0 in scores else None


class TestRecall:
    @pytest.mark.parametrize("story", STORIES, ids=range(len(STORIES)))
    def test_every_turn_of_every_story_is_known(self, policy, domain, story) -> None:
        for index, step in enumerate(story):
            if isinstance(step, str) and not step.startswith("/"):
                assert recalled(policy, domain, *story[:index]) == step

    def test_recall_gives_the_index_of_the_action_for_padded_states(self, policy, domain, trackers) -> None:
        all_states, all_actions = policy.featurizer.training_states_and_actions(trackers, domain)
        for states, actions in zip(all_states, all_actions, strict=True):
            assert policy.recall(states, trackers[0], domain) == domain.index_for_action(actions[0])
        assert policy.recall([{"intent_mumble": 1.0}], trackers[0], domain) is None

    @pytest.mark.parametrize("own", ["utter_bye", 2])
    def test_a_policy_of_ones_own_may_recall_an_index_or_a_name(self, domain, own) -> None:
        class Own(MemoizationPolicy):
            def recall(self, states, tracker, domain):
                return own

        scores = Own().predict_action_probabilities(conversation(domain), domain)
        assert scores.index(1.0) == (own if isinstance(own, int) else domain.index_for_action(own))

    def test_a_conversation_starts_by_listening(self, policy, domain) -> None:
        assert recalled(policy, domain) == ACTION_LISTEN_NAME

    def test_a_conversation_that_is_in_no_story_is_not_known(self, policy, domain) -> None:
        assert recalled(policy, domain, "/greet", "utter_greet", "/thank") is None

    def test_a_slot_makes_a_state_new(self, policy, domain) -> None:
        assert recalled(policy, domain, SlotSet("price", "high"), "/bye") is None

    def test_only_the_last_states_have_to_be_known(self, domain, trackers) -> None:
        policy = MemoizationPolicy(max_history=2)
        policy.train(trackers, domain)
        steps = ("/thank", "utter_welcome", "/greet", "utter_greet")
        assert recalled(policy, domain, *steps) == "utter_ask_cuisine"

    def test_a_restart_starts_anew(self, policy, domain) -> None:
        assert recalled(policy, domain, "/greet", "utter_bye", Restarted(), "/greet") == "utter_greet"

    def test_the_confidence_of_the_best_intent_does_not_matter(self, policy, domain) -> None:
        intents = [{"name": "bye", "confidence": 0.6}, {"name": "thank", "confidence": 0.3}]
        parse = {"text": "bye", "intent": intents[0], "entities": [], "intent_ranking": intents}
        message = UserUttered("bye", intents[0], [], parse)
        assert recalled(policy, domain, ACTION_LISTEN_NAME, message) == "utter_bye"

    def test_the_confidence_matters_where_probabilities_are_wanted(self, domain, trackers) -> None:
        policy = MemoizationPolicy(MaxHistoryTrackerFeaturizer(use_intent_probabilities=True))
        policy.train(trackers, domain)
        message = UserUttered("bye", {"name": "bye", "confidence": 0.6})
        assert recalled(policy, domain, ACTION_LISTEN_NAME, message) is None
        assert recalled(policy, domain, "/bye") == "utter_bye"

    def test_the_confidence_can_be_the_score(self, policy, domain, monkeypatch) -> None:
        monkeypatch.setattr(MemoizationPolicy, "USE_NLU_CONFIDENCE_AS_SCORE", True)
        message = UserUttered("bye", {"name": "bye", "confidence": 0.6})
        scores = policy.predict_action_probabilities(conversation(domain, ACTION_LISTEN_NAME, message), domain)
        assert max(scores) == 0.6

    def test_an_action_that_the_domain_lost_is_not_recalled(self, domain, trackers) -> None:
        policy = MemoizationPolicy(lookup={(frozenset({("slot_price_0", 1.0)}),): "utter_gone"})
        assert recalled(policy, domain) is None

    def test_a_policy_that_was_not_trained_knows_nothing(self, domain) -> None:
        assert recalled(MemoizationPolicy(), domain, "/greet") is None


class TestLearning:
    def test_contradictions_are_forgotten(self, domain) -> None:
        policy = MemoizationPolicy()
        policy.train(
            [conversation(domain, "/greet", "utter_greet"), conversation(domain, "/greet", "utter_bye")],
            domain,
        )
        assert recalled(policy, domain, "/greet") is None
        scores = policy.predict_action_probabilities(conversation(domain), domain)
        assert scores.index(max(scores)) == domain.index_for_action(ACTION_LISTEN_NAME)

    def test_a_third_story_does_not_bring_a_contradiction_back(self, domain) -> None:
        policy = MemoizationPolicy()
        told = [conversation(domain, "/greet", name) for name in ("utter_greet", "utter_bye", "utter_greet")]
        policy.train(told, domain)
        assert recalled(policy, domain, "/greet") is None

    def test_conversations_glued_together_are_learnt(self, domain) -> None:
        policy = MemoizationPolicy()
        policy.train([glued(domain, "/greet", "utter_greet", "/bye", "utter_bye")], domain)
        assert recalled(policy, domain, "/greet", "utter_greet", "/bye") == "utter_bye"

    @pytest.mark.parametrize("order", [1, -1], ids=["story first", "story last"])
    def test_what_a_story_says_itself_is_not_contradicted_by_gluing(self, domain, order, tmp_path) -> None:
        told = [conversation(domain, "/greet", "utter_greet"), glued(domain, "/greet", "utter_bye")]
        policy = MemoizationPolicy()
        policy.train(told[::order], domain)
        assert recalled(policy, domain, "/greet") == "utter_greet"

    def test_gluing_that_contradicts_itself_teaches_nothing_until_a_story_does(self, domain, tmp_path) -> None:
        policy = MemoizationPolicy()
        policy.train([glued(domain, "/greet", name) for name in ("utter_greet", "utter_bye")], domain)
        assert recalled(policy, domain, "/greet") is None

        policy.persist(tmp_path)
        loaded = MemoizationPolicy.load(tmp_path)
        loaded.continue_training([conversation(domain, "/greet", "utter_bye")], domain)
        assert recalled(loaded, domain, "/greet") == "utter_bye"

    def test_a_model_that_was_loaded_lets_stories_win_over_gluing(self, domain, tmp_path) -> None:
        policy = MemoizationPolicy()
        policy.train([glued(domain, "/greet", "utter_greet")], domain)
        policy.persist(tmp_path)
        loaded = MemoizationPolicy.load(tmp_path)
        loaded.continue_training([conversation(domain, "/greet", "utter_bye")], domain)
        assert recalled(loaded, domain, "/greet") == "utter_bye"

    def test_actions_that_are_not_to_be_learnt_are_not(self, domain) -> None:
        policy = MemoizationPolicy()
        started = conversation(domain, ActionExecuted("utter_greet", unpredictable=True), "/bye", "utter_bye")
        policy.train([started], domain)
        assert sorted(policy.lookup.values()) == [ACTION_LISTEN_NAME, "utter_bye"]

    def test_training_again_forgets_what_was_known(self, policy, domain) -> None:
        policy.train([conversation(domain, "/greet", "utter_bye")], domain)
        assert recalled(policy, domain, "/greet") == "utter_bye"
        assert recalled(policy, domain, "/bye") is None

    def test_continued_training_adds_to_what_is_known(self, policy, domain) -> None:
        policy.continue_training([conversation(domain, "/greet", "utter_greet", "/thank", "utter_bye")], domain)
        assert recalled(policy, domain, "/greet", "utter_greet", "/thank") == "utter_bye"
        assert recalled(policy, domain, "/bye") == "utter_bye"

    def test_continued_training_forgets_what_it_contradicts(self, policy, domain) -> None:
        policy.continue_training([conversation(domain, "/bye", "utter_greet")], domain)
        assert recalled(policy, domain, "/bye") is None

    def test_it_can_be_switched_off_and_on(self, policy, domain) -> None:
        policy.toggle(False)
        assert recalled(policy, domain, "/greet") is None
        policy.toggle(True)
        assert recalled(policy, domain, "/greet") == "utter_greet"

    def test_conversations_are_gone_through_one_by_one_since_there_may_be_very_many(self, domain, trackers) -> None:
        alive: weakref.WeakSet[DialogueStateTracker] = weakref.WeakSet()
        most = 0

        def stream() -> Iterator[DialogueStateTracker]:
            nonlocal most
            for tracker in trackers:
                alive.add(twin := tracker.copy())
                yield twin
                most = max(most, len(alive))

        policy = MemoizationPolicy(max_history=2)
        policy.train(stream(), domain)
        assert policy.lookup
        assert len(trackers) > 3 > most


class TestConstruction:
    def test_max_history_is_five_unless_given(self) -> None:
        assert MemoizationPolicy().max_history == 5
        assert MemoizationPolicy(max_history=2).max_history == 2
        assert MemoizationPolicy(MaxHistoryTrackerFeaturizer(max_history=3)).max_history == 3

    def test_a_featurizer_without_max_history_is_refused(self) -> None:
        with pytest.raises(ValueError, match="needs a featurizer with a max_history"):
            MemoizationPolicy(FullDialogueTrackerFeaturizer())


class TestPersistence:
    @pytest.mark.parametrize("policy_class", [MemoizationPolicy, AugmentedMemoizationPolicy])
    def test_a_loaded_policy_knows_the_same(self, policy_class, domain, trackers, tmp_path) -> None:
        policy = policy_class(MaxHistoryTrackerFeaturizer(max_history=3, use_intent_probabilities=True))
        policy.train(trackers, domain)
        policy.persist(tmp_path)
        loaded = policy_class.load(tmp_path)
        assert type(loaded) is policy_class
        assert loaded.lookup == policy.lookup
        assert loaded.max_history == 3
        assert loaded.featurizer.use_intent_probabilities is True

    def test_a_loaded_policy_remembers_what_is_contradictory(self, policy, domain, tmp_path) -> None:
        policy.continue_training([conversation(domain, "/bye", "utter_greet")], domain)
        policy.persist(tmp_path)
        loaded = MemoizationPolicy.load(tmp_path)
        loaded.continue_training([conversation(domain, "/bye", "utter_bye")], domain)
        assert recalled(loaded, domain, "/bye") is None

    def test_writing_what_was_read_gives_the_same_bytes(self, policy, domain, tmp_path) -> None:
        policy.continue_training([conversation(domain, "/bye", "utter_greet")], domain)
        policy.persist(tmp_path)
        before = (tmp_path / "memorized_turns.json").read_bytes()
        MemoizationPolicy.load(tmp_path).persist(tmp_path)
        assert (tmp_path / "memorized_turns.json").read_bytes() == before

    def test_every_process_writes_the_same_bytes(self, run_python, tmp_path) -> None:
        program = (
            "import policy_bot, rasa_core.policies as policies\n"
            "domain = policy_bot.local_domain()\n"
            "policy = policies.MemoizationPolicy()\n"
            "more = policy_bot.conversation(domain, '/bye', 'utter_greet')\n"
            "policy.train([*policy_bot.stories(domain), more], domain)\n"
            "policy.persist(sys.argv[1])\n"
        )
        written = []
        for seed in ("1", "2"):
            folder = tmp_path / seed
            folder.mkdir()
            assert run_python(program, folder, PYTHONHASHSEED=seed).returncode == 0
            written.append((folder / "memorized_turns.json").read_bytes())
        assert written[0] == written[1]

    @pytest.mark.parametrize(
        "content",
        [None, "", "[]", "{}", '{"states": [1], "turns": []}', '{"states": [], "turns": [[[5], "a"]]}'],
        ids=["missing", "empty", "list", "no-keys", "wrong-state", "wrong-number"],
    )
    def test_a_damaged_file_is_named(self, tmp_path, content) -> None:
        if content is not None:
            (tmp_path / "memorized_turns.json").write_text(content)
        with pytest.raises(ModelError, match=r"cannot read the memorised turns .*memorized_turns.json.*again"):
            MemoizationPolicy.load(tmp_path)

    def test_the_file_holds_each_state_once(self, policy, tmp_path) -> None:
        policy.persist(tmp_path)
        states = json.loads((tmp_path / "memorized_turns.json").read_text())["states"]
        assert len({json.dumps(state) for state in states}) == len(states)


def test_a_message_with_entities_is_recalled_whatever_their_values(policy, domain) -> None:
    message = said(domain, '/inform{"cuisine": "greek"}')
    assert recalled(policy, domain, ACTION_LISTEN_NAME, *message) == "action_search"
    assert recalled(policy, domain, ITALIAN, "action_search", FOUND) == "utter_found"
