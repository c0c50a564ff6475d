from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from policy_bot import FOUND, ITALIAN, STORIES, as_events, conversation

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, ActionReverted, AllSlotsReset, Event, Restarted, SlotSet
from rasa_core.history import State
from rasa_core.policies import AugmentedMemoizationPolicy, MemoizationPolicy, PolicyEnsemble, augmented_memoization
from rasa_core.policies.batch_moments import MomentReader
from rasa_core.policies.batch_prediction import ALONE, BatchPredictor
from rasa_core.policies.memoization import key_of
from rasa_core.trackers import DialogueStateTracker


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


def test_where_one_state_is_all_that_is_seen_no_slot_in_it_is_older_than_the_others(domain, trackers) -> None:
    made = AugmentedMemoizationPolicy(max_history=1)
    made.train(trackers, domain)
    steps = (*BEFORE, ITALIAN)
    assert recalled(made, domain, *steps) == "action_search"
    assert recalled(made, domain, SlotSet("price", "high"), *steps) is None


def test_a_slot_that_was_set_within_the_story_still_counts(policy, domain) -> None:
    steps = (*BEFORE, ITALIAN, "action_search", FOUND)
    assert recalled(policy, domain, *steps) == "utter_found"
    assert recalled(policy, domain, *steps, SlotSet("price", "high")) is None


def test_a_slot_that_was_set_again_to_what_it_had_counts(policy, domain) -> None:
    # The price is to be forgotten, but not the cuisine, whose feature is the same before the message and after it.
    old = (SlotSet("price", "high"), SlotSet("cuisine", "thai"), "utter_welcome")
    steps = (*BEFORE, *old, ITALIAN, "action_search", FOUND)
    assert recalled(policy, domain, *steps[:-2]) == "action_search"
    assert recalled(policy, domain, *steps) == "utter_found"


def test_what_was_said_before_is_forgotten_in_the_middle_of_a_turn(domain) -> None:
    policy = AugmentedMemoizationPolicy(max_history=4)
    policy.train([conversation(domain, "action_search", "utter_found", "/thank", "utter_welcome")], domain)
    price = SlotSet("price", "high")
    assert recalled(policy, domain, "/bye", price, "action_search", "utter_found", "/thank") == "utter_welcome"
    assert recalled(policy, domain, "/bye", price, "action_search") == "utter_found"


def begun_with_the_end(tracker: DialogueStateTracker, most: int) -> list[list[State]]:
    """Return the last states as they are if all that happened is what followed one of the last actions."""
    events = tracker.applied_events()
    starts = [place for place, event in enumerate(events) if isinstance(event, ActionExecuted)][-most:]
    found = []
    for start in starts:
        anew = tracker.init_copy()
        for event in events[start:]:
            anew.update(event)
        found.append(anew.last_states(most))
    return found


def recalled_slowly(policy: AugmentedMemoizationPolicy, tracker: DialogueStateTracker) -> str | None:
    for states in [tracker.last_states(policy.max_history), *begun_with_the_end(tracker, policy.max_history)]:
        for start in range(len(states)):
            found = policy._find(key_of(states[start:]))
            if found is not None:
                return found
    return None


def random_steps(domain: Domain, chance: random.Random) -> list[str | Event]:
    """Return a conversation of parts of the stories, in which some slots are set to the value they have."""
    steps: list[str | Event] = []
    for _ in range(chance.randint(1, 4)):
        story = chance.choice(STORIES)
        start = chance.randrange(len(story))
        for step in story[start : chance.randint(start, len(story)) + 1]:
            steps.append(step)
            if chance.random() < 0.25:
                values = {"cuisine": ["thai", None], "price": ["low", "high"], "tags": [["x"], []]}
                name = chance.choice(sorted(values))
                steps.append(SlotSet(name, chance.choice(values[name])))
            if chance.random() < 0.03:
                steps.append(chance.choice([AllSlotsReset(), Restarted(), ActionReverted()]))
    return [*steps, chance.choice(["/greet", ITALIAN, "/thank", "action_search"])]


@pytest.mark.parametrize("max_history", [2, 3, 5])
def test_what_is_forgotten_is_as_if_it_had_never_been(domain, trackers, max_history) -> None:
    policy = AugmentedMemoizationPolicy(max_history=max_history)
    policy.train(trackers, domain)
    chance, known = random.Random(max_history), 0
    for _ in range(150):
        steps = random_steps(domain, chance)
        expected = recalled_slowly(policy, conversation(domain, *steps))
        assert recalled(policy, domain, *steps) == expected
        kept = conversation(domain, *steps, window=max_history)
        again = DialogueStateTracker("again", domain.slots, history=kept.history.copy())
        again.history.restore(kept.history.snapshot())
        found = policy.recall(kept.last_states(max_history), kept, domain)
        assert (None if found is None else domain.action_names[found]) == expected
        assert again.history.slots_set_before(max_history) == kept.history.slots_set_before(max_history)
        known += expected is not None
    assert known > 50


def test_many_moments_are_recalled_as_one_by_one(domain, policy) -> None:
    ensemble = PolicyEnsemble([policy])
    quick = BatchPredictor.of(ensemble, domain)
    chance = random.Random(3)
    talked = [as_events(domain, random_steps(domain, chance)) for _ in range(100)]
    reader = MomentReader(domain, [quick])
    moments = reader.read(talked)
    at_once = quick.actions(moments, np.arange(len(moments.kinds)), reader)
    known = 0
    for events, rows in zip(talked, moments.rows, strict=True):
        tracker = DialogueStateTracker("ada", domain.slots)
        for position, event in enumerate(events):
            if isinstance(event, ActionExecuted) and rows is not None and at_once[rows[position]] != ALONE:
                known += 1
                assert domain.action_names[at_once[rows[position]]] == ensemble.predict(tracker, domain).action
            tracker.update(event)
    assert known > 300


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
