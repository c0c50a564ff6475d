"""Evaluation of a model on stories."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_bots import MOOD_DOMAIN, MOOD_STORIES, trained_agent

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.evaluation.stories import StoryEvaluation, StoryResult, evaluate_stories
from rasa_core.events import ActionExecuted
from rasa_core.policies import MemoizationPolicy
from rasa_core.stories import extract_story_graph


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES, max_history=2)


def evaluation_of(
    agent: Agent, tmp_path: Path, text: str, max_stories: int | None = None, shuffle_stories: bool = True
) -> StoryEvaluation:
    path = tmp_path / "test.md"
    path.write_text(text, encoding="utf-8")
    return evaluate_stories(agent, extract_story_graph(path, agent.domain), max_stories, shuffle_stories)


def pairs(story: StoryResult) -> list[tuple[str, str]]:
    return [(result.expected, result.prediction.action) for result in story.actions]


def test_each_action_and_the_listening_after_it_counts_but_not_the_first_listening(
    agent: Agent, tmp_path: Path
) -> None:
    found = evaluation_of(agent, tmp_path, "## bye\n* bye\n  - utter_bye\n")
    assert pairs(found.stories[0]) == [("utter_bye", "utter_bye"), ("action_listen", "action_listen")]


def test_an_action_that_opens_a_story_does_not_count(agent: Agent, tmp_path: Path) -> None:
    found = evaluation_of(agent, tmp_path, "## greeting\n  - utter_hello\n* great\n  - utter_happy\n")
    assert [expected for expected, _ in pairs(found.stories[0])] == [
        "action_listen",
        "utter_happy",
        "action_listen",
    ]


def test_a_wrong_prediction_does_not_change_what_later_ones_see(agent: Agent, tmp_path: Path) -> None:
    learnt = "* bye\n  - utter_bye\n* greet\n  - utter_hello\n* sad\n  - utter_comfort\n"
    text = f"## other\n* greet\n  - utter_happy\n{learnt}"
    found = pairs(evaluation_of(agent, tmp_path, text).stories[0])
    assert found[0] == ("utter_happy", "utter_hello")
    assert found[-2:] == [("utter_comfort", "utter_comfort"), ("action_listen", "action_listen")]


def test_the_conversations_of_the_agent_are_left_alone(agent: Agent, tmp_path: Path) -> None:
    evaluation_of(agent, tmp_path, MOOD_STORIES)
    assert list(agent.tracker_store.keys()) == []


def test_each_path_through_checkpoints_is_a_story(agent: Agent, tmp_path: Path) -> None:
    text = """
## hello
* greet
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
    names = [story.name for story in evaluation_of(agent, tmp_path, text).stories]
    assert names == ["hello > fine", "hello > not so fine"]


def test_equal_stories_count_each(agent: Agent, tmp_path: Path) -> None:
    text = "## one\n* bye\n  - utter_bye\n\n## two\n* bye\n  - utter_bye\n"
    assert evaluation_of(agent, tmp_path, text).total == 4


def test_a_story_with_a_restart_counts_once_and_whole(agent: Agent, tmp_path: Path) -> None:
    text = "## again\n* greet\n  - utter_hello\n* reset\n  - action_restart\n  - restart\n* bye\n  - utter_bye\n"
    found = evaluation_of(agent, tmp_path, text)
    assert [expected for expected, _ in pairs(found.stories[0])] == [
        "utter_hello",
        "action_listen",
        "action_restart",
        "action_listen",
        "utter_bye",
        "action_listen",
    ]
    assert len(found.stories) == 1


def test_shares_of_policies_add_up(agent: Agent, tmp_path: Path) -> None:
    found = evaluation_of(agent, tmp_path, MOOD_STORIES + "\n## new\n* inform\n  - utter_bye\n")
    by_policy = found.by_policy()
    assert set(by_policy) == {"MemoizationPolicy", None}
    assert sum(map(len, by_policy.values())) == found.total
    assert sum(result.is_right for results in by_policy.values() for result in results) == found.right


def test_the_sample_is_the_same_in_each_run_and_keeps_the_order(agent: Agent, tmp_path: Path) -> None:
    text = "".join(f"## {number:03}\n* bye\n  - utter_bye\n\n" for number in range(50))
    names = [story.name for story in evaluation_of(agent, tmp_path, text, max_stories=10).stories]
    assert names == [story.name for story in evaluation_of(agent, tmp_path, text, max_stories=10).stories]
    assert names == sorted(names)
    assert names != [f"{number:03}" for number in range(10)]


