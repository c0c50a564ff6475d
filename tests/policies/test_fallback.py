from __future__ import annotations

import json

import pytest
from policy_bot import conversation

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, UserUttered
from rasa_core.exceptions import ModelError, UnknownActionError
from rasa_core.policies import FallbackPolicy, MemoizationPolicy, PolicyEnsemble
from rasa_core.policies.fallback import NOT_UNDERSTOOD_PRIORITY


def understood(confidence: float | None) -> UserUttered:
    intent = {"name": "greet"} if confidence is None else {"name": "greet", "confidence": confidence}
    return UserUttered("hi", intent)


def scores(policy: FallbackPolicy, domain, *steps) -> dict[str, float]:
    found = policy.predict_action_probabilities(conversation(domain, *steps), domain)
    return {name: score for name, score in zip(domain.action_names, found, strict=True) if score}


@pytest.fixture
def policy() -> FallbackPolicy:
    return FallbackPolicy(nlu_threshold=0.4, core_threshold=0.2, fallback_action_name="utter_bye")


@pytest.mark.parametrize(
    ("confidence", "latest_action", "expected"),
    [
        (0.1, ACTION_LISTEN_NAME, {"utter_bye": 1.0}),
        (0.1, "utter_greet", {"utter_bye": 1.0}),
        (0.1, "utter_bye", {ACTION_LISTEN_NAME: 1.0}),
        (0.4, ACTION_LISTEN_NAME, {"utter_bye": 0.2}),
        (0.9, ACTION_LISTEN_NAME, {"utter_bye": 0.2}),
        (0.9, "utter_bye", {ACTION_LISTEN_NAME: 1.0}),
        (None, ACTION_LISTEN_NAME, {"utter_bye": 0.2}),
        (0.0, ACTION_LISTEN_NAME, {"utter_bye": 1.0}),
    ],
    ids=["low", "low-later", "low-done", "at-threshold", "high", "high-done", "no-confidence", "zero"],
)
def test_scores_follow_the_confidence_of_the_message(policy, domain, confidence, latest_action, expected) -> None:
    steps = [ACTION_LISTEN_NAME, understood(confidence)]
    if latest_action != ACTION_LISTEN_NAME:
        steps.append(latest_action)
    assert scores(policy, domain, *steps) == expected


@pytest.mark.parametrize(
    ("confidence", "latest_action", "expected"),
    [(0.1, "utter_greet", True), (0.1, None, True), (0.1, "utter_bye", False), (0.4, "utter_greet", False)],
    ids=["low", "first", "done", "at-threshold"],
)
def test_a_program_can_ask_whether_it_would_fall_back(policy, confidence, latest_action, expected) -> None:
    assert policy.should_fallback(confidence, latest_action) is expected


def test_a_policy_of_ones_own_scores_the_fallback_as_it_likes(policy, domain) -> None:
    found = dict(zip(domain.action_names, policy.fallback_scores(domain, 0.7), strict=True))
    assert {name: score for name, score in found.items() if score} == {"utter_bye": 0.7}


def test_a_subclass_decides_when_a_message_is_not_understood_and_how_the_fallback_is_scored(domain) -> None:
    class Careful(FallbackPolicy):
        def should_fallback(self, nlu_confidence: float, last_action_name: str | None) -> bool:
            return nlu_confidence < 0.9 and last_action_name == ACTION_LISTEN_NAME

        def fallback_scores(self, domain: Domain, fallback_score: float = 1.0) -> list[float]:
            return [score / 2 for score in super().fallback_scores(domain, fallback_score)]

    policy = Careful(fallback_action_name="utter_bye")
    assert scores(policy, domain, ACTION_LISTEN_NAME, understood(0.8)) == {"utter_bye": 0.5}
    assert scores(policy, domain, ACTION_LISTEN_NAME, understood(0.95)) == {"utter_bye": 0.15}
    assert scores(policy, domain, ACTION_LISTEN_NAME, understood(0.1), "utter_greet") == {"utter_bye": 0.15}


def test_listening_is_the_fallback_unless_another_action_is_given(domain) -> None:
    policy = FallbackPolicy()
    assert (policy.nlu_threshold, policy.core_threshold) == (0.3, 0.3)
    assert scores(policy, domain, ACTION_LISTEN_NAME, understood(0.1)) == {ACTION_LISTEN_NAME: 1.0}
    assert scores(policy, domain, ACTION_LISTEN_NAME, understood(0.9)) == {ACTION_LISTEN_NAME: 0.3}


@pytest.mark.parametrize(("confidence", "expected"), [(0.1, NOT_UNDERSTOOD_PRIORITY), (0.4, 7), (None, 7)])
def test_what_was_not_understood_matters_more_than_any_policy(domain, confidence, expected) -> None:
    policy = FallbackPolicy(nlu_threshold=0.4, priority=7)
    tracker = conversation(domain, ACTION_LISTEN_NAME, understood(confidence))
    assert policy.priority_for(tracker) == expected


@pytest.mark.parametrize(
    ("confidence", "core_threshold", "decides"),
    [(0.1, 0.2, "FallbackPolicy"), (0.9, 0.2, "MemoizationPolicy"), (0.9, 1.0, "MemoizationPolicy")],
)
def test_a_story_known_by_heart_is_followed_where_the_message_was_understood(
    domain, trackers, confidence, core_threshold, decides
) -> None:
    memo = MemoizationPolicy()
    memo.train(trackers, domain)
    ensemble = PolicyEnsemble([memo, FallbackPolicy(0.4, core_threshold, "utter_bye")])
    prediction = ensemble.predict(conversation(domain, ACTION_LISTEN_NAME, understood(confidence)), domain)
    assert prediction.policy == decides
    assert prediction.confidence == 1.0


