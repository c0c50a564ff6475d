"""Evaluates an interpreter: compares the intents and entities that it finds with those of examples.

An entity is right if its name, role, group, start and end are right; its value does not count. A message is right as a
whole if its intent and all of its entities are right, and no other entity was found. Examples without an intent count
only for entities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

from rasa_core.drawing.svg import Drawing, shorten
from rasa_core.evaluation import tables
from rasa_core.evaluation.charts import confidence_histogram, confusion_matrix
from rasa_core.evaluation.metrics import Evaluation, LabelScores, ratio, scores_by_label, weighted_f1
from rasa_core.evaluation.nlu_writing import as_json, as_markdown
from rasa_core.evaluation.tables import LONGEST_NAME, Report, rounded
from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.pipeline import best_understood
from rasa_core.nlu.training_data import NLUExample
from rasa_core.support.progress import Progress

NONE: Final = ""
NO_INTENT: Final = "(none)"
BATCH: Final = 256  # Messages parsed at once, which is faster; the progress is shown after each batch.
THRESHOLDS: Final = tuple(number / 10 for number in range(1, 10))
DOUBTFUL: Final = 0.7
"""The confidence of another intent from which an example looks wrong."""
HEADINGS: Final = {
    "intent_accuracy": "Intents",
    "intent_f1": "Weighted F1",
    "entity_f1": "Entity F1",
    "whole_messages": "Whole messages",
    "calibration_error": "Calibration error",
}
LIMITED: Final = {
    "intent accuracy": "intent_accuracy",
    "entity F1": "entity_f1",
    "share of whole messages": "whole_messages",
}

Span = tuple[int, int, str]


class Parser(Protocol):
    """A parser of messages, such as `rasa_core.nlu.model.NLUModel`."""

    def parse_many(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return for each text its ``intent``, with name and confidence, and its ``entities``."""
        ...


# -- results


def _label(entity: str, role: str | None, group: str | None) -> str:
    """Return the name of an entity in reports, such as ``city``, or ``city (to) [1]`` with role and group."""
    return f"{entity}{f' ({role})' if role else ''}{f' [{group}]' if group else ''}"


@dataclass(frozen=True)
class MessageResult:
    """The expected and the found intent and entities of one message.

    Attributes
    ----------
    example : NLUExample
        The message, with its intent and entities.
    intent : str
        The intent that was found; empty for none.
    confidence : float
        The confidence of the intent, from 0 to 1; for the fallback intent, the confidence of the intent it replaces.
    meant : str
        The intent that was found, or that the fallback intent replaces; empty for none.
    found : frozenset of (int, int, str)
        Start, end and name of each entity that was found; the name has role and group if there are any.
    misread : tuple of str
        A text about each entity that was found at its place, but with another value.
    """

    example: NLUExample
    intent: str
    confidence: float
    found: frozenset[Span]
    meant: str = NONE
    misread: tuple[str, ...] = ()

    @cached_property
    def expected(self) -> frozenset[Span]:
        """Start, end and name of each entity that should have been found; entities without text do not count."""
        spans = self.example.entities
        return frozenset((span.start, span.end, _label(*span.label)) for span in spans if span.start < span.end)

    @property
    def is_intent_right(self) -> bool:
        """Whether the intent is the expected one, or none was expected."""
        return self.example.intent in (None, self.intent)  # An example for entities alone says nothing of its intent.

    @property
    def is_right(self) -> bool:
        """Whether everything was understood."""
        return self.is_intent_right and self.found == self.expected and not self.misread

    def described(self) -> str:
        """Return the differences between the found and the expected intent and entities, as text."""
        parts = []
        if not self.is_intent_right:
            parts.append(f"found {self.intent or NO_INTENT} ({self.confidence:.2f}) instead of {self.example.intent}")
        for what, spans in (("missed", self.expected - self.found), ("found", self.found - self.expected)):
            if spans:
                named = (f'{entity} "{self.example.text[start:end]}"' for start, end, entity in sorted(spans))
                parts.append(f"{what} {', '.join(named)}")
        return "; ".join([*parts, *self.misread])