def test_without_shuffling_the_first_stories_are_looked_at(agent: Agent, tmp_path: Path) -> None:
    text = "".join(f"## {number}\n* bye\n  - utter_bye\n\n" for number in range(5))
    found = evaluation_of(agent, tmp_path, text, max_stories=2, shuffle_stories=False)
    assert [story.name for story in found.stories] == ["0", "1"]
    assert found.available == 5


def test_the_first_wrong_action_comes_with_its_line(agent: Agent, tmp_path: Path) -> None:
    story = evaluation_of(agent, tmp_path, "## bye\n* bye\n  - utter_bye\n  - utter_bye\n").stories[0]
    result, source = story.first_wrong()
    assert (result.expected, result.prediction.action) == ("utter_bye", "action_listen")
    assert source is not None
    assert source.line == 4


def test_a_right_story_has_no_first_wrong_action(agent: Agent, tmp_path: Path) -> None:
    story = evaluation_of(agent, tmp_path, "## bye\n* bye\n  - utter_bye\n").stories[0]
    with pytest.raises(LookupError, match="'bye' was predicted right"):
        story.first_wrong()


def test_no_actions_have_no_accuracy() -> None:
    assert StoryEvaluation((), 0).accuracy == 0.0


def test_an_action_predicted_in_place_of_listening_is_a_comment_on_its_own(agent: Agent, tmp_path: Path) -> None:
    text = "## too short\n* greet\n* bye\n  - utter_bye\n"
    exported = evaluation_of(agent, tmp_path, text).stories[0].export_stories()
    assert "    <!-- predicted: utter_hello instead of action_listen (1.00, MemoizationPolicy) -->\n* bye" in exported


WRITTEN = r"""
## slots and entities
* greet{"name": "Anna"}
  - utter_bye
  - slot{"name": null}
* great
  - utter_bye

## a listening that is told
* greet
  - utter_bye
  - action_listen
  - slot{"name": "\u0060x\u0060 \u003c!-- y"}
  - utter_bye

## a restart > with odd (name) {"1": 2}
* reset
  - action_restart
  - restart
* greet
  - utter_bye
"""


def test_exported_stories_read_as_the_same_stories(agent: Agent, tmp_path: Path) -> None:
    found = evaluation_of(agent, tmp_path, WRITTEN)
    again = tmp_path / "again.md"
    again.write_text("\n".join(story.export_stories() for story in found.stories), encoding="utf-8")
    before, after = (extract_story_graph(file, agent.domain).story_steps for file in (tmp_path / "test.md", again))
    # Listening that is told before an action is passed over, and so is not written again.
    meant = [[event for event in step.events if event != ActionExecuted("action_listen")] for step in before]
    assert [step.block_name for step in after] == [step.block_name for step in before]
    assert [list(step.events) for step in after] == meant


def test_stories_of_an_agent_that_knows_nothing_are_all_wrong_but_for_listening(tmp_path: Path) -> None:
    agent = Agent(Domain.from_yaml(MOOD_DOMAIN), [MemoizationPolicy()])
    found = evaluation_of(agent, tmp_path, MOOD_STORIES)
    assert (found.right, found.total, len(found.failed)) == (6, 12, 3)


def test_stories_with_comments_are_evaluated_again_with_the_same_outcome(agent: Agent, tmp_path: Path) -> None:
    found = evaluation_of(agent, tmp_path, WRITTEN)
    assert found.failed
    again = evaluation_of(agent, tmp_path, "\n".join(story.export_stories() for story in found.stories))
    assert [pairs(story) for story in again.stories] == [pairs(story) for story in found.stories]


def test_every_wrong_action_has_a_comment_with_action_policy_and_confidence(agent: Agent, tmp_path: Path) -> None:
    story = evaluation_of(agent, tmp_path, WRITTEN).failed[0]
    comments = re.findall(r"<!-- predicted: \w+(?: instead of \w+)? \(\d\.\d\d(?:, \w+)?\) -->", story.export_stories())
    assert len(comments) == len(story.actions) - story.right
