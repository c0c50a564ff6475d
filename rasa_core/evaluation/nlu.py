"""Measures how well messages are understood: what was expected of each, and what an interpreter found.

An entity is right if its name, its start and its end are; its value does not count. A message is right as a whole if
its intent and all of its entities are, and nothing else was found. Examples without an intent count for entities alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Protocol

from rasa_core.evaluation.metrics import ActionScores, Pair, accuracy, ratio, scores_by_action, weighted_f1
from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.training_data import NLUExample, TrainingData
from rasa_core.support.progress import Progress

NONE: Final = ""
BATCH: Final = 256

Span = tuple[int, int, str]


class Parser(Protocol):
    """What understands messages: `rasa_core.nlu.model.NLUModel`, or something like it."""

    def parse_many(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return for each text its ``intent``, with name and confidence, and its ``entities``."""
        ...


Train = Callable[[TrainingData], Parser]


@dataclass(frozen=True)
class MessageResult:
    """One message: what was expected, and what was found.

    Attributes
    ----------
    example : NLUExample
        The message, with its intent and entities.
    intent : str
        The intent that was found; empty for none.
    confidence : float
        How sure the interpreter was of it, from 0 to 1.
    found : frozenset of (int, int, str)
        Start, end and name of each entity that was found.
    """

    example: NLUExample
    intent: str
    confidence: float
    found: frozenset[Span]

    @cached_property
    def expected(self) -> frozenset[Span]:
        """Start, end and name of each entity that should have been found; those without text are none."""
        spans = self.example.entities
        return frozenset((span.start, span.end, span.entity) for span in spans if span.start < span.end)

    @property
    def is_intent_right(self) -> bool:
        """Whether the intent is the expected one, or none was expected."""
        return self.example.intent in (None, self.intent)

    @property
    def is_right(self) -> bool:
        """Whether everything was understood."""
        return self.is_intent_right and self.found == self.expected


@dataclass(frozen=True, slots=True)
class EntityFigures:
    """How well entities are found, over all of them.

    Attributes
    ----------
    precision, recall, f1 : float
        Each entity that stands in a message counts the same (micro average).
    macro_f1 : float
        Mean F1 of the entities that are expected, whatever their number.
    support, predicted : int
        How many should have been found, and how many were.
    """

    precision: float
    recall: float
    f1: float
    macro_f1: float
    support: int
    predicted: int


class Evaluation:
    """The results of all messages, and the figures that follow from them.

    Parameters
    ----------
    messages
        In the order of the data.
    """

    def __init__(self, messages: Sequence[MessageResult]) -> None:
        self.messages = list(messages)
        self.with_intent = [one for one in self.messages if one.example.intent is not None]

    @cached_property
    def pairs(self) -> list[Pair]:
        """Expected and found intents, of the messages that have one."""
        return [(one.example.intent or NONE, one.intent) for one in self.with_intent]

    @property
    def confidences(self) -> list[tuple[float, bool]]:
        """Confidence in the intent, and whether it is right, of the messages that have one."""
        return [(one.confidence, one.is_intent_right) for one in self.with_intent]

    @cached_property
    def intents(self) -> list[ActionScores]:
        """Scores of each intent that is expected or found; `action` is its name."""
        return scores_by_action(self.pairs)

    @cached_property
    def entities(self) -> list[ActionScores]:
        """Scores of each entity that is expected or found; `action` is its name."""
        pairs = [
            (name if span in one.expected else NONE, name if span in one.found else NONE)
            for one in self.messages
            for span in one.expected | one.found
            for name in [span[2]]
        ]
        return [scores for scores in scores_by_action(pairs) if scores.action != NONE]

    @property
    def intent_accuracy(self) -> float:
        """Share of the messages whose intent is right."""
        return accuracy(self.pairs)

    @property
    def intent_f1(self) -> float:
        """Mean F1 of the intents, weighted by how often each is expected."""
        return weighted_f1(self.intents, without=())

    @cached_property
    def entity_figures(self) -> EntityFigures:
        """Figures over all entities."""
        hits = sum(len(one.expected & one.found) for one in self.messages)
        support = sum(len(one.expected) for one in self.messages)
        predicted = sum(len(one.found) for one in self.messages)
        expected = [scores.f1 for scores in self.entities if scores.support]
        return EntityFigures(
            precision=ratio(hits, predicted),
            recall=ratio(hits, support),
            f1=ratio(2 * hits, support + predicted),
            macro_f1=ratio(sum(expected), len(expected)),
            support=support,
            predicted=predicted,
        )

    @property
    def whole_messages(self) -> float:
        """Share of the messages of which everything is right."""
        return ratio(sum(one.is_right for one in self.messages), len(self.messages))

    @property
    def failed(self) -> list[MessageResult]:
        """The messages of which something is wrong."""
        return [one for one in self.messages if not one.is_right]


