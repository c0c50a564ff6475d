"""The figures of an evaluation as one object, as JSON, and as text that fits a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rasa_core.drawing.picture import shorten
from rasa_core.evaluation.calibration import ConfidenceBin, confidence_bins, expected_calibration_error
from rasa_core.evaluation.metrics import (
    LISTENING,
    ActionScores,
    accuracy,
    in_percent,
    scores_by_action,
    weighted_f1,
    written,
)
from rasa_core.evaluation.stories import Evaluation
from rasa_core.evaluation.story_result import ActionResult, StoryResult

SHOWN_MISTAKES: Final = 10
LONGEST_NAME: Final = 60
NO_POLICY: Final = "(none: fixed, or nothing learnt)"

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured of a model, each from 0 to 1.

    Attributes
    ----------
    accuracy : float
        Share of all actions that was predicted right, `action_listen` among them.
    accuracy_without_listen : float
        The same for the actions that are not `action_listen`.
    weighted_f1 : float
        `rasa_core.evaluation.metrics.weighted_f1`, without `action_listen`.
    whole_stories : float
        Share of the stories in which every action was predicted right.
    calibration_error : float
        `rasa_core.evaluation.calibration.expected_calibration_error`, over all actions.
    """

    accuracy: float
    accuracy_without_listen: float
    weighted_f1: float
    whole_stories: float
    calibration_error: float

    @classmethod
    def of(cls, evaluation: Evaluation) -> Figures:
        """Measure an evaluation."""
        pairs = evaluation.pairs
        return cls(
            accuracy=accuracy(pairs),
            accuracy_without_listen=accuracy(pairs, without=LISTENING),
            weighted_f1=weighted_f1(scores_by_action(pairs)),
            whole_stories=evaluation.whole_stories,
            calibration_error=expected_calibration_error(bins_of(evaluation.actions)),
        )


HEADINGS: Final = {
    "accuracy": "Accuracy",
    "accuracy_without_listen": "Without listening",
    "weighted_f1": "Weighted F1",
    "whole_stories": "Whole stories",
    "calibration_error": "Calibration error",
}


@dataclass(frozen=True, slots=True)
class PolicyShare:
    """What one policy contributed: how often it decided, and how good that was; `policy` is None for none."""

    policy: str | None
    predictions: int
    right: int
    accuracy: float
    confidence: float
    calibration_error: float


def bins_of(results: Iterable[ActionResult]) -> list[ConfidenceBin]:
    """Return the predictions in bins of their confidence."""
    return confidence_bins((result.prediction.confidence, result.is_right) for result in results)


def policy_shares(evaluation: Evaluation) -> list[PolicyShare]:
    """Return the share of each policy, the most frequent first."""
    made: dict[str | None, list[ActionResult]] = {}
    for result in evaluation.actions:
        made.setdefault(result.prediction.policy, []).append(result)
    return [
        PolicyShare(
            policy,
            count,
            right,
            accuracy=right / count,
            confidence=sum(result.prediction.confidence for result in made[policy]) / count,
            calibration_error=expected_calibration_error(bins_of(made[policy])),
        )
        for policy, (count, right) in evaluation.by_policy().items()
    ]


