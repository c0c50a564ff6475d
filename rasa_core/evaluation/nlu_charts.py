"""Draws which intents are taken for which, and how sure an interpreter is where it is right and where it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rasa_core.drawing.picture import shorten
from rasa_core.drawing.shapes import FAINT_INK, GRID, INK, Drawing, Line, Rectangle, Text
from rasa_core.evaluation.calibration import confidence_bins
from rasa_core.evaluation.confusion import RIGHT, WRONG, confusion_matrix
from rasa_core.evaluation.nlu import Evaluation
from rasa_core.evaluation.nlu_report import NO_INTENT

MARGIN: Final = 20.0
SIZE: Final = 12.0
_LEFT: Final = MARGIN + 56.0
_WIDTH: Final = 460.0
_HEIGHT: Final = 150.0
_GAP: Final = 76.0


def intent_matrix(evaluation: Evaluation, what: str = "") -> Drawing:
    """Draw the matrix of the intents that are expected or found.

    Parameters
    ----------
    evaluation
        Messages and what was found in them.
    what
        What was evaluated, for the line below the title.
    """
    pairs = [(expected, found or NO_INTENT) for expected, found in evaluation.pairs]
    drawing = confusion_matrix(pairs, what)
    title = drawing.title.replace(" actions ", " intents ")
    headlines = {drawing.title: title}
    shapes = [
        replace(shape, text=headlines.get(shape.text, shape.text.replace(" without listening", "")))
        if isinstance(shape, Text)
        else shape
        for shape in drawing.shapes
    ]
    return Drawing(title, drawing.width, drawing.height, shapes)


def confidence_histogram(evaluation: Evaluation, what: str = "") -> Drawing:
    """Draw how often each confidence occurs, above where the intent is right, and below where it is wrong.

    The two parts have scales of their own: otherwise the few that are wrong would not be seen.
    """
    right = [confidence for confidence, is_right in evaluation.confidences if is_right]
    wrong = [confidence for confidence, is_right in evaluation.confidences if not is_right]
    title = "How sure of right and of wrong intents"
    top = MARGIN + 92
    drawing = Drawing(title, _LEFT + _WIDTH + 2 * MARGIN, top + 2 * _HEIGHT + _GAP + 48 + MARGIN)
    drawing.add(Text(MARGIN, MARGIN + 18, title, 20.0, is_bold=True))
    below = f"{len(evaluation.confidences):,} messages, sorted by the confidence in their intent"
    drawing.add(Text(MARGIN, MARGIN + 40, f"{shorten(what, 30)}: {below}" if what else below, SIZE, colour=FAINT_INK))
    _draw_bars(drawing, top, right, RIGHT, "right")
    _draw_bars(drawing, top + _HEIGHT + _GAP, wrong, WRONG, "wrong")
    base = top + 2 * _HEIGHT + _GAP
    drawing.add(Text(_LEFT + _WIDTH / 2, base + 40, "confidence", SIZE, "middle"))
    return drawing


def _draw_bars(drawing: Drawing, top: float, confidences: Sequence[float], colour: str, what: str) -> None:
    bins = confidence_bins((confidence, True) for confidence in confidences)
    base, width, highest = top + _HEIGHT, _WIDTH / len(bins), max(1, *(one.count for one in bins))
    drawing.add(Text(_LEFT, top - 22, f"{what}: {len(confidences):,}", SIZE, "start", INK))
    drawing.add(Line(((_LEFT, base), (_LEFT + _WIDTH, base)), GRID))
    for one in bins:
        x, height = _LEFT + one.low * _WIDTH, _HEIGHT * one.count / highest
        drawing.add(Text(x, base + 18, f"{one.low:.1f}", SIZE - 1, "middle", FAINT_INK))
        if one.count:
            tip = f"{what}, confidence {one.low:.1f} to {one.high:.1f}: {one.count:,} of {len(confidences):,}"
            drawing.add(Rectangle(x + 2, base - height, width - 4, height, colour, tip))
            drawing.add(Text(x + width / 2, base - height - 4, f"{one.count:,}", SIZE - 2, "middle", FAINT_INK))
    drawing.add(Text(_LEFT + _WIDTH, base + 18, "1.0", SIZE - 1, "middle", FAINT_INK))
