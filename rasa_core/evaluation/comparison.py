"""Figures of several evaluations side by side: of models, of folds, and of what was learnt from fewer stories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import PurePath
from typing import Any, Final

from rasa_core.drawing.shapes import Drawing
from rasa_core.evaluation.charts import Curve, learning_curves
from rasa_core.evaluation.cross_validation import CurvePoint
from rasa_core.evaluation.metrics import Spread, written
from rasa_core.evaluation.stories import Evaluation
from rasa_core.evaluation.story_report import HEADINGS, Figures, table

LONGEST_NAME: Final = 36
_NAMES: Final = [one.name for one in fields(Figures)]
_DRAWN: Final = "accuracy_without_listen"


def spreads_of(evaluations: Sequence[Evaluation]) -> dict[str, Spread]:
    """Return for each of the `Figures`, by name, how it differs between evaluations."""
    measured = [Figures.of(evaluation) for evaluation in evaluations]
    return {name: Spread.of([getattr(figures, name) for figures in measured]) for name in _NAMES}


# -- models


def models_as_text(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Return a table with a line for each model."""
    rows = [(_end_of(name), *_told(evaluation)) for name, evaluation in evaluations.items()]
    return table(("Model", *HEADINGS.values()), rows, longest=LONGEST_NAME)


def models_as_json(evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return the figures of each model as an object of JSON."""
    return {
        "models": [{"model": name, **asdict(Figures.of(evaluation))} for name, evaluation in evaluations.items()],
    }


def _told(evaluation: Evaluation) -> list[str]:
    figures = Figures.of(evaluation)
    return [written(getattr(figures, name)) for name in _NAMES]


def _end_of(name: str) -> str:
    """Return the end of a path, by which models differ, where it would be cut."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


# -- folds


def folds_as_text(found: Sequence[Evaluation]) -> list[str]:
    """Return a table with a line for each fold, their mean, and their standard deviation."""
    spreads = spreads_of(found)
    rows = [(str(number), str(len(one.stories)), *_told(one)) for number, one in enumerate(found, 1)]
    mean = ("mean", "", *(written(spreads[name].mean) for name in _NAMES))
    deviation = ("deviation", "", *(written(spreads[name].deviation) for name in _NAMES))
    return table(("Fold", "Stories", *HEADINGS.values()), [*rows, mean, deviation])


def folds_as_json(found: Sequence[Evaluation]) -> dict[str, Any]:
    """Return the figures of each fold, and their spread, as an object of JSON."""
    return {
        "folds": [{"stories": len(one.stories), **asdict(Figures.of(one))} for one in found],
        "spread": {name: asdict(spread) for name, spread in spreads_of(found).items()},
    }


# -- learning curves

Points = Mapping[str, Sequence[CurvePoint]]


def curves_as_text(points: Points) -> list[str]:
    """Return a table with a line for each part of the stories that each configuration has learnt from."""
    rows = []
    for name, curve in points.items():
        for point in curve:
            spreads = spreads_of(point.runs)
            told = [written(spreads[figure].mean) for figure in _NAMES]
            told.insert(2, written(spreads[_DRAWN].deviation))
            rows.append((_end_of(name), f"{point.excluded} %", f"{point.learnt:.0f}", *told))
    headings = list(HEADINGS.values())
    headings.insert(2, "±")
    return table(("Configuration", "Left out", "Learnt", *headings), rows, longest=24)


def curves_as_json(points: Points) -> dict[str, Any]:
    """Return all runs, and their spread, as an object of JSON."""
    return {
        "curves": [
            {
                "configuration": name,
                "excluded": point.excluded,
                "learnt": point.learnt,
                "runs": [asdict(Figures.of(run)) for run in point.runs],
                "spread": {figure: asdict(spread) for figure, spread in spreads_of(point.runs).items()},
            }
            for name, curve in points.items()
            for point in curve
        ]
    }


def curves_as_drawing(points: Points, stories: str) -> Drawing:
    """Draw the accuracy of the actions that are not `action_listen`, with the standard deviation of the runs."""
    curves = [
        Curve(name, tuple((point.learnt, spreads_of(point.runs)[_DRAWN]) for point in curve))
        for name, curve in points.items()
    ]
    title = f"What is learnt from more of {PurePath(stories).name}"
    return learning_curves(curves, title, "accuracy without listening")
