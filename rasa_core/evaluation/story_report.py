"""Reports on story evaluations: of one model, of several models, of folds, and of learning curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any, Final

from rasa_core.drawing.svg import shorten
from rasa_core.evaluation import tables
from rasa_core.evaluation.charts import calibration_chart, confusion_matrix, learning_curves
from rasa_core.evaluation.metrics import LISTENING, CurvePoint, confidence_bins, expected_calibration_error, spreads_of
from rasa_core.evaluation.nlu import MessageResult, failed_message
from rasa_core.evaluation.stories import StoryEvaluation, StoryResult
from rasa_core.evaluation.tables import LONGEST_NAME, Report, rounded
from rasa_core.stories.yaml import YAML_SUFFIXES

NO_POLICY: Final = "(none: fixed, or nothing learnt)"
NONE_FAILED: Final = "<!-- No story failed. -->\n"
LONGEST_MODEL: Final = 36
WITH_MESSAGES: Final = "accuracy_with_messages"
"""The figure that is compared with limits if an interpreter was evaluated too."""
HEADINGS: Final = {
    "accuracy": "Accuracy",
    "accuracy_without_listen": "Without listening",
    "weighted_f1": "Weighted F1",
    "whole_stories": "Whole stories",
    "calibration_error": "Calibration error",
}
_DRAWN: Final = "accuracy_without_listen"


def story_report(evaluation: StoryEvaluation, what: str, folds: Sequence[StoryEvaluation] = ()) -> Report:
    """Report on stories.

    Parameters
    ----------
    evaluation
        All stories.
    what
        The name of the stories, for pictures.
    folds
        The evaluation of each fold of a cross-validation; limits are then compared with the mean of the folds.
    """
    lines = _lines(evaluation)
    content = _content(evaluation)
    limited = {"": evaluation.figures}
    if folds:
        spreads = spreads_of(folds)
        lines += ["", *tables.folds_table(folds, HEADINGS, {"Stories": [len(one.stories) for one in folds]})]
        content["folds"] = [{"stories": len(one.stories), **one.figures} for one in folds]
        content["spread"] = {name: asdict(spread) for name, spread in spreads.items()}
        # The mean, since a fold of few stories may fail by chance where all together do well.
        limited = {"mean of the folds": {name: spread.mean for name, spread in spreads.items()}}

    def write_failed(path: str | Path) -> Iterator[str]:
        in_yaml = Path(path).suffix.lower() in YAML_SUFFIXES
        tables.write_text(_failed_text(evaluation.failed, in_yaml), path, "failed stories")
        if evaluation.failed:
            yield f"The failed stories are in {path}, with what was predicted."

    files = {
        "failed": write_failed,
        "output": tables.picture(lambda: confusion_matrix(evaluation.pairs, what), "The picture is in {}."),
        "calibration": tables.picture(lambda: calibration_chart(evaluation.bins), "The calibration is drawn in {}."),
    }
    return Report(lines, content, _limited(limited), files)


def _failed_text(failed: Sequence[StoryResult], in_yaml: bool) -> str:
    if not in_yaml:
        return "\n".join(story.export_stories() for story in failed) or NONE_FAILED
    stories = "\n".join(story.export_yaml() for story in failed)
    return 'version: "3.1"\n' + (f"stories:\n{stories}" if failed else "# No story failed.\nstories: []\n")


def _limited(figures: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the figures that can be compared with limits."""
    return {
        "accuracy": {name: each.get(WITH_MESSAGES, each["accuracy"]) for name, each in figures.items()},
        "share of whole stories": {name: each["whole_stories"] for name, each in figures.items()},
    }


def _policies(evaluation: StoryEvaluation) -> list[dict[str, Any]]:
    """Return how often each policy decided, and how often it was right."""
    found = []
    for policy, results in evaluation.by_policy().items():
        count, right = len(results), sum(result.is_right for result in results)
        sure = [(result.prediction.confidence, result.is_right) for result in results]
        found.append(
            {
                "policy": policy,
                "predictions": count,
                "right": right,
                "accuracy": right / count,
                "confidence": sum(confidence for confidence, _ in sure) / count,
                "calibration_error": expected_calibration_error(confidence_bins(sure)),
            }
        )
    return found


