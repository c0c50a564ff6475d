from __future__ import annotations

import logging

import pytest
from own_policies import LinearPolicy

from rasa_core.agent import Agent
from rasa_core.featurizers import BinarySingleStateFeaturizer, MaxHistoryTrackerFeaturizer
from rasa_core.policies import FallbackPolicy, KerasPolicy, MemoizationPolicy, NGramPolicy
from rasa_core.policies.policy import FEW, Policy, Stream, training_input, with_progress


class Again:
    """Makes the same conversations each time, and counts how often."""

    def __init__(self, trackers) -> None:
        self.trackers = trackers
        self.times = 0

    def __iter__(self):
        self.times += 1
        for tracker in self.trackers:
            yield tracker.copy()


def test_each_policy_goes_through_a_stream_once(domain, trackers) -> None:
    stream = Again(trackers)
    streamed = Agent(domain, [MemoizationPolicy(), NGramPolicy()])
    streamed.train(stream)
    assert stream.times == 2
    listed = Agent(domain, [MemoizationPolicy(), NGramPolicy()])
    listed.train(trackers)
    for one, other in zip(streamed.policy_ensemble.policies, listed.policy_ensemble.policies, strict=True):
        for tracker in trackers:
            assert one.predict_action_probabilities(tracker, domain) == other.predict_action_probabilities(
                tracker, domain
            )
    assert streamed.policy_ensemble.action_fingerprints == listed.policy_ensemble.action_fingerprints


def test_of_a_stream_that_no_policy_goes_through_the_slots_are_known_all_the_same(domain, trackers) -> None:
    streamed, listed = (Agent(domain, [FallbackPolicy()]) for _ in range(2))
    streamed.train(Again(trackers))
    listed.train(trackers)
    assert streamed.policy_ensemble.action_fingerprints == listed.policy_ensemble.action_fingerprints != {}


def test_a_model_that_was_streamed_has_no_copy_of_the_stories(domain, trackers, tmp_path) -> None:
    agent = Agent(domain, [NGramPolicy()])
    agent.train(Again(trackers))
    agent.persist(tmp_path / "model")
    assert (tmp_path / "model" / "stories.md").read_text(encoding="utf-8") == ""


def test_an_iterator_is_gone_through_once_and_kept(domain, trackers) -> None:
    agent = Agent(domain, [MemoizationPolicy(), NGramPolicy()])
    agent.train(iter(trackers))
    assert agent.predict(trackers[0]).action


@pytest.mark.parametrize("kind", [list, iter, Again])
def test_what_is_no_conversation_is_refused(domain, kind) -> None:
    with pytest.raises(ValueError, match="train takes trackers, not str"):
        Agent(domain, [NGramPolicy()]).train(kind(["story"]) if kind is not Again else Stream(["story"]))


def test_lists_are_lists_and_others_are_streams(trackers) -> None:
    assert training_input(tuple(trackers)) == trackers
    assert isinstance(training_input(Again(trackers)), Stream)


def test_progress_is_told_only_of_many(trackers, caplog) -> None:
    caplog.set_level(logging.INFO)
    assert list(with_progress("reading", trackers, silent=False)) == trackers
    assert caplog.text == ""
    many = trackers[:1] * (FEW + 1)
    assert len(list(with_progress("reading", many, silent=False))) == FEW + 1
    assert f"reading {FEW + 1}/{FEW + 1}" in caplog.text


def test_nothing_at_all_is_no_training_input() -> None:
    with pytest.raises(ValueError, match="train takes trackers, not NoneType"):
        training_input(None)  # type: ignore[arg-type]


def test_a_featurizer_is_one() -> None:
    with pytest.raises(ValueError, match="a featurizer is a TrackerFeaturizer, not int"):
        KerasPolicy(featurizer=5)  # type: ignore[arg-type]


class _Short(Policy):
    """A policy written for 0.9: it overrides the methods for a featurizer of 0.9, and records its training data."""

    @staticmethod
    def _standard_featurizer() -> MaxHistoryTrackerFeaturizer:
        return MaxHistoryTrackerFeaturizer(BinarySingleStateFeaturizer(), max_history=2)

    def train(self, training_trackers, domain, **kwargs) -> None:
        self.shape = self.featurize_for_training(training_trackers, domain).X.shape

    def predict_action_probabilities(self, tracker, domain):
        return [0.0] * domain.num_actions


class _ShortNetwork(LinearPolicy):
    _standard_featurizer = staticmethod(_Short._standard_featurizer)


@pytest.mark.parametrize("kind", [_Short, _ShortNetwork])
def test_the_featurizer_that_a_class_has_by_default_is_used(kind, domain, trackers) -> None:
    policy = kind()
    assert policy.featurizer.max_history == 2
    assert kind(MaxHistoryTrackerFeaturizer(BinarySingleStateFeaturizer(), max_history=4)).featurizer.max_history == 4
    if kind is _Short:
        policy.train(trackers, domain)
        assert policy.shape[1:] == (2, domain.num_states)
