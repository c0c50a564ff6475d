"""The confidence of memoization on stories that contradict one another."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_bot import conversation

from rasa_core.policies import MemoizationPolicy
from rasa_core.policies.doubt import LONGEST_END, MOST_STORIES, Doubts

SURE = [(f"story {number}", "abc", "go") for number in range(5)]
SPLIT = [(f"other {number}", "xbc", action) for number, action in enumerate(["go", "go", "stop", "go"])]


def doubts(*told: tuple[str, str, str]) -> tuple[Doubts, dict[tuple[str, ...], str]]:
    counted: Doubts = Doubts()
    actions: dict[tuple[str, ...], set[str]] = {}
    for story, states, action in told:
        counted.add(tuple(states), action, [story])
        actions.setdefault(tuple(states), set()).add(action)
    return counted, {key: next(iter(found)) for key, found in actions.items() if len(found) == 1}


def test_stories_that_agree_are_certain() -> None:
    counted, lookup = doubts(*SURE)
    assert (counted.share(), counted.confidences(lookup)) == (1.0, {})


def test_the_share_is_how_often_the_others_are_right_about_a_story_that_is_left_out() -> None:
    counted, _ = doubts(*SURE, *SPLIT)
    # Each of the five is told by the other four; the one that stops is told by three that go, and wrongly.
    assert counted.share() == pytest.approx((5 + 1) / (5 + 1 + 1))


def test_the_more_stories_agree_the_more_they_are_believed() -> None:
    pairs = [(f"{name}{number}", f"a{name}", "go") for name in "pqrs" for number in range(5)]
    wrong = [
        (f"w{name}{number}", f"b{name}", action) for name in "pqrs" for number, action in enumerate(["go", "stop"])
    ]
    counted, lookup = doubts(*pairs, *wrong, ("once", "zt", "go"), ("more 1", "zu", "go"), ("more 2", "zu", "go"))
    found = counted.confidences(lookup)
    assert found[tuple("zt")] < found[tuple("zu")] < 1.0


def test_a_history_of_one_story_is_believed_less_by_one_factor_more() -> None:
    counted, lookup = doubts(*SURE, *SPLIT, ("once", "q", "go"))
    share = counted.share()
    # Of histories that one other story has, there is none among these: the share over all is taken.
    assert counted.confidences(lookup)["q",] == pytest.approx(share**3, abs=1e-4)


def test_a_history_whose_end_goes_on_otherwise_is_believed_less() -> None:
    odd = [(f"odd {number}", f"{number}kl", "stop") for number in range(4)]
    counted, lookup = doubts(*SURE, *SPLIT, *odd, ("one", "mkl", "go"), ("two", "mno", "go"))
    found = counted.confidences(lookup)
    assert found[tuple("mkl")] < found[tuple("mno")]


def test_a_story_that_is_told_twice_says_nothing_of_others() -> None:
    counted, _ = doubts(("a", "xy", "go"), ("a", "xy", "go"), ("b", "xz", "go"), ("c", "xz", "stop"))
    assert counted.share() == pytest.approx(1 / 3)


def told_slowly(told: list, lookup: dict) -> tuple[float, dict]:
    """Return share and confidences as the module defines them, by sets of stories."""
    agreeing = defaultdict(lambda: defaultdict(set))
    for key, action, stories in told:
        for part in [key, *(("end", *key[-length:]) for length in range(1, min(LONGEST_END, len(key) - 1) + 1))]:
            if len(agreeing[part][action]) < MOST_STORIES:
                agreeing[part][action].update(stories)
    right, wrong = Counter(), Counter()
    for key in {key for key, _, _ in told}:
        counts = list(map(len, agreeing[key].values()))
        if len(counts) == 1 and counts[0] > 1:
            right[counts[0] - 1] += counts[0]
        elif len(counts) == 2:
            wrong.update(other for one, other in (counts, counts[::-1]) if one == 1)
    share = (right.total() + 1) / (right.total() + wrong.total() + 1)
    if share == 1.0:
        return share, {}
    found, weight = {}, 1.0 / (1.0 - share)
    for key, action in lookup.items():
        count = max(1, len(agreeing[key][action]))
        least = (right[count] + share) / (right[count] + wrong[count] + 1)
        for length in range(1, min(LONGEST_END, len(key) - 1) + 1):
            others = {name: len(stories) for name, stories in agreeing["end", *key[-length:]].items()}
            same = max(0, others.pop(action, 0) - count)
            least = min(least, (same + weight * share) / (same + sum(others.values()) + weight))
        found[key] = round((share if count > 1 else share * share) * least, 4)
    return share, found


HISTORIES = st.lists(st.integers(0, 2), min_size=1, max_size=5).map(tuple)
TURNS = st.tuples(
    HISTORIES, st.sampled_from(["go", "stop", "wait"]), st.sets(st.integers(0, 40), min_size=1, max_size=4)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(TURNS, max_size=80), st.dictionaries(HISTORIES, st.sampled_from(["go", "stop", "new"])))
def test_all_is_counted_as_one_would_count_by_hand(told, lookup) -> None:
    counted: Doubts = Doubts()
    for turn in told:
        counted.add(*turn)
    assert (counted.share(), counted.confidences(lookup)) == told_slowly(told, lookup)


@pytest.fixture
def doubtful(domain) -> MemoizationPolicy:
    made = MemoizationPolicy()
    told = [conversation(domain, "/greet", name) for name in ("utter_greet", "utter_bye")]
    made.train([*told, conversation(domain, "/bye", "utter_bye")], domain)
    return made


def best(policy: MemoizationPolicy, domain, *steps: str) -> float:
    return max(policy.predict_action_probabilities(conversation(domain, *steps), domain))


def test_the_confidence_is_the_score(doubtful, domain, trackers) -> None:
    assert 0.0 < best(doubtful, domain, "/bye") < 1.0
    certain = MemoizationPolicy()
    certain.train(trackers, domain)
    assert best(certain, domain, "/bye") == 1.0


def test_a_model_keeps_the_confidence(doubtful, domain, tmp_path) -> None:
    doubtful.persist(tmp_path)
    assert best(MemoizationPolicy.load(tmp_path), domain, "/bye") == best(doubtful, domain, "/bye")


def test_what_is_taught_is_certain(doubtful, domain) -> None:
    doubtful.continue_training([conversation(domain, "/bye", "utter_bye")], domain)
    assert best(doubtful, domain, "/bye") == 1.0