def evaluate_messages(parser: Parser, examples: Sequence[NLUExample], *, silent: bool = False) -> Evaluation:
    """Compare what is found in messages with what should be found.

    Raises
    ------
    RasaCoreError
        If there are no examples.
    """
    if not examples:
        raise RasaCoreError("there are no examples to measure with; give NLU data with messages of intents.")
    results: list[MessageResult] = []
    with Progress("understanding messages", len(examples), silent=silent) as progress:
        for start in range(0, len(examples), BATCH):
            batch = examples[start : start + BATCH]
            parses = parser.parse_many([example.text for example in batch])
            results += map(_result, batch, parses)
            progress.step(len(results))
    return Evaluation(results)


def _result(example: NLUExample, parse: dict[str, Any]) -> MessageResult:
    intent = parse["intent"] or {}
    found = frozenset((one["start"], one["end"], one["entity"]) for one in parse["entities"])
    return MessageResult(example, intent.get("name") or NONE, float(intent.get("confidence") or 0.0), found)


def folds_of(data: TrainingData, folds: int, seed: int) -> list[list[NLUExample]]:
    """Share the examples out, each intent as evenly as possible; the same in each run, for the same seed.

    Examples with the same text stay together: otherwise what is measured would have been learnt.

    Raises
    ------
    RasaCoreError
        If there are fewer texts than folds.
    """
    by_text: dict[str, list[NLUExample]] = {}
    for example in data.examples:
        by_text.setdefault(" ".join(example.text.lower().split()), []).append(example)
    if len(by_text) < folds:
        problem = f"{len(by_text)} different messages cannot be split into {folds} folds"
        raise RasaCoreError(f"{problem}. Give fewer folds, or more examples.")
    groups = list(by_text.values())
    random.Random(seed).shuffle(groups)
    groups.sort(key=lambda group: group[0].intent or NONE)
    return [[example for group in groups[fold::folds] for example in group] for fold in range(folds)]


def cross_validate(data: TrainingData, folds: int, train: Train, seed: int = 42) -> list[Evaluation]:
    """Evaluate on each fold what was trained on all others, and tell how far that is.

    Parameters
    ----------
    data
        What is shared out; synonyms, patterns and lookup tables are learnt from each time.
    folds
        How many.
    train
        Trains from scratch.
    seed
        Decides which example is in which fold.

    Raises
    ------
    RasaCoreError
        If there are fewer texts than folds.
    """
    parts = folds_of(data, folds, seed)
    found = []
    with Progress("cross-validation, fold", folds) as progress:
        progress.step(0)
        for number, held_out in enumerate(parts):
            learnt = tuple(example for part in parts if part is not held_out for example in part)
            parser = train(replace(data, examples=learnt))
            found.append(evaluate_messages(parser, held_out, silent=True))
            progress.step(number + 1, {"accuracy": found[-1].intent_accuracy})
    return found


def all_folds(found: Sequence[Evaluation]) -> Evaluation:
    """Return the evaluations of all folds as one, in which each message was measured on what had not learnt it."""
    return Evaluation([message for evaluation in found for message in evaluation.messages])