def _content(evaluation: StoryEvaluation) -> dict[str, Any]:
    return {
        "stories": len(evaluation.stories),
        "stories_available": evaluation.available,
        "stories_right": len(evaluation.stories) - len(evaluation.failed),
        "stories_learnt": evaluation.learnt,
        "steps": evaluation.total,
        "steps_right": evaluation.right,
        **evaluation.figures,
        "actions": tables.scores_as_json("action", evaluation.scores),
        "policies": _policies(evaluation),
        "confidence_bins": [asdict(one) for one in evaluation.bins],
        "mistakes": tables.mistakes_as_json("predicted", evaluation.mistakes),
        "failed_stories": [_failed_story(story) for story in evaluation.failed],
        **({"misunderstood": [failed_message(one) for one in evaluation.misunderstood]} if evaluation.messages else {}),
    }


def _failed_story(story: StoryResult) -> dict[str, Any]:
    told: dict[str, Any] = {"name": story.name, "steps": len(story.actions), "steps_right": story.right}
    if story.right == len(story.actions):
        place = story.misunderstood[0].example.place
        return told | {
            "file": place.file,
            "line": place.line,
            **dict.fromkeys(("expected", "predicted", "confidence", "policy")),
        }
    first, source = story.first_wrong()
    return told | {
        "file": None if source is None else source.file,
        "line": None if source is None else source.line,
        "expected": first.expected,
        "predicted": first.prediction.action,
        "confidence": first.prediction.confidence,
        "policy": first.prediction.policy,
    }


