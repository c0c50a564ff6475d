"""``rasa_core.commands.evaluate``: the command, and the functions that programs for 0.9 import from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from programs import font
from small_bots import MOOD_DOMAIN, MOOD_STORIES, trained_agent, trained_model

from rasa_core.actions import Action
from rasa_core.agent import Agent
from rasa_core.commands import evaluate, train
from rasa_core.domain import Domain
from rasa_core.drawing.svg import DrawingError
from rasa_core.evaluate import actions_since_last_utterance, align_lists
from rasa_core.events import ActionExecuted, UserUttered
from rasa_core.exceptions import StoryParseError
from rasa_core.policies import MemoizationPolicy, Policy
from rasa_core.stories import extract_story_graph
from rasa_core.trackers import DialogueStateTracker

pytestmark = pytest.mark.usefixtures("brief_trainings")

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
    assert re.search(r"^MemoizationPolicy +12 +100\.0% +1\.0000 +1\.0000 +0\.0000$", result.stdout, re.MULTILINE)


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


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_pictures_are_drawn_and_said_to_be(model: str, stories: Path, ending: str) -> None:
    if ending == "png":
        font()
    matrix, chart = stories.with_name(f"matrix.{ending}"), stories.with_name(f"chart.{ending}")
    result = evaluated(model, stories, "-o", str(matrix), "--calibration", str(chart))
    assert result.exit_code == 0
    assert f"The picture is in {matrix}.\nThe calibration is drawn in {chart}.\n" in result.stderr
    start = {"svg": b"<?xml", "png": b"\x89PNG"}[ending]
    assert matrix.read_bytes().startswith(start)
    assert chart.read_bytes().startswith(start)


def test_a_picture_that_cannot_be_drawn_is_an_error_before_the_work(model: str, stories: Path) -> None:
    result = evaluated(model, stories, "-o", "matrix.gif")
    assert result.exit_code == 1
    assert result.stderr == "Error: cannot draw into 'matrix.gif': its name must end in .svg or .png.\n"
    assert not stories.with_name("failed.txt").exists()


def test_json_is_one_object_with_the_whole_report(model: str, stories: Path) -> None:
    report = json.loads(evaluated(model, stories, "--format", "json").stdout)
    assert (report["steps"], report["steps_right"], report["accuracy"]) == (10, 8, 0.8)
    assert (report["accuracy_without_listen"], report["whole_stories"]) == (0.6, 0.5)
    assert [one["action"] for one in report["actions"]][-1] == "action_listen"
    assert [one["policy"] for one in report["policies"]] == ["MemoizationPolicy", None]
    assert sum(one["count"] for one in report["confidence_bins"]) == 10
    assert report["failed_stories"] == [
        {
            "name": "comfort first",
            "file": str(stories),
            "line": 12,
            "steps": 6,
            "steps_right": 4,
            "expected": "utter_happy",
            "predicted": "utter_comfort",
            "confidence": 1.0,
            "policy": "MemoizationPolicy",
        }
    ]


def test_the_report_is_the_same_in_each_run(model: str, stories: Path) -> None:
    for form in ("text", "json"):
        assert evaluated(model, stories, "--format", form).stdout == evaluated(model, stories, "--format", form).stdout


def test_the_report_fits_the_terminal(tmp_path: Path) -> None:
    name = "utter_" + "long_" * 30
    domain = (
        f"intents: [{'greet' * 20}]\nactions: [{name}, utter_b]\ntemplates: {{utter_b: [b]}}\naction_factory: remote"
    )
    model = trained_model(tmp_path, domain, f"## {'story' * 10}\n* {'greet' * 20}\n  - utter_b\n")
    path = tmp_path / "other.md"
    path.write_text(f"## other\n* {'greet' * 20}\n  - {name}\n", encoding="utf-8")
    lines = evaluated(model, path).stdout.splitlines()
    assert max(len(line) for line in lines if str(path) not in line) <= 120


def test_failed_stories_are_evaluated_again_with_the_same_outcome(model: str, stories: Path) -> None:
    first = evaluated(model, stories)
    again = evaluated(model, stories.with_name("failed.txt"), "--format", "json")
    assert "8 of 10 right" in first.stdout
    report = json.loads(again.stdout)
    assert (report["stories"], report["steps"], report["steps_right"]) == (1, 6, 4)
    assert [one["name"] for one in report["failed_stories"]] == ["comfort first"]


@pytest.mark.parametrize(("least", "status"), [("0.5", 0), ("0.6", 1)])
def test_fail_under_stories_decides_on_the_exit_status(model: str, stories: Path, least: str, status: int) -> None:
    result = evaluated(model, stories, "--fail-under-stories", least)
    assert result.exit_code == status
    assert ("the share of whole stories 0.5000 is below 0.6." in result.stderr) == bool(status)


def test_fail_under_says_so_and_prints_the_report_nevertheless(model: str, stories: Path) -> None:
    result = evaluated(model, stories, "--fail-under", "0.9")
    assert result.stderr.endswith("Error: the accuracy 0.8000 is below 0.9.\n")
    assert "Actions: 8 of 10 right" in result.stdout


def many_stories(tmp_path: Path) -> Path:
    path = tmp_path / "many.md"
    path.write_text("".join(MOOD_STORIES.replace("## ", f"## {number} ") for number in range(4)), encoding="utf-8")
    return path


def run_command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(evaluate.command, [str(argument) for argument in arguments])


def test_cross_validation_trains_the_policies_of_a_model_anew(model: str, tmp_path: Path) -> None:
    path = many_stories(tmp_path)
    files = ["--failed", tmp_path / "failed.txt", "-o", tmp_path / "matrix.svg"]
    result = run_command("-d", model, "-s", path, "--folds", "3", "--augmentation", "0", *files)
    assert result.exit_code == 0, result.output
    assert "Stories: 12" in result.stdout
    assert re.search(r"^mean +1\.0000 +1\.0000 +1\.0000 +1\.0000 +0\.0000$", result.stdout, re.MULTILINE)
    assert re.search(r"^deviation +0\.0000", result.stdout, re.MULTILINE)
    assert (tmp_path / "matrix.svg").exists()


def test_cross_validation_trains_the_default_policies_for_a_domain(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text(MOOD_DOMAIN, encoding="utf-8")
    flags = ["--folds", "2", "--augmentation", "0", "--format", "json", "--failed", tmp_path / "failed.txt"]
    result = run_command("-D", tmp_path / "domain.yml", "-s", many_stories(tmp_path), *flags)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [fold["stories"] for fold in report["folds"]] == [6, 6]
    accuracies = [fold["accuracy"] for fold in report["folds"]]
    assert report["spread"]["accuracy"]["mean"] == pytest.approx(sum(accuracies) / 2)
    assert report["steps"] == 48


def test_the_default_policies_are_those_that_the_other_command_trains() -> None:
    def described(policies: Iterable[Policy]) -> list[tuple[type[Policy], int | None]]:
        return [(type(policy), policy.max_history) for policy in policies]

    assert described(evaluate.default_policies()) == described(train.policies())


def test_models_are_compared_side_by_side(model: str, stories: Path, tmp_path: Path) -> None:
    other = trained_model(tmp_path, MOOD_DOMAIN, OTHER_STORIES)
    result = run_command("--compare", model, other, "-s", stories)
    assert result.exit_code == 0, result.output
    rows = [line.split()[-5:-1] for line in result.stdout.splitlines()[1:3]]
    assert rows == [["0.8000", "0.6000", "0.7000", "0.5000"], ["1.0000"] * 4]
    report = json.loads(run_command("--compare", model, other, "-s", stories, "--format", "json").stdout)
    assert [(one["model"], one["accuracy"]) for one in report["models"]] == [(model, 0.8), (other, 1.0)]


def test_every_compared_model_has_to_reach_the_limit(model: str, stories: Path, tmp_path: Path) -> None:
    other = trained_model(tmp_path, MOOD_DOMAIN, OTHER_STORIES)
    result = run_command("--compare", model, other, "-s", stories, "--fail-under", "0.9")
    assert result.exit_code == 1
    assert result.stderr == f"Error: the accuracy 0.8000 is below 0.9: {model}.\n"


def test_a_learning_curve_is_a_table_and_a_chart(model: str, tmp_path: Path) -> None:
    flags = ["--exclude", "90,0", "--runs", "2", "--augmentation", "0"]
    chart = tmp_path / "curve.svg"
    result = run_command("-d", model, "-s", many_stories(tmp_path), *flags, "-o", chart)
    assert result.exit_code == 0, result.output
    assert [line.split()[1:4] for line in result.stdout.splitlines()[1:]] == [["0", "%", "9"], ["90", "%", "1"]]
    assert "accuracy without listening" in chart.read_text(encoding="utf-8")
    report = json.loads(run_command("-d", model, "-s", tmp_path / "many.md", *flags, "--format", "json").stdout)
    assert [(one["excluded"], len(one["runs"])) for one in report["curves"]] == [(0, 2), (90, 2)]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param([], "give one of these: -d MODEL", id="nothing to measure"),
        pytest.param(["-D", "domain.yml"], "-D is for training: give --folds 5", id="a domain alone"),
        pytest.param(["-d", "model", "-D", "domain.yml"], "give one of these", id="a model and a domain"),
        pytest.param(["model"], "--compare and MODELS go together", id="models without compare"),
        pytest.param(["--compare"], "--compare and MODELS go together", id="compare without models"),
        pytest.param(["-d", "m", "--folds", "2", "-m", "9"], "-m is for models that are trained", id="a sample"),
        pytest.param(["--compare", "m", "--calibration", "c.svg"], "is for one model", id="compared calibration"),
        pytest.param(["--compare", "m", "-o", "c.svg"], "prints a table", id="a picture of a comparison"),
        pytest.param(["--compare", "m", "--folds", "2"], "--folds measures one", id="folds of several"),
        pytest.param(["-d", "m", "--exclude", "0", "--runs", "6"], "no more --runs than --folds", id="runs"),
        pytest.param(["-d", "m", "--exclude", "0,100"], "expected numbers from 0 to 99", id="all left out"),
        pytest.param(["-d", "m", "--exclude", "half"], "not 'half'", id="no number"),
    ],
)
def test_flags_that_do_not_go_together_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], message: str
) -> None:
    for folder in ("m", "model"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    result = run_command("-s", "stories.md", *flags)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_the_help_shows_an_example_of_each_way_to_measure() -> None:
    text = run_command("--help").stdout
    for flag in ("--folds", "--compare", "--exclude", "--fail-under", "-o confusion.svg"):
        assert re.search(rf"rasa-core evaluate .*{flag}", text), flag


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


def test_run_story_evaluation_draws_where_it_is_told_to(model: str, stories: Path) -> None:
    plot = stories.with_name("story_confmat.svg")
    evaluate.run_story_evaluation(stories, model, out_file_plot=plot)
    assert plot.read_bytes().startswith(b"<?xml")


def test_run_story_evaluation_tells_how_to_get_a_pdf(model: str, stories: Path) -> None:
    with pytest.raises(DrawingError, match=r"must end in \.svg or \.png\. For a PDF, draw an SVG, and print it"):
        evaluate.run_story_evaluation(stories, model, out_file_plot="story_confmat.pdf")


def test_collect_story_predictions_gives_two_lists_and_the_failed_stories(model: str, stories: Path) -> None:
    actual, predicted, failed = evaluate.collect_story_predictions(stories, model)
    assert len(actual) == len(predicted)
    assert actual[-4:] == ["utter_happy", "action_listen", "utter_happy", "action_listen"]
    assert predicted[-4] == "utter_comfort"
    assert [story.name for story in failed] == ["comfort first"]
    assert failed[0]["actual"] == [action.expected for action in failed[0].actions]
    assert [i for i, name in enumerate(failed[0]["predicted"]) if name != failed[0]["actual"][i]] == [
        i for i, action in enumerate(failed[0].actions) if not action.is_right
    ]


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
    assert align_lists(predicted, actual) == aligned


NAMES = st.lists(st.sampled_from("abcd"), max_size=12)


@given(NAMES, NAMES)
def test_aligned_lists_are_equally_long_and_lose_nothing(predicted: list[str], actual: list[str]) -> None:
    left, right = align_lists(predicted, actual)
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
    assert actions_since_last_utterance(tracker) == ["a", "b"]


def test_stories_that_were_learnt_are_told_of(model: str, stories: Path, tmp_path: Path) -> None:
    learnt = tmp_path / "learnt.md"
    learnt.write_text(MOOD_STORIES, encoding="utf-8")
    assert "The model was trained on all of these stories" in evaluated(model, learnt).output
    some = evaluated(model, stories)
    assert "The model was trained on 1 of these stories: it is measured how well it remembers them" in some.output
    content = json.loads(evaluated(model, stories, "--format", "json").stdout)
    assert content["stories_learnt"] == 1


def test_new_stories_are_told_nothing_of(model: str, tmp_path: Path) -> None:
    new = tmp_path / "new.md"
    new.write_text("## new\n* bye\n  - utter_bye\n* greet\n  - utter_hello\n", encoding="utf-8")
    assert "trained on" not in evaluated(model, new).output


@pytest.mark.parametrize("text", ["", "nothing\n", "## a\n", "<!-- ## a\n* greet -->\n"], ids=range(4))
def test_nothing_to_measure_is_an_error(model: str, tmp_path: Path, text: str) -> None:
    empty = tmp_path / "empty.md"
    empty.write_text(text, encoding="utf-8")
    finished = evaluated(model, empty)
    assert finished.exit_code == 1
    assert "there are no stories in" in finished.output


def test_comparing_says_what_got_better_and_worse(model: str, stories: Path, tmp_path: Path) -> None:
    other = trained_model(tmp_path, MOOD_DOMAIN, OTHER_STORIES)
    finished = CliRunner().invoke(evaluate.command, ["--compare", model, other, "-s", str(stories)])
    assert ": 1 better, 0 worse" in finished.output.replace("\n", " ")
    assert 'test_stories.md:9 "comfort first"' in finished.output
    content = json.loads(
        CliRunner().invoke(evaluate.command, ["--compare", other, model, "-s", str(stories), "--format", "json"]).stdout
    )
    assert content["models"][1]["better"] == []
    assert len(content["models"][1]["worse"]) == 1


@pytest.mark.parametrize("option", ["--failed", "--output", "--calibration"])
def test_a_missing_folder_of_what_is_written_is_told_before_anything_is_measured(stories: Path, option: str) -> None:
    gone = stories.parent / "gone"
    finished = CliRunner().invoke(evaluate.command, ["-d", "no", "-s", str(stories), option, str(gone / "x.svg")])
    assert finished.exit_code == 1
    assert (
        finished.stderr
        == f"Error: cannot write {str(gone / 'x.svg')!r}: there is no folder {str(gone)!r}; make it first.\n"
    )


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_broken(
    model: str, stories: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stories.parent)
    arguments = ["-d", model, "-s", stories.name, "--failed", "none"]
    narrow = CliRunner().invoke(evaluate.command, arguments, env={"COLUMNS": str(width)}).stdout
    wide = CliRunner().invoke(evaluate.command, arguments, env={"COLUMNS": "500"}).stdout
    assert max(map(len, narrow.splitlines())) <= width < max(map(len, wide.splitlines()))
    words = set(wide.split())
    assert [word for word in narrow.split() if word not in words and not word.endswith("\u2026")] == []


def test_of_a_project_its_tests_are_measured_or_what_it_learnt(tmp_path: Path) -> None:
    project = tmp_path / "bot"
    project.mkdir()
    (project / "domain.yml").write_text(MOOD_DOMAIN, encoding="utf-8")
    (project / "stories.md").write_text(MOOD_STORIES, encoding="utf-8")
    run = partial(CliRunner().invoke, evaluate.command)
    untrained = run([str(project)])
    assert (untrained.exit_code, "is not trained yet: rasa-core train" in untrained.output) == (1, True)

    (project / "models").mkdir()
    Path(trained_model(tmp_path, MOOD_DOMAIN, MOOD_STORIES)).rename(project / "models" / "dialogue")
    assert "Whole stories: 3 of 3 right" in run([str(project), "--failed", "none"]).stdout
    (project / "tests").mkdir()
    (project / "tests" / "talks.md").write_text("## one\n* greet\n  - utter_hello\n", encoding="utf-8")
    assert "Whole stories: 1 of 1 right" in run([str(project), "--failed", "none"]).stdout
    assert "Whole stories: 1 of 1 right" in run(["-d", str(project), "--failed", "none"]).stdout
    assert "Missing option '-s'" in run([str(project / "models" / "dialogue")]).output
    assert "'--stories', or the folder of a bot." in run([]).output


def test_a_bot_that_only_understands_is_measured_by_another_command(tmp_path: Path) -> None:
    (tmp_path / "nlu.md").write_text("## intent:greet\n- hi\n## intent:bye\n- bye\n", encoding="utf-8")
    told = CliRunner().invoke(evaluate.command, [str(tmp_path)]).output
    assert f"rasa-core nlu evaluate -d {str(tmp_path)!r} --folds 5" in told
