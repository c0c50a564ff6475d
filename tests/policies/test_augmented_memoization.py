from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
from policy_bot import FOUND, ITALIAN, STORIES, conversation

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.events import Event, SlotSet
from rasa_core.policies import AugmentedMemoizationPolicy, MemoizationPolicy, augmented_memoization


@pytest.fixture
def policy(domain, trackers) -> AugmentedMemoizationPolicy:
    made = AugmentedMemoizationPolicy()
    made.train(trackers, domain)
    return made


def recalled(policy: MemoizationPolicy, domain: Domain, *steps) -> str | None:
    scores = policy.predict_action_probabilities(conversation(domain, *steps), domain)
    return domain.action_names[scores.index(1.0)] if 1.0 in scores else None


BEFORE = ("/thank", "utter_bye", "/thank", "utter_bye", "action_listen", "utter_welcome")


@pytest.mark.parametrize("story", STORIES, ids=range(len(STORIES)))
def test_a_story_is_recognised_in_the_middle_of_a_conversation(policy, domain, story) -> None:
    for index, step in enumerate(story):
        if isinstance(step, str) and not step.startswith("/"):
            assert recalled(policy, domain, *BEFORE, *story[:index]) == step


@pytest.mark.parametrize("old", [SlotSet("tags", ["x"]), SlotSet("price", "high"), SlotSet("price", None)])
@pytest.mark.parametrize("story", STORIES, ids=range(len(STORIES)))
def test_a_story_is_recognised_in_spite_of_slots_that_were_set_before_it(policy, domain, story, old) -> None:
    for index, step in enumerate(story):
        if isinstance(step, str) and not step.startswith("/"):
            assert recalled(policy, domain, *BEFORE, old, "utter_welcome", *story[:index]) == step


def test_a_slot_that_was_set_within_the_story_still_counts(policy, domain) -> None:
    steps = (*BEFORE, ITALIAN, "action_search", FOUND)
    assert recalled(policy, domain, *steps) == "utter_found"
    assert recalled(policy, domain, *steps, SlotSet("price", "high")) is None


def test_old_slots_are_forgotten_deep_in_a_story(domain) -> None:
    steps = ["/greet", "utter_greet", "utter_ask_cuisine", "utter_welcome", "/thank", "utter_bye"]
    policy = AugmentedMemoizationPolicy(max_history=3)
    policy.train([conversation(domain, *steps)], domain)
    assert recalled(policy, domain, SlotSet("price", "high"), *steps[:-1]) == "utter_bye"


def test_an_exact_memory_wins_over_a_shorter_one(domain) -> None:
    policy = AugmentedMemoizationPolicy()
    policy.train(
        [
            conversation(domain, "/thank", "utter_welcome"),
            conversation(domain, "/greet", "utter_greet", "/thank", "utter_bye"),
        ],
        domain,
    )
    assert recalled(policy, domain, "/greet", "utter_greet", "/thank") == "utter_bye"
    assert recalled(policy, domain, "/bye", "utter_bye", "/thank") == "utter_welcome"


def test_the_middle_of_a_story_is_recognised_anywhere(domain) -> None:
    policy = AugmentedMemoizationPolicy()
    policy.train(
        [conversation(domain, "/greet", "utter_greet", "/thank", "utter_welcome", "/bye", "utter_bye")], domain
    )
    assert recalled(policy, domain, "/thank") == "utter_welcome"
    assert recalled(policy, domain, "/bye", "utter_ask_cuisine", "/thank", "utter_welcome", "/bye") == "utter_bye"
    assert recalled(policy, domain, SlotSet("price", "high"), "/greet", "utter_found", "/thank") == "utter_welcome"


def test_a_stretch_that_stories_contradict_is_not_recognised(domain) -> None:
    policy = AugmentedMemoizationPolicy()
    told = [
        conversation(domain, "/greet", "utter_greet", "/thank", "utter_welcome"),
        conversation(domain, "/bye", "utter_bye", "/thank", "utter_bye"),
    ]
    policy.train(told, domain)
    assert recalled(policy, domain, "/thank") is None
    assert recalled(policy, domain, "/bye", "utter_found", "/greet", "utter_greet", "/thank") == "utter_welcome"

    policy.continue_training([conversation(domain, "/thank", "utter_found", "/greet", "utter_greet", "/thank")], domain)
    assert recalled(policy, domain, "/greet", "utter_greet", "/thank") == "utter_welcome"


