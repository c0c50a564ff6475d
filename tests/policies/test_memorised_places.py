"""The places in stories from which a memoizing policy has a prediction."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_bot import conversation, local_domain, stories

from rasa_core.agent import Agent
from rasa_core.exceptions import ModelError
from rasa_core.policies import AugmentedMemoizationPolicy, FallbackPolicy, MemoizationPolicy, Policy, PolicyEnsemble
from rasa_core.policies.lessons import Lesson, Lessons
from rasa_core.policies.training_turns import (
    CONTRADICTORY,
    NEW_TURN,
    NO_PLACES,
    NO_TURNS,
    TrainingTurn,
    TrainingTurns,
)

TEXT = """\
## hello
* greet
  - utter_greet
* bye
  - utter_bye

## hello again
* greet
  - utter_greet
* thank
  - utter_welcome

## search
* inform{"cuisine": "italian"}
  - action_search
  - slot{"found": "Da Mario"}
  - utter_found

## search as well
* inform{"cuisine": "greek"}
  - action_search
  - slot{"found": "Athen"}
  - utter_found
"""
CONTRADICTION = "\n## other\n* greet\n  - utter_ask_cuisine\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(text: str, *policies: Policy) -> Agent:
    Path("stories.md").write_text(text, encoding="utf-8")
    agent = Agent(local_domain(), policies)
    agent.train(agent.load_data("stories.md", augmentation_factor=3))
    return agent


def told_by(agent: Agent, *steps: str) -> TrainingTurns:
    told = agent.policy_ensemble.policies[0].training_turns(conversation(agent.domain, *steps), agent.domain)
    assert told is not None
    return told


@pytest.mark.parametrize("policy_class", [MemoizationPolicy, AugmentedMemoizationPolicy])
@pytest.mark.parametrize("is_loaded", [False, True], ids=["trained", "loaded"])
def test_all_stories_that_say_so_are_told(folder: Path, policy_class: type[MemoizationPolicy], is_loaded: bool) -> None:
    agent = trained(TEXT, policy_class(max_history=3))
    if is_loaded:
        agent.persist("model")
        agent = Agent.load("model")

    told = told_by(agent, "/greet")

    [turn] = told.turns
    assert turn.action == "utter_greet"
    assert turn.places == ('stories.md:3 "hello"', 'stories.md:9 "hello again"')
    assert told.note is None


def test_a_story_that_looks_like_another_is_told_too(folder: Path) -> None:
    agent = trained(TEXT, MemoizationPolicy())

    [turn] = told_by(agent, '/inform{"cuisine": "thai"}', "action_search").turns

    assert turn.places == ('stories.md:17 "search"', 'stories.md:23 "search as well"')


def test_a_turn_that_no_story_has_says_so(folder: Path) -> None:
    assert told_by(trained(TEXT, MemoizationPolicy()), "/bye", "utter_welcome") == TrainingTurns(note=NEW_TURN)


def test_where_stories_contradict_one_another_both_are_told(folder: Path) -> None:
    agent = trained(TEXT + CONTRADICTION, MemoizationPolicy())

    told = told_by(agent, "/greet")

    assert told.note == CONTRADICTORY
    assert [(turn.action, turn.places) for turn in told.turns] == [
        ("utter_greet", ('stories.md:3 "hello"', 'stories.md:9 "hello again"')),
        ("utter_ask_cuisine", ('stories.md:27 "other"',)),
    ]


def test_what_is_recognised_in_a_longer_conversation_is_told(folder: Path) -> None:
    steps = ("/thank", "utter_found", "/greet", "utter_greet", "/thank")

    assert told_by(trained(TEXT, MemoizationPolicy(max_history=5)), *steps).note == NEW_TURN
    [turn] = told_by(trained(TEXT, AugmentedMemoizationPolicy(max_history=5)), *steps).turns

    assert turn.places == ('stories.md:11 "hello again"',)


def test_every_story_with_a_stretch_that_is_recognised_is_told(folder: Path) -> None:
    agent = trained(TEXT, AugmentedMemoizationPolicy(max_history=5))

    [turn] = told_by(agent, "/bye", "utter_welcome", '/inform{"cuisine": "thai"}', "action_search").turns

    assert turn.places == ('stories.md:17 "search"', 'stories.md:23 "search as well"')


def test_where_stretches_contradict_one_another_the_beginning_of_a_story_is_told(folder: Path) -> None:
    more = "\n## thanks\n* thank\n  - utter_bye\n"
    agent = trained(TEXT + more, AugmentedMemoizationPolicy(max_history=5))

    told = told_by(agent, "/bye", "utter_found", "/greet", "utter_bye", "/thank")

    assert told.note is None
    assert [turn.places for turn in told.turns] == [('stories.md:27 "thanks"',)]


def test_what_is_learnt_from_glued_stories_is_told_with_the_line_of_the_story(folder: Path) -> None:
    [turn] = told_by(
        trained(TEXT, MemoizationPolicy()), "/greet", "utter_greet", "/thank", "utter_welcome", "/greet"
    ).turns

    assert turn.places == ('stories.md:3 "hello"', 'stories.md:9 "hello again"')


def test_conversations_without_places_are_counted_all_the_same(folder: Path) -> None:
    agent = Agent(local_domain(), [MemoizationPolicy()])
    agent.train(stories(agent.domain))

    told = told_by(agent, "/bye")

    assert told.note == NO_PLACES
    assert [(turn.action, turn.places, turn.count) for turn in told.turns] == [("utter_bye", (), 1)]


def test_a_model_from_before_says_that_it_cannot_tell(folder: Path) -> None:
    trained(TEXT, MemoizationPolicy()).persist("model")
    next(Path("model").glob("*/training_turns.npz")).unlink()

    assert told_by(Agent.load("model"), "/greet") == TrainingTurns(note=NO_TURNS)


def test_a_policy_is_loaded_and_decides_without_reading_its_turns(folder: Path) -> None:
    trained(TEXT, MemoizationPolicy()).persist("model")
    next(Path("model").glob("*/training_turns.npz")).write_bytes(b"damaged")

    ensemble, domain = PolicyEnsemble.load("model"), local_domain()

    assert ensemble.predict(conversation(domain, "/greet"), domain).action == "utter_greet"
    with pytest.raises(ModelError, match=r"cannot read the arrays in .*training_turns\.npz"):
        ensemble.policies[0].training_turns(conversation(domain, "/greet"), domain)


def test_a_policy_that_is_switched_off_says_so(folder: Path) -> None:
    agent = trained(TEXT, MemoizationPolicy())
    agent.toggle_memoization(False)

    assert told_by(agent, "/greet") == TrainingTurns(note="the policy is switched off.")


def test_continued_training_adds_places(folder: Path) -> None:
    agent = trained(TEXT, MemoizationPolicy())
    agent.persist("model")
    Path("more.md").write_text("## more\n* greet\n  - utter_greet\n", encoding="utf-8")
    loaded = Agent.load("model")

    loaded.policy_ensemble.continue_training(loaded.load_data("more.md", augmentation_factor=0), loaded.domain)

    [turn] = told_by(loaded, "/greet").turns
    assert turn.places == ('more.md:3 "more"', 'stories.md:3 "hello"', 'stories.md:9 "hello again"')


def test_what_was_taught_without_a_story_has_none(folder: Path) -> None:
    agent = trained(TEXT, MemoizationPolicy())
    taught = conversation(agent.domain, "/thank", "utter_bye")

    agent.policy_ensemble.continue_training([taught], agent.domain)

    assert told_by(agent, "/thank") == TrainingTurns(note="this was taught without a story.")


def test_a_loaded_model_written_again_is_the_same(folder: Path) -> None:
    trained(TEXT, MemoizationPolicy()).persist("model")
    Agent.load("model").persist("again")

    files = [sorted(path for path in Path(name).rglob("*") if path.is_file()) for name in ("model", "again")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def test_a_model_does_not_depend_on_the_folder_where_it_is_trained(tmp_path: Path, monkeypatch) -> None:
    written = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        trained(TEXT, MemoizationPolicy()).persist("model")
        written.append(next(Path("model").glob("*/training_turns.npz")).read_bytes())

    assert written[0] == written[1]


def test_a_policy_may_tell_under_the_older_name() -> None:
    class Older(MemoizationPolicy):
        training_turns = Policy.training_turns

        def lessons(self, tracker, domain, limit=5) -> Lessons:
            return Lessons((Lesson("utter_bye", (), 0, limit),))

    domain = local_domain()
    told = Older().training_turns(conversation(domain, "/greet"), domain)
    assert told == TrainingTurns((TrainingTurn("utter_bye", (), 0, 5),))


@pytest.mark.parametrize(
    ("confidence", "latest", "note"),
    [
        (0.9, "action_listen", "another policy wins if its score exceeds the core_threshold, 0.2."),
        (0.1, "action_listen", "the confidence of the intent, 0.100, is below the nlu_threshold, 0.4."),
        (0.1, "utter_bye", "the confidence of the intent, 0.100, is below the nlu_threshold, 0.4. utter_bye has just"),
    ],
    ids=["sure", "unsure", "done"],
)
def test_a_fallback_policy_tells_which_threshold_decides(confidence: float, latest: str, note: str) -> None:
    domain = local_domain()
    policy = FallbackPolicy(nlu_threshold=0.4, core_threshold=0.2, fallback_action_name="utter_bye")
    tracker = conversation(domain, "/greet", latest)
    tracker.latest_message.intent["confidence"] = confidence

    assert (policy.training_turns(tracker, domain).note or "").startswith(note)