@dataclass(frozen=True)
class MessageEvaluation(Evaluation):
    """The results of all messages, in the order of the data."""

    messages: tuple[MessageResult, ...]

    @cached_property
    def with_intent(self) -> list[MessageResult]:
        """The messages that have an intent."""
        return [one for one in self.messages if one.example.intent is not None]

    @property
    def predictions(self) -> list[tuple[str, str, float]]:
        """Expected and found intents, and the confidence in them, of the messages that have one."""
        return [(one.example.intent or NONE, one.intent, one.confidence) for one in self.with_intent]

    @cached_property
    def entities(self) -> list[LabelScores]:
        """Scores of each entity that is expected or found."""
        # A span that is expected and found counts as a hit; any other is missed or wrong, as there are no near misses.
        pairs = [
            (name if span in one.expected else NONE, name if span in one.found else NONE)
            for one in self.messages
            for span in one.expected | one.found
            for name in [span[2]]
        ]
        return [scores for scores in scores_by_label(pairs) if scores.label != NONE]

    @cached_property
    def entity_figures(self) -> dict[str, float]:
        """The figures over all entities (micro average), and the number of entities.

        ``macro_f1`` is the mean F1 of the expected entity types, whatever their numbers.
        """
        hits = sum(len(one.expected & one.found) for one in self.messages)
        support = sum(len(one.expected) for one in self.messages)
        predicted = sum(len(one.found) for one in self.messages)
        expected = [scores.f1 for scores in self.entities if scores.support]
        return {
            "precision": ratio(hits, predicted),
            "recall": ratio(hits, support),
            "f1": ratio(2 * hits, support + predicted),
            "macro_f1": ratio(sum(expected), len(expected)),
            "support": support,
            "predicted": predicted,
        }

    @property
    def failed(self) -> list[MessageResult]:
        """The messages with a wrong intent or entity."""
        return [one for one in self.messages if not one.is_right]

    @cached_property
    def figures(self) -> dict[str, float]:
        """The figures, each from 0 to 1.

        ``intent_accuracy``; ``intent_f1``, the mean F1 of the intents, weighted by how often each is expected;
        ``entity_f1``, over all entities, by exact spans; ``entity_macro_f1``, the mean F1 of the entity types;
        ``whole_messages``, the share of messages that are right; ``calibration_error`` of the intent's confidence.
        """
        return {
            "intent_accuracy": self.accuracy,
            "intent_f1": weighted_f1(self.scores, without=()),
            "entity_f1": self.entity_figures["f1"],
            "entity_macro_f1": self.entity_figures["macro_f1"],
            "whole_messages": ratio(sum(one.is_right for one in self.messages), len(self.messages)),
            "calibration_error": self.calibration_error,
        }

    @property
    def thresholds(self) -> list[dict[str, float]]:
        """The effect of each threshold of a `FallbackPolicy` or `FallbackClassifier`.

        For each threshold: the share of messages below it among those with the right intent, and among those with a
        wrong intent; and the number of messages below it, whose users would be asked again.
        """
        sure = [(one.confidence, one.meant == one.example.intent) for one in self.with_intent]
        right = sum(is_right for _, is_right in sure)
        found = []
        for value in THRESHOLDS:
            below = [is_right for confidence, is_right in sure if confidence < value]
            again, needless = len(below), sum(below)
            shares = {"right": ratio(needless, right), "wrong": ratio(again - needless, len(sure) - right)}
            found.append({"threshold": value, **shares, "asked_again": again, "asked_again_though_right": needless})
        return found

    @property
    def doubtful(self) -> list[MessageResult]:
        """The messages that look like examples of another intent, the highest confidence first.

        The evaluated model must not have learnt these messages; otherwise it repeats their own intents.
        """
        found = [one for one in self.with_intent if one.meant not in (NONE, one.example.intent)]
        return sorted((one for one in found if one.confidence >= DOUBTFUL), key=lambda one: -one.confidence)


