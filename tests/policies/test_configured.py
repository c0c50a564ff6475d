"""The policies of a project of Markdown stories, as its config.yml names them."""

from __future__ import annotations

from textwrap import dedent

import pytest

from rasa_core.exceptions import ModelError
from rasa_core.policies import FallbackPolicy, KerasPolicy, Policy
from rasa_core.policies.configured import ConfiguredPolicies, configured_policies
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.support.yaml_parts import yaml_part


class ChattyPolicy(Policy):
    """Of one's own, with an option."""

    def __init__(self, words: int = 1, *, priority: int | None = None) -> None:
        super().__init__(priority=priority)
        self.words = words

    def predict_action_probabilities(self, tracker, domain):
        return [0.0] * domain.num_actions


def network(max_history: int | None, priority: int | None) -> KerasPolicy:
    return KerasPolicy(None if max_history is None else HistoryFeaturizer(max_history), priority=priority)


def read(text: str = "") -> ConfiguredPolicies:
    part = yaml_part(dedent(text), "config.yml")
    return configured_policies({} if part is None else part.keys(), network)


def names(found: ConfiguredPolicies) -> list[str]:
    return [type(policy).__name__ for policy in found.policies]


@pytest.mark.parametrize("text", ["", "imports: [mine]\n", "policies:\n"])
def test_without_policies_it_is_memory_the_network_and_a_fallback(text) -> None:
    assert names(read(text)) == ["MemoizationPolicy", "KerasPolicy", "FallbackPolicy"]


def test_options_reach_policies_and_training() -> None:
    found = read("""
        policies:
          - name: rasa_core.policies.memoization.MemoizationPolicy
            max_history: 2
            priority: 3
          - name: TEDPolicy
            max_history: 4
            epochs: 7
            batch_size: 8
          - FallbackPolicy
    """)
    memory, learns, _ = found.policies
    assert (memory.max_history, memory.priority, learns.max_history) == (2, 3, 4)
    assert found.training == {"epochs": 7, "batch_size": 8}
    assert found.notes == ["config.yml:6: KerasPolicy stands for TEDPolicy."]


def test_a_policy_of_ones_own_is_known_by_its_name() -> None:
    [policy] = read("policies:\n- name: mine.ChattyPolicy\n  words: 3\n  priority: 2\n").policies
    assert isinstance(policy, ChattyPolicy)
    assert (policy.words, policy.priority) == (3, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policies:\n- name: MemoisationPolicy\n", r"config\.yml:2: there is no policy.*Did you mean 'MemoizationPol"),
        ("policies:\n- name: KerasPolicy\n  epoch: 3\n", r"config\.yml:3: KerasPolicy has no option 'epoch'.*'epochs'"),
        ("policies:\n- name: KerasPolicy\n  epochs: many\n", r"config\.yml:3: epochs of KerasPolicy is a whole number"),
        ("policies:\n- name: FallbackPolicy\n  nlu_threshold: 2\n", r"config\.yml:3: .*a number from 0 to 1, not 2"),
        ("policies:\n- name: MemoizationPolicy\n  max_history: true\n", r"config\.yml:3: .*not True"),
        (
            "policies:\n- name: ChattyPolicy\n  wrods: 3\n",
            r"config\.yml:3: ChattyPolicy has no option 'wrods'.*'words'",
        ),
        ("policies:\n- name: RulePolicy\n", r"config\.yml:2: RulePolicy belongs to projects of Rasa 1 to 3"),
        ("polices:\n- name: KerasPolicy\n", r"config\.yml:1: config.yml has no key 'polices'.*'policies'"),
        ("policies:\n  name: KerasPolicy\n", r"config\.yml:1: policies: is a list, each of its parts after a dash"),
        ("policies: KerasPolicy\n", r"config\.yml:1: policies: is a list"),
        (
            "policies:\n- nam: KerasPolicy\n",
            r"config\.yml:2: what is listed here has a name.*'name' instead of 'nam'\?",
        ),
        (
            "policies:\n- KerasPolicy:\n    epochs: 3\n",
            r"config\.yml:2: what is listed here has a name, .*- name: \.\.\.$",
        ),
        ("policies:\n-\n", r"config\.yml:2: what is listed here has a name"),
    ],
)
def test_what_is_unknown_is_an_error_with_line_and_the_nearest(text, message) -> None:
    with pytest.raises(ModelError, match=message):
        read(text)


def test_what_a_file_of_somebody_elses_says_is_passed_over() -> None:
    found = read("sessions:\n  first: {begin: 2011}\nproject: nlu\npath: ./models\nlanguage: en\nport: 5000\n")
    assert names(found) == ["MemoizationPolicy", "KerasPolicy", "FallbackPolicy"]
    said = "config.yml:{}: config.yml has no key {!r} that says anything here; it is passed over."
    assert found.passed_over == [
        said.format(line, key) for line, key in ((1, "sessions"), (3, "project"), (4, "path"), (6, "port"))
    ]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ModelError) as caught:
        read("polices: []\npolicies:\n- name: A\n- name: B\n")
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("listed", "chosen"),
    [
        (["utter_fallback", "utter_default"], "utter_default"),
        (["utter_default", "action_default_fallback"], "action_default_fallback"),
        (["utter_fallback"], "utter_fallback"),
        (["utter_greet"], "action_listen"),
    ],
)
def test_the_action_of_a_fallback_is_the_first_that_the_domain_lists(listed, chosen) -> None:
    found = read("policies: [FallbackPolicy]")
    found.choose_action(listed)
    [policy] = found.policies
    assert isinstance(policy, FallbackPolicy)
    assert policy.fallback_action_name == chosen


def test_what_is_said_of_a_fallback_is_not_chosen() -> None:
    found = read("policies:\n- name: FallbackPolicy\n  fallback_action_name: utter_greet\n  nlu_threshold: 0.7\n")
    found.choose_action(["utter_default", "utter_greet"])
    [policy] = found.policies
    assert (policy.fallback_action_name, policy.nlu_threshold) == ("utter_greet", 0.7)
    assert found.unsaid[0][1] == {"core_threshold"}
