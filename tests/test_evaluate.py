"""``rasa_core.evaluate``: the command, and the functions that programs for 0.9 import from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from small_bots import MOOD_DOMAIN, MOOD_STORIES, trained_agent, trained_model

from rasa_core import evaluate
from rasa_core.actions import Action
from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, UserUttered
from rasa_core.exceptions import StoryParseError
from rasa_core.policies import MemoizationPolicy
from rasa_core.trackers import DialogueStateTracker
from rasa_core.training import extract_story_graph

# In the last of them the model does something else at one of six points, and knows nothing after it.
OTHER_STORIES = """
## happy as learnt
* greet
  - utter_hello
* great
  - utter_happy

## comfort first
* greet
  - utter_hello
* sad
  - utter_happy
* great
  - utter_happy
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return trained_model(tmp_path_factory.mktemp("mood"), MOOD_DOMAIN, MOOD_STORIES)


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    path = tmp_path / "test_stories.md"
    path.write_text(OTHER_STORIES, encoding="utf-8")
    return path


def evaluated(model: str, stories: Path, *flags: str) -> Result:
    failed = stories.with_name("failed.txt")
    return CliRunner().invoke(evaluate.command, ["-d", model, "-s", str(stories), "--failed", str(failed), *flags])


def test_a_model_follows_the_stories_that_it_was_trained_on(model: str, tmp_path: Path) -> None:
    path = tmp_path / "stories.md"
    path.write_text(MOOD_STORIES, encoding="utf-8")
    result = evaluated(model, path)
    assert result.exit_code == 0
    assert "Actions: 12 of 12 right, accuracy 1.0000" in result.stdout
    assert "Whole stories: 3 of 3 right" in result.stdout
    assert "MemoizationPolicy: 12 of 12 predictions (100.0%), 12 right" in result.stdout


def test_what_is_wrong_is_counted_and_told_with_its_line(model: str, stories: Path) -> None:
    result = evaluated(model, stories)
    assert result.exit_code == 0
    assert "Whole stories: 1 of 2 right" in result.stdout
    assert f'{stories}:12 "comfort first"' in result.stdout
    assert "first utter_happy, predicted utter_comfort" in result.stdout


def test_failed_stories_are_a_story_file_with_what_was_predicted(model: str, stories: Path) -> None:
    evaluated(model, stories)
    text = stories.with_name("failed.txt").read_text(encoding="utf-8")
    assert "- utter_happy <!-- predicted: utter_comfort (1.00, MemoizationPolicy) -->" in text
    domain = Domain.from_yaml(MOOD_DOMAIN)
    written = extract_story_graph(stories.with_name("failed.txt"), domain).story_steps
    assert [step.events for step in written] == [extract_story_graph(stories, domain).story_steps[1].events]


def test_without_failures_the_file_says_so_and_old_ones_are_gone(model: str, stories: Path) -> None:
    evaluated(model, stories)
    stories.write_text(MOOD_STORIES, encoding="utf-8")
    evaluated(model, stories)
    assert stories.with_name("failed.txt").read_text(encoding="utf-8") == "<!-- No story failed. -->\n"


def test_failures_that_cannot_be_written_are_an_error(model: str, stories: Path) -> None:
    result = evaluated(model, stories, "--failed", str(stories.parent))
    assert result.exit_code == 1
    assert "cannot write the failed stories" in result.stderr


def test_max_stories_counts_stories_and_leaves_them_whole(model: str, tmp_path: Path) -> None:
    path = tmp_path / "many.md"
    story = "## story {}\n* greet\n  - utter_hello\n* great\n  - utter_happy\n\n"
    path.write_text("".join(story.format(number) for number in range(20)), encoding="utf-8")
    result = evaluated(model, path, "-m", "3")
    assert "Stories: 3 (a sample of 20)" in result.stdout
    assert "Actions: 12 of 12 right" in result.stdout


@pytest.mark.parametrize(("least", "status"), [("0.2", 0), ("1.0", 1)])
def test_fail_under_decides_on_the_exit_status(model: str, stories: Path, least: str, status: int) -> None:
    assert evaluated(model, stories, "--fail-under", least).exit_code == status


def test_an_error_in_a_story_tells_file_and_line(model: str, stories: Path) -> None:
    stories.write_text("## broken\n* greet\n  - slot{}\n", encoding="utf-8")
    result = evaluated(model, stories)
    assert result.exit_code == 1
    assert re.match(rf"Error: {re.escape(str(stories))}:3:\d+: ", result.stderr)


