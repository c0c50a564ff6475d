"""Quality on small NLU data: ``python -m benchmarks.nlu --small [--small-sets ...] [--folds 5] [--seeds 5]``.

Each data set is cross-validated, with equal texts in the same fold. Intents are compared with a linear SVM and a
logistic regression on words and characters, trained on the same folds by scikit-learn. The messages of each fold are
measured again with each of the changes of `rasa_core.evaluation.untidy`, of which `ERRORS` have no target. The model of
each fold is measured against texts without any of its intents (AUROC, mean of the folds). The first fold is trained
with each seed, to compare the temperatures.

The expected calibration error (ECE) is computed over the held-out messages of all folds, in ten bins of confidence,
since a fold of 20 messages is too small. Beside it stands the error of perfect confidences: that of the same
confidences if each message is right with just this probability, mean of 200 random draws. Only the difference between
the two errors is due to the model.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_union
from sklearn.svm import LinearSVC

from benchmarks.tables import print_table
from rasa_core.evaluation.cross_validation import folds_of_messages
from rasa_core.evaluation.metrics import confidence_bins, expected_calibration_error
from rasa_core.evaluation.nlu import MessageEvaluation, evaluate_messages
from rasa_core.evaluation.untidy import CHANGES, ERRORS, changed
from rasa_core.nlu.model import NLUModel
from rasa_core.nlu.reading import read_training_data
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.spelling import alike
from rasa_core.nlu.training import train
from rasa_core.nlu.training_data import NLUExample, TrainingData

OUT_OF_SCOPE = "clinc_out_of_scope.json"
MANY = ("clinc_150x10_train.json", "clinc_150x10_valid.json")
LEAST_SURE = 0.3
DRAWS = 200

Floats = NDArray[np.float64]


@dataclass
class Measured:
    """The results of one data set."""

    messages: list[MessageEvaluation] = field(default_factory=list)
    changes: dict[str, list[MessageEvaluation]] = field(default_factory=dict)
    svm: list[bool] = field(default_factory=list)
    logistic: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    temperatures: list[float] = field(default_factory=list)
    kept: list[bool] = field(default_factory=list)
    unlearnt: int = 0
    out_of_scope: list[tuple[float, float]] = field(default_factory=list)

    @property
    def outside(self) -> tuple[float, float]:
        """How well the model and the baseline tell messages from texts that mean nothing, mean of the folds (AUROC)."""
        own, baseline = zip(*self.out_of_scope or [(0.0, 0.0)], strict=True)
        return statistics.fmean(own), statistics.fmean(baseline)


def measure(parts: Sequence[tuple[TrainingData, Sequence[NLUExample]]], outside: Sequence[str], seeds: int) -> Measured:
    """Train and measure on each pair of training data and messages held out."""
    found = Measured()
    for number, (data, held_out) in enumerate(parts):
        for seed in range(seeds if number == 0 else 1):
            started = time.perf_counter()
            model = train(data, NLUSettings(seed=42 + seed), silent=True)
            found.seconds.append(time.perf_counter() - started)
            found.temperatures += [float(model.temperature)] if number == 0 else []
            if seed == 0:
                first = model
        _understand(found, first, data, held_out)
        known = [example for example in data.examples if example.intent is not None]
        asked = [example for example in held_out if example.intent is not None]
        if known and asked:
            chances = _baselines(found, known, asked, outside)
            own = [_sureness(first, [example.text for example in asked]), _sureness(first, outside)]
            found.out_of_scope.append((auroc(*own), auroc(*chances)))
    return found


def _understand(found: Measured, model: NLUModel, data: TrainingData, held_out: Sequence[NLUExample]) -> None:
    evaluation = evaluate_messages(model, held_out, silent=True)
    found.messages.append(evaluation)
    found.kept += [sure >= model.threshold for sure, is_right in evaluation.confidences if is_right]
    meant: dict[str, set[str | None]] = {}
    for example in data.examples:
        meant.setdefault(alike(example.text), set()).add(example.intent)
    clear = [example for example in data.examples if len(meant[alike(example.text)]) == 1]
    found.unlearnt += sum(not one.is_intent_right for one in evaluate_messages(model, clear, silent=True).messages)
    for name, change in {**CHANGES, **ERRORS}.items():
        again = evaluate_messages(model, changed(held_out, change), silent=True)
        found.changes.setdefault(name, []).append(again)


def _baselines(
    found: Measured, known: Sequence[NLUExample], asked: Sequence[NLUExample], outside: Sequence[str]
) -> tuple[Floats, Floats]:
    """Note whether the baselines are right; return how sure the logistic regression is of messages, and of others."""
    union = make_union(
        TfidfVectorizer(token_pattern=r"(?u)\w+", ngram_range=(1, 2)),
        TfidfVectorizer(analyzer="char", ngram_range=(1, 5)),
    )
    features = union.fit_transform([example.text for example in known])
    texts = union.transform([example.text for example in asked])
    intents = [str(example.intent) for example in known]
    wanted = [example.intent for example in asked]
    logistic = LogisticRegression(C=20, max_iter=500).fit(features, intents)
    found.svm += [
        one == two for one, two in zip(LinearSVC().fit(features, intents).predict(texts), wanted, strict=True)
    ]
    found.logistic += [one == two for one, two in zip(logistic.predict(texts), wanted, strict=True)]
    return logistic.predict_proba(texts).max(axis=1), logistic.predict_proba(union.transform(outside)).max(axis=1)


def _sureness(model: NLUModel, texts: Sequence[str]) -> Floats:
    return np.array([answer["intent"]["confidence"] for answer in model.parse_many(texts)])


def auroc(inside: Floats, outside: Floats) -> float:
    """Return how often a message has a higher confidence than a text without an intent; equal ones count half."""
    both = inside[:, None] > outside
    return float((both + 0.5 * (inside[:, None] == outside)).mean())


def folds_of(path: Path, folds: int) -> list[tuple[TrainingData, Sequence[NLUExample]]]:
    """Return pairs of the data without one of five parts, and that part, for the first `folds` parts."""
    data = read_training_data(path)
    parts = folds_of_messages(data, 5, 42)
    return [
        (replace(data, examples=tuple(one for other in parts if other is not part for one in other)), part)
        for part in parts[:folds]
    ]


def figures(found: Sequence[MessageEvaluation]) -> tuple[float, float, float]:
    """Return accuracy of intents, micro-F1 of entities, and the share that is right and sure enough, in percent."""
    whole = MessageEvaluation(tuple(message for one in found for message in one.messages))
    sure = [is_right and confidence >= LEAST_SURE for confidence, is_right in whole.confidences]
    spans = whole.entity_figures
    f1 = spans["f1"] if spans["support"] or spans["predicted"] else 1.0
    return 100 * whole.accuracy, 100 * f1, 100 * statistics.fmean(sure or [True])


def error_of(found: Sequence[MessageEvaluation]) -> tuple[float, float]:
    """Return the expected calibration error over all folds, and that of perfect confidences.

    With few messages, even perfect confidences do not give an error of 0; the second figure says which they give.
    """
    whole = MessageEvaluation(tuple(message for one in found for message in one.messages))
    sure = np.array([confidence for confidence, _ in whole.confidences])
    drawn = np.random.default_rng(0).random((DRAWS, len(sure))) < sure
    perfect = [expected_calibration_error(confidence_bins(list(zip(sure, right, strict=True)))) for right in drawn]
    return whole.calibration_error, statistics.fmean(perfect)


def report(found: dict[str, Measured]) -> None:
    """Print the tables."""
    rows: list[list[Any]] = []
    for name, one in found.items():
        intents, entities, sure = figures(one.messages)
        middle = statistics.fmean(one.temperatures)
        apart = max(abs(value / middle - 1.0) for value in one.temperatures)
        rows.append(
            [
                name,
                f"{intents:.1f}",
                f"{100 * statistics.fmean(one.svm):.1f}",
                f"{100 * statistics.fmean(one.logistic):.1f}",
                f"{entities:.1f}",
                f"{sure:.1f}",
                *(f"{value:.3f}" for value in error_of(one.messages)),
                f"{middle:.2f} ±{100 * apart:.0f} %",
                f"{100 * statistics.fmean(one.kept or [True]):.1f}",
                one.unlearnt,
                *(f"{value:.3f}" for value in one.outside),
                f"{statistics.fmean(one.seconds):.1f}",
            ]
        )
    heads = [
        "set",
        "intent",
        "SVM",
        "LR",
        "entity F1",
        "sure",
        "ECE",
        "of perfect",
        "temperature",
        "kept",
        "unlearnt",
        "AUROC",
        "LR's",
    ]
    print_table("Messages held out", [*heads, "train [s]"], rows)
    error, perfect = error_of([fold for one in found.values() for fold in one.messages])
    print(f"ECE of all these messages together: {error:.3f}, of perfect confidences {perfect:.3f}.\n")
    costs = costs_of(found)
    changes = [[name, *(f"{value:+.1f}" for value in cost)] for name, cost in costs.items()]
    print_table("What a change costs, mean of the sets", ["change", "intent", "entity F1", "sure"], changes)


def costs_of(found: dict[str, Measured]) -> dict[str, Floats]:
    """Return the loss by each change in intents, entities and sure messages, in points, mean of the data sets."""
    plain = [figures(one.messages) for one in found.values()]
    return {
        name: np.mean(
            [np.subtract(figures(one.changes[name]), own) for one, own in zip(found.values(), plain, strict=True)],
            axis=0,
        )
        for name in (*CHANGES, *ERRORS)
    }


def bars(found: dict[str, Measured]) -> None:
    """Print each target with the worst figure, and its data set, seed or change."""
    ours = {name: figures(one.messages)[0] for name, one in found.items()}
    better = {name: 100 * max(map(statistics.fmean, (one.svm, one.logistic))) for name, one in found.items()}
    middle = {name: statistics.fmean(one.temperatures) for name, one in found.items()}
    apart = {
        name: 100 * max(abs(value / middle[name] - 1.0) for value in one.temperatures) for name, one in found.items()
    }
    outside = {name: one.outside[1] - one.outside[0] for name, one in found.items()}
    errors = {name: error_of(one.messages) for name, one in found.items()}
    costs = {name: -cost for name, cost in costs_of(found).items() if name in CHANGES}
    rows = [
        bar("intents, points below the better baseline", {name: better[name] - ours[name] for name in found}, 1.0),
        bar("intents that a change costs", {name: cost[0] for name, cost in costs.items()}, 2.0),
        bar("entity F1 that a change costs", {name: cost[1] for name, cost in costs.items()}, 3.0),
        bar("right and sure that a change costs", {name: cost[2] for name, cost in costs.items()}, 3.0),
        bar("calibration error", {name: error for name, (error, _) in errors.items()}, 0.05),
        bar(
            "calibration error above a perfect one's",
            {name: error - least for name, (error, least) in errors.items()},
            0.05,
        ),
        bar("temperature, % from its mean over the seeds", apart, 15.0),
        bar("AUROC below the baseline's", outside, 0),
        bar(
            "% of what is right below the threshold",
            {name: 100 - 100 * statistics.fmean(one.kept or [True]) for name, one in found.items()},
            5.0,
        ),
        bar("examples not learnt", {name: float(one.unlearnt) for name, one in found.items()}, 0),
    ]
    print_table("Bars, and what is farthest from them", ["", "at most", "most", "where", "beyond it"], rows)


def bar(name: str, found: dict[str, float], limit: float) -> list[Any]:
    """Return a row for a figure with a limit: the highest value, its place, and how many values are above the limit."""
    worst = max(found, key=lambda one: found[one])
    beyond = sum(value > limit for value in found.values())
    return [name, f"{limit:g}", f"{found[worst]:.3g}", worst, f"{beyond} of {len(found)}"]


def main(folder: Path, sets: Sequence[str], folds: int, seeds: int) -> None:
    """Measure the sets in a folder, all if none is named, and print the tables."""
    outside = json.loads((folder / OUT_OF_SCOPE).read_text(encoding="utf-8"))
    names = sets or [*sorted(path.stem for path in folder.glob("*.json") if not path.stem.startswith("clinc")), "clinc"]
    found = {}
    for name in names:
        if name == "clinc":
            parts = [(read_training_data(folder / MANY[0]), read_training_data(folder / MANY[1]).examples)]
        else:
            parts = folds_of(folder / f"{name}.json", folds)
        found[name] = measure(parts, outside, seeds)
        report({name: found[name]})
    report(found)
    bars(found)
