"""How well messages are understood, as one object of JSON, as text that fits a terminal, and as files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rasa_core.drawing.picture import shorten
from rasa_core.evaluation.calibration import confidence_bins, expected_calibration_error
from rasa_core.evaluation.metrics import ActionScores, Pair, Spread, ratio, written
from rasa_core.evaluation.nlu import Evaluation, MessageResult, Span
from rasa_core.evaluation.nlu_errors import as_json as written_as_json
from rasa_core.evaluation.nlu_errors import as_markdown
from rasa_core.evaluation.story_report import LONGEST_NAME, table
from rasa_core.exceptions import RasaCoreError

SHOWN_MISTAKES: Final = 10
THRESHOLDS: Final = tuple(number / 10 for number in range(1, 10))
NO_INTENT: Final = "(none)"


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured of an interpreter, each from 0 to 1.

    Attributes
    ----------
    intent_accuracy : float
        Share of the messages whose intent is right.
    intent_f1 : float
        Mean F1 of the intents, weighted by how often each is expected.
    entity_f1 : float
        F1 over all entities, each with its exact span.
    entity_macro_f1 : float
        Mean F1 of the entities, whatever their number.
    whole_messages : float
        Share of the messages of which everything is right.
    calibration_error : float
        `rasa_core.evaluation.calibration.expected_calibration_error` of the confidence in the intent.
    """

    intent_accuracy: float
    intent_f1: float
    entity_f1: float
    entity_macro_f1: float
    whole_messages: float
    calibration_error: float

    @classmethod
    def of(cls, evaluation: Evaluation) -> Figures:
        """Measure an evaluation."""
        return cls(
            intent_accuracy=evaluation.intent_accuracy,
            intent_f1=evaluation.intent_f1,
            entity_f1=evaluation.entity_figures.f1,
            entity_macro_f1=evaluation.entity_figures.macro_f1,
            whole_messages=evaluation.whole_messages,
            calibration_error=expected_calibration_error(confidence_bins(evaluation.confidences)),
        )

    def below(self, intents: float | None, entities: float | None, messages: float | None) -> list[str]:
        """Return what is below these limits; None is no limit."""
        limits = (
            ("intent accuracy", self.intent_accuracy, intents),
            ("entity F1", self.entity_f1, entities),
            ("share of whole messages", self.whole_messages, messages),
        )
        return [
            f"the {what} {value:.4f} is below {least:g}."
            for what, value, least in limits
            if least is not None and value < least
        ]


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a `FallbackPolicy` with this `nlu_threshold` does: which messages it takes for not understood.

    Attributes
    ----------
    threshold : float
    right : float
        Share of the messages with the right intent that fall below.
    wrong : float
        Share of the messages with a wrong intent that fall below.
    """

    threshold: float
    right: float
    wrong: float


def thresholds_of(evaluation: Evaluation) -> list[Threshold]:
    """Return what each threshold would do."""
    right = [confidence for confidence, is_right in evaluation.confidences if is_right]
    wrong = [confidence for confidence, is_right in evaluation.confidences if not is_right]
    return [Threshold(value, _share_below(right, value), _share_below(wrong, value)) for value in THRESHOLDS]


def _share_below(confidences: Sequence[float], threshold: float) -> float:
    return ratio(sum(one < threshold for one in confidences), len(confidences))


def _mistakes(evaluation: Evaluation) -> list[tuple[Pair, int]]:
    """Return pairs of intents that were expected and found instead, the most frequent first, equals by name."""
    counts = Counter(pair for pair in evaluation.pairs if pair[0] != pair[1])
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


# -- JSON


def as_json(evaluation: Evaluation, folds: Sequence[Evaluation] = ()) -> dict[str, Any]:
    """Return the whole report as an object of JSON; with those of the folds, if it is of several."""
    content = {
        "messages": len(evaluation.messages),
        "messages_right": len(evaluation.messages) - len(evaluation.failed),
        "messages_with_intent": len(evaluation.with_intent),
        **asdict(Figures.of(evaluation)),
        "intents": [_scores("intent", one) for one in evaluation.intents],
        "entities_overall": asdict(evaluation.entity_figures),
        "entities": [_scores("entity", one) for one in evaluation.entities],
        "confidence_bins": [asdict(one) for one in confidence_bins(evaluation.confidences)],
        "thresholds": [asdict(one) for one in thresholds_of(evaluation)],
        "mistakes": [
            {"expected": expected, "found": found or None, "count": count}
            for (expected, found), count in _mistakes(evaluation)
        ],
        "failed_messages": [_failed_message(one) for one in evaluation.failed],
    }
    return content | ({"folds": [asdict(Figures.of(fold)) for fold in folds]} if folds else {})


def _scores(what: str, scores: ActionScores) -> dict[str, Any]:
    content = asdict(scores)
    return {what: content.pop("action") or None, **content}


def _failed_message(one: MessageResult) -> dict[str, Any]:
    return {
        "text": one.example.text,
        "file": one.example.place.file,
        "line": one.example.place.line,
        "expected": {"intent": one.example.intent, "entities": _spans(one.expected)},
        "found": {"intent": one.intent or None, "confidence": one.confidence, "entities": _spans(one.found)},
    }


def _spans(spans: frozenset[Span]) -> list[dict[str, Any]]:
    return [{"start": start, "end": end, "entity": entity} for start, end, entity in sorted(spans)]


# -- text


def as_text(evaluation: Evaluation, folds: Sequence[Evaluation] = ()) -> list[str]:
    """Return the whole report as lines of text."""
    blocks = [
        _summary(evaluation),
        _folds(folds),
        _table("Intent", evaluation.intents),
        _table("Entity", evaluation.entities),
        _thresholds(evaluation),
        _mistakes_told(_mistakes(evaluation)),
        _failed_told(evaluation.failed),
    ]
    lines = [line for block in blocks if block for line in ("", *block)]
    return lines[1:]


def _summary(evaluation: Evaluation) -> list[str]:
    figures, count = Figures.of(evaluation), len(evaluation.messages)
    spans, with_intent = evaluation.entity_figures, evaluation.with_intent
    hits = sum(one.is_intent_right for one in with_intent)
    right = count - len(evaluation.failed)
    return [
        f"Messages: {count}",
        f"Intents: {hits} of {len(with_intent)} right, accuracy {written(figures.intent_accuracy)}, "
        f"weighted F1 {written(figures.intent_f1)}",
        f"Entities: {spans.support} expected, {spans.predicted} found, precision {written(spans.precision)}, "
        f"recall {written(spans.recall)}, F1 {written(spans.f1)} (macro {written(spans.macro_f1)})",
        f"Whole messages: {right} of {count} right, {written(figures.whole_messages)}",
        f"Expected calibration error: {written(figures.calibration_error)}",
    ]


def _folds(folds: Sequence[Evaluation]) -> list[str]:
    if not folds:
        return []
    found = [Figures.of(fold) for fold in folds]
    names = ("intent_accuracy", "intent_f1", "entity_f1", "whole_messages", "calibration_error")
    rows = [
        (str(number), *(written(getattr(figures, name)) for name in names)) for number, figures in enumerate(found, 1)
    ]
    spreads = [Spread.of([getattr(figures, name) for figures in found]) for name in names]
    rows.append(("mean", *(written(spread.mean) for spread in spreads)))
    rows.append(("deviation", *(f"{spread.deviation:.4f}" for spread in spreads)))
    return table(("Fold", "Intents", "Weighted F1", "Entity F1", "Whole messages", "Calibration error"), rows)


def _table(heading: str, scores: Sequence[ActionScores]) -> list[str]:
    rows = [
        (
            one.action or NO_INTENT,
            written(one.precision),
            written(one.recall),
            written(one.f1),
            str(one.support),
            str(one.predicted),
        )
        for one in scores
    ]
    return table((heading, "Precision", "Recall", "F1", "Expected", "Found"), rows)


def _thresholds(evaluation: Evaluation) -> list[str]:
    rows = [(f"{one.threshold:.1f}", f"{one.right:.1%}", f"{one.wrong:.1%}") for one in thresholds_of(evaluation)]
    headings = ("nlu_threshold", "Right messages below", "Wrong messages below")
    return table(headings, rows) if evaluation.with_intent else []


def _mistakes_told(mistakes: Sequence[tuple[Pair, int]]) -> list[str]:
    rows = [(expected, found or NO_INTENT, str(count)) for (expected, found), count in mistakes[:SHOWN_MISTAKES]]
    return [*table(("Expected", "Found instead", "Times"), rows, names=2), *_more(len(mistakes))]


def _failed_told(failed: Sequence[MessageResult]) -> list[str]:
    lines = [line for one in failed[:SHOWN_MISTAKES] for line in _told(one)]
    return ["Failed messages", *lines, *_more(len(failed))] if failed else []


def _more(count: int) -> list[str]:
    return [f"and {count - SHOWN_MISTAKES} more"] if count > SHOWN_MISTAKES else []


def _told(one: MessageResult) -> list[str]:
    text = shorten(" ".join(one.example.text.split()), LONGEST_NAME)
    return [f"  {one.example.place}: {text}", f"    {shorten(described(one), 2 * LONGEST_NAME)}"]


def described(one: MessageResult) -> str:
    """Return what was found, and what should have been, as far as that differs."""
    parts = []
    if not one.is_intent_right:
        parts.append(f"found {one.intent or NO_INTENT} ({one.confidence:.2f}) instead of {one.example.intent}")
    for what, spans in (("missed", one.expected - one.found), ("found", one.found - one.expected)):
        if spans:
            named = (f'{entity} "{one.example.text[start:end]}"' for start, end, entity in sorted(spans))
            parts.append(f"{what} {', '.join(named)}")
    return "; ".join(parts)


# -- files


def write_failed_messages(failed: Sequence[MessageResult], path: str | Path) -> int:
    """Write messages into a file of NLU data, with comments on what was found.

    Parameters
    ----------
    failed
        The messages.
    path
        JSON is written if its name ends in ``.json``, otherwise Markdown.

    Returns
    -------
    int
        How many messages Markdown could not hold; see `rasa_core.evaluation.nlu_errors.as_markdown`.

    Raises
    ------
    RasaCoreError
        If the file cannot be written.
    """
    noted = [(one.example, described(one)) for one in failed]
    if Path(path).suffix.lower() == ".json":
        text, left_out = written_as_json(noted), 0
    else:
        text, examples = as_markdown(noted)
        left_out = len(examples)
    try:
        Path(path).write_text(text or "<!-- No message failed. -->\n", encoding="utf-8", newline="\n")
    except OSError as error:
        raise RasaCoreError(f"cannot write the failed messages to {str(path)!r}: {error.strerror or error}.") from error
    return left_out