@pytest.mark.parametrize("confidence", [0.1, 0.9, None])
@pytest.mark.parametrize("priority", [1, 5])
def test_the_bot_listens_once_the_action_has_run_whatever_stories_say(domain, trackers, confidence, priority) -> None:
    memo = MemoizationPolicy(priority=priority)
    told = [conversation(domain, ACTION_LISTEN_NAME, understood(confidence), "utter_bye", "utter_greet")]
    memo.train(told, domain)
    after = conversation(domain, ACTION_LISTEN_NAME, understood(confidence), "utter_bye")
    ensemble = PolicyEnsemble([memo, FallbackPolicy(0.4, 0.2, "utter_bye")])
    assert PolicyEnsemble([memo]).predict(after, domain).action == "utter_greet"
    assert ensemble.predict(after, domain).action == ACTION_LISTEN_NAME


def test_listening_as_the_fallback_silences_nobody(domain, trackers) -> None:
    memo = MemoizationPolicy()
    memo.train(trackers, domain)
    ensemble = PolicyEnsemble([memo, FallbackPolicy()])
    heard = conversation(domain, ACTION_LISTEN_NAME, understood(0.9))
    assert ensemble.predict(heard, domain).action == "utter_greet"


def test_a_new_conversation_is_understood(policy, domain) -> None:
    assert scores(policy, domain) == {"utter_bye": 0.2}


@pytest.mark.parametrize("confidence", [0.1, 0.9])
def test_the_action_runs_once_for_one_message(policy, domain, confidence) -> None:
    steps = [ACTION_LISTEN_NAME, understood(confidence)]
    ran = []
    while len(ran) < 5 and (not ran or ran[-1] != ACTION_LISTEN_NAME):
        (name,) = scores(policy, domain, *steps, *ran)
        ran.append(name)
    assert ran == ["utter_bye", ACTION_LISTEN_NAME]


def test_it_needs_one_state_only(policy) -> None:
    assert policy.max_history == 1


@pytest.mark.parametrize("wrong", ["0.3", 1.5, -0.1, float("nan"), True, None])
@pytest.mark.parametrize("name", ["nlu_threshold", "core_threshold"])
def test_a_threshold_is_a_probability(name: str, wrong: object) -> None:
    with pytest.raises(ValueError, match=f"{name} is a probability from 0 to 1, not "):
        FallbackPolicy(**{name: wrong})


def test_training_tells_of_an_action_that_the_domain_does_not_have(domain) -> None:
    with pytest.raises(UnknownActionError, match=r"utter_by.*Did you mean 'utter_bye'"):
        FallbackPolicy(fallback_action_name="utter_by").train([], domain)


def test_a_loaded_policy_has_the_same_options(policy, tmp_path) -> None:
    policy.persist(tmp_path)
    loaded = FallbackPolicy.load(tmp_path)
    assert vars(loaded) == vars(policy)


@pytest.mark.parametrize("content", [None, "{", "3", json.dumps({"threshold": 1})])
def test_a_damaged_file_is_named(tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "fallback_policy.json").write_text(content)
    with pytest.raises(ModelError, match=r"cannot read the fallback policy .*fallback_policy.json.*again"):
        FallbackPolicy.load(tmp_path)


def out_of_scope(confidence: float = 0.9) -> UserUttered:
    return UserUttered("how far is the moon", {"name": "out_of_scope", "confidence": confidence})


def test_what_the_domain_does_not_list_as_out_of_scope_is_handed_over(domain, trackers, tmp_path) -> None:
    memo, policy = MemoizationPolicy(), FallbackPolicy(0.4, 0.2, "utter_bye")
    for one in (memo, policy):
        one.train(trackers, domain)
    policy.persist(tmp_path)
    heard = conversation(domain, ACTION_LISTEN_NAME, out_of_scope())
    for fallback in (policy, FallbackPolicy.load(tmp_path)):
        prediction = PolicyEnsemble([memo, fallback]).predict(heard, domain)
        assert (prediction.action, prediction.policy) == ("utter_bye", "FallbackPolicy")
        assert "means nothing that this bot does" in str(fallback.reason(heard))
        assert "out_of_scope" in str(fallback.training_turns(heard, domain).note)


def test_a_domain_may_have_such_an_intent_itself(domain, trackers, monkeypatch) -> None:
    monkeypatch.setattr(domain, "intents", [*domain.intents, "out_of_scope"])
    policy = FallbackPolicy(0.4, 0.2, "utter_bye")
    policy.train(trackers, domain)
    heard = conversation(domain, ACTION_LISTEN_NAME, out_of_scope())
    assert policy.priority_for(heard) == policy.priority


def test_the_caller_is_told_why(domain) -> None:
    policy = FallbackPolicy(0.4, 0.2, "utter_bye")
    unsure = conversation(domain, ACTION_LISTEN_NAME, understood(0.1))
    assert policy.reason(unsure) == (
        "The message was not understood: it may mean 'greet' with a confidence of 0.100, and 0.4 is asked for."
    )
    assert "none exceeds the core_threshold, 0.2" in str(
        policy.reason(conversation(domain, ACTION_LISTEN_NAME, understood(0.9)))
    )
    assert policy.reason(conversation(domain, ACTION_LISTEN_NAME, understood(0.1), "utter_bye")) is None