@pytest.mark.parametrize("order", [1, -1])
def test_what_is_contradictory_as_a_whole_is_so_as_a_stretch(domain, order) -> None:
    policy = AugmentedMemoizationPolicy()
    told = [conversation(domain, "/greet", "utter_greet", "/thank", name) for name in ("utter_welcome", "utter_bye")]
    more = conversation(domain, "/bye", "utter_bye", "/thank", "utter_bye")
    policy.train([*told, more][::order], domain)
    assert recalled(policy, domain, "/thank") is None


def test_a_loaded_policy_recognises_stretches(domain, tmp_path) -> None:
    policy = AugmentedMemoizationPolicy()
    policy.train([conversation(domain, "/greet", "utter_greet", "/thank", "utter_welcome")], domain)
    policy.persist(tmp_path)
    assert recalled(AugmentedMemoizationPolicy.load(tmp_path), domain, "/thank") == "utter_welcome"
    given = AugmentedMemoizationPolicy(lookup=policy.lookup)
    assert recalled(given, domain, "/thank") == "utter_welcome"


FOUND_BY = {
    "action_search_venues": SlotSet("venues", [{"name": "Big Arena", "reviews": 4.5}]),
    "action_search_concerts": SlotSet("concerts", [{"artist": "Foo Fighters", "reviews": 4.5}]),
}


def is_answered(agent: Agent, intents: Sequence[str]) -> bool:
    """Tell whether the bot knows after each message what to do, until it listens."""
    steps: list[str | Event] = []
    for intent in intents:
        steps.append(f"/{intent}")
        action = ""
        while action != "action_listen":
            predicted = agent.policy_ensemble.predict(conversation(agent.domain, *steps), agent.domain)
            if predicted.policy is None or len(steps) > 30:
                return False
            action = predicted.action
            if action == "action_listen" and steps[-1] == f"/{intent}":
                return False
            if action != "action_listen":
                steps += [action, *filter(None, [FOUND_BY.get(action)])]
    return True


@pytest.mark.parametrize(
    ("policy_class", "bot", "length", "least"),
    [
        (AugmentedMemoizationPolicy, "moodbot/domain.yml", 2, 36),
        (AugmentedMemoizationPolicy, "concertbot/concert_domain.yml", 3, 155),
        (MemoizationPolicy, "moodbot/domain.yml", 3, 14),
        (MemoizationPolicy, "concertbot/concert_domain.yml", 3, 90),
    ],
)
def test_sample_bots_answer_as_many_conversations_as_they_did(
    sample_data: Path, policy_class, bot, length, least
) -> None:
    agent = Agent(Domain.load(sample_data / bot, action_factory="remote"), [policy_class()])
    agent.train(agent.load_data((sample_data / bot).with_name("stories.md")))

    lengths = [length] if length == 2 else range(1, length + 1)
    answered = [
        one for count in lengths for one in product(agent.domain.intents, repeat=count) if is_answered(agent, one)
    ]
    assert len(answered) >= least


def test_plain_memoization_does_not_do_this(domain, trackers) -> None:
    policy = MemoizationPolicy()
    policy.train(trackers, domain)
    assert recalled(policy, domain, *BEFORE, "/greet") is None


def test_a_conversation_that_is_in_no_story_is_still_not_known(policy, domain) -> None:
    assert recalled(policy, domain, *BEFORE, "/greet", "utter_bye", "utter_found") is None


def test_another_domain_has_other_slots(policy, domain, trackers) -> None:
    recalled(policy, domain, *BEFORE, "/greet")
    other = Domain(domain.intents, domain.entities, [], domain.templates, ["utter_greet"])
    other_policy_scores = policy.predict_action_probabilities(conversation(other, *BEFORE, "/greet"), other)
    assert other_policy_scores == [0.0] * other.num_actions


def test_the_class_is_where_it_always_was() -> None:
    assert augmented_memoization.AugmentedMemoizationPolicy is AugmentedMemoizationPolicy