def _lines(evaluation: StoryEvaluation) -> list[str]:
    figures, count = evaluation.figures, len(evaluation.stories)
    without = [result for result in evaluation.actions if result.expected not in LISTENING]
    hits = sum(result.is_right for result in without)
    sampled = f" (a sample of {evaluation.available})" if count < evaluation.available else ""
    summary = [
        f"Stories: {count}{sampled}",
        f"Actions: {evaluation.right} of {evaluation.total} right, accuracy {rounded(figures['accuracy'])}",
        f"Without action_listen: {hits} of {len(without)} right, "
        f"accuracy {rounded(figures['accuracy_without_listen'])}, weighted F1 {rounded(figures['weighted_f1'])}",
        f"Whole stories: {count - len(evaluation.failed)} of {count} right, {rounded(figures['whole_stories'])}",
        f"Expected calibration error: {rounded(figures['calibration_error'])}",
        *_about_memory(evaluation),
    ]
    if evaluation.messages:
        count, missed = len(evaluation.messages), len(evaluation.misunderstood)
        both = f"accuracy of actions and messages {rounded(figures[WITH_MESSAGES])}"
        summary.append(f"Messages: {count - missed} of {count} understood, {both}")
    policies = [
        (
            NO_POLICY if one["policy"] is None else one["policy"],
            str(one["predictions"]),
            tables.in_percent(one["predictions"] / evaluation.total),
            *(rounded(one[figure]) for figure in ("accuracy", "confidence", "calibration_error")),
        )
        for one in _policies(evaluation)
    ]
    bins = [
        (f"{one.low:.1f} to {one.high:.1f}", str(one.count), rounded(one.confidence), rounded(one.accuracy))
        for one in evaluation.bins
        if one.count
    ]
    return tables.in_blocks(
        summary,
        tables.table(("Policy", "Decided", "Share", "Accuracy", "Confidence", "Calibration error"), policies),
        tables.scores_table("Action", "Predicted", evaluation.scores),
        tables.table(("Confidence", "Actions", "Mean", "Accuracy"), bins),
        tables.mistakes_table("Predicted instead", evaluation.mistakes, longest=LONGEST_NAME * 3 // 4),
        tables.failure_lines("Failed stories", [_told(story) for story in evaluation.failed]),
        tables.failure_lines("Misunderstood messages", [_message(one) for one in evaluation.misunderstood]),
    )


def _message(one: MessageResult) -> tuple[str, str]:
    return f"{one.example.place}: {shorten(one.example.text)}", one.described()


def _about_memory(evaluation: StoryEvaluation) -> Iterator[str]:
    """Yield a warning if a model is evaluated on stories that it was trained on."""
    if evaluation.learnt:
        which = "all" if evaluation.learnt == len(evaluation.stories) else f"{evaluation.learnt}"
        yield (
            f"The model was trained on {which} of these stories: it is measured how well it remembers them, not how "
            "well it follows others. --folds 5 measures on stories that were left out."
        )


def _told(story: StoryResult) -> tuple[str, str]:
    wrong = len(story.actions) - story.right
    if not wrong:
        return _message(story.misunderstood[0])
    first, source = story.first_wrong()
    where = str(source) if source is not None else f'"{story.name}"'
    instead = f"{shorten(first.expected)}, predicted {shorten(first.prediction.action)}"
    return where, f"{wrong} of {len(story.actions)} wrong; first {instead}"


# -- several models side by side


def models_report(found: Mapping[str, StoryEvaluation]) -> Report:
    """Report on the same stories, followed by several models."""
    figures = {model: evaluation.figures for model, evaluation in found.items()}
    rows = [(_end_of(model), *tables.figures_of(each, HEADINGS)) for model, each in figures.items()]
    first, *others = found
    changes = {model: _changes(found[first], found[model]) for model in others}
    memory = next((line for evaluation in found.values() for line in _about_memory(evaluation)), None)
    lines = tables.in_blocks(
        tables.table(("Model", *HEADINGS.values()), rows, longest=LONGEST_MODEL),
        [] if memory is None else [memory],
        *(tables.better_and_worse(_end_of(model), _end_of(first), *each) for model, each in changes.items()),
    )
    content = [{"model": model, **each} for model, each in figures.items()]
    for one in content[1:]:
        better, worse = changes[str(one["model"])]
        one |= {"better": better, "worse": worse}
    return Report(lines, {"models": content}, _limited(figures), {})


def _changes(before: StoryEvaluation, after: StoryEvaluation) -> tuple[list[str], list[str]]:
    """Return the stories of which the second model gets more actions right, and those of which it gets fewer."""
    found: dict[bool, list[str]] = {True: [], False: []}
    for old, new in zip(before.stories, after.stories, strict=True):
        if old.right != new.right:
            found[new.right > old.right].append(f'"{old.name}"' if old.source is None else str(old.source))
    return found[True], found[False]


def _end_of(name: str) -> str:
    """Return the end of a path, by which models differ, where it would be cut."""
    return name if len(name) <= LONGEST_MODEL else f"…{name[1 - LONGEST_MODEL :]}"


# -- learning curves


def curve_report(curves: Mapping[str, Sequence[CurvePoint]], stories: str) -> Report:
    """Report on what each configuration has learnt from parts of the stories; limits are for the largest part."""
    points = [(name, point, spreads_of(point.runs)) for name, curve in curves.items() for point in curve]
    headings = list(HEADINGS.values())
    headings.insert(2, "±")
    rows = []
    for name, point, spreads in points:
        means = tables.figures_of({figure: spread.mean for figure, spread in spreads.items()}, HEADINGS)
        means.insert(2, rounded(spreads[_DRAWN].deviation))
        rows.append((_end_of(name), f"{point.excluded} %", f"{point.learnt:.0f}", *means))
    content = [
        {
            "configuration": name,
            "excluded": point.excluded,
            "learnt": point.learnt,
            "runs": [run.figures for run in point.runs],
            "spread": {figure: asdict(spread) for figure, spread in spreads.items()},
        }
        for name, point, spreads in points
    ]
    # A limit applies to the model that would be served, trained on the largest part.
    most = {name: max(curve, key=lambda point: point.learnt) for name, curve in curves.items()}
    best = {name: {key: one.mean for key, one in spreads_of(point.runs).items()} for name, point in most.items()}
    drawn = {
        name: [(point.learnt, spreads[_DRAWN]) for other, point, spreads in points if other == name] for name in curves
    }
    title = f"What is learnt from more of {PurePath(stories).name}"
    draw = tables.picture(lambda: learning_curves(drawn, title, "accuracy without listening"), "The picture is in {}.")
    lines = tables.table(("Configuration", "Left out", "Learnt", *headings), rows, longest=24)
    return Report(lines, {"curves": content}, _limited(best), {"output": draw})