# -- JSON


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the whole report as an object of JSON."""
    return {
        "stories": len(evaluation.stories),
        "stories_available": evaluation.available,
        "stories_right": len(evaluation.stories) - len(evaluation.failed),
        "steps": evaluation.total,
        "steps_right": evaluation.right,
        **asdict(Figures.of(evaluation)),
        "actions": [asdict(one) for one in scores_by_action(evaluation.pairs)],
        "policies": [asdict(one) for one in policy_shares(evaluation)],
        "confidence_bins": [asdict(one) for one in bins_of(evaluation.actions)],
        "mistakes": [
            {"expected": expected, "predicted": predicted, "count": count}
            for (expected, predicted), count in _mistakes(evaluation)
        ],
        "failed_stories": [_failed_story(story) for story in evaluation.failed],
    }


def _failed_story(story: StoryResult) -> dict[str, Any]:
    first, source = story.first_wrong()
    return {
        "name": story.name,
        "file": None if source is None else source.file,
        "line": None if source is None else source.line,
        "steps": len(story.actions),
        "steps_right": story.right,
        "expected": first.expected,
        "predicted": first.prediction.action,
        "confidence": first.prediction.confidence,
        "policy": first.prediction.policy,
    }


def _mistakes(evaluation: Evaluation) -> list[tuple[tuple[str, str], int]]:
    """Return pairs of what was expected and predicted instead, the most frequent first, equals by name."""
    counts = Counter(pair for pair in evaluation.pairs if pair[0] != pair[1])
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


# -- text


def as_text(evaluation: Evaluation) -> list[str]:
    """Return the whole report as lines of text."""
    blocks = [
        summary(evaluation),
        _policies(policy_shares(evaluation)),
        _actions(scores_by_action(evaluation.pairs)),
        _bins(bins_of(evaluation.actions)),
        _mistakes_told(_mistakes(evaluation)),
        _failed_told(evaluation.failed),
    ]
    lines = [line for block in blocks if block for line in ("", *block)]
    return lines[1:]


def summary(evaluation: Evaluation) -> list[str]:
    """Return the most important figures as lines of text."""
    figures, count = Figures.of(evaluation), len(evaluation.stories)
    without = [result for result in evaluation.actions if result.expected not in LISTENING]
    hits = sum(result.is_right for result in without)
    sampled = f" (a sample of {evaluation.available})" if count < evaluation.available else ""
    return [
        f"Stories: {count}{sampled}",
        f"Actions: {evaluation.right} of {evaluation.total} right, accuracy {written(figures.accuracy)}",
        f"Without action_listen: {hits} of {len(without)} right, accuracy {written(figures.accuracy_without_listen)}, "
        f"weighted F1 {written(figures.weighted_f1)}",
        f"Whole stories: {count - len(evaluation.failed)} of {count} right, {written(figures.whole_stories)}",
        f"Expected calibration error: {written(figures.calibration_error)}",
    ]


def _policies(shares: Sequence[PolicyShare]) -> list[str]:
    total = sum(share.predictions for share in shares)
    rows = [
        (
            name_of(share.policy),
            str(share.predictions),
            in_percent(share.predictions / total),
            written(share.accuracy),
            written(share.confidence),
            written(share.calibration_error),
        )
        for share in shares
    ]
    return table(("Policy", "Decided", "Share", "Accuracy", "Confidence", "Calibration error"), rows)


def _actions(scores: Sequence[ActionScores]) -> list[str]:
    rows = [
        (one.action, written(one.precision), written(one.recall), written(one.f1), str(one.support), str(one.predicted))
        for one in scores
    ]
    return table(("Action", "Precision", "Recall", "F1", "Expected", "Predicted"), rows)


def _bins(bins: Sequence[ConfidenceBin]) -> list[str]:
    rows = [
        (f"{one.low:.1f} to {one.high:.1f}", str(one.count), written(one.confidence), written(one.accuracy))
        for one in bins
        if one.count
    ]
    return table(("Confidence", "Actions", "Mean", "Accuracy"), rows)


def _mistakes_told(mistakes: Sequence[tuple[tuple[str, str], int]]) -> list[str]:
    rows = [(expected, predicted, str(count)) for (expected, predicted), count in mistakes[:SHOWN_MISTAKES]]
    lines = table(("Expected", "Predicted instead", "Times"), rows, names=2, longest=LONGEST_NAME * 3 // 4)
    return [*lines, *_more(len(mistakes))]


def _failed_told(failed: Sequence[StoryResult]) -> list[str]:
    lines = [line for story in failed[:SHOWN_MISTAKES] for line in _told(story)]
    return ["Failed stories", *lines, *_more(len(failed))] if failed else []


def _more(count: int) -> list[str]:
    return [f"and {count - SHOWN_MISTAKES} more"] if count > SHOWN_MISTAKES else []


def _told(story: StoryResult) -> list[str]:
    first, source = story.first_wrong()
    where = str(source) if source is not None else f'"{story.name}"'
    wrong = len(story.actions) - story.right
    instead = f"{shorten(first.expected)}, predicted {shorten(first.prediction.action)}"
    return [f"  {where}", f"    {wrong} of {len(story.actions)} wrong; first {instead}"]


def name_of(policy: str | None) -> str:
    """Return how a policy is called in a table."""
    return NO_POLICY if policy is None else policy


def table(headings: Row, rows: Sequence[Row], *, names: int = 1, longest: int = LONGEST_NAME) -> list[str]:
    """Return rows as lines in columns; the first `names` of them hold text, the others numbers.

    Text of more than `longest` characters is cut. No lines if there are no rows.
    """
    if not rows:
        return []
    cut = [[shorten(cell, longest) if place < names else cell for place, cell in enumerate(row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cut, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < names else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (headings, *cut)
    ]