def test_a_plot_is_accepted_and_not_drawn(model: str, stories: Path) -> None:
    result = evaluated(model, stories, "-o", str(stories.with_name("plot.pdf")))
    assert result.exit_code == 0
    assert "No picture is drawn" in result.stderr
    assert not stories.with_name("plot.pdf").exists()


class ActionThatMustNotRun(Action):
    """Fails the test that runs it."""

    def name(self) -> str:
        return "action_dangerous"

    def run(self, dispatcher: object, tracker: object, domain: object) -> list[object]:
        raise AssertionError("an evaluation ran an action.")


@pytest.fixture
def dangerous_model(tmp_path: Path) -> str:
    domain = f"""
    intents: [go]
    actions: [{__name__}.ActionThatMustNotRun]
    """
    return trained_model(tmp_path, domain, "## go\n* go\n  - action_dangerous\n")


def test_no_action_is_run(dangerous_model: str, tmp_path: Path) -> None:
    result = evaluated(dangerous_model, tmp_path / "stories.md")
    assert "Actions: 2 of 2 right" in result.stdout


def test_the_code_of_actions_need_not_be_there(
    dangerous_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(f"{__name__}.ActionThatMustNotRun")
    assert "Actions: 2 of 2 right" in evaluated(dangerous_model, tmp_path / "stories.md").stdout


def test_run_story_evaluation_returns_what_it_prints(
    model: str, stories: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate.run_story_evaluation(stories, model, None, 100, stories.with_name("failed.txt"))
    assert f"Actions: {found.right} of {found.total} right" in capsys.readouterr().out


def test_run_story_evaluation_warns_that_nothing_is_drawn(model: str, stories: Path) -> None:
    with pytest.warns(UserWarning, match="no picture is drawn into 'plot.pdf'"):
        evaluate.run_story_evaluation(stories, model, out_file_plot="plot.pdf")


def test_collect_story_predictions_gives_two_lists_and_the_failed_stories(model: str, stories: Path) -> None:
    actual, predicted, failed = evaluate.collect_story_predictions(stories, model)
    assert len(actual) == len(predicted)
    assert actual[-4:] == ["utter_happy", "action_listen", "utter_happy", "action_listen"]
    assert predicted[-4] == "utter_comfort"
    assert [story.name for story in failed] == ["comfort first"]


def test_collect_story_predictions_takes_an_agent(stories: Path, tmp_path: Path) -> None:
    agent = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    actual, predicted, _ = evaluate.collect_story_predictions(stories, agent, max_stories=1, shuffle_stories=False)
    assert actual == predicted == ["utter_hello", "action_listen", "utter_happy", "action_listen"]


def test_stories_that_are_not_there_are_an_error(model: str, tmp_path: Path) -> None:
    with pytest.raises(StoryParseError, match=r"nowhere\.md"):
        evaluate.collect_story_predictions(tmp_path / "nowhere.md", model)


@pytest.mark.parametrize(
    ("predicted", "actual", "aligned"),
    [
        pytest.param(["a"], ["a"], (["a"], ["a"]), id="equal"),
        pytest.param(["a", "b"], ["b"], (["a", "b"], ["None", "b"]), id="one too many"),
        pytest.param(["b"], ["a", "b"], (["None", "b"], ["a", "b"]), id="one too few"),
        pytest.param(["a", "c"], ["b", "c"], (["a", "c"], ["b", "c"]), id="another"),
        pytest.param([], ["a"], (["None"], ["a"]), id="nothing"),
    ],
)
def test_align_lists(predicted: list[str], actual: list[str], aligned: tuple[list[str], list[str]]) -> None:
    assert evaluate.align_lists(predicted, actual) == aligned


NAMES = st.lists(st.sampled_from("abcd"), max_size=12)


@given(NAMES, NAMES)
def test_aligned_lists_are_equally_long_and_lose_nothing(predicted: list[str], actual: list[str]) -> None:
    left, right = evaluate.align_lists(predicted, actual)
    assert len(left) == len(right)
    assert [name for name in left if name != "None"] == predicted
    assert [name for name in right if name != "None"] == actual


def test_actions_since_last_utterance() -> None:
    agent = Agent(Domain.from_yaml(MOOD_DOMAIN), [MemoizationPolicy()])
    events = [
        ActionExecuted("action_listen"),
        UserUttered("/greet"),
        ActionExecuted("a"),
        ActionExecuted("b"),
    ]
    tracker = DialogueStateTracker.from_events("anna", events, agent.domain)
    assert evaluate.actions_since_last_utterance(tracker) == ["a", "b"]
