"""The four ways to measure: one model, several models, cross-validation, and a learning curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from rasa_core.agent import Agent
from rasa_core.drawing.files import write_drawing
from rasa_core.evaluation import comparison
from rasa_core.evaluation.charts import calibration_chart
from rasa_core.evaluation.confusion import confusion_matrix
from rasa_core.evaluation.cross_validation import MakePolicies, Setup, all_folds, cross_validate, learning_curve
from rasa_core.evaluation.stories import Evaluation, evaluate_stories
from rasa_core.evaluation.story_report import as_json, as_text, bins_of
from rasa_core.evaluation.story_result import write_failed_stories
from rasa_core.model_folder import read_model
from rasa_core.policies.ensemble import PolicyEnsemble

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.drawing.shapes import Drawing
    from rasa_core.interpreter import NaturalLanguageInterpreter


@dataclass(frozen=True, slots=True)
class Measurement:
    """What came of measuring.

    Attributes
    ----------
    lines : list of str
        The report as text.
    content : dict
        The report as an object of JSON.
    accuracies, whole_stories : dict of str to float
        What is compared with limits, by what it is the figure of.
    evaluation : Evaluation or None
        All predictions, if they are of one model, or of one configuration.
    draw : callable
        Returns the picture of it; None if it has none.
    """

    lines: list[str]
    content: dict[str, Any]
    accuracies: dict[str, float]
    whole_stories: dict[str, float]
    evaluation: Evaluation | None = None
    draw: Callable[[], Drawing] | None = None

    def write(
        self,
        *,
        failed: str | Path | None = None,
        picture: str | Path | None = None,
        calibration: str | Path | None = None,
    ) -> Iterator[str]:
        """Write what there is into those files that are named, and yield what is said of it.

        Raises
        ------
        RasaCoreError
            If a file cannot be written.
        """
        evaluation = self.evaluation
        if evaluation is not None and failed is not None:
            write_failed_stories(evaluation.failed, failed)
            if evaluation.failed:
                yield f"The failed stories are in {failed}, with what was predicted."
        if self.draw is not None and picture is not None:
            write_drawing(self.draw(), picture)
            yield f"The picture is in {picture}."
        if evaluation is not None and calibration is not None:
            write_drawing(calibration_chart(bins_of(evaluation.actions)), calibration)
            yield f"The calibration is drawn in {calibration}."

    def below(self, accuracy: float | None, whole_stories: float | None) -> list[str]:
        """Return what is below these limits; None is no limit."""
        limits = [
            ("accuracy", self.accuracies, accuracy),
            ("share of whole stories", self.whole_stories, whole_stories),
        ]
        return [
            f"the {what} {value:.4f} is below {least:g}{f': {name}' if name else ''}."
            for what, figures, least in limits
            for name, value in figures.items()
            if least is not None and value < least
        ]


def load_model(model: str | Path, interpreter: NaturalLanguageInterpreter | None = None) -> Agent:
    """Load a model without the code of its actions, of which only the names matter here."""
    return Agent.load(model, interpreter, action_factory="remote")


def policies_of(model: str | Path) -> tuple[Domain, MakePolicies]:
    """Return the domain of a model, and what makes its policies anew."""
    domain, *_ = read_model(model, action_factory="remote")
    return domain, lambda: PolicyEnsemble.load(model)


def measure_model(
    model: str | Path,
    stories: str | Path,
    max_stories: int | None,
    interpreter: NaturalLanguageInterpreter | None = None,
) -> Measurement:
    """Measure how well one model follows stories."""
    evaluation = evaluate_stories(load_model(model, interpreter), stories, max_stories, interpreter=interpreter)
    return Measurement(
        as_text(evaluation),
        as_json(evaluation),
        {"": evaluation.accuracy},
        {"": evaluation.whole_stories},
        evaluation,
        lambda: confusion_matrix(evaluation.pairs, PurePath(stories).name),
    )


def measure_models(
    models: Sequence[str],
    stories: str | Path,
    max_stories: int | None,
    interpreter: NaturalLanguageInterpreter | None = None,
) -> Measurement:
    """Measure how well each of several models follows the same stories."""
    found: dict[str, Evaluation] = {}
    for model in models:
        agent = load_model(model, interpreter)
        found[model] = evaluate_stories(agent, stories, max_stories, interpreter=interpreter)
    return Measurement(
        comparison.models_as_text(found),
        comparison.models_as_json(found),
        {model: evaluation.accuracy for model, evaluation in found.items()},
        {model: evaluation.whole_stories for model, evaluation in found.items()},
    )


def measure_folds(setup: Setup, folds: int, stories: str | Path) -> Measurement:
    """Cross-validate; all predictions together are those for stories that had not been learnt."""
    found = cross_validate(setup, folds)
    whole = all_folds(found)
    spreads = comparison.spreads_of(found)
    return Measurement(
        [*as_text(whole), "", *comparison.folds_as_text(found)],
        {**as_json(whole), **comparison.folds_as_json(found)},
        {"mean of the folds": spreads["accuracy"].mean},
        {"mean of the folds": spreads["whole_stories"].mean},
        whole,
        lambda: confusion_matrix(whole.pairs, f"{PurePath(stories).name}, {folds} folds"),
    )


def measure_curve(
    setups: Mapping[str, Setup], stories: str | Path, *, excluded: Sequence[int], runs: int, folds: int
) -> Measurement:
    """Measure what is learnt from parts of the stories; the accuracies are those for the largest part."""
    points = learning_curve(setups, excluded=excluded, runs=runs, folds=folds)
    best = {name: comparison.spreads_of(max(curve, key=lambda one: one.learnt).runs) for name, curve in points.items()}
    return Measurement(
        comparison.curves_as_text(points),
        comparison.curves_as_json(points),
        {name: spreads["accuracy"].mean for name, spreads in best.items()},
        {name: spreads["whole_stories"].mean for name, spreads in best.items()},
        draw=lambda: comparison.curves_as_drawing(points, str(stories)),
    )
