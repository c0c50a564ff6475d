from __future__ import annotations

import json
from fractions import Fraction

import pytest
from policy_bot import STORIES, conversation

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted
from rasa_core.exceptions import ModelError
from rasa_core.policies import NGramPolicy
from rasa_core.policies.ngram import CAUTION


@pytest.fixture
def policy(domain, trackers) -> NGramPolicy:
    made = NGramPolicy()
    made.train(trackers, domain)
    return made


def scores_after(policy, domain, *steps) -> dict[str, float]:
    scores = policy.predict_action_probabilities(conversation(domain, *steps), domain)
    return dict(zip(domain.action_names, scores, strict=True))


@pytest.mark.parametrize("story", STORIES, ids=range(len(STORIES)))
def test_the_stories_are_followed(policy, domain, story) -> None:
    for index, step in enumerate(story):
        if isinstance(step, str) and not step.startswith("/"):
            scores = scores_after(policy, domain, *story[:index])
            assert max(scores, key=scores.get) == step


def test_scores_are_probabilities_anywhere(policy, domain) -> None:
    for steps in ((), ("/greet",), ("/thank", "utter_greet", "/thank"), ("/mumble", "/mumble")):
        scores = scores_after(policy, domain, *steps)
        assert sum(scores.values()) == pytest.approx(1.0)
        assert all(score > 0.0 for score in scores.values())


def test_what_was_never_seen_is_less_certain(policy, domain) -> None:
    seen = scores_after(policy, domain, *STORIES[0][:1])
    assert max(seen.values()) > max(scores_after(policy, domain, "/mumble").values())


def test_probabilities_are_those_of_the_formula(domain) -> None:
    tracker = conversation(domain, "/greet", "utter_greet", "/greet", "utter_greet", "/greet", "utter_bye")
    policy = NGramPolicy(max_history=1)
    policy.train([tracker], domain)
    followed = [event.action_name for event in tracker.applied_events() if isinstance(event, ActionExecuted)]
    taught = followed[1:] if tracker.applied_events()[0].unpredictable else followed
    after_greet = [action for action in taught if action != ACTION_LISTEN_NAME]

    def mixed(action: str, seen: list[str], below: Fraction) -> Fraction:
        caution = Fraction(CAUTION) * len(set(seen))
        return (seen.count(action) + caution * below) / (len(seen) + caution)

    expected = {
        action: mixed(action, after_greet, mixed(action, taught, Fraction(1, domain.num_actions)))
        for action in domain.action_names
    }
    scores = scores_after(policy, domain, "/greet", "utter_greet", "/greet")
    assert scores == pytest.approx({action: float(value) for action, value in expected.items()})


def test_more_conversations_are_added_to_what_is_known(policy, domain, trackers) -> None:
    twice = NGramPolicy()
    twice.train([*trackers, *trackers], domain)
    policy.continue_training(trackers, domain)
    assert scores_after(policy, domain, "/greet") == scores_after(twice, domain, "/greet")


def test_augmented_conversations_teach_nothing_more(policy, domain, trackers) -> None:
    copies = [tracker.copy() for tracker in trackers]
    for copy in copies:
        copy.is_augmented = True
    again = NGramPolicy()
    again.train([*trackers, *copies], domain)
    assert scores_after(again, domain, "/greet") == scores_after(policy, domain, "/greet")


def test_it_has_nothing_to_say_before_training(domain) -> None:
    assert set(scores_after(NGramPolicy(), domain).values()) == {0.0}


def test_a_loaded_policy_predicts_the_same(policy, domain, tmp_path) -> None:
    policy.persist(tmp_path)
    loaded = NGramPolicy.load(tmp_path)
    assert loaded.max_history == 4
    assert scores_after(loaded, domain, *STORIES[0][:3]) == scores_after(policy, domain, *STORIES[0][:3])


@pytest.mark.parametrize("content", ["", "[]", '{"max_history": 0, "counts": {}}', '{"max_history": 2, "counts": 1}'])
def test_a_damaged_file_is_named(tmp_path, content) -> None:
    (tmp_path / "ngrams.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"ngrams\.json.*Train the model again"):
        NGramPolicy.load(tmp_path)


def test_what_is_written_is_plain_json_and_always_the_same(policy, tmp_path) -> None:
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        policy.persist(tmp_path / name)
        contents.append((tmp_path / name / "ngrams.json").read_bytes())
    assert contents[0] == contents[1]
    assert json.loads(contents[0])["format"] == 1


@pytest.mark.parametrize("max_history", [0, -1, None, 1.5])
def test_refuses_a_max_history_that_is_no_number_of_events(max_history) -> None:
    with pytest.raises(ValueError, match="max_history is a number of events"):
        NGramPolicy(max_history)