def evaluate_messages(parser: Parser, examples: Sequence[NLUExample], *, silent: bool = False) -> MessageEvaluation:
    """Return an evaluation of a parser on examples; raise `RasaCoreError` if there are no examples."""
    if not examples:
        raise RasaCoreError("there are no examples to measure with; give NLU data with messages of intents.")
    results: list[MessageResult] = []
    with Progress("understanding messages", len(examples), silent=silent) as progress:
        for start in range(0, len(examples), BATCH):
            batch = examples[start : start + BATCH]
            parses = parser.parse_many([example.text for example in batch])
            results += map(message_result, batch, parses)
            progress.step(len(results))
    return MessageEvaluation(tuple(results))


def not_learnt(parser: Parser, examples: Sequence[NLUExample]) -> list[MessageResult]:
    """Return the examples that a model trained on them gets wrong, wrong intents before wrong entities."""
    return sorted(evaluate_messages(parser, examples, silent=True).failed, key=lambda one: one.is_intent_right)


def message_result(example: NLUExample, parse: dict[str, Any]) -> MessageResult:
    """Return the result of a message, from its example and its parse."""
    intent = parse["intent"] or {}
    meant = best_understood(parse)
    selected = parse.get("response_selector", {}).get(meant.get("name"), {})
    # Examples of a retrieval intent name its part, faq/hours, which the response selector finds, or the whole.
    for part in selected.get("ranking", ())[:1] if meant.get("name") != example.intent else ():
        whole, meant = meant, {**meant, "name": part["intent_response_key"]}
        intent = meant if intent.get("name") == whole.get("name") else intent
    labels = (_label(one["entity"], one.get("role"), one.get("group")) for one in parse["entities"])
    found = frozenset((one["start"], one["end"], label) for one, label in zip(parse["entities"], labels, strict=True))
    names = intent.get("name") or NONE, meant.get("name") or NONE
    return MessageResult(example, names[0], float(meant.get("confidence") or 0.0), found, names[1])


# -- the report


def nlu_report(evaluation: MessageEvaluation, what: str, folds: Sequence[MessageEvaluation] = ()) -> Report:
    """Return the report on the messages of data called `what`, with the figures of the folds if there are any."""
    pairs = [(expected, found or NO_INTENT) for expected, found in evaluation.pairs]

    def matrix() -> Drawing:
        return confusion_matrix(pairs, what, labels="intents", without=())

    def histogram() -> Drawing:
        return confidence_histogram(evaluation.confidences, what)

    files = {
        "failed": lambda path: _write_failed(evaluation.failed, path),
        "output": tables.picture(matrix, "The confusion matrix is in {}."),
        "histogram": tables.picture(histogram, "The histogram is in {}."),
    }
    content = _content(evaluation)
    if folds:
        content |= {"folds": [fold.figures for fold in folds], "review": list(map(failed_message, evaluation.doubtful))}
    limited = {said: {"": evaluation.figures[figure]} for said, figure in LIMITED.items()}
    if not any(one.expected for one in evaluation.messages):  # Nothing is known about entities, not even that none is.
        limited["entity F1"] = {}
    if not evaluation.with_intent:
        limited["intent accuracy"] = {}
    return Report(_lines(evaluation, folds), content, limited, files)


def _content(evaluation: MessageEvaluation) -> dict[str, Any]:
    return {
        "messages": len(evaluation.messages),
        "messages_right": len(evaluation.messages) - len(evaluation.failed),
        "messages_with_intent": len(evaluation.with_intent),
        **evaluation.figures,
        "intents": tables.scores_as_json("intent", evaluation.scores),
        "entities_overall": evaluation.entity_figures,
        "entities": tables.scores_as_json("entity", evaluation.entities),
        "confidence_bins": [asdict(one) for one in evaluation.bins],
        "thresholds": evaluation.thresholds,
        "mistakes": tables.mistakes_as_json("found", evaluation.mistakes),
        "failed_messages": [failed_message(one) for one in evaluation.failed],
    }


