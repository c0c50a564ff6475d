"""Training on a part of the stories, and measuring on those that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from small_bots import MOOD_DOMAIN

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.evaluation.cross_validation import (
    Dialogue,
    Setup,
    all_stories,
    cross_validate,
    dialogues_of,
    folds_of_stories,
    learning_curve,
    train_and_evaluate,
)
from rasa_core.evaluation.stories import StoryEvaluation
from rasa_core.exceptions import RasaCoreError
from rasa_core.policies import MemoizationPolicy
from rasa_core.stories import extract_story_graph

STORY = """
## story {0}
* greet{{"name": "guest {0}"}}
  - utter_hello
  - slot{{"name": null}}
* great
  - utter_happy
"""
WITH_CHECKPOINTS = """
## hello
* greet OR inform
  - utter_hello
> asked

## fine
> asked
* great
  - utter_happy

## not so fine
> asked
* sad
  - utter_comfort
"""


def setup_of(tmp_path: Path, text: str, seed: int = 42) -> Setup:
    path = tmp_path / "stories.md"
    path.write_text(text, encoding="utf-8")
    domain = Domain.from_yaml(MOOD_DOMAIN)
    graph = extract_story_graph(path, domain)
    return Setup(graph, domain, lambda: Agent(domain, [MemoizationPolicy(max_history=3)]), 0, seed)


def cross_validated(setup: Setup, folds: int) -> list[StoryEvaluation]:
    return cross_validate(folds_of_stories(setup, folds), partial(train_and_evaluate, setup))


def names(dialogues: Sequence[Dialogue]) -> list[str]:
    return [conversation.sender_id for dialogue in dialogues for conversation in dialogue]


@pytest.fixture
def ten(tmp_path: Path) -> Setup:
    return setup_of(tmp_path, "".join(map(STORY.format, range(10))))


def test_each_story_is_held_out_once(ten: Setup) -> None:
    parts = folds_of_stories(ten, 4)
    assert sorted(len(part) for part in parts) == [2, 2, 3, 3]
    assert sorted(name for part in parts for name in names(part)) == [f"story {number}" for number in range(10)]


def test_the_split_is_the_same_in_each_run_and_another_for_another_seed(ten: Setup, tmp_path: Path) -> None:
    text = "".join(map(STORY.format, range(10)))
    split = [names(part) for part in folds_of_stories(ten, 3)]
    assert [names(part) for part in folds_of_stories(setup_of(tmp_path, text), 3)] == split
    assert [names(part) for part in folds_of_stories(setup_of(tmp_path, text, seed=43), 3)] != split


def test_paths_through_checkpoints_are_dialogues_and_alternatives_stay_together(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, WITH_CHECKPOINTS)
    found = dialogues_of(setup.graph, setup.domain)
    assert sorted(len(dialogue) for dialogue in found) == [2, 2]
    assert {name.rpartition(" > ")[2] for name in names(found)} == {"fine", "not so fine"}


def test_what_was_held_out_was_not_learnt(tmp_path: Path) -> None:
    only_here = "## only here\n* bye\n  - utter_bye\n"
    setup = setup_of(tmp_path, only_here + STORY.format(1) + STORY.format(2))
    stories = {story.name: story for story in all_stories(cross_validated(setup, 3)).stories}
    assert stories["story 1"].is_right
    assert stories["only here"].actions[0].prediction.policy is None


def test_what_was_learnt_is_learnt_whole_with_its_slots(ten: Setup) -> None:
    found = cross_validated(ten, 5)
    assert [evaluation.accuracy for evaluation in found] == [1.0] * 5
    assert all_stories(found).total == 40


def test_more_folds_than_stories_are_an_error(ten: Setup) -> None:
    with pytest.raises(RasaCoreError, match="tell 10 dialogues, which cannot be split into 11 folds"):
        folds_of_stories(ten, 11)


def test_less_is_learnt_from_fewer_stories(tmp_path: Path) -> None:
    text = "".join(
        f"## {number}\n* {intent}\n  - {action}\n\n"
        for number, (intent, action) in enumerate(
            [("greet", "utter_hello"), ("bye", "utter_bye"), ("great", "utter_happy"), ("sad", "utter_comfort")] * 5
        )
    )
    points = learning_curve({"one": setup_of(tmp_path, text)}, excluded=[0, 95], runs=3, folds=5)["one"]
    assert [(point.excluded, point.learnt, len(point.runs)) for point in points] == [(0, 16, 3), (95, 1, 3)]
    assert all(run.accuracy == 1.0 for run in points[0].runs)
    assert all(run.accuracy < 1.0 for run in points[1].runs)