def failed_message(one: MessageResult) -> dict[str, Any]:
    """Return a wrong message as JSON."""
    return {
        "text": one.example.text,
        "file": one.example.place.file,
        "line": one.example.place.line,
        "expected": {"intent": one.example.intent, "entities": _spans(one.expected)},
        "found": {"intent": one.intent or None, "confidence": one.confidence, "entities": _spans(one.found)},
    }


def _spans(spans: frozenset[Span]) -> list[dict[str, Any]]:
    return [dict(zip(("start", "end", "entity"), span, strict=True)) for span in sorted(spans)]


def _lines(evaluation: MessageEvaluation, folds: Sequence[MessageEvaluation]) -> list[str]:
    figures, count = evaluation.figures, len(evaluation.messages)
    spans, with_intent = evaluation.entity_figures, evaluation.with_intent
    hits = sum(one.is_intent_right for one in with_intent)
    right = count - len(evaluation.failed)
    intents = (
        f"{hits} of {len(with_intent)} right, accuracy {rounded(figures['intent_accuracy'])}, "
        f"weighted F1 {rounded(figures['intent_f1'])}"
    )
    summary = [
        f"Messages: {count}",
        f"Intents: {intents if with_intent else 'none of the messages has one'}",
        f"Entities: {spans['support']} expected, {spans['predicted']} found, precision {rounded(spans['precision'])}, "
        f"recall {rounded(spans['recall'])}, F1 {rounded(spans['f1'])} (macro {rounded(spans['macro_f1'])})",
        f"Whole messages: {right} of {count} right, {rounded(figures['whole_messages'])}",
        *([f"Expected calibration error: {rounded(figures['calibration_error'])}"] if with_intent else []),
    ]
    thresholds = [
        (
            *(f"{one['threshold']:.1f}", f"{one['right']:.1%}", f"{one['wrong']:.1%}"),
            *(str(one["asked_again"]), str(one["asked_again_though_right"])),
        )
        for one in evaluation.thresholds
    ]
    doubtful = [_described(one) for one in evaluation.doubtful] if folds else []
    failed = [_described(one) for one in evaluation.failed]
    headings = ("nlu_threshold", "Right messages below", "Wrong messages below", "Asked again", "though right")
    below = tables.table(headings, thresholds)
    return tables.in_blocks(
        summary,
        tables.folds_table(folds, HEADINGS, {}),
        tables.scores_table("Intent", "Found", evaluation.scores, NO_INTENT),
        tables.scores_table("Entity", "Found", evaluation.entities, NO_INTENT),
        below if with_intent else [],
        tables.mistakes_table("Found instead", evaluation.mistakes, NO_INTENT),
        tables.failure_lines("Failed messages", failed),
        tables.failure_lines("Examples that look wrong, as all others say something else", doubtful),
    )


def _described(one: MessageResult) -> tuple[str, str]:
    return f"{one.example.place}: {shorten(one.example.text, LONGEST_NAME)}", shorten(one.described(), 2 * LONGEST_NAME)


# -- failed messages, as NLU data that reads as the same messages


def _write_failed(failed: Sequence[MessageResult], path: str | Path) -> Iterator[str]:
    """Write messages as NLU data, with the wrong results as notes: JSON if the name ends so, otherwise Markdown."""
    noted = [(one.example, one.described()) for one in failed]
    text, left_out = (as_json(noted), []) if Path(path).suffix.lower() == ".json" else as_markdown(noted)
    tables.write_text(text or "<!-- No message failed. -->\n", path, "failed messages")
    if failed:
        yield f"The misunderstood messages are in {path}, with what was found."
    if left_out:
        messages = f"{len(left_out):,} message{'s' if len(left_out) > 1 else ''}"
        yield f"{messages} cannot be written as Markdown; a file named .json holds all."
